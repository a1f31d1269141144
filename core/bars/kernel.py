"""The arithmetic of bars: trades to one-second partials, partials to larger ones.

Pure: no clock, no input or output, nothing is changed in place. Prices and sizes are integers at
the scale of their instrument, and Python's integers do not overflow, so every sum is exact. The
loops are those of the built-in functions, over columns.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import itemgetter, mul
from typing import NamedTuple

from core.bars.intervals import SECOND, Interval

TradeKey = tuple[int, int]
"""Venue time in ns, and trade id: the order of trades."""


class Trades(NamedTuple):
    """Trades of one instrument, as equally long columns at one scale."""

    time_ns: Sequence[int]
    """At the venue, since the Unix epoch."""
    trade_id: Sequence[int]
    price: Sequence[int]
    size: Sequence[int]
    bought: bytes
    """1 where the taker bought, otherwise 0."""


class Partial(NamedTuple):
    """What a bar needs to know of some of its trades."""

    first: TradeKey
    last: TradeKey
    open: int
    high: int
    low: int
    close: int
    volume: int
    buy_volume: int
    quote_volume: int
    """Sum of price times size; its scale is the sum of their scales."""
    trade_count: int


def in_order(trades: Trades) -> Trades:
    """The trades by time and id; those equal in both stay as they came."""
    times, ids = trades.time_ns, trades.trade_id
    if times == sorted(times) and ids == sorted(ids):
        return trades
    keys = list(zip(times, ids, strict=True))
    return take(trades, sorted(range(len(keys)), key=keys.__getitem__))


def take(trades: Trades, rows: Sequence[int]) -> Trades:
    """These rows, in this order."""
    pick = itemgetter(*rows) if len(rows) > 1 else _one(rows)
    return Trades(
        list(pick(trades.time_ns)),
        list(pick(trades.trade_id)),
        list(pick(trades.price)),
        list(pick(trades.size)),
        bytes(pick(trades.bought)),
    )


def by_second(trades: Trades) -> list[tuple[int, Partial]]:
    """One partial for each second that has trades, with its open time in ns, ascending.

    The trades must be in order.
    """
    times = trades.time_ns
    count = len(times)
    partials = []
    start = 0
    while start < count:
        open_ns = SECOND.open_ns(times[start])
        close_ns = open_ns + SECOND.length_ns
        stop = count if times[-1] < close_ns else bisect_left(times, close_ns, start)
        partials.append((open_ns, _summary(trades, start, stop)))
        start = stop
    return partials


def roll_up(
    partials: Iterable[tuple[int, Partial]], interval: Interval
) -> list[tuple[int, Partial]]:
    """Partials of a lower interval, ascending by open time, to those of a higher one."""
    rolled: list[tuple[int, Partial]] = []
    for lower_open_ns, partial in partials:
        open_ns = interval.open_ns(lower_open_ns)
        if rolled and rolled[-1][0] == open_ns:
            partial = combine(rolled.pop()[1], partial)
        rolled.append((open_ns, partial))
    return rolled


def combine(one: Partial, other: Partial) -> Partial:
    """The partial of both sets of trades.

    Where both have a trade of the same time and id (a venue without numbers gives all the same),
    the trades of ``other`` count as the later ones.
    """
    opens = other if other.first < one.first else one
    closes = one if other.last < one.last else other
    return Partial(
        opens.first,
        closes.last,
        opens.open,
        max(one.high, other.high),
        min(one.low, other.low),
        closes.close,
        one.volume + other.volume,
        one.buy_volume + other.buy_volume,
        one.quote_volume + other.quote_volume,
        one.trade_count + other.trade_count,
    )


def rescale(partial: Partial, price_factor: int, size_factor: int) -> Partial:
    """The same amounts in units that are smaller by these factors."""
    return partial._replace(
        open=partial.open * price_factor,
        high=partial.high * price_factor,
        low=partial.low * price_factor,
        close=partial.close * price_factor,
        volume=partial.volume * size_factor,
        buy_volume=partial.buy_volume * size_factor,
        quote_volume=partial.quote_volume * price_factor * size_factor,
    )


def _summary(trades: Trades, start: int, stop: int) -> Partial:
    """The partial of rows start to stop, which are in order."""
    times, ids, prices, sizes, bought = trades
    if stop - start < len(times):
        prices, sizes, bought = prices[start:stop], sizes[start:stop], bought[start:stop]
    return Partial(
        (times[start], ids[start]),
        (times[stop - 1], ids[stop - 1]),
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(sizes),
        sum(compress(sizes, bought)),
        sum(map(mul, prices, sizes)),
        stop - start,
    )


def _one(rows: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """As itemgetter of several rows, which gives a tuple; of one row it would give no sequence."""
    return lambda column: [column[row] for row in rows]
