"""Displayed sizes that paper orders have taken.

A paper order takes nothing out of the real book, so the size that it traded with is still
displayed. It counts as taken until the level changes: size that is added can be taken, size that
was there before cannot be taken again.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from kit.accounting.amounts import ZERO, add, subtract

LEVELS_MAX = 10_000
"""Most levels that are remembered; the oldest is forgotten first."""


class LevelKey(NamedTuple):
    """A level of a book."""

    symbol: str
    is_bid: bool
    price: Decimal


class ConsumedLiquidity:
    """The sizes that one account has taken."""

    def __init__(self) -> None:
        self._taken: dict[LevelKey, tuple[Decimal, Decimal]] = {}
        """The size displayed last, and the part of it that can still be taken."""

    def left(self, level: LevelKey, displayed: Decimal) -> Decimal:
        """Return the size that can be taken of a level with this displayed size."""
        self.show(level, displayed)
        return self._taken[level][1] if level in self._taken else displayed

    def take(self, level: LevelKey, displayed: Decimal, size: Decimal) -> None:
        """Take a size of a level."""
        left = subtract(self.left(level, displayed), size)
        self._taken[level] = displayed, left
        if len(self._taken) > LEVELS_MAX:
            del self._taken[next(iter(self._taken))]

    def show(self, level: LevelKey, displayed: Decimal) -> None:
        """Take in the displayed size of a level; 0: the level is gone."""
        if level not in self._taken:
            return
        before, left = self._taken[level]
        added = max(ZERO, subtract(displayed, before))
        left = min(displayed, add(left, added))
        if left == displayed:
            del self._taken[level]
        else:
            self._taken[level] = displayed, left

    def show_all(self, symbol: str, displayed: dict[tuple[bool, Decimal], Decimal]) -> None:
        """Take in the displayed sizes of a whole book."""
        for level in self._of(symbol):
            self.show(level, displayed.get((level.is_bid, level.price), ZERO))

    def symbols(self) -> set[str]:
        """Return the symbols of the levels from which size was taken."""
        return {level.symbol for level in self._taken}

    def _of(self, symbol: str) -> Iterable[LevelKey]:
        return [level for level in self._taken if level.symbol == symbol]
