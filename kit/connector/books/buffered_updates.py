"""Updates of one book that wait for a snapshot or for a missing update."""

from collections.abc import Iterator

import numpy as np

from kit.connector.books.book_events import VenueBookUpdate
from kit.connector.contract.venue import SequenceResult, SequenceRule, UpdateOrdering
from kit.marketdata.book.levels import BookSide

HELD_UPDATES_MAX = 50_000


class BufferedUpdates:
    """The updates in the order in which they came."""

    def __init__(self, rule: SequenceRule) -> None:
        self._rule = rule
        self._updates: list[VenueBookUpdate] = []

    def __len__(self) -> int:
        return len(self._updates)

    def __iter__(self) -> Iterator[VenueBookUpdate]:
        return iter(self._updates)

    @property
    def first(self) -> VenueBookUpdate:
        """The oldest. Raises IndexError when there is none."""
        return self._updates[0]

    def add(self, update: VenueBookUpdate) -> None:
        """Keep an update. When there are too many, drop the oldest: a snapshot to come is newer.
        Where time orders updates and goes back, drop all of them and this one too: a snapshot must
        then be of a later time."""
        if self._rule.ordering is UpdateOrdering.TIME and self._updates:
            newest = self._updates[-1].numbers.last
            if self._rule.after_update(newest, update.numbers) is SequenceResult.GAP:
                self._updates.clear()
                return
        self._updates.append(update)
        if len(self._updates) > HELD_UPDATES_MAX:
            del self._updates[: HELD_UPDATES_MAX // 2]

    def clear(self) -> None:
        self._updates.clear()

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

    def show_all_since(self, last: int) -> bool:
        """Whether no update after a snapshot of ``last`` can be missing unnoticed. Where numbers do
        not show a missing update, the snapshot must contain the first held update: then all updates
        after the snapshot came over the connection that stands now."""
        if self._rule.ordering is UpdateOrdering.SEQUENCE:
            return True
        return bool(self._updates) and self.first.numbers.last <= last

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


def _times(side: BookSide, price_factor: np.int64, size_factor: np.int64) -> BookSide:
    return BookSide(side.price * price_factor, side.size * size_factor)
