"""The values of a book: levels of a side, changes of many updates, proofs and verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata import native
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.model.columns import elements_of

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""

ONLY: IntColumn = np.zeros(1, dtype=np.int64)
"""Selects the first update, of changes with one update."""


@dataclass(frozen=True, slots=True)
class BookSide:
    """Levels of one side, or changes of them in order."""

    price: IntColumn
    size: IntColumn

    @classmethod
    def of(cls, levels: Sequence[tuple[int, int]]) -> "BookSide":
        """From pairs of price and size."""
        column = np.array(levels, dtype=np.int64).reshape(-1, 2)
        return cls(column[:, 0].copy(), column[:, 1].copy())


@dataclass(frozen=True)
class SideChanges:
    """Levels of one side of many updates, one update after another, all at the books' scales."""

    price: IntColumn
    size: IntColumn
    count: IntColumn
    """Levels of each update."""

    @cached_property
    def start(self) -> IntColumn:
        """Index of the first level of each update."""
        return np.cumsum(self.count) - self.count

    def take(self, updates: IntColumn) -> "SideChanges":
        """The changes of some of the updates."""
        kept = elements_of(self.count, updates)
        return SideChanges(self.price[kept], self.size[kept], self.count[updates])

    @classmethod
    def joined(cls, sides: Sequence[BookSide]) -> "SideChanges":
        """Join sides, each of which is one update."""
        count = np.fromiter((len(side.price) for side in sides), np.int64, len(sides))
        price = np.concatenate([side.price for side in sides])
        return cls(price, np.concatenate([side.size for side in sides]), count)

    def removing(self, fallen: "TruncatedLevels") -> "SideChanges":
        """These changes, and removals of dropped levels at the end of their updates."""
        if not len(fallen.update):
            return self
        owner = np.concatenate((np.repeat(np.arange(len(self.count)), self.count), fallen.update))
        order = np.argsort(owner, kind="stable")
        none = np.zeros(len(fallen.price), dtype=np.int64)
        return SideChanges(
            np.concatenate((self.price, fallen.price))[order],
            np.concatenate((self.size, none))[order],
            np.bincount(owner, minlength=len(self.count)),
        )

    def of(self, update: int) -> BookSide:
        begin = int(self.start[update])
        end = begin + int(self.count[update])
        return BookSide(self.price[begin:end], self.size[begin:end])

    @cached_property
    def pointers(self) -> native.NativeLevelChanges:
        """Pointers to contiguous columns for compiled code, valid as long as this object."""
        columns = (self.price, self.size, self.start, self.count)
        self.__dict__["held"] = held = list(map(native.held, columns))
        return native.NativeLevelChanges(*map(native.address, held))


class TruncatedLevels(NamedTuple):
    """Levels of one side that were dropped beyond the depth of a book. They are published, because
    the venue sends no update for them."""

    update: IntColumn
    """Index of the update that dropped the level."""
    price: IntColumn


class BookCheck(IntEnum):
    """The result of checking a book; the numbers are those of kit/marketdata/native/books.c."""

    GOOD = 0
    CHECKSUM = 1
    """The book does not have the venue's checksum."""
    CROSSED = 2
    """The best bid is not below the best ask."""


@dataclass(frozen=True, slots=True)
class BookConstraints:
    """How a book is checked after each update, and its depth."""

    checksum: Checksum = Checksum.NONE
    depth: int = 0
    """Levels per side; 0: all."""
    uncrossed: bool = False
    """Whether a crossed book is wrong."""


def pairs(side: BookSide) -> Levels:
    """The price and size of each level."""
    return list(zip(side.price.tolist(), side.size.tolist(), strict=True))
