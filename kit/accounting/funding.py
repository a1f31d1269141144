"""When funding of perpetual contracts is due, and at which price and rate.

Most venues name the time of the next payment beside the rate: a position pays once, when that time
has passed, at the rate and price that were published before. Others charge funding all the time:
their rate belongs to a period, and a position pays the part of it that has passed.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from kit.base.clock import NANOSECONDS_PER_SECOND

UNSEEN_MAX_NS = 600 * NANOSECONDS_PER_SECOND
"""Longest time between two marks for which continuous funding is charged: of a longer one nobody
knows the rate."""


@dataclass(frozen=True, slots=True)
class FundingMark:
    """A mark price with its funding rate."""

    price: Decimal | None
    """None: the venue does not say."""
    rate: Decimal | None
    """Share of the position's value; longs pay it to shorts. None: the venue does not say."""
    next_time_ns: int
    """0: the venue does not say."""
    time_ns: int


@dataclass(frozen=True, slots=True)
class FundingCharge:
    """Funding that is due now."""

    price: Decimal
    rate: Fraction


class FundingSchedule:
    """Marks and due funding by symbol."""

    def __init__(self, continuous_period_ns: int = 0) -> None:
        """``continuous_period_ns``: the period that a rate belongs to where funding is charged all
        the time; 0 where it is charged at times that the venue names."""
        self._period_ns = continuous_period_ns
        self._marks: dict[str, FundingMark] = {}

    @property
    def is_continuous(self) -> bool:
        """Whether funding is charged all the time."""
        return self._period_ns > 0

    def observe(self, symbol: str, mark: FundingMark) -> FundingCharge | None:
        """Take in a mark. Return the funding that has become due since the one before."""
        before = self._marks.get(symbol)
        if before is None:
            self._marks[symbol] = mark
            return None
        if self.is_continuous:
            return self._accrue(symbol, before, mark)
        self._marks[symbol] = FundingMark(
            mark.price or before.price,
            before.rate if mark.rate is None else mark.rate,
            mark.next_time_ns or before.next_time_ns,
            mark.time_ns,
        )
        if before.price is None or not before.rate:
            return None
        if before.time_ns < before.next_time_ns <= mark.time_ns:
            return FundingCharge(before.price, Fraction(before.rate))
        return None

    def _accrue(self, symbol: str, before: FundingMark, mark: FundingMark) -> FundingCharge | None:
        passed_ns = mark.time_ns - before.time_ns
        if -UNSEEN_MAX_NS < passed_ns < 0:
            return None  # it was overtaken
        self._marks[symbol] = replace(mark, price=mark.price or before.price)
        if before.price is None or not before.rate or not 0 < passed_ns <= UNSEEN_MAX_NS:
            return None
        share = Fraction(passed_ns, self._period_ns)
        return FundingCharge(before.price, Fraction(before.rate) * share)

    def price(self, symbol: str) -> Decimal | None:
        """Return the last mark price, or None if none is known."""
        mark = self._marks.get(symbol)
        return None if mark is None else mark.price

    def keep_only(self, symbols: Collection[str]) -> None:
        """Forget the marks of all other symbols."""
        for symbol in self._marks.keys() - set(symbols):
            del self._marks[symbol]
