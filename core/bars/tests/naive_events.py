"""Bars that end with a trade, computed as the definitions read: trade by trade, with fractions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

from core.bars.tests.market import NaiveBar, Trade, naive_bar

DAY_NS = 86_400 * 1_000_000_000

EventKey = tuple[str, str, int, int]
"""Symbol, interval, day in ns, number."""


def naive_events(
    trades: Iterable[Trade], intervals: Iterable[str], scale: tuple[int, int] = (2, 3)
) -> dict[EventKey, NaiveBar]:
    """The bars of these kinds, also the one of each day that has not ended."""
    once = {(trade.symbol, trade.id): trade for trade in trades}
    days: dict[tuple[str, int], list[Trade]] = {}
    for trade in sorted(once.values(), key=lambda trade: (trade.time_ns, trade.id)):
        days.setdefault((trade.symbol, trade.time_ns // DAY_NS * DAY_NS), []).append(trade)
    bars = {}
    for (symbol, day_ns), of_day in days.items():
        for interval in intervals:
            for number, group in enumerate(_groups(of_day, interval, scale)):
                bars[symbol, interval, day_ns, number] = naive_bar(group, scale)
    return bars


@dataclass
class _Day:
    """What a definition may look at."""

    size: Fraction
    bar: list[tuple[Fraction, Fraction, int]] = field(default_factory=list)
    """Price, size and sign of the trades of the open bar."""
    length: int = 0
    """Expected trades, in millionths. 0: no bar has ended yet."""
    share: int = 0
    """Expected sign, or share of buys, in millionths."""
    brick: Fraction | None = None
    way: int = 0


def _groups(trades: list[Trade], interval: str, scale: tuple[int, int]) -> list[list[Trade]]:
    kind, _, size = interval.partition(":")
    day, groups, group = _Day(Fraction(size)), [], []
    sign, before = 0, None
    for trade in trades:
        price = Fraction(trade.price, 10 ** scale[0])
        if trade.side in (1, 2):
            sign = 1 if trade.side == 1 else -1
        elif before is not None and price != before:
            sign = 1 if price > before else -1
        before = price
        day.bar.append((price, Fraction(trade.size, 10 ** scale[1]), sign))
        group.append(trade)
        if _ENDS[kind](day):
            groups.append(group)
            group, day.bar = [], []
    return [*groups, group] if group else groups


def _tick(day: _Day) -> bool:
    return len(day.bar) == day.size


def _volume(day: _Day) -> bool:
    return sum(size for _, size, _ in day.bar) >= day.size


def _value(day: _Day) -> bool:
    return sum(price * size for price, size, _ in day.bar) >= day.size


def _range(day: _Day) -> bool:
    prices = [price for price, _, _ in day.bar]
    return max(prices) - min(prices) >= day.size


def _renko(day: _Day) -> bool:
    price = day.bar[-1][0]
    if day.brick is None:
        day.brick = price
    up = price - day.brick >= day.size * (2 if day.way < 0 else 1)
    down = day.brick - price >= day.size * (2 if day.way > 0 else 1)
    if up or down:
        day.way = 1 if up else -1
        bricks = abs(price - day.brick) // day.size
        day.brick += day.way * bricks * day.size
    return up or down


def _imbalance(day: _Day) -> bool:
    size, count = int(day.size), len(day.bar)
    theta = sum(sign for _, _, sign in day.bar)
    if day.length == 0:
        if count < size:
            return False
        day.share = theta * 1_000_000 // count
    else:
        chance = 1_000_000 * isqrt(size) // size
        if abs(theta) * 10**12 < day.length * max(abs(day.share), chance):
            return False
        day.share += (theta * 1_000_000 // count - day.share) // 10
    _learn_length(day, size, count)
    return True


def _runs(day: _Day) -> bool:
    size, count = int(day.size), len(day.bar)
    if day.length == 0 and count == 1:
        day.share = 500_000
    length = day.length or size * 1_000_000
    buys = sum(sign > 0 for _, _, sign in day.bar)
    sells = sum(sign < 0 for _, _, sign in day.bar)
    if max(buys, sells) * 10**12 < length * max(day.share, 1_000_000 - day.share):
        return False
    day.share += (buys * 1_000_000 // count - day.share) // 10
    _learn_length(day, size, count)
    return True


def _learn_length(day: _Day, size: int, count: int) -> None:
    length = day.length or size * 1_000_000
    length += (count * 1_000_000 - length) // 10
    day.length = min(max(length, size * 500_000), size * 2_000_000)


_ENDS = {
    "tick": _tick,
    "volume": _volume,
    "value": _value,
    "range": _range,
    "renko": _renko,
    "imbalance": _imbalance,
    "runs": _runs,
}
