"""What goes into a book and what comes out: levels of a side, changes of many updates, verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kit.base.numbers import IntColumn
from kit.marketdata import native
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.model.columns import elements_of

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""

ONLY: IntColumn = np.zeros(1, dtype=np.int64)
"""The update of a set that has but one."""


@dataclass(frozen=True, slots=True)
class Side:
    """Levels of one side, or changes of them in order."""

    price: IntColumn
    size: IntColumn

    @classmethod
    def of(cls, levels: Sequence[tuple[int, int]]) -> "Side":
        """From pairs of price and size."""
        column = np.array(levels, dtype=np.int64).reshape(-1, 2)
        return cls(column[:, 0].copy(), column[:, 1].copy())


@dataclass(frozen=True)
class Changes:
    """Levels of one side of many updates, one update after another, all at the books' scales."""

    price: IntColumn
    size: IntColumn
    count: IntColumn
    """Levels of each update."""

    @cached_property
    def start(self) -> IntColumn:
        """Where those of each update begin."""
        return np.cumsum(self.count) - self.count

    def take(self, updates: IntColumn) -> "Changes":
        """Those of these updates only."""
        kept = elements_of(self.count, updates)
        return Changes(self.price[kept], self.size[kept], self.count[updates])

    @classmethod
    def joined(cls, sides: Sequence[Side]) -> "Changes":
        """Of one update after another."""
        count = np.fromiter((len(side.price) for side in sides), np.int64, len(sides))
        price = np.concatenate([side.price for side in sides])
        return cls(price, np.concatenate([side.size for side in sides]), count)

    def removing(self, fallen: "DroppedLevels") -> "Changes":
        """The same, and levels that are removed by updates, each at the end of its update."""
        if not len(fallen.update):
            return self
        owner = np.concatenate((np.repeat(np.arange(len(self.count)), self.count), fallen.update))
        order = np.argsort(owner, kind="stable")
        none = np.zeros(len(fallen.price), dtype=np.int64)
        return Changes(
            np.concatenate((self.price, fallen.price))[order],
            np.concatenate((self.size, none))[order],
            np.bincount(owner, minlength=len(self.count)),
        )

    def of(self, update: int) -> Side:
        begin = int(self.start[update])
        end = begin + int(self.count[update])
        return Side(self.price[begin:end], self.size[begin:end])

    @cached_property
    def pointers(self) -> native.Changes:
        """For compiled code. What it points to must be contiguous, and lives as long as this."""
        columns = (self.price, self.size, self.start, self.count)
        self.__dict__["held"] = held = list(map(native.held, columns))
        return native.Changes(*map(native.address, held))


class DroppedLevels(NamedTuple):
    """Levels of one side that fell out of the depth of a book: readers must be told, as the venue
    says nothing of them."""

    update: IntColumn
    """The update at which it happened."""
    price: IntColumn


class Verdict(IntEnum):
    """What the proof of a book says. The same numbers stand in kit/marketdata/native/books.c."""

    GOOD = 0
    CHECKSUM = 1
    """The book is not what the venue's checksum says."""
    CROSSED = 2
    """The best bid is not below the best ask."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How updates of a book prove that it is right, and how deep it is kept."""

    checksum: Checksum = Checksum.NONE
    depth: int = 0
    """Levels per side; 0: all."""
    uncrossed: bool = False
    """Whether a crossed book is a wrong one."""


def pairs(side: Side) -> Levels:
    """Of each level its price and size."""
    return list(zip(side.price.tolist(), side.size.tolist(), strict=True))
