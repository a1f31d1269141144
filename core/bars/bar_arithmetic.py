"""The arithmetic of bars: trades to partial bars, partial bars to larger ones.

Pure: no clock, no input or output, nothing is changed in place. Trades are columns of integers at
the scale of their instrument. Sums use 64 bits where they certainly fit, otherwise Python's
integers, which do not overflow: every sum is exact.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kit.base.intervals import SECOND, BarInterval

TradeKey = tuple[int, int]
"""Venue time in ns, and trade id: the order of trades."""

Ints = NDArray[np.int64]
Exact: TypeAlias = NDArray[Any]
"""Integers of 64 bits, or Python's own where they need more."""

INT64_MAX = 2**63 - 1
BUY, SELL = 1, 2
"""Sides of the taker. Any other number: not known."""


class TradeArrays(NamedTuple):
    """Trades of one instrument, as equally long columns at one scale."""

    time_ns: Ints
    """Venue time, since the Unix epoch."""
    trade_id: Ints
    price: Exact
    size: Exact
    side: Ints
    received_ns: Ints
    text: NDArray[Any] | None = None
    """The ids, where they are texts."""


class PartialBar(NamedTuple):
    """The amounts of a bar over some of its trades."""

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


def take(trades: TradeArrays, rows: Any) -> TradeArrays:
    """Select rows by positions, a mask or a slice."""
    time_ns, trade_id, price, size, side, received_ns, text = trades
    return TradeArrays(
        time_ns[rows],
        trade_id[rows],
        price[rows],
        size[rows],
        side[rows],
        received_ns[rows],
        None if text is None else text[rows],
    )


def joined(parts: Sequence[TradeArrays]) -> TradeArrays:
    """The rows of all parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    columns = list(zip(*parts, strict=True))
    time_ns, trade_id, price, size, side, received_ns = map(np.concatenate, columns[:6])
    text = None
    if any(part.text is not None for part in parts):
        text = np.concatenate([_texts(part) for part in parts])
    return TradeArrays(time_ns, trade_id, price, size, side, received_ns, text)


def in_order(trades: TradeArrays) -> TradeArrays:
    """The trades ordered by time and id; those equal in both keep their order."""
    times, ids = trades.time_ns, trades.trade_id
    if (times[1:] >= times[:-1]).all() and (ids[1:] >= ids[:-1]).all():
        return trades
    return take(trades, np.lexsort((ids, times)))


def in_recorded_order(trades: TradeArrays) -> TradeArrays:
    """The trades in an order that the record reproduces: by time, id, received time, id text."""
    if trades.text is None:
        keys = (trades.received_ns, trades.trade_id, trades.time_ns)
        return take(trades, np.lexsort(keys))
    rows = list(
        zip(
            trades.time_ns.tolist(),
            trades.trade_id.tolist(),
            trades.received_ns.tolist(),
            map(len, trades.text),
            trades.text,
            strict=True,
        )
    )
    return take(trades, np.array(sorted(range(len(rows)), key=rows.__getitem__)))


def by_second(trades: TradeArrays) -> list[tuple[int, PartialBar]]:
    """One partial bar for each second with trades, with its open time in ns, ascending.

    The trades must be in order.
    """
    seconds = trades.time_ns // SECOND.length_ns
    starts = np.flatnonzero(np.diff(seconds, prepend=-1))
    opens = (seconds[starts] * SECOND.length_ns).tolist()
    return list(zip(opens, summaries(trades, starts), strict=True))


def summaries(trades: TradeArrays, starts: Ints) -> list[PartialBar]:
    """One partial bar for each run of rows. A run ends where the next starts; the first is at 0.

    The trades must be in order.
    """
    times, ids, prices, sizes = trades[:4]
    stops = np.append(starts[1:], len(times))
    lasts = stops - 1
    return list(
        map(
            PartialBar,
            zip(times[starts].tolist(), ids[starts].tolist(), strict=True),
            zip(times[lasts].tolist(), ids[lasts].tolist(), strict=True),
            prices[starts].tolist(),
            np.maximum.reduceat(prices, starts).tolist(),
            np.minimum.reduceat(prices, starts).tolist(),
            prices[lasts].tolist(),
            _sums(sizes, starts),
            _sums(sizes * (trades.side == BUY), starts),
            _product_sums(prices, sizes, starts),
            (stops - starts).tolist(),
        )
    )


def roll_up(
    partials: Iterable[tuple[int, PartialBar]], interval: BarInterval
) -> list[tuple[int, PartialBar]]:
    """Combine partial bars of a lower interval, ascending by open time, to a higher interval."""
    rolled: list[tuple[int, PartialBar]] = []
    for lower_open_ns, partial in partials:
        open_ns = interval.open_ns(lower_open_ns)
        if rolled and rolled[-1][0] == open_ns:
            partial = combine(rolled.pop()[1], partial)
        rolled.append((open_ns, partial))
    return rolled


def combine(one: PartialBar, other: PartialBar) -> PartialBar:
    """The partial bar of both sets of trades.

    Where both have a trade of the same time and id (a venue without numbers gives all one id),
    the trades of ``other`` count as the later ones.
    """
    opens = other if other.first < one.first else one
    closes = one if other.last < one.last else other
    return PartialBar(
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


def rescale(partial: PartialBar, price_factor: int, size_factor: int) -> PartialBar:
    """The same amounts in units smaller by these factors."""
    return partial._replace(
        open=partial.open * price_factor,
        high=partial.high * price_factor,
        low=partial.low * price_factor,
        close=partial.close * price_factor,
        volume=partial.volume * size_factor,
        buy_volume=partial.buy_volume * size_factor,
        quote_volume=partial.quote_volume * price_factor * size_factor,
    )


def times(column: Exact, factor: int) -> Exact:
    """Each number times a positive factor."""
    if factor == 1:
        return column
    fits = _peak(column) * factor <= INT64_MAX
    return column * factor if fits else column.astype(object) * factor


def _sums(column: Exact, starts: Ints) -> list[int]:
    if column.dtype != object and _peak(column) * len(column) > INT64_MAX:
        column = column.astype(object)
    sums: list[int] = np.add.reduceat(column, starts).tolist()
    return sums


def _product_sums(prices: Exact, sizes: Exact, starts: Ints) -> list[int]:
    """Sums of price times size. Where they may not fit 64 bits, sizes are split into an upper and
    a lower part whose sums do."""
    price, size, count = _peak(prices), _peak(sizes), len(prices)
    if price * size * count <= INT64_MAX:
        return _sums(prices * sizes, starts)
    bits = 62 - (price * count).bit_length()
    if bits > 0 and price * (size >> bits) * count <= INT64_MAX // 2:
        upper = _sums(prices * (sizes >> bits), starts)
        lower = _sums(prices * (sizes & ((1 << bits) - 1)), starts)
        return [(high << bits) + low for high, low in zip(upper, lower, strict=True)]
    return _sums(prices.astype(object) * sizes.astype(object), starts)


def _peak(column: Exact) -> int:
    """The largest magnitude in a column."""
    return max(int(column.max()), -int(column.min()))


def _texts(trades: TradeArrays) -> NDArray[Any]:
    if trades.text is not None:
        return trades.text
    return np.full(len(trades.time_ns), "", dtype=object)
