"""Rules for the end of bars that end with a trade. A trade is never split between two bars.

All numbers are integers at the scale of the instrument, so that the same trades give the same bars
everywhere. Imbalance and runs follow M. Lopez de Prado, Advances in Financial Machine Learning,
chapter 2.3.2, with the sign of a trade from the taker's side. Where the book leaves a choice, or
its estimates are known to diverge, the rules are:

- Expectations are counted in millionths and move by a tenth of the difference after each bar,
  rounded down: ``x += (found - x) // 10``.
- The expected length begins with the size of the kind, N, and stays between N/2 and 2N.
- The first imbalance bar of a day ends after N trades, as there is no expectation of signs yet.
- The expected imbalance of one trade is at least what mere chance needs to give bars of N trades,
  1 / sqrt(N): a walk of fair steps leaves a corridor of sqrt(N) after N steps.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import isqrt
from operator import mul
from typing import NamedTuple, Protocol

import numpy as np

from core.bars.bar_arithmetic import BUY, SELL, Ints, PartialBar, TradeArrays
from core.bars.bar_kinds import BarKind, BarSpec
from kit.marketdata.model.columns import Scale

UNIT = 1_000_000
"""Expectations are whole numbers of 1 / UNIT."""
MEMORY = 10
"""A new bar moves an expectation by 1 / MEMORY of the difference."""


class BarRuleState(NamedTuple):
    """State of a rule within a day, besides the open bar."""

    last_price: int = 0
    last_sign: int = 0
    """1: the taker bought, -1: sold, 0: not known yet."""
    buys: int = 0
    """Number in the open bar, as is ``sells``."""
    sells: int = 0
    expected_trades: int = 0
    """Expected trades of a bar, in 1 / UNIT. 0: there was no bar yet."""
    expected_sign: int = 0
    """Mean sign of a trade, or share of buys, in 1 / UNIT."""
    anchor: int | None = None
    """Price at which the last brick ended or the day began. None: no trade yet."""
    direction: int = 0
    """Direction of the last brick: 1 up, -1 down, 0 without one."""


class BarRule(Protocol):
    """Decides where bars of one kind and size end."""

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        """Find the ends of bars among trades of one day that follow those of the open bar. Returns
        the position after the last trade of each bar, ascending, and the new state."""


def rule(spec: BarSpec, scale: Scale) -> BarRule:
    """The rule of a kind, for trades of this scale."""
    match spec.kind:
        case BarKind.TICK:
            return TickBarRule(spec.unscaled)
        case BarKind.VOLUME:
            return VolumeBarRule(spec.at_scale(scale.size))
        case BarKind.VALUE:
            return ValueBarRule(spec.at_scale(scale.price + scale.size))
        case BarKind.IMBALANCE:
            return ImbalanceBarRule(spec.unscaled)
        case BarKind.RUNS:
            return RunsBarRule(spec.unscaled)
        case BarKind.RANGE:
            return RangeBarRule(spec.at_scale(scale.price))
        case BarKind.RENKO:
            return RenkoBarRule(spec.at_scale(scale.price))


class TickBarRule:
    """A bar ends after a number of trades."""

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        first = self._size - (opened.trade_count if opened else 0)
        return list(range(first, len(trades.time_ns) + 1, self._size)), carry


class VolumeBarRule:
    """A bar ends when its volume reaches a size."""

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        held = opened.volume if opened else 0
        sums = list(accumulate(trades.size.tolist(), initial=held))
        return _filled(sums, self._size), carry


class ValueBarRule:
    """A bar ends when its quote volume reaches a size."""

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        held = opened.quote_volume if opened else 0
        prices = trades.price.tolist()
        sums = list(accumulate(map(mul, prices, trades.size.tolist()), initial=held))
        if min(prices) < 0:
            return _filled_by_some(sums, self._size), carry
        return _filled(sums, self._size), carry


class ImbalanceBarRule:
    """A bar ends when buys minus sells reach the expected imbalance in either direction."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._least = UNIT * isqrt(size) // size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        signs, carry = signed(trades, carry)
        ends: list[int] = []
        begin, theta = -(opened.trade_count if opened else 0), carry.buys - carry.sells
        limit = self._limit(carry)
        for row, sign in enumerate(signs.tolist(), 1):
            theta += sign
            if -limit < theta < limit and (limit != NEVER or row - begin < self._size):
                continue
            ends.append(row)
            carry = self._learn(carry, row - begin, theta)
            begin, theta, limit = row, 0, self._limit(carry)
        return ends, _counted(carry, signs, ends)

    def _limit(self, carry: BarRuleState) -> int:
        """The expected imbalance of a bar."""
        if not carry.expected_trades:
            return NEVER
        expected = max(abs(carry.expected_sign), self._least)
        return -(-carry.expected_trades * expected // UNIT**2)

    def _learn(self, carry: BarRuleState, count: int, theta: int) -> BarRuleState:
        mean = theta * UNIT // count
        if carry.expected_trades:
            mean = carry.expected_sign + (mean - carry.expected_sign) // MEMORY
        return carry._replace(
            expected_sign=mean, expected_trades=_expected_trades(carry, count, self._size)
        )


class RunsBarRule:
    """A bar ends when its buys or its sells reach the expected count."""

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        signs, carry = signed(trades, carry)
        buys = [carry.buys, *(np.cumsum(signs > 0) + carry.buys).tolist()]
        sells = [carry.sells, *(np.cumsum(signs < 0) + carry.sells).tolist()]
        ends: list[int] = []
        begin, bought, sold = -(opened.trade_count if opened else 0), 0, 0
        row = 0
        while True:
            limit = self._limit(carry)
            row = min(
                bisect_left(buys, bought + limit, row + 1),
                bisect_left(sells, sold + limit, row + 1),
            )
            if row > len(signs):
                return ends, _counted(carry, signs, ends)
            ends.append(row)
            carry = self._learn(carry, row - begin, buys[row] - bought)
            begin, bought, sold = row, buys[row], sells[row]

    def _limit(self, carry: BarRuleState) -> int:
        """The expected count of the more frequent side."""
        trades = carry.expected_trades or self._size * UNIT
        share = carry.expected_sign if carry.expected_trades else UNIT // 2
        return max(1, -(-trades * max(share, UNIT - share) // UNIT**2))

    def _learn(self, carry: BarRuleState, count: int, bought: int) -> BarRuleState:
        share = carry.expected_sign if carry.expected_trades else UNIT // 2
        return carry._replace(
            expected_sign=share + (bought * UNIT // count - share) // MEMORY,
            expected_trades=_expected_trades(carry, count, self._size),
        )


class RangeBarRule:
    """A bar ends when its highest minus its lowest price reaches a size."""

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        prices = trades.price.tolist()
        ends: list[int] = []
        size, count = self._size, len(prices)
        low, high = (opened.low, opened.high) if opened else (prices[0], prices[0])
        for row, price in enumerate(prices, 1):
            if price < low:
                low = price
            elif price > high:
                high = price
            if high - low >= size:
                ends.append(row)
                low = high = prices[row] if row < count else 0
        return ends, carry


class RenkoBarRule:
    """A bar ends when the price is one brick further than the last end, or two bricks back.

    Bricks stand on the day's first price. A trade that jumps over several of them ends one bar; the
    next brick is counted from the last one that it has reached.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def ends(
        self, trades: TradeArrays, opened: PartialBar | None, carry: BarRuleState
    ) -> tuple[list[int], BarRuleState]:
        prices = trades.price.tolist()
        size, ends = self._size, []
        anchor = prices[0] if carry.anchor is None else carry.anchor
        direction = carry.direction
        upper, lower = self._bounds(anchor, direction)
        for row, price in enumerate(prices, 1):
            if lower < price < upper:
                continue
            bricks = abs(price - anchor) // size
            direction = 1 if price > anchor else -1
            anchor += direction * bricks * size
            upper, lower = self._bounds(anchor, direction)
            ends.append(row)
        return ends, carry._replace(anchor=anchor, direction=direction)

    def _bounds(self, anchor: int, direction: int) -> tuple[int, int]:
        up = 2 if direction < 0 else 1
        down = 2 if direction > 0 else 1
        return anchor + up * self._size, anchor - down * self._size


NEVER = 2**63


def signed(trades: TradeArrays, carry: BarRuleState) -> tuple[Ints, BarRuleState]:
    """1 for each trade whose taker bought, -1 where it sold.

    Where the venue does not say, by the tick rule: the direction in which the price has moved since
    the trade before, or the direction of that trade if it has not; 0 before the first move of the
    day.
    """
    sides = trades.side
    signs: Ints = (sides == BUY).astype(np.int64) - (sides == SELL)
    if not signs.all():
        sign, before = carry.last_sign, carry.last_price or int(trades.price[0])
        for row, price in enumerate(trades.price.tolist()):
            if signs[row] == 0:
                signs[row] = (price > before) - (price < before) or sign
            sign, before = int(signs[row]), price
    return signs, carry._replace(last_sign=int(signs[-1]), last_price=int(trades.price[-1]))


def _filled(sums: Sequence[int], size: int) -> list[int]:
    """Where ascending sums, before each row and after the last, have grown by a size."""
    ends, base, row = [], 0, 0
    while (row := bisect_left(sums, base + size, row + 1)) < len(sums):
        ends.append(row)
        base = sums[row]
    return ends


def _filled_by_some(sums: Sequence[int], size: int) -> list[int]:
    """As _filled, of sums that may also fall."""
    ends, base = [], 0
    for row in range(1, len(sums)):
        if sums[row] - base >= size:
            ends.append(row)
            base = sums[row]
    return ends


def _expected_trades(carry: BarRuleState, count: int, size: int) -> int:
    before = carry.expected_trades or size * UNIT
    after = before + (count * UNIT - before) // MEMORY
    return min(max(after, size * UNIT // 2), 2 * size * UNIT)


def _counted(carry: BarRuleState, signs: Ints, ends: Sequence[int]) -> BarRuleState:
    """With the buys and sells of the bar that is open after these rows."""
    rest = signs[ends[-1] :] if ends else signs
    buys, sells = (0, 0) if ends else (carry.buys, carry.sells)
    return carry._replace(
        buys=buys + int(np.count_nonzero(rest > 0)), sells=sells + int(np.count_nonzero(rest < 0))
    )
