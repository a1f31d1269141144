"""Batches to row sets: the way back of kit/marketdata/codec/encode.py.

Numbers come back at the scale of the batch. What only the frame said does not come back: which
number must have come before a row, and the checksum of a book.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.base.numbers import IntColumn
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import (
    BookRows,
    CandleRows,
    Levels,
    MarkRows,
    Numbers,
    QuoteRows,
    Rows,
    Symbols,
    TickerRows,
    TradeRows,
    zeros,
)


def rows_of(batch: Batch) -> Rows | None:
    """The rows of a batch; None without any, and of a channel that has none of this kind."""
    kind = batch.WhichOneof("columns")
    if kind is None or batch.channel not in _READERS:
        return None
    columns = getattr(batch, kind)
    return _READERS[batch.channel](_Reader(batch, columns)) if columns.instrument else None


class _Reader:
    """The columns of one batch as arrays."""

    def __init__(self, batch: Batch, columns: Any) -> None:
        self.columns = columns
        self._entries = batch.instruments
        self.instrument = np.array(columns.instrument, dtype=np.int64)
        names = [entry.symbol for entry in batch.instruments]
        # A symbol stands twice where its scale has changed.
        distinct = list(dict.fromkeys(names))
        place = np.array([distinct.index(name) for name in names], dtype=np.int64)
        row = place[self.instrument]
        self.symbols = Symbols(distinct, row).take(np.arange(len(row)))

    def column(self, name: str) -> IntColumn:
        """One column of plain numbers."""
        return np.array(getattr(self.columns, name), dtype=np.int64)

    def numbers(self, name: str, scale: str = "price_scale") -> Numbers:
        """One column of scaled numbers, one per row."""
        return Numbers.compact(self.column(name), self.scales(scale))

    def scales(self, name: str) -> IntColumn:
        """Decimal places of each row."""
        each = np.array([getattr(entry, name) for entry in self._entries], dtype=np.int64)
        return each[self.instrument]

    def times(self) -> dict[str, IntColumn]:
        """Both of them."""
        names = "venue_time_ns", "received_time_ns"
        return {name: self.column(name) for name in names}


def _trades(read: _Reader) -> TradeRows:
    texts = list(read.columns.trade_id_text)
    return TradeRows(
        symbols=read.symbols,
        price=read.numbers("price"),
        size=read.numbers("size", "size_scale"),
        side=read.column("side"),
        trade_id=read.column("trade_id"),
        trade_id_text=texts or None,
        **read.times(),
    )


def _quotes(read: _Reader) -> QuoteRows:
    return QuoteRows(
        symbols=read.symbols,
        bid_price=read.numbers("bid_price"),
        bid_size=read.numbers("bid_size", "size_scale"),
        ask_price=read.numbers("ask_price"),
        ask_size=read.numbers("ask_size", "size_scale"),
        sequence=read.column("sequence"),
        **read.times(),
    )


def _book(read: _Reader) -> BookRows:
    bid_count, ask_count = read.column("bid_count"), read.column("ask_count")
    count = bid_count + ask_count
    owner = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    is_bid = place < bid_count[owner]
    return BookRows(
        symbols=read.symbols,
        first_sequence=read.column("first_sequence"),
        last_sequence=read.column("last_sequence"),
        previous_sequence=zeros(len(count)),
        snapshot=read.column("snapshot"),
        checksum=None,
        bids=_levels(read, owner, bid_count, is_bid),
        asks=_levels(read, owner, ask_count, ~is_bid),
        **read.times(),
    )


def _levels(
    read: _Reader, owner: IntColumn, count: IntColumn, mine: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> Levels:
    price, size = read.column("price")[mine], read.column("size")[mine]
    prices, sizes = (read.scales(name)[owner[mine]] for name in ("price_scale", "size_scale"))
    return Levels(count, Numbers.compact(price, prices), Numbers.compact(size, sizes))


def _tickers(read: _Reader) -> TickerRows:
    return TickerRows(
        symbols=read.symbols,
        last_price=read.numbers("last_price"),
        open_price=read.numbers("open_price"),
        high_price=read.numbers("high_price"),
        low_price=read.numbers("low_price"),
        volume=read.numbers("volume", "size_scale"),
        **read.times(),
    )


def _marks(read: _Reader) -> MarkRows:
    return MarkRows(
        symbols=read.symbols,
        mark_price=read.numbers("mark_price"),
        index_price=read.numbers("index_price"),
        funding_rate=read.numbers("funding_rate", "rate_scale"),
        next_funding_time_ns=read.column("next_funding_time_ns"),
        **read.times(),
    )


def _candles(read: _Reader) -> CandleRows:
    return CandleRows(
        symbols=read.symbols,
        interval_s=read.column("interval_s"),
        open_time_ns=read.column("open_time_ns"),
        open=read.numbers("open"),
        high=read.numbers("high"),
        low=read.numbers("low"),
        close=read.numbers("close"),
        volume=read.numbers("volume", "size_scale"),
        closed=read.column("closed"),
        **read.times(),
    )


_READERS: Mapping[Channel, Callable[[_Reader], Rows]] = {
    types_pb2.CHANNEL_TRADES: _trades,
    types_pb2.CHANNEL_QUOTES: _quotes,
    types_pb2.CHANNEL_BOOK: _book,
    types_pb2.CHANNEL_TICKERS: _tickers,
    types_pb2.CHANNEL_MARKS: _marks,
    types_pb2.CHANNEL_CANDLES: _candles,
}
