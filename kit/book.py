"""An order book by price level (L2), in scaled integers."""

from collections.abc import Sequence
from heapq import nlargest, nsmallest

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""

COMPACT_AFTER_REMOVALS = 2_000


class Book:
    """Price levels of two sides.

    A removed level is kept with size 0 until enough of them have gathered: setting a whole update
    is then one dict.update per side, which is what makes a deep, busy book cheap.
    """

    __slots__ = ("_asks", "_bids", "_removals")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._removals = 0

    def apply(self, prices: Sequence[int], sizes: Sequence[int], bid_count: int) -> None:
        """Set levels, the bids first; size 0 removes."""
        self._bids.update(zip(prices[:bid_count], sizes[:bid_count], strict=True))
        self._asks.update(zip(prices[bid_count:], sizes[bid_count:], strict=True))
        self._removals += sizes.count(0)
        if self._removals > COMPACT_AFTER_REMOVALS:
            self._compact()

    def replace(self, prices: Sequence[int], sizes: Sequence[int], bid_count: int) -> None:
        """Forget everything, then set levels."""
        self._bids.clear()
        self._asks.clear()
        self._removals = 0
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
        self._compact()
        if len(self._bids) > levels_max:
            self._bids = dict(self.bids(levels_max))
        if len(self._asks) > levels_max:
            self._asks = dict(self.asks(levels_max))

    def bids(self, depth: int | None = None) -> Levels:
        """Highest price first."""
        levels = [level for level in self._bids.items() if level[1]]
        return sorted(levels, reverse=True) if depth is None else nlargest(depth, levels)

    def asks(self, depth: int | None = None) -> Levels:
        """Lowest price first."""
        levels = [level for level in self._asks.items() if level[1]]
        return sorted(levels) if depth is None else nsmallest(depth, levels)

    def level_count(self) -> int:
        """Levels of the larger side, removed ones that are still held included."""
        return max(len(self._bids), len(self._asks))

    def _compact(self) -> None:
        self._bids = {price: size for price, size in self._bids.items() if size}
        self._asks = {price: size for price, size in self._asks.items() if size}
        self._removals = 0
