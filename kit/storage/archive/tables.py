"""The tables of typed rows: what is asked of each, in which order, and the batch it becomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import (
    CandleRows,
    MarkRows,
    QuoteRows,
    Symbols,
    TickerRows,
    TradeRows,
)
from kit.storage.archive.decoded import Table
from kit.storage.archive.layout import Column, Kind, Layout

TIME = "received_time_ns"
RANK = "rank"
"""The place of a row's instrument among the symbols that are read, which are in order."""


@dataclass(frozen=True, slots=True)
class Source:
    """One table."""

    table: str
    layout: Layout
    keys: Sequence[str]
    """The order of rows of one instrument that were received at the same time. Rows that are equal
    in these too stay in the order in which they are stored."""
    draft: Callable[[Table, Symbols], BatchDraft]
    alike: str = ""
    """A column that may be null and in a batch is so in all rows or in none."""

    def query(self, instrument_ids: Sequence[int], start_ns: int, end_ns: int) -> str:
        """Rows that were received in a span of time."""
        names = ", ".join(column.name for column in self.layout)
        return (
            f"SELECT {names} FROM {self.table} WHERE {among(instrument_ids)}"
            f" AND {TIME} >= {start_ns} AND {TIME} < {end_ns}"
        )

    def bounds_query(self, instrument_ids: Sequence[int]) -> str:
        """The first and the last time."""
        return f"SELECT min({TIME}), max({TIME}) FROM {self.table} WHERE {among(instrument_ids)}"


def among(instrument_ids: Sequence[int]) -> str:
    """The condition that a row is of one of these instruments."""
    return f"instrument_id = ANY ('{{{','.join(map(str, instrument_ids))}}}'::int[])"


def in_order(table: Table, keys: Sequence[str]) -> Table:
    """By time of receipt, instrument, and these."""
    time = table.integers(TIME)
    if (time[1:] > time[:-1]).all():
        return table
    order = np.argsort(time, kind="stable")
    time = time[order]
    same = time[1:] == time[:-1]
    tied = np.zeros(len(time), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    rows = order[places]
    columns = [table.integers(name)[rows] for name in reversed((TIME, RANK, *keys))]
    order[places] = rows[np.lexsort(columns)]
    return table.take(order)


def symbols_of(table: Table, names: Sequence[str]) -> Symbols:
    """Of some rows; those of ``names`` that none of them has are left out."""
    rank = table.integers(RANK)
    used = np.flatnonzero(np.bincount(rank, minlength=len(names)))
    place = np.zeros(len(names), dtype=np.int64)
    place[used] = np.arange(len(used))
    return Symbols([names[number] for number in used.tolist()], place[rank])


def _trades(table: Table, symbols: Symbols) -> BatchDraft:
    by_text = len(table) and bool(table.nulls("trade_id")[0])
    rows = TradeRows(
        symbols,
        price=table.numbers("price"),
        size=table.numbers("size"),
        side=table.integers("side"),
        venue_time_ns=table.integers("venue_time_ns"),
        received_time_ns=table.integers(TIME),
        trade_id=table.integers("trade_id"),
        trade_id_text=table.pieces("trade_id_text").texts() if by_text else None,
    )
    return encode.trades(rows)


def _quotes(table: Table, symbols: Symbols) -> BatchDraft:
    rows = QuoteRows(
        symbols,
        bid_price=table.numbers("bid_price"),
        bid_size=table.numbers("bid_size"),
        ask_price=table.numbers("ask_price"),
        ask_size=table.numbers("ask_size"),
        venue_time_ns=table.integers("venue_time_ns"),
        received_time_ns=table.integers(TIME),
        sequence=table.integers("sequence"),
    )
    return encode.quotes(rows)


def _tickers(table: Table, symbols: Symbols) -> BatchDraft:
    rows = TickerRows(
        symbols,
        last_price=table.numbers("last_price"),
        open_price=table.numbers("open_price"),
        high_price=table.numbers("high_price"),
        low_price=table.numbers("low_price"),
        volume=table.numbers("volume"),
        venue_time_ns=table.integers("venue_time_ns"),
        received_time_ns=table.integers(TIME),
    )
    return encode.tickers(rows)


def _marks(table: Table, symbols: Symbols) -> BatchDraft:
    rows = MarkRows(
        symbols,
        mark_price=table.numbers("mark_price"),
        index_price=table.numbers("index_price"),
        funding_rate=table.numbers("funding_rate"),
        next_funding_time_ns=table.integers("next_funding_time_ns"),
        venue_time_ns=table.integers("venue_time_ns"),
        received_time_ns=table.integers(TIME),
    )
    return encode.marks(rows)


def _candles(table: Table, symbols: Symbols) -> BatchDraft:
    rows = CandleRows(
        symbols,
        interval_s=table.integers("interval_s"),
        open_time_ns=table.integers("open_time_ns"),
        open=table.numbers("open"),
        high=table.numbers("high"),
        low=table.numbers("low"),
        close=table.numbers("close"),
        volume=table.numbers("volume"),
        closed=table.integers("closed"),
        venue_time_ns=table.integers("venue_time_ns"),
        received_time_ns=table.integers(TIME),
    )
    return encode.candles(rows)


_WHOSE = (Column("instrument_id"), Column("venue_time_ns"), Column(TIME))


def _numerics(*names: str, null: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.NUMERIC, null) for name in names)


SOURCES: Mapping[Channel, Source] = MappingProxyType(
    {
        types_pb2.CHANNEL_TRADES: Source(
            "trade_rows",
            (
                *_WHOSE,
                *_numerics("price", "size"),
                Column("side"),
                Column("trade_id", null=True),
                Column("trade_id_text", Kind.BYTES, null=True),
            ),
            ("venue_time_ns", "trade_id"),
            _trades,
            alike="trade_id",
        ),
        types_pb2.CHANNEL_QUOTES: Source(
            "quote_rows",
            (
                *_WHOSE,
                *_numerics("bid_price", "bid_size", "ask_price", "ask_size"),
                Column("sequence"),
            ),
            ("sequence", "venue_time_ns"),
            _quotes,
        ),
        types_pb2.CHANNEL_TICKERS: Source(
            "ticker_rows",
            (
                *_WHOSE,
                *_numerics("last_price", "open_price", "high_price", "low_price", null=True),
                *_numerics("volume", null=True),
            ),
            ("venue_time_ns",),
            _tickers,
        ),
        types_pb2.CHANNEL_MARKS: Source(
            "mark_rows",
            (
                *_WHOSE,
                *_numerics("mark_price", "index_price", "funding_rate", null=True),
                Column("next_funding_time_ns", null=True),
            ),
            ("venue_time_ns",),
            _marks,
        ),
        types_pb2.CHANNEL_CANDLES: Source(
            "candle_rows",
            (
                *_WHOSE,
                Column("interval_s"),
                Column("open_time_ns"),
                *_numerics("open", "high", "low", "close", "volume"),
                Column("closed"),
            ),
            ("interval_s", "open_time_ns"),
            _candles,
        ),
    }
)
"""By channel."""
