"""An order book by price level (L2), in scaled integers."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import numpy as np

from kit import checksum, native
from kit.checksum import Checksum
from kit.columns import Scale
from kit.numbers import IntColumn

Levels = list[tuple[int, int]]
"""Pairs of price and size, best first."""

ROOM_MIN = 128
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
        count = self.count[updates]
        shift = self.start[updates] - (np.cumsum(count) - count)
        kept = np.repeat(shift, count) + np.arange(count.sum())
        return Changes(self.price[kept], self.size[kept], count)

    @classmethod
    def joined(cls, sides: Sequence[Side]) -> "Changes":
        """Of one update after another."""
        count = np.fromiter((len(side.price) for side in sides), np.int64, len(sides))
        price = np.concatenate([side.price for side in sides])
        return cls(price, np.concatenate([side.size for side in sides]), count)

    def of(self, update: int) -> Side:
        """Those of one update."""
        begin = int(self.start[update])
        end = begin + int(self.count[update])
        return Side(self.price[begin:end], self.size[begin:end])

    @cached_property
    def pointers(self) -> native.Changes:
        """For compiled code. What it points to must be contiguous, and lives as long as this."""
        columns = (self.price, self.size, self.start, self.count)
        self.__dict__["held"] = held = [np.ascontiguousarray(column) for column in columns]
        return native.Changes(*map(native.address, held))


class Verdict(IntEnum):
    """What the proof of a book says. The same numbers stand in kit/native/books.c."""

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


class Book:
    """Price levels of two sides."""

    __slots__ = ("_proof", "_store")

    def __init__(self, proof: Proof = Proof()) -> None:
        self._proof = proof
        self._store: _Store = _Plain(proof) if native.library is None else _Compiled(proof)

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

    def replace(self, bids: Side, asks: Side) -> None:
        """Forget everything, then set levels."""
        self._store = type(self._store)(self._proof)
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
        self.replace(Side.of(self.bids(levels_max)), Side.of(self.asks(levels_max)))

    def bids(self, depth: int | None = None) -> Levels:
        """Highest price first."""
        return _pairs(self._store.bids(), depth)

    def asks(self, depth: int | None = None) -> Levels:
        """Lowest price first."""
        return _pairs(self._store.asks(), depth)

    def level_count(self) -> int:
        """Levels of the larger side."""
        return self._store.level_count()


class _Store(Protocol):
    """The levels of both sides."""

    def __init__(self, proof: Proof) -> None: ...

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        """As Book.follow."""

    def bids(self) -> Side:
        """Best first."""

    def asks(self) -> Side:
        """Best first."""

    def level_count(self) -> int:
        """Of the larger side."""


class _Plain:
    """The reference: a dict from price to size for each side."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        for done, update in enumerate(updates.tolist()):
            self._set(self._bids, bids.of(update), best_first=-1)
            self._set(self._asks, asks.of(update), best_first=1)
            claimed = None if checksums is None else int(checksums[update])
            verdict = self._judge(claimed, scale)
            if verdict is not Verdict.GOOD:
                return done, verdict
        return len(updates), Verdict.GOOD

    def bids(self) -> Side:
        return Side.of(sorted(self._bids.items(), reverse=True))

    def asks(self) -> Side:
        return Side.of(sorted(self._asks.items()))

    def level_count(self) -> int:
        return max(len(self._bids), len(self._asks))

    def _set(self, sizes: dict[int, int], changes: Side, best_first: int) -> None:
        # One update for all and a second look at the removals is faster than a loop.
        sizes.update(zip(changes.price.tolist(), changes.size.tolist(), strict=True))
        for price in changes.price[changes.size == 0].tolist():
            if not sizes.get(price, 1):
                del sizes[price]
        if self._proof.depth and len(sizes) > self._proof.depth:
            for price in sorted(sizes, key=lambda price: best_first * price)[self._proof.depth :]:
                del sizes[price]

    def _judge(self, claimed: int | None, scale: Scale) -> Verdict:
        both = self._proof.uncrossed and self._bids and self._asks
        if both and max(self._bids) >= min(self._asks):
            return Verdict.CROSSED
        if claimed is None or self._proof.checksum is Checksum.NONE:
            return Verdict.GOOD
        sides = _pairs(self.bids(), checksum.TOP_LEVELS), _pairs(self.asks(), checksum.TOP_LEVELS)
        right = checksum.matches(self._proof.checksum, claimed, *sides, scale)
        return Verdict.GOOD if right else Verdict.CHECKSUM


class _Compiled:
    """The same in arrays that compiled code fills: sorted, the best level last."""

    def __init__(self, proof: Proof) -> None:
        self._bids, self._asks = _room(ROOM_MIN), _room(ROOM_MIN)
        self._verdict = ctypes.c_int64()
        self._book = native.Book(
            depth=proof.depth,
            checksum_kind=proof.checksum.value,
            stop_when_crossed=proof.uncrossed,
        )
        self._point()
        self._pointers = ctypes.addressof(self._book), ctypes.addressof(self._verdict)

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        assert native.library is not None
        book, verdict = self._pointers
        self._make_room(updates, bids, asks)
        self._book.price_scale, self._book.size_scale = scale.price, scale.size
        done = native.library.venuemesh_follow(
            book,
            updates.tobytes(),
            len(updates),
            ctypes.byref(bids.pointers),
            ctypes.byref(asks.pointers),
            None if checksums is None else checksums.tobytes(),
            verdict,
        )
        return done, Verdict(self._verdict.value)

    def bids(self) -> Side:
        keys, sizes = self._bids[:, : self._book.bids.count][:, ::-1]
        return Side(keys, sizes)

    def asks(self) -> Side:
        keys, sizes = self._asks[:, : self._book.asks.count][:, ::-1]
        return Side(-keys, sizes)

    def level_count(self) -> int:
        return int(max(self._book.bids.count, self._book.asks.count))

    def _make_room(self, updates: IntColumn, bids: Changes, asks: Changes) -> None:
        """For all levels that may be added. Counting those of the updates alone costs more than
        seeing that there is room for all."""
        held = self._book.bids.count, self._book.asks.count
        room = self._bids.shape[1], self._asks.shape[1]
        if held[0] + len(bids.price) <= room[0] and held[1] + len(asks.price) <= room[1]:
            return
        self._bids = _grown(self._bids, held[0] + int(bids.count[updates].sum()))
        self._asks = _grown(self._asks, held[1] + int(asks.count[updates].sum()))
        self._point()

    def _point(self) -> None:
        for side, columns in ((self._book.bids, self._bids), (self._book.asks, self._asks)):
            side.keys, side.sizes = map(native.address, columns)


def _room(levels: int) -> IntColumn:
    return np.empty((2, levels), dtype=np.int64)


def _grown(columns: IntColumn, levels: int) -> IntColumn:
    if levels <= columns.shape[1]:
        return columns
    larger = _room(1 << levels.bit_length())
    larger[:, : columns.shape[1]] = columns
    return larger


def _pairs(side: Side, depth: int | None) -> Levels:
    return list(zip(side.price[:depth].tolist(), side.size[:depth].tolist(), strict=True))
