"""An order book by price level (L2), in scaled integers."""

from kit.base.number_columns import IntColumn
from kit.marketdata.book.level_stores import new_store
from kit.marketdata.book.levels import (
    ONLY,
    BookCheck,
    BookConstraints,
    BookSide,
    Levels,
    SideChanges,
    TruncatedLevels,
    pairs,
)
from kit.marketdata.model.columns import Scale

UNPROVEN = BookConstraints()
"""Updates of all levels, without a depth or a checksum."""


class Book:
    """Price levels of two sides."""

    __slots__ = ("_proof", "_store")

    def __init__(self, proof: BookConstraints = UNPROVEN) -> None:
        self._proof = proof
        self._store = new_store(proof)

    def apply(self, bids: BookSide, asks: BookSide) -> None:
        """Set levels; size 0 removes one. Of several changes of one price the last counts."""
        self._store.follow(
            ONLY, SideChanges.joined([bids]), SideChanges.joined([asks]), None, Scale()
        )

    def follow(
        self,
        updates: IntColumn,
        bids: SideChanges,
        asks: SideChanges,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, BookCheck]:
        """Apply some of these updates and check the book after each. Stops after the first update
        that leaves a wrong book. Returns the number of right updates, and the last verdict."""
        return self._store.follow(updates, bids, asks, checksums, scale)

    def dropped_levels(self) -> tuple[TruncatedLevels, TruncatedLevels]:
        """The bids and asks that the last ``follow`` dropped beyond the depth."""
        return self._store.dropped_levels()

    def replace(self, bids: BookSide, asks: BookSide) -> None:
        self._store = new_store(self._proof)
        self.apply(bids, asks)

    def fits(self, price_factor: int, size_factor: int, bound: int) -> bool:
        """Whether all prices and sizes stay below a bound when multiplied by these factors."""
        return all(
            int(side.price.max(initial=0)) * price_factor < bound
            and int(side.size.max(initial=0)) * size_factor < bound
            for side in (self._store.bids(), self._store.asks())
        )

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Multiply all prices and sizes, for a scale with more decimal places."""
        sides = self._store.bids(), self._store.asks()
        self.replace(
            *[BookSide(side.price * price_factor, side.size * size_factor) for side in sides]
        )

    def trim(self, levels_max: int) -> None:
        """Keep the best levels of each side."""
        self.replace(self._store.bids(levels_max), self._store.asks(levels_max))

    def bids(self, depth: int | None = None) -> Levels:
        """The best bids, highest price first; all without a depth."""
        return pairs(self._store.bids(depth))

    def asks(self, depth: int | None = None) -> Levels:
        """The best asks, lowest price first; all without a depth."""
        return pairs(self._store.asks(depth))

    def level_count(self) -> int:
        """Number of levels of the larger side."""
        return self._store.level_count()
