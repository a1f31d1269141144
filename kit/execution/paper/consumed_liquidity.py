"""Displayed sizes, each taken once.

An order on paper takes nothing away from the market, so the size that it met is still displayed. It
is noted as taken until the venue says that the level has changed: what comes to it can be taken,
what was there before cannot be taken again.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from kit.execution.amounts import ZERO, add, subtract

LEVELS_MAX = 10_000
"""Of which something is taken; the oldest is forgotten."""


class LevelKey(NamedTuple):
    """A level of a book."""

    symbol: str
    is_bid: bool
    price: Decimal


class ConsumedLiquidity:
    """Of one account."""

    def __init__(self) -> None:
        self._taken: dict[LevelKey, tuple[Decimal, Decimal]] = {}
        """What was displayed last, and what of it can be taken."""

    def left(self, place: LevelKey, displayed: Decimal) -> Decimal:
        """What can be taken of a level that displays so much."""
        self.show(place, displayed)
        return self._taken[place][1] if place in self._taken else displayed

    def take(self, place: LevelKey, displayed: Decimal, size: Decimal) -> None:
        """Take so much of it."""
        left = subtract(self.left(place, displayed), size)
        self._taken[place] = displayed, left
        if len(self._taken) > LEVELS_MAX:
            del self._taken[next(iter(self._taken))]

    def show(self, place: LevelKey, displayed: Decimal) -> None:
        """The level displays so much now; nothing of it for 0."""
        if place not in self._taken:
            return
        before, left = self._taken[place]
        come = max(ZERO, subtract(displayed, before))
        left = min(displayed, add(left, come))
        if left == displayed:
            del self._taken[place]
        else:
            self._taken[place] = displayed, left

    def show_all(self, symbol: str, displayed: dict[tuple[bool, Decimal], Decimal]) -> None:
        """The whole book of an instrument."""
        for place in self._of(symbol):
            self.show(place, displayed.get((place.is_bid, place.price), ZERO))

    def symbols(self) -> set[str]:
        """Of which something is taken."""
        return {place.symbol for place in self._taken}

    def _of(self, symbol: str) -> Iterable[LevelKey]:
        return [place for place in self._taken if place.symbol == symbol]
