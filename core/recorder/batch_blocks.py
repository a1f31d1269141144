"""Blocks of book updates and of raw frames: many batches as bytes in one row.

A small batch is mostly head, and a row of its own would cost more than its content. So consecutive
batches become one block. A batch with gaps begins a new block: a gap stands before the first row
stored under its cursor.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from venuemesh.marketdata.v1 import batch_pb2

from core.recorder.column_buffer import InstrumentIds
from core.recorder.table_writes import PythonRows, days_of
from kit.base.cursor import Cursor, StreamKey
from kit.base.number_columns import IntColumn
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.storage.archive import codec

ROWS_MAX = 20_000
"""Largest number of rows in a block: a reader has to unpack all of it for any of its rows."""
FRAMES_BYTES_MAX = 4 * 1024 * 1024
HEAD_COLUMNS: Mapping[str, str] = {
    "venue": "text",
    "epoch": "int8",
    "sequence": "int8",
    "first_received_time_ns": "int8",
    "last_received_time_ns": "int8",
}
BOOK_COLUMNS: Mapping[str, str] = {
    **HEAD_COLUMNS,
    "update_count": "int4",
    "instrument_ids": "int4[]",
    "snapshot_instrument_ids": "int4[]",
    "codec": "int2",
    "batch": "bytea",
}
FRAME_COLUMNS: Mapping[str, str] = {
    **HEAD_COLUMNS,
    "frame_count": "int4",
    "codec": "int2",
    "batch": "bytea",
}


class ReceivedTimeRange(NamedTuple):
    """First and last received time, ns."""

    first_ns: int
    last_ns: int

    @classmethod
    def of(cls, parts: "Sequence[ReceivedTimeRange]") -> "ReceivedTimeRange":
        """The span of several parts."""
        return cls(min(part.first_ns for part in parts), max(part.last_ns for part in parts))


class BatchBlock:
    """Consecutive batches of one stream, stored as one."""

    def __init__(self, key: StreamKey, cursor: Cursor) -> None:
        self.key = key
        self.cursor = cursor
        """Cursor of the first batch."""
        self.row_count = 0
        self.byte_count = 0
        self._published_time_ns = 0
        self._entries: dict[bytes, int] = {}
        self._books: list[BookUpdates] = []
        self._frames: list[batch_pb2.FrameColumns] = []
        self._times: list[ReceivedTimeRange] = []
        self.symbols: set[str] = set()
        self.snapshot_symbols: set[str] = set()

    def add_book(self, batch: Batch, rows: BookUpdates) -> None:
        """Add a batch with consistent columns."""
        places = self._places(batch)
        symbols = [entry.symbol for entry in batch.instruments]
        self.symbols.update(symbols[place] for place in np.unique(rows.instrument).tolist())
        whole = np.unique(rows.instrument[rows.snapshot != 0]).tolist()
        self.snapshot_symbols.update(symbols[place] for place in whole)
        if places != list(range(len(places))):
            rows = rows.renumbered(np.array(places, dtype=np.int64))
        self._books.append(rows)
        self._count(batch, rows.received_time_ns)

    def add_frames(self, batch: Batch) -> None:
        """Add a batch with consistent columns."""
        self._places(batch)
        self._frames.append(batch.frames)
        self.byte_count += batch.frames.ByteSize()
        self._count(batch, np.asarray(batch.frames.received_time_ns))

    @property
    def times(self) -> ReceivedTimeRange:
        """Received times of the first and last row."""
        return ReceivedTimeRange.of(self._times)

    @property
    def is_full(self) -> bool:
        """Whether the next batch begins another block."""
        return self.row_count >= ROWS_MAX or self.byte_count >= FRAMES_BYTES_MAX

    def book_row(self, ids: InstrumentIds) -> tuple[object, ...]:
        """The values of BOOK_COLUMNS."""
        number, data = codec.pack_book(self._head(), BookUpdates.joined(self._books))
        return (
            *(self.key.venue, *self.cursor, *self.times, self.row_count),
            sorted(ids[self.key.venue, symbol] for symbol in self.symbols),
            sorted(ids[self.key.venue, symbol] for symbol in self.snapshot_symbols),
            *(int(number), data),
        )

    def frame_row(self) -> tuple[object, ...]:
        """The values of FRAME_COLUMNS."""
        whole = self._head()
        for frames in self._frames:
            whole.frames.MergeFrom(frames)
        number, data = codec.pack(whole.SerializeToString())
        return (self.key.venue, *self.cursor, *self.times, self.row_count, int(number), data)

    def _count(self, batch: Batch, received_time_ns: IntColumn) -> None:
        self.row_count += len(received_time_ns)
        self._times.append(
            ReceivedTimeRange(int(received_time_ns.min()), int(received_time_ns.max()))
        )
        self._published_time_ns = batch.published_time_ns

    def _places(self, batch: Batch) -> list[int]:
        """The position of each instrument of the batch in this block."""
        return [
            self._entries.setdefault(entry.SerializeToString(), len(self._entries))
            for entry in batch.instruments
        ]

    def _head(self) -> Batch:
        return Batch(
            venue=self.key.venue,
            channel=self.key.channel,
            cursor=self.cursor.message(),
            instruments=map(batch_pb2.InstrumentEntry.FromString, self._entries),
            published_time_ns=self._published_time_ns,
        )


class ChannelBlocks:
    """The blocks of several streams of one channel."""

    def __init__(self) -> None:
        self._begun: list[BatchBlock] = []
        self._open: dict[StreamKey, BatchBlock] = {}

    def block_for(self, key: StreamKey, cursor: Cursor) -> BatchBlock:
        """The block to which a batch belongs."""
        found = self._open.get(key)
        if found is None or found.is_full or found.cursor.epoch != cursor.epoch:
            found = self._open[key] = BatchBlock(key, cursor)
            self._begun.append(found)
        return found

    def end(self, key: StreamKey) -> None:
        """End the open block of a stream."""
        self._open.pop(key, None)

    def all(self) -> list[BatchBlock]:
        """All blocks, in the order in which they began."""
        return self._begun


def book_rows(blocks: Sequence[BatchBlock], ids: InstrumentIds) -> PythonRows:
    """Rows of book_batch_rows."""
    rows = [block.book_row(ids) for block in blocks]
    return _rows("book_batch_rows", BOOK_COLUMNS, rows, blocks)


def frame_rows(blocks: Sequence[BatchBlock]) -> PythonRows:
    """Rows of frame_rows."""
    rows = [block.frame_row() for block in blocks]
    return _rows("frame_rows", FRAME_COLUMNS, rows, blocks)


def _rows(
    table: str,
    columns: Mapping[str, str],
    rows: Sequence[tuple[object, ...]],
    blocks: Sequence[BatchBlock],
) -> PythonRows:
    last_ns = np.array([block.times.last_ns for block in blocks], dtype=np.int64)
    names, types = ", ".join(columns), list(columns.values())
    return PythonRows(table, names, types, rows, days_ns=days_of(last_ns))
