"""An order book by price level (L2), in scaled integers."""

from kit.base.numbers import IntColumn
from kit.marketdata.book.levels import (
    ONLY,
    Changes,
    DroppedLevels,
    Levels,
    Proof,
    Side,
    Verdict,
    pairs,
)
from kit.marketdata.book.stores import new_store
from kit.marketdata.model.columns import Scale

UNPROVEN = Proof()
"""Nothing but updates, all levels."""

__all__ = ["ONLY", "Book", "Changes", "DroppedLevels", "Levels", "Proof", "Side", "Verdict"]


class Book:
    """Price levels of two sides."""

    __slots__ = ("_proof", "_store")

    def __init__(self, proof: Proof = UNPROVEN) -> None:
        self._proof = proof
        self._store = new_store(proof)

    def apply(self, bids: Side, asks: Side) -> None:
        """Set levels; size 0 removes. Later ones of the same price win."""
        self._store.follow(ONLY, Changes.joined([bids]), Changes.joined([asks]), None, Scale())

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        """Apply some updates of many, each with its proof. Stops behind the first that proves the
        book wrong. Returns how many were right."""
        return self._store.follow(updates, bids, asks, checksums, scale)

    def dropped_levels(self) -> tuple[DroppedLevels, DroppedLevels]:
        """The bids and asks that fell out of the depth when the book followed updates last."""
        return self._store.dropped_levels()

    def replace(self, bids: Side, asks: Side) -> None:
        """Forget everything, then set levels."""
        self._store = new_store(self._proof)
        self.apply(bids, asks)

    def fits(self, price_factor: int, size_factor: int, bound: int) -> bool:
        """Whether all numbers stay below a bound when multiplied."""
        return all(
            int(side.price.max(initial=0)) * price_factor < bound
            and int(side.size.max(initial=0)) * size_factor < bound
            for side in (self._store.bids(), self._store.asks())
        )

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Multiply all prices and sizes: the scale has grown."""
        sides = self._store.bids(), self._store.asks()
        self.replace(*[Side(side.price * price_factor, side.size * size_factor) for side in sides])

    def trim(self, levels_max: int) -> None:
        """Let go of the levels farthest from the middle."""
        self.replace(self._store.bids(levels_max), self._store.asks(levels_max))

    def bids(self, depth: int | None = None) -> Levels:
        """Highest price first; the best so many, or all."""
        return pairs(self._store.bids(depth))

    def asks(self, depth: int | None = None) -> Levels:
        """Lowest price first; the best so many, or all."""
        return pairs(self._store.asks(depth))

    def level_count(self) -> int:
        """Levels of the larger side."""
        return self._store.level_count()
