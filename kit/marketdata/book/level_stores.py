"""The levels of a book: in dicts (the reference), or in arrays that compiled code fills."""

import ctypes
from typing import Protocol

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata import native
from kit.marketdata.book import checksum
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.book.levels import (
    ONLY,
    BookCheck,
    BookConstraints,
    BookSide,
    SideChanges,
    TruncatedLevels,
    pairs,
)
from kit.marketdata.model.columns import Scale

ROOM_MIN = 128
KEY_MIN = np.iinfo(np.int64).min


class LevelStore(Protocol):
    """The levels of both sides."""

    def follow(
        self,
        updates: IntColumn,
        bids: SideChanges,
        asks: SideChanges,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, BookCheck]:
        """See ``Book.follow``."""

    def dropped_levels(self) -> tuple[TruncatedLevels, TruncatedLevels]:
        """See ``Book.dropped_levels``."""

    def bids(self, depth: int | None = None) -> BookSide:
        """Best first, up to a depth."""

    def asks(self, depth: int | None = None) -> BookSide:
        """Best first, up to a depth."""

    def level_count(self) -> int:
        """Number of levels of the larger side."""


class _Plain:
    """The reference: a dict from price to size for each side."""

    def __init__(self, proof: BookConstraints) -> None:
        self._proof = proof
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._fallen: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []

    def follow(
        self,
        updates: IntColumn,
        bids: SideChanges,
        asks: SideChanges,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, BookCheck]:
        self._fallen = [], []
        for done, update in enumerate(updates.tolist()):
            self._set(self._bids, bids.of(update))
            self._set(self._asks, asks.of(update))
            self._cut(self._bids, -1, update, self._fallen[0])
            self._cut(self._asks, 1, update, self._fallen[1])
            claimed = None if checksums is None else int(checksums[update])
            verdict = self._judge(claimed, scale)
            if verdict is not BookCheck.GOOD:
                return done, verdict
        return len(updates), BookCheck.GOOD

    def bids(self, depth: int | None = None) -> BookSide:
        return BookSide.of(sorted(self._bids.items(), reverse=True)[:depth])

    def asks(self, depth: int | None = None) -> BookSide:
        return BookSide.of(sorted(self._asks.items())[:depth])

    def level_count(self) -> int:
        return max(len(self._bids), len(self._asks))

    def dropped_levels(self) -> tuple[TruncatedLevels, TruncatedLevels]:
        bids, asks = (
            TruncatedLevels(*np.array(pairs, dtype=np.int64).reshape(-1, 2).T)
            for pairs in self._fallen
        )
        return bids, asks

    def _set(self, sizes: dict[int, int], changes: BookSide) -> None:
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

    def _judge(self, claimed: int | None, scale: Scale) -> BookCheck:
        both = self._proof.uncrossed and self._bids and self._asks
        if both and max(self._bids) >= min(self._asks):
            return BookCheck.CROSSED
        if claimed is None or self._proof.checksum is Checksum.NONE:
            return BookCheck.GOOD
        sides = pairs(self.bids(checksum.TOP_LEVELS)), pairs(self.asks(checksum.TOP_LEVELS))
        right = checksum.matches(self._proof.checksum, claimed, *sides, scale)
        return BookCheck.GOOD if right else BookCheck.CHECKSUM


class _Arrangement(Protocol):
    """The layout of a side in its arrays."""

    def holds(self, columns: IntColumn, levels: int) -> bool:
        """Whether there is room for so many levels."""

    def moved(self, side: native.NativeBookSide, columns: IntColumn, levels: int) -> IntColumn:
        """The same levels in columns with more room."""

    def best_first(
        self, side: native.NativeBookSide, columns: IntColumn, depth: int | None
    ) -> IntColumn:
        """The levels in order, up to a depth."""


