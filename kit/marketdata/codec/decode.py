"""Batches to rows: the reverse of ``kit.marketdata.codec.encode``.

Numbers come back at the scale of the batch. What is not published does not come back: which id must
have come before a row, and the checksum of a book.
"""

from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn
from kit.marketdata.model.batches import Batch, columns_of
from kit.marketdata.model.book_updates import BookUpdates
from kit.marketdata.model.channels import TABLES, ChannelSchema
from kit.marketdata.model.columns import (
    BookRows,
    ColumnKind,
    NumberColumn,
    PriceLevels,
    Rows,
    SymbolColumn,
    zeros,
)


def rows_of(batch: Batch) -> Rows | None:
    """The rows of a batch, or None where it has none or its channel has no rows of these kinds."""
    columns = columns_of(batch)
    if columns is None or not columns.instrument:
        return None
    if batch.channel == types_pb2.CHANNEL_BOOK:
        return _book(batch)
    table = TABLES.get(batch.channel)
    return None if table is None else _table_rows(batch, columns, table)


def _table_rows(batch: Batch, columns: Any, table: ChannelSchema) -> Rows:
    instrument = np.array(columns.instrument, dtype=np.int64)
    values: dict[str, Any] = {}
    for column in table.columns:
        found = getattr(columns, column.name)
        if column.kind is ColumnKind.TEXT:
            values[column.name] = list(found) or None
            continue
        values[column.name] = numbers = np.array(found, dtype=np.int64)
        if column.kind.is_scaled:
            values[column.name] = NumberColumn.compact(
                numbers, _scales(batch, column.kind)[instrument]
            )
    return table.rows(symbols=_symbols(batch, instrument), **values)


def _book(batch: Batch) -> BookRows:
    updates = BookUpdates.of(batch.book)
    count = updates.bid_count + updates.ask_count
    owner = np.repeat(np.arange(len(count)), count)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    is_bid = position < updates.bid_count[owner]
    instrument = updates.instrument[owner]
    price = updates.price, _scales(batch, ColumnKind.PRICE)[instrument]
    size = updates.size, _scales(batch, ColumnKind.SIZE)[instrument]
    bids, asks = (
        PriceLevels(
            levels,
            NumberColumn.compact(*(column[side] for column in price)),
            NumberColumn.compact(*(column[side] for column in size)),
        )
        for levels, side in ((updates.bid_count, is_bid), (updates.ask_count, ~is_bid))
    )
    return BookRows(
        symbols=_symbols(batch, updates.instrument),
        first_sequence=updates.first_sequence,
        last_sequence=updates.last_sequence,
        previous_sequence=zeros(len(count)),
        snapshot=updates.snapshot,
        checksum=None,
        venue_time_ns=updates.venue_time_ns,
        received_time_ns=updates.received_time_ns,
        bids=bids,
        asks=asks,
    )


def _symbols(batch: Batch, instrument: IntColumn) -> SymbolColumn:
    """The symbol of each row. A symbol has two entries where its scale has changed."""
    names = SymbolColumn.of([entry.symbol for entry in batch.instruments])
    row = names.row[instrument]
    return SymbolColumn(names.names, row).take(np.arange(len(row)))


def _scales(batch: Batch, kind: ColumnKind) -> IntColumn:
    """Decimal places of the instrument entries."""
    return np.array([getattr(entry, kind.value) for entry in batch.instruments], dtype=np.int64)
