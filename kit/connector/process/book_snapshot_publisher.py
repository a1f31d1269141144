"""Publishes whole books at an interval, so that a book of any moment can be rebuilt quickly.

A snapshot changes nothing: it has the epoch and last update id of the book, and a reader that
replaces its book with it has the same book.
"""

from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.books.batch_builder import BookBatchBuilder, Publish
from kit.connector.books.book_events import UpdateEvent
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.publishing.feed_handler import FeedHandler

PAUSE_S_MAX = 1.0
PAUSE_S_MIN = 0.02
HELD_BACK_NS = 5_000_000_000
"""Frames of a standby connection are held for a few seconds and may be published later, with their
receive times. The snapshot of a quiet book is dated back by as much: times must not step back."""


class _Snapshot(NamedTuple):
    """The last snapshot of a book: the epoch of the book, and when it was published."""

    epoch: int
    at_ns: int


class BookSnapshotPublisher:
    """Publishes each book when its last snapshot is older than an interval, one at a time."""

    def __init__(self, feed_handler: FeedHandler, publish: Publish, interval_s: float) -> None:
        self._feed_handler = feed_handler
        self._publish = publish
        self._interval_ns = int(interval_s * NANOSECONDS_PER_SECOND)
        self._clock = feed_handler.clock
        self._last: dict[str, _Snapshot] = {}

    async def run(self) -> None:
        while True:
            await self._clock.sleep(self._pause_s())
            self.look()

    def look(self) -> None:
        """Publish the book with the oldest snapshot, if that is old enough."""
        now_ns = self._clock.monotonic_ns()
        books = self._feed_handler.book_manager.books
        self._last = {symbol: last for symbol, last in self._last.items() if symbol in books}
        proven = [book for book in books.values() if book.state is BookState.SYNCHRONIZED]
        for book in proven:
            last = self._last.get(book.symbol)
            if last is None or last.epoch != book.epoch:
                # A new epoch begins with a snapshot.
                self._last[book.symbol] = _Snapshot(book.epoch, now_ns)
        oldest = min(proven, key=lambda book: self._last[book.symbol].at_ns, default=None)
        if oldest and now_ns - self._last[oldest.symbol].at_ns >= self._interval_ns:
            self._publish_snapshot(oldest, now_ns)

    def _publish_snapshot(self, book: SynchronizedBook, now_ns: int) -> None:
        # Publish frames that were received earlier first.
        self._feed_handler.pipeline.flush()
        if book.state is BookState.SYNCHRONIZED:
            received_ns = max(book.received_time_ns, self._clock.time_ns() - HELD_BACK_NS)
            whole = book.snapshot()._replace(received_time_ns=received_ns)
            builder = BookBatchBuilder(self._publish)
            builder.take(book, [UpdateEvent(whole, snapshot=True, epoch=book.epoch)])
            builder.publish()
            self._last[book.symbol] = _Snapshot(book.epoch, now_ns)

    def _pause_s(self) -> float:
        """Half of what all books would take, one after another."""
        count = max(1, len(self._feed_handler.book_manager.books))
        fair_s = self._interval_ns / NANOSECONDS_PER_SECOND / count / 2
        return min(max(fair_s, PAUSE_S_MIN), PAUSE_S_MAX)
