"""An order book by price level (L2), in scaled integers."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple, Protocol

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

    def removing(self, fallen: "Fallen") -> "Changes":
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
        """Those of one update."""
        begin = int(self.start[update])
        end = begin + int(self.count[update])
        return Side(self.price[begin:end], self.size[begin:end])

    @cached_property
    def pointers(self) -> native.Changes:
        """For compiled code. What it points to must be contiguous, and lives as long as this."""
        columns = (self.price, self.size, self.start, self.count)
        self.__dict__["held"] = held = list(map(native.held, columns))
        return native.Changes(*map(native.address, held))


class Fallen(NamedTuple):
    """Levels of one side that fell out of the depth of a book: readers must be told, as the venue
    says nothing of them."""

    update: IntColumn
    """The update at which it happened."""
    price: IntColumn


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
        self._store = _new_store(proof)

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

    def fallen(self) -> tuple[Fallen, Fallen]:
        """The bids and asks that fell out of the depth when the book followed updates last."""
        return self._store.fallen()

    def replace(self, bids: Side, asks: Side) -> None:
        """Forget everything, then set levels."""
        self._store = _new_store(self._proof)
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

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        """As Book.follow."""

    def fallen(self) -> tuple[Fallen, Fallen]:
        """As Book.fallen."""

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
        self._fallen: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []

    def follow(
        self,
        updates: IntColumn,
        bids: Changes,
        asks: Changes,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, Verdict]:
        self._fallen = [], []
        for done, update in enumerate(updates.tolist()):
            self._set(self._bids, bids.of(update))
            self._set(self._asks, asks.of(update))
            self._cut(self._bids, -1, update, self._fallen[0])
            self._cut(self._asks, 1, update, self._fallen[1])
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

    def fallen(self) -> tuple[Fallen, Fallen]:
        bids, asks = (
            Fallen(*np.array(pairs, dtype=np.int64).reshape(-1, 2).T) for pairs in self._fallen
        )
        return bids, asks

    def _set(self, sizes: dict[int, int], changes: Side) -> None:
        # One update for all and a second look at the removals is faster than a loop.
        sizes.update(zip(changes.price.tolist(), changes.size.tolist(), strict=True))
        for price in changes.price[changes.size == 0].tolist():
            if not sizes.get(price, 1):
                del sizes[price]

    def _cut(
        self, sizes: dict[int, int], sign: int, update: int, fallen: list[tuple[int, int]]
    ) -> None:
        """Keep the depth; with a sign of -1 the highest prices are best."""
        if not self._proof.depth or len(sizes) <= self._proof.depth:
            return
        worst = sorted(sizes, key=lambda price: sign * price)[self._proof.depth :]
        for price in reversed(worst):
            del sizes[price]
            fallen.append((update, price))

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
    """The same in arrays that compiled code fills; how, tells the kind of store."""

    def __init__(self, proof: Proof) -> None:
        self._bids, self._asks = _column_pair(0), _column_pair(0)
        self._verdict = ctypes.c_int64()
        self._book = native.Book(
            depth=proof.depth,
            checksum_kind=proof.checksum.value,
            stop_when_crossed=proof.uncrossed,
        )
        self._pointers = ctypes.addressof(self._book), ctypes.addressof(self._verdict)
        self._depth = proof.depth
        self._cuts = _column_pair(0), _column_pair(0)

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
        self._bids = self._with_room(self._book.bids, self._bids, bids, updates)
        self._asks = self._with_room(self._book.asks, self._asks, asks, updates)
        self._book.price_scale, self._book.size_scale = scale.price, scale.size
        if self._depth:
            self._make_room_for_cuts(bids, asks)
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

    def fallen(self) -> tuple[Fallen, Fallen]:
        bids, asks = (
            Fallen(*columns[:, : cuts.count].copy())
            for columns, cuts in zip(
                self._cuts, (self._book.bid_cuts, self._book.ask_cuts), strict=True
            )
        )
        return bids, Fallen(asks.update, -asks.price)

    def bids(self) -> Side:
        keys, sizes = self._best_first(self._book.bids, self._bids)
        return Side(keys, sizes)

    def asks(self) -> Side:
        keys, sizes = self._best_first(self._book.asks, self._asks)
        return Side(-keys, sizes)

    def level_count(self) -> int:
        return int(max(self._book.bids.count, self._book.asks.count))

    def _make_room_for_cuts(self, bids: Changes, asks: Changes) -> None:
        """A level that falls out has come at some time."""
        needed = len(bids.price) + len(asks.price)
        if needed > self._cuts[0].shape[1]:
            self._cuts = _column_pair(2 * needed), _column_pair(2 * needed)
            for cuts, columns in zip(
                (self._book.bid_cuts, self._book.ask_cuts), self._cuts, strict=True
            ):
                cuts.updates, cuts.keys = map(native.address, columns)

    def _with_room(
        self, side: native.Side, columns: IntColumn, changes: Changes, updates: IntColumn
    ) -> IntColumn:
        """The columns, larger when not all levels may fit. Counting those of the updates alone
        costs more than seeing that there is room for all."""
        if self._holds(columns, side.count + len(changes.price)):
            return columns
        levels = side.count + int(changes.count[updates].sum())
        if self._holds(columns, levels):
            return columns
        larger = self._moved(side, columns, max(ROOM_MIN, 1 << levels.bit_length()))
        side.keys, side.sizes = map(native.address, larger)
        return larger

    def _holds(self, columns: IntColumn, levels: int) -> bool:
        raise NotImplementedError

    def _moved(self, side: native.Side, columns: IntColumn, levels: int) -> IntColumn:
        """The same levels in columns with more room."""
        raise NotImplementedError

    def _best_first(self, side: native.Side, columns: IntColumn) -> IntColumn:
        raise NotImplementedError


class _Sorted(_Compiled):
    """Levels in order, the best last."""

    def _holds(self, columns: IntColumn, levels: int) -> bool:
        return levels <= len(columns[0])

    def _moved(self, side: native.Side, columns: IntColumn, levels: int) -> IntColumn:
        larger = _column_pair(levels)
        larger[:, : side.count] = columns[:, : side.count]
        return larger

    def _best_first(self, side: native.Side, columns: IntColumn) -> IntColumn:
        return columns[:, : side.count][:, ::-1]


class _Table(_Compiled):
    """Levels in no order, found by their price: for books whose order proves nothing."""

    def _holds(self, columns: IntColumn, levels: int) -> bool:
        return 2 * levels <= len(columns[0])

    def _moved(self, side: native.Side, columns: IntColumn, levels: int) -> IntColumn:
        larger = _column_pair(2 * levels)
        larger[1] = 0
        # Filled by the compiled code itself, as into an empty side.
        empty = native.Book()
        empty.bids.slots = side.slots = 2 * levels
        empty.bids.keys, empty.bids.sizes = map(native.address, larger)
        keys, sizes = columns[:, columns[1] != 0]
        changes, none = Changes.joined([Side(keys, sizes)]), Changes.joined([Side.of([])])
        assert native.library is not None
        native.library.venuemesh_follow(
            ctypes.addressof(empty),
            ONLY.tobytes(),
            1,
            ctypes.byref(changes.pointers),
            ctypes.byref(none.pointers),
            None,
            ctypes.byref(ctypes.c_int64()),
        )
        return larger

    def _best_first(self, side: native.Side, columns: IntColumn) -> IntColumn:
        held = columns[:, columns[1] != 0]
        return held[:, np.argsort(-held[0])]


def _new_store(proof: Proof) -> _Store:
    if native.library is None:
        return _Plain(proof)
    looks = proof.depth or proof.uncrossed or proof.checksum is not Checksum.NONE
    return _Sorted(proof) if looks else _Table(proof)


def _column_pair(levels: int) -> IntColumn:
    """Keys and sizes."""
    return np.empty((2, levels), dtype=np.int64)


def _pairs(side: Side, depth: int | None) -> Levels:
    return list(zip(side.price[:depth].tolist(), side.size[:depth].tolist(), strict=True))
