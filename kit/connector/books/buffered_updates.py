"""Updates of one book that wait for a snapshot or for a missing update.

Where time orders updates, a REST snapshot waits as well, until an update of its own time or of a
later one has come. Then all updates are applied to it, because a venue may state a later time than
that of the content, for example that of the answer. The result is right wherever the content lies
between the first update and the last: sizes are absolute, so an update that the snapshot contains
does no harm.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from kit.connector.books.book_events import VenueBookUpdate
from kit.connector.contract.venue import SequenceResult, SequenceRule, UpdateOrdering
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import BookSide

HELD_UPDATES_MAX = 50_000
JoinedBook: TypeAlias = tuple[VenueBookUpdate, Sequence[VenueBookUpdate]]
"""A whole book, and the updates that follow it."""


class BufferedUpdates:
    """The updates in the order in which they came."""

    def __init__(self, rule: SequenceRule) -> None:
        self._rule = rule
        self._updates: list[VenueBookUpdate] = []
        self._snapshot: VenueBookUpdate | None = None

    def __len__(self) -> int:
        return len(self._updates)

    def __iter__(self) -> Iterator[VenueBookUpdate]:
        return iter(self._updates)

    @property
    def first(self) -> VenueBookUpdate:
        """The oldest. Raises IndexError when there is none."""
        return self._updates[0]

    @property
    def snapshot_waits(self) -> bool:
        """Whether a snapshot waits for the next update."""
        return self._snapshot is not None

    def add(self, update: VenueBookUpdate) -> None:
        """Keep an update. When there are too many, drop the oldest: a snapshot to come is newer.
        Where time orders updates and goes back, drop all of them and this one too: a snapshot must
        then be of a later time."""
        if self._rule.ordering is UpdateOrdering.TIME and self._updates:
            newest = self._updates[-1].numbers.last
            if self._rule.after_update(newest, update.numbers) is SequenceResult.GAP:
                self.clear()
                return
        self._updates.append(update)
        if len(self._updates) > HELD_UPDATES_MAX:
            del self._updates[: HELD_UPDATES_MAX // 2]

    def clear(self) -> None:
        self._updates.clear()
        self._snapshot = None

    def take(self) -> list[VenueBookUpdate]:
        """Remove and return all of them, ordered by their sequence numbers."""
        updates, self._updates = self._updates, []
        return sorted(updates, key=lambda update: update.numbers.first)

    def rescale(self, price_factor: int, size_factor: int) -> None:
        factors = np.int64(price_factor), np.int64(size_factor)
        self._updates = [
            update._replace(bids=_times(update.bids, *factors), asks=_times(update.asks, *factors))
            for update in self._updates
        ]
        if self._snapshot is not None:
            bids, asks = (
                _times(self._snapshot.bids, *factors),
                _times(self._snapshot.asks, *factors),
            )
            self._snapshot = self._snapshot._replace(bids=bids, asks=asks)

    def join(self, snapshot: VenueBookUpdate) -> JoinedBook | None:
        """A REST snapshot and the updates to apply after it; None: updates between may be missing,
        or the snapshot waits. Where numbers do not show a missing update, the snapshot must contain
        the first update: then all updates after it came over the connection that stands now."""
        last, ordering = snapshot.numbers.last, self._rule.ordering
        if ordering is not UpdateOrdering.SEQUENCE and not self._begin_within(last):
            return None
        if ordering is UpdateOrdering.TIME:
            self._snapshot = self._snapshot or snapshot
            return self.join_waiting()
        after = self.after_snapshot(last)
        if after and self._rule.after_snapshot(last, after[0].numbers) is SequenceResult.GAP:
            return None
        return snapshot, after

    def join_waiting(self) -> JoinedBook | None:
        """The book of the snapshot that waits, once the updates have reached its time."""
        if self._snapshot is None or self._updates[-1].numbers.last < self._snapshot.numbers.last:
            return None
        book = Book()
        for update in (self._snapshot, *self._updates):
            book.apply(update.bids, update.asks)
        self._snapshot = None
        bids, asks = BookSide.of(book.bids()), BookSide.of(book.asks())
        return self._updates[-1]._replace(bids=bids, asks=asks), []

    def after_snapshot(self, last: int) -> list[VenueBookUpdate]:
        """The updates that a snapshot of ``last`` does not contain."""
        return [
            update
            for update in sorted(self._updates, key=lambda update: update.numbers.first)
            if self._rule.after_snapshot(last, update.numbers) is not SequenceResult.STALE
        ]

    def run_after_snapshot(self, last: int) -> list[VenueBookUpdate]:
        """The updates that follow a snapshot of the feed without a hole. The others are older than
        the snapshot, when the venue may have numbered otherwise; if they are not, the next update
        shows the hole."""
        run: list[VenueBookUpdate] = []
        for update in self.after_snapshot(last):
            join = self._rule.after_update if run else self._rule.after_snapshot
            result = join(last, update.numbers)
            if result is SequenceResult.GAP:
                break
            if result is SequenceResult.APPLY:
                run.append(update)
                last = update.numbers.last
        return run

    def _begin_within(self, last: int) -> bool:
        """Whether a snapshot of ``last`` contains the first update."""
        return bool(self._updates) and self.first.numbers.last <= last


def _times(side: BookSide, price_factor: np.int64, size_factor: np.int64) -> BookSide:
    return BookSide(side.price * price_factor, side.size * size_factor)
