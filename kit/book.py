"""An order book by price level (L2), in scaled integers."""

from dataclasses import dataclass
from heapq import nlargest, nsmallest

import numpy as np

from kit.numbers import IntColumn

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""


@dataclass(frozen=True, slots=True)
class Side:
    """Changes of one side, in order."""

    price: IntColumn
    size: IntColumn

    @classmethod
    def of(cls, levels: Levels) -> "Side":
        """From pairs of price and size."""
        column = np.array(levels, dtype=np.int64).reshape(-1, 2)
        return cls(column[:, 0], column[:, 1])


class Book:
    """Price levels of two sides."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def apply(self, bids: Side, asks: Side) -> None:
        """Set levels; size 0 removes. Later ones of the same price win."""
        _set_levels(self._bids, bids)
        _set_levels(self._asks, asks)

    def replace(self, bids: Side, asks: Side) -> None:
        """Forget everything, then set levels."""
        self._bids.clear()
        self._asks.clear()
        self.apply(bids, asks)

    def fits(self, price_factor: int, size_factor: int, bound: int) -> bool:
        """Whether all numbers stay below a bound when multiplied."""
        return all(
            max(side, default=0) * price_factor < bound
            and max(side.values(), default=0) * size_factor < bound
            for side in (self._bids, self._asks)
        )

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Multiply all prices and sizes: the scale has grown."""
        for side in (self._bids, self._asks):
            levels = [(price * price_factor, size * size_factor) for price, size in side.items()]
            side.clear()
            side.update(levels)

    def trim(self, levels_max: int) -> None:
        """Let go of the levels farthest from the middle."""
        if len(self._bids) > levels_max:
            self._bids = dict(self.bids(levels_max))
        if len(self._asks) > levels_max:
            self._asks = dict(self.asks(levels_max))

    def bids(self, depth: int | None = None) -> Levels:
        """Highest price first."""
        levels = self._bids.items()
        return sorted(levels, reverse=True) if depth is None else nlargest(depth, levels)

    def asks(self, depth: int | None = None) -> Levels:
        """Lowest price first."""
        levels = self._asks.items()
        return sorted(levels) if depth is None else nsmallest(depth, levels)

    def level_count(self) -> int:
        """Levels of the larger side."""
        return max(len(self._bids), len(self._asks))


def _set_levels(levels: dict[int, int], side: Side) -> None:
    # One update for all and a second look at the removals is faster than a loop.
    levels.update(zip(side.price.tolist(), side.size.tolist(), strict=True))
    for price in side.price[side.size == 0].tolist():
        if not levels.get(price, 1):
            del levels[price]
