"""Rows to batches: one instrument entry per symbol, all its numbers at one scale.

The scale is the batch's own, so that one odd number does not widen the numbers of later batches.
Columns are written as protobuf's bytes directly: message objects in between would cost more than
everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.cursor import channel_name
from kit.base.number_columns import IntColumn, Places, rescale
from kit.marketdata.book.levels import SideChanges
from kit.marketdata.codec.protobuf_writer import Column, LevelColumn, ProtobufWriter
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.book_updates import BookUpdates
from kit.marketdata.model.channels import TABLES, ChannelSchema
from kit.marketdata.model.columns import (
    ColumnKind,
    Scale,
    SymbolColumn,
    TableRows,
    instrument_entry,
)


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """A batch without venue, channel and cursor."""

    instruments: Sequence[batch_pb2.InstrumentEntry] = ()
    event_counts: Sequence[int] = ()
    """Rows of each instrument entry."""
    columns: bytes = b""
    """The serialised columns field of the batch."""
    received_time_ns: int = 0
    """Of the last row."""
    gaps: Sequence[types_pb2.Gap] = field(default=())

    @property
    def events(self) -> int:
        return sum(self.event_counts)

    def after(self, gaps: Sequence[types_pb2.Gap]) -> "BatchDraft":
        """The same rows with gaps before them."""
        return replace(self, gaps=gaps) if gaps else self


def rows(rows: TableRows) -> BatchDraft:
    """A batch of rows. Raises NumberError when a number does not fit."""
    layout = _LAYOUTS[type(rows)]
    symbols = rows.symbols
    counts = symbols.counts()
    places = [
        symbols.most([getattr(rows, name) for name in names]) if names else [0] * len(counts)
        for names in layout.scaled
    ]
    per_row = [_spread(scales, symbols) for scales in places]
    columns: dict[str, Column] = {"instrument": symbols.row}
    for name, scale in layout.columns:
        column = getattr(rows, name)
        if scale is not None:
            column = rescale(column.unscaled, column.decimals, per_row[scale])
        elif column is None:
            continue
        columns[name] = column
    body = layout.writer.write(**columns)
    entries = list(map(instrument_entry, symbols.names, map(Scale, *places)))
    return BatchDraft(entries, counts, body, int(rows.received_time_ns[-1]))


def statuses(
    definitions: Sequence[types_pb2.Instrument],
    changes: "Sequence[batch_pb2.StatusChange.ValueType]",
    received_time_ns: int,
) -> BatchDraft:
    """A batch of listings and changes of instruments."""
    columns = batch_pb2.StatusColumns(
        instrument=range(len(definitions)),
        change=changes,
        definition=definitions,
        received_time_ns=[received_time_ns] * len(definitions),
    )
    entries = [instrument_entry(one.symbol, Scale()) for one in definitions]
    counts = [1] * len(entries)
    return BatchDraft(entries, counts, Batch(status=columns).SerializeToString(), received_time_ns)


def book(bids: SideChanges, asks: SideChanges, **columns: IntColumn) -> bytes:
    """The book columns of a batch, by the names of BookColumns' fields; ``bids`` and ``asks`` at
    the scales of the instrument entries."""
    columns["bid_count"], columns["ask_count"] = bids.count, asks.count
    levels = {
        "price": LevelColumn(bids.price, bids.count, asks.price, asks.count),
        "size": LevelColumn(bids.size, bids.count, asks.size, asks.count),
    }
    return _BOOK.write(**columns, **levels)


def book_updates(updates: BookUpdates) -> bytes:
    """The book columns of a batch, from updates at the scales of its instrument entries."""
    return _BOOK_UPDATES.write(**updates.columns())


def _spread(scales: list[int], symbols: SymbolColumn) -> Places:
    """A scale of each symbol, as one for all rows or one per row."""
    if scales.count(scales[0]) == len(scales):
        return scales[0]
    return np.array(scales, dtype=np.int64)[symbols.row]


class _RowLayout:
    """How the rows of a channel are written."""

    def __init__(self, table: ChannelSchema) -> None:
        self.writer = ProtobufWriter(channel_name(table.channel), table.message)
        self.scaled = [table.names(kind) for kind in _SCALES]
        """The columns of each scale."""
        self.columns: list[tuple[str, int | None]] = [
            (column.name, _SCALES.index(column.kind) if column.kind.is_scaled else None)
            for column in table.columns
        ]
        """Each column with the position of its scale."""


_SCALES = (ColumnKind.PRICE, ColumnKind.SIZE, ColumnKind.RATE)
"""As in Scale."""
_LAYOUTS = {table.rows: _RowLayout(table) for table in TABLES.values()}
_BOOK = ProtobufWriter("book", batch_pb2.BookColumns)
_BOOK_UPDATES = ProtobufWriter("book", batch_pb2.BookColumns)