class _Compiled:
    """The levels in arrays that compiled code fills."""

    def __init__(self, proof: BookConstraints, arrangement: _Arrangement) -> None:
        self._arrangement = arrangement
        self._bids, self._asks = _column_pair(0), _column_pair(0)
        self._verdict = ctypes.c_int64()
        self._book = native.NativeBook(
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
        bids: SideChanges,
        asks: SideChanges,
        checksums: IntColumn | None,
        scale: Scale,
    ) -> tuple[int, BookCheck]:
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
        return done, BookCheck(self._verdict.value)

    def dropped_levels(self) -> tuple[TruncatedLevels, TruncatedLevels]:
        bids, asks = (
            TruncatedLevels(*columns[:, : cuts.count].copy())
            for columns, cuts in zip(
                self._cuts, (self._book.bid_cuts, self._book.ask_cuts), strict=True
            )
        )
        return bids, TruncatedLevels(asks.update, -asks.price)

    def bids(self, depth: int | None = None) -> BookSide:
        keys, sizes = self._arrangement.best_first(self._book.bids, self._bids, depth)
        return BookSide(keys, sizes)

    def asks(self, depth: int | None = None) -> BookSide:
        keys, sizes = self._arrangement.best_first(self._book.asks, self._asks, depth)
        return BookSide(-keys, sizes)

    def level_count(self) -> int:
        return int(max(self._book.bids.count, self._book.asks.count))

    def _make_room_for_cuts(self, bids: SideChanges, asks: SideChanges) -> None:
        """A level that falls out has come at some time."""
        needed = len(bids.price) + len(asks.price)
        if needed > self._cuts[0].shape[1]:
            self._cuts = _column_pair(2 * needed), _column_pair(2 * needed)
            for cuts, columns in zip(
                (self._book.bid_cuts, self._book.ask_cuts), self._cuts, strict=True
            ):
                cuts.updates, cuts.keys = map(native.address, columns)

    def _with_room(
        self,
        side: native.NativeBookSide,
        columns: IntColumn,
        changes: SideChanges,
        updates: IntColumn,
    ) -> IntColumn:
        """The columns, larger when not all levels may fit. Counting those of the updates alone
        costs more than seeing that there is room for all."""
        if self._arrangement.holds(columns, side.count + len(changes.price)):
            return columns
        levels = side.count + int(changes.count[updates].sum())
        if self._arrangement.holds(columns, levels):
            return columns
        larger = self._arrangement.moved(side, columns, max(ROOM_MIN, 1 << levels.bit_length()))
        side.keys, side.sizes = map(native.address, larger)
        return larger


class _Sorted:
    """Levels in order, the best last."""

    def holds(self, columns: IntColumn, levels: int) -> bool:
        return levels <= len(columns[0])

    def moved(self, side: native.NativeBookSide, columns: IntColumn, levels: int) -> IntColumn:
        larger = _column_pair(levels)
        larger[:, : side.count] = columns[:, : side.count]
        return larger

    def best_first(
        self, side: native.NativeBookSide, columns: IntColumn, depth: int | None
    ) -> IntColumn:
        return columns[:, : side.count][:, ::-1][:, :depth]


class _Table:
    """Levels in no order, found by their price: for books whose order proves nothing."""

    def holds(self, columns: IntColumn, levels: int) -> bool:
        return 2 * levels <= len(columns[0])

    def moved(self, side: native.NativeBookSide, columns: IntColumn, levels: int) -> IntColumn:
        larger = _column_pair(2 * levels)
        larger[1] = 0
        # Filled by the compiled code itself, as into an empty side.
        empty = native.NativeBook()
        empty.bids.slots = side.slots = 2 * levels
        empty.bids.keys, empty.bids.sizes = map(native.address, larger)
        keys, sizes = columns[:, columns[1] != 0]
        changes, none = (
            SideChanges.joined([BookSide(keys, sizes)]),
            SideChanges.joined([BookSide.of([])]),
        )
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

    def best_first(
        self, side: native.NativeBookSide, columns: IntColumn, depth: int | None
    ) -> IntColumn:
        keys, sizes = columns
        if depth == 1 and side.count:
            # Asked for each order: no list of what is there is made for it.
            best = np.where(sizes != 0, keys, KEY_MIN).argmax()
            return columns[:, best : best + 1]
        slots = np.flatnonzero(sizes)
        if depth is not None and 0 < depth < len(slots):
            # Whoever wants the best few does not pay for the order of all.
            slots = slots[np.argpartition(keys[slots], -depth)[-depth:]]
        return columns[:, slots[np.argsort(-keys[slots])][:depth]]


def new_store(proof: BookConstraints) -> LevelStore:
    if native.library is None:
        return _Plain(proof)
    looks = proof.depth or proof.uncrossed or proof.checksum is not Checksum.NONE
    return _Compiled(proof, _Sorted() if looks else _Table())


def _column_pair(levels: int) -> IntColumn:
    return np.empty((2, levels), dtype=np.int64)
