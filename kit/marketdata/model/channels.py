"""The table of channels: message, columns and SQL table of each.

Whatever encodes, decodes, records or reads rows of a channel goes by this table. A new column is a
field of the row class, of the protobuf message and of the SQL table, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, get_type_hints

from google.protobuf.message import Message
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.cursor import Channel, channel_name
from kit.marketdata.model.book_updates import BookUpdates
from kit.marketdata.model.columns import (
    CandleRows,
    Column,
    ColumnKind,
    MarkRows,
    QuoteRows,
    TableRows,
    TickerRows,
    TradeRows,
)


@dataclass(frozen=True)
class ChannelSchema:
    """A channel whose events are rows of one SQL table."""

    channel: Channel
    rows: type[TableRows]
    message: type[Message]
    """The columns message of a batch; its fields are ``instrument`` and the columns."""
    sql_table: str
    """Its columns are ``instrument_id`` and the columns."""
    day_column: str
    """The time by whose UTC day the SQL table is partitioned."""
    sort_columns: tuple[str, ...]
    """How rows of one instrument with the same received time are ordered when they are read."""
    key_columns: tuple[str, ...] = ()
    """With the instrument the key of a row, which a later row with that key replaces. Without any,
    a row that is there already stays."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """In the order in which they are written to a batch."""
        return columns_of(self.rows)

    def names(self, *kinds: ColumnKind) -> tuple[str, ...]:
        """The columns of these kinds."""
        return tuple(column.name for column in self.columns if column.kind in kinds)


def columns_of(rows: type[Any]) -> tuple[Column, ...]:
    """The columns that the annotations of a row class state, in the order of its fields."""
    hints = get_type_hints(rows, include_extras=True)
    stated = (
        (field.name, getattr(hints[field.name], "__metadata__", ())) for field in fields(rows)
    )
    return tuple(replace(metadata[0], name=name) for name, metadata in stated if metadata)


TABLES: Mapping[Channel, ChannelSchema] = MappingProxyType(
    {
        table.channel: table
        for table in (
            ChannelSchema(
                types_pb2.CHANNEL_TRADES,
                TradeRows,
                batch_pb2.TradeColumns,
                sql_table="trade_rows",
                day_column="venue_time_ns",
                sort_columns=("venue_time_ns", "trade_id"),
            ),
            ChannelSchema(
                types_pb2.CHANNEL_QUOTES,
                QuoteRows,
                batch_pb2.QuoteColumns,
                sql_table="quote_rows",
                day_column="received_time_ns",
                sort_columns=("sequence", "venue_time_ns"),
            ),
            ChannelSchema(
                types_pb2.CHANNEL_TICKERS,
                TickerRows,
                batch_pb2.TickerColumns,
                sql_table="ticker_rows",
                day_column="received_time_ns",
                sort_columns=("venue_time_ns",),
            ),
            ChannelSchema(
                types_pb2.CHANNEL_MARKS,
                MarkRows,
                batch_pb2.MarkColumns,
                sql_table="mark_rows",
                day_column="received_time_ns",
                sort_columns=("venue_time_ns",),
            ),
            ChannelSchema(
                types_pb2.CHANNEL_CANDLES,
                CandleRows,
                batch_pb2.CandleColumns,
                sql_table="candle_rows",
                day_column="open_time_ns",
                sort_columns=("interval_s", "open_time_ns"),
                key_columns=("interval_s", "open_time_ns"),
            ),
        )
    }
)
BAR_COLUMNS = (
    *(Column(ColumnKind.TIME, name) for name in ("open_time_ns", "close_time_ns")),
    *(Column(ColumnKind.PRICE, name) for name in ("open", "high", "low", "close")),
    *(Column(ColumnKind.SIZE, name) for name in ("volume", "buy_volume")),
    Column(ColumnKind.VALUE, "quote_volume"),
    *(
        Column(ColumnKind.INTEGER, name)
        for name in ("number", "trade_count", "covered_ns", "revision")
    ),
    Column(ColumnKind.FLAG, "final"),
)
"""Of bars: fields of columns_pb2.BarColumns and columns of the SQL table ``bars``."""
COLUMNS: Mapping[str, Mapping[str, Column]] = {
    name: {column.name: column for column in columns}
    for name, columns in (
        *((channel_name(table.channel), table.columns) for table in TABLES.values()),
        ("book", columns_of(BookUpdates)),
        ("bars", BAR_COLUMNS),
    )
}
"""The columns of each channel, and of bars, by name."""
