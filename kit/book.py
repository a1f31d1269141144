"""An order book by price level (L2), in scaled integers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kit import native
from kit.numbers import IntColumn

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""

TABLE_SLOTS_MIN = 256


@dataclass(frozen=True, slots=True)
class Side:
    """Levels of one side, or changes of them in order."""

    price: IntColumn
    size: IntColumn

    @classmethod
    def of(cls, levels: Levels) -> "Side":
        """From pairs of price and size."""
        column = np.array(levels, dtype=np.int64).reshape(-1, 2)
        return cls(column[:, 0].copy(), column[:, 1].copy())


class Book:
    """Price levels of two sides."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids = _new_store()
        self._asks = _new_store()

    def apply(self, bids: Side, asks: Side) -> None:
        """Set levels; size 0 removes. Later ones of the same price win."""
        self._bids.set(bids)
        self._asks.set(asks)

    def replace(self, bids: Side, asks: Side) -> None:
        """Forget everything, then set levels."""
        self._bids, self._asks = _new_store(), _new_store()
        self.apply(bids, asks)

    def fits(self, price_factor: int, size_factor: int, bound: int) -> bool:
        """Whether all numbers stay below a bound when multiplied."""
        return all(
            int(side.price.max(initial=0)) * price_factor < bound
            and int(side.size.max(initial=0)) * size_factor < bound
            for side in (self._bids.held(), self._asks.held())
        )

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Multiply all prices and sizes: the scale has grown."""
        self.replace(
            *[
                Side(side.price * price_factor, side.size * size_factor)
                for side in (self._bids.held(), self._asks.held())
            ]
        )

    def trim(self, levels_max: int) -> None:
        """Let go of the levels farthest from the middle."""
        self.replace(Side.of(self.bids(levels_max)), Side.of(self.asks(levels_max)))

    def bids(self, depth: int | None = None) -> Levels:
        """Highest price first."""
        side = self._bids.held()
        return _pairs(side, np.argsort(-side.price)[:depth])

    def asks(self, depth: int | None = None) -> Levels:
        """Lowest price first."""
        side = self._asks.held()
        return _pairs(side, np.argsort(side.price)[:depth])

    def level_count(self) -> int:
        """Levels of the larger side."""
        return max(len(self._bids), len(self._asks))


class _Store(Protocol):
    """The levels of one side, in no order."""

    def set(self, changes: Side) -> None:
        """Set levels; size 0 removes."""

    def held(self) -> Side:
        """All of them."""

    def __len__(self) -> int:
        """How many."""


class _DictStore:
    """The reference: a dict from price to size."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def set(self, changes: Side) -> None:
        # One update for all and a second look at the removals is faster than a loop.
        self._sizes.update(zip(changes.price.tolist(), changes.size.tolist(), strict=True))
        for price in changes.price[changes.size == 0].tolist():
            if not self._sizes.get(price, 1):
                del self._sizes[price]

    def held(self) -> Side:
        return Side.of(list(self._sizes.items()))

    def __len__(self) -> int:
        return len(self._sizes)


class _TableStore:
    """The same as a table that compiled code fills; see venuemesh_set_levels."""

    def __init__(self) -> None:
        self._count = 0
        self._make(TABLE_SLOTS_MIN)

    def set(self, changes: Side) -> None:
        needed = 2 * (self._count + len(changes.price))
        if needed > len(self._price):
            before = self.held()
            self._make(1 << needed.bit_length())
            self._count = 0
            self._fill(before)
        self._fill(changes)

    def held(self) -> Side:
        used = self._size != 0
        return Side(self._price[used], self._size[used])

    def __len__(self) -> int:
        return self._count

    def _make(self, slots: int) -> None:
        self._price = np.zeros(slots, dtype=np.int64)
        self._size = np.zeros(slots, dtype=np.int64)
        self._table = native.address(self._price), native.address(self._size), slots

    def _fill(self, changes: Side) -> None:
        assert native.library is not None
        self._count = native.library.venuemesh_set_levels(
            *self._table,
            self._count,
            changes.price.tobytes(),
            changes.size.tobytes(),
            len(changes.price),
        )


def _new_store() -> _Store:
    return _DictStore() if native.library is None else _TableStore()


def _pairs(side: Side, order: IntColumn) -> Levels:
    return list(zip(side.price[order].tolist(), side.size[order].tolist(), strict=True))
