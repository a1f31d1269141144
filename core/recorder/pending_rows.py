"""The rows of a chunk, by table."""

from collections.abc import Iterable, Sequence

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.recorder.batch_blocks import ChannelBlocks, book_rows, frame_rows
from core.recorder.batch_checks import check_book, check_frames, check_rows, trade_ids
from core.recorder.column_buffer import (
    LARGE_BATCH_ROWS,
    ColumnBuffer,
    InstrumentIds,
    MalformedBatch,
    RepeatedField,
    VenueInstrumentScale,
)
from core.recorder.instrument_terms import InstrumentTermsChange, InstrumentTermsUpdates, terms_of
from core.recorder.repair_rows import (
    GapClosures,
    RepairedTrade,
    RepairOutcome,
    hole_fills_of,
    repaired_rows,
    trades_of,
)
from core.recorder.row_tables import ROW_TABLES, TEXT_TRADES, RowTable, rows_of
from core.recorder.table_writes import TableWrite
from kit.base.cursor import StreamKey
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.model.batches import Batch, row_count
from kit.marketdata.model.book_updates import BookUpdates


class PendingRows:
    """Rows of batches, in the order in which they were read."""

    def __init__(self) -> None:
        self._instruments: dict[VenueInstrumentScale, int] = {}
        """The instruments of rows, with their number in the column "place"."""
        self._tables = {
            channel: ColumnBuffer(("place", *table.names)) for channel, table in ROW_TABLES.items()
        }
        self._text_trades = ColumnBuffer(("place", *TEXT_TRADES.names))
        self._text_ids: list[str] = []
        self._books = ChannelBlocks()
        self._frames = ChannelBlocks()
        self._terms: list[InstrumentTermsChange] = []
        self._repaired: list[RepairedTrade] = []
        self._fills: list[RepairOutcome] = []

    def add(self, entry: StreamEntry, batch: Batch) -> int:
        """Add the rows of a batch. Returns the number of events. Raises MalformedBatch, and has
        then added none."""
        match entry.key.channel:
            case types_pb2.CHANNEL_REPAIRS:
                self._add_repairs(entry, batch)
            case _ if not row_count(batch):
                return 0
            case types_pb2.CHANNEL_TRADES:
                self._add_trades(entry, batch)
            case types_pb2.CHANNEL_BOOK:
                self._add_book(entry, batch)
            case types_pb2.CHANNEL_FRAMES:
                check_frames(batch.frames)
                self._frames.block_for(entry.key, entry.cursor).add_frames(batch)
            case types_pb2.CHANNEL_STATUS:
                self._terms += terms_of(entry.key, entry.cursor, batch)
            case channel:
                self._tables[channel].add(self._columns(entry, batch, ROW_TABLES[channel]))
        return row_count(batch)

    def gap(self, key: StreamKey) -> None:
        """End the open blocks of a stream: rows after a gap form a new block."""
        self._books.end(key)
        self._frames.end(key)

    def symbols(self) -> set[tuple[str, str]]:
        """Venue and symbol of every instrument with rows."""
        found = {(instrument.venue, instrument.symbol) for instrument in self._instruments}
        for block in self._books.all():
            found.update((block.key.venue, symbol) for symbol in block.symbols)
        found.update((trade.venue, trade.symbol) for trade in self._repaired)
        return found

    def rows(self, ids: InstrumentIds) -> list[TableWrite]:
        """The writes, one per table with rows."""
        instruments = list(self._instruments)
        tables: list[TableWrite] = [
            rows_of(ROW_TABLES[channel], columns, instruments, ids)
            for channel, columns in self._tables.items()
            if columns
        ]
        if self._text_ids:
            texts = self._text_ids
            tables.append(rows_of(TEXT_TRADES, self._text_trades, instruments, ids, texts))
        if self._books.all():
            tables.append(book_rows(self._books.all(), ids))
        if self._frames.all():
            tables.append(frame_rows(self._frames.all()))
        if self._terms:
            tables.append(InstrumentTermsUpdates(self._terms))
        if self._repaired:
            tables.append(repaired_rows(self._repaired, ids))
        if self._fills:
            tables.append(GapClosures(self._fills))
        return tables

    def _add_trades(self, entry: StreamEntry, batch: Batch) -> None:
        texts = trade_ids(batch)
        columns = self._columns(entry, batch, ROW_TABLES[entry.key.channel])
        if texts is None:
            self._tables[entry.key.channel].add(columns)
            return
        names = ("place", *TEXT_TRADES.names)
        self._text_trades.add([column for column in columns if column[0] in names])
        self._text_ids += texts

    def _add_repairs(self, entry: StreamEntry, batch: Batch) -> None:
        check_rows(batch.trades, len(batch.instruments))
        fills = hole_fills_of(entry.key, batch)
        if row_count(batch):
            self._repaired += trades_of(entry.key, batch, trade_ids(batch))
        self._fills += fills

    def _add_book(self, entry: StreamEntry, batch: Batch) -> None:
        check_book(batch.book, len(batch.instruments))
        try:
            rows = BookUpdates.of(batch.book)
        except OverflowError as error:
            raise MalformedBatch(str(error)) from None
        self._books.block_for(entry.key, entry.cursor).add_book(batch, rows)

    def _columns(
        self, entry: StreamEntry, batch: Batch, table: RowTable
    ) -> list[tuple[str, RepeatedField]]:
        """The columns of a batch, with this object's numbers of instruments."""
        places = [
            self._instruments.setdefault(
                VenueInstrumentScale(
                    entry.key.venue,
                    instrument.symbol,
                    instrument.price_scale,
                    instrument.size_scale,
                    instrument.rate_scale,
                ),
                len(self._instruments),
            )
            for instrument in batch.instruments
        ]
        rows = getattr(batch, batch.WhichOneof("columns") or "")
        place = _mapped(rows.instrument, places)
        return [("place", place), *_fields(rows, table.names)]


def _fields(rows: object, names: Iterable[str]) -> Sequence[tuple[str, RepeatedField]]:
    return [(name, getattr(rows, name)) for name in names]


def _mapped(rows: RepeatedField, places: list[int]) -> RepeatedField:
    try:
        if len(rows) < LARGE_BATCH_ROWS:
            return [places[row] for row in rows[:]]
        mapped: RepeatedField = np.array(places, dtype=np.int64)[np.asarray(rows)]
    except IndexError:
        raise MalformedBatch("a row refers to an instrument that the batch does not list") from None
    return mapped
