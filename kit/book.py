"""An order book by price level (L2), in scaled integers."""

from collections.abc import Sequence
from heapq import nlargest, nsmallest

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""


class Book:
    """Price levels of two sides."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def apply(self, prices: Sequence[int], sizes: Sequence[int], bid_count: int) -> None:
        """Set levels, the bids first; size 0 removes."""
        _set_levels(self._bids, prices[:bid_count], sizes[:bid_count])
        _set_levels(self._asks, prices[bid_count:], sizes[bid_count:])

    def replace(self, prices: Sequence[int], sizes: Sequence[int], bid_count: int) -> None:
        """Forget everything, then set levels."""
        self._bids.clear()
        self._asks.clear()
        self.apply(prices, sizes, bid_count)

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


def _set_levels(side: dict[int, int], prices: Sequence[int], sizes: Sequence[int]) -> None:
    # One update for the whole side and a second look at the removals is faster than a loop.
    side.update(zip(prices, sizes, strict=True))
    if 0 in sizes:
        for price, size in zip(prices, sizes, strict=True):
            if not size:
                side.pop(price, None)
