"""Trades for tests: as batches, and as the bars that a reader of all trades would compute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.intervals import INTERVALS

SECOND_NS = 1_000_000_000
MONDAY_NS = 1_722_816_000 * SECOND_NS
"""5 August 2024, 00:00 UTC."""


@dataclass(frozen=True)
class Trade:
    """One trade; price and size in units of the scales."""

    id: int
    time_ns: int
    price: int = 100
    size: int = 1
    side: int = int(types_pb2.SIDE_BUY)
    symbol: str = "BTCUSDT"


def batch(
    trades: Sequence[Trade] = (),
    gaps: Iterable[types_pb2.Gap] = (),
    scale: tuple[int, int] = (2, 3),
    published_ns: int = 0,
) -> batch_pb2.MarketDataBatch:
    """One batch of the trades channel."""
    symbols = list(dict.fromkeys(trade.symbol for trade in trades))
    result = batch_pb2.MarketDataBatch(
        venue="binance",
        channel=types_pb2.CHANNEL_TRADES,
        gaps=gaps,
        published_time_ns=published_ns,
    )
    if trades:
        for symbol in symbols:
            result.instruments.add(symbol=symbol, price_scale=scale[0], size_scale=scale[1])
        result.trades.instrument.extend(symbols.index(trade.symbol) for trade in trades)
        result.trades.price.extend(trade.price for trade in trades)
        result.trades.size.extend(trade.size for trade in trades)
        result.trades.side.extend(trade.side for trade in trades)
        result.trades.venue_time_ns.extend(trade.time_ns for trade in trades)
        result.trades.received_time_ns.extend(trade.time_ns for trade in trades)
        result.trades.trade_id.extend(trade.id for trade in trades)
    return result


BarKey = tuple[str, str, int]
"""Symbol, interval, open time in ns."""


@dataclass(frozen=True)
class NaiveBar:
    """A bar in exact human units."""

    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction
    volume: Fraction
    buy_volume: Fraction
    quote_volume: Fraction
    trade_count: int


def naive_bars(trades: Iterable[Trade], scale: tuple[int, int] = (2, 3)) -> dict[BarKey, NaiveBar]:
    """The bars of every interval, computed in the most obvious way."""
    once = {(trade.symbol, trade.id): trade for trade in trades}
    groups: dict[BarKey, list[Trade]] = {}
    for trade in once.values():
        for interval in INTERVALS:
            if interval.name == "1w":
                opened = (trade.time_ns - MONDAY_NS) // interval.length_ns * interval.length_ns
                opened += MONDAY_NS
            else:
                opened = trade.time_ns // interval.length_ns * interval.length_ns
            groups.setdefault((trade.symbol, interval.name, opened), []).append(trade)
    return {key: naive_bar(group, scale) for key, group in groups.items()}


def naive_bar(trades: list[Trade], scale: tuple[int, int]) -> NaiveBar:
    """The bar of these trades."""
    trades = sorted(trades, key=lambda trade: (trade.time_ns, trade.id))
    prices = [Fraction(trade.price, 10 ** scale[0]) for trade in trades]
    sizes = [Fraction(trade.size, 10 ** scale[1]) for trade in trades]
    bought = [size for size, trade in zip(sizes, trades, strict=True) if trade.side == 1]
    return NaiveBar(
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum(sizes, Fraction()),
        buy_volume=sum(bought, Fraction()),
        quote_volume=sum((p * s for p, s in zip(prices, sizes, strict=True)), Fraction()),
        trade_count=len(trades),
    )
