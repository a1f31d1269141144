"""Whole books now and then, so that a book of any moment can be rebuilt from little.

Nothing about the book changes by it: the snapshot has the book's own epoch and last update id, and
a reader who replaces its book by it has the same one.
"""

from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.connector.books.batch_builder import BookBatchBuilder, Publish
from kit.connector.books.book_events import UpdateEvent
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.host.frame_pipeline import FramePipeline

PAUSE_S_MAX = 1.0
PAUSE_S_MIN = 0.02
HELD_BACK_NS = 5_000_000_000
"""Frames of a second connection are held for a few seconds and may come in between later, with the
times at which they were received. A snapshot of a quiet book is dated back behind all of them."""


class _Told(NamedTuple):
    """When the last snapshot of a book was told, and of which epoch of the book."""

    epoch: int
    at_ns: int


class BookSnapshots:
    """Tells each book anew when its last snapshot is older than an interval, one at a time."""

    def __init__(
        self, pipeline: FramePipeline, publish: Publish, interval_s: float, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._publish = publish
        self._interval_ns = int(interval_s * NANOSECONDS_PER_SECOND)
        self._clock = clock
        self._told: dict[str, _Told] = {}

    async def run(self) -> None:
        """Endless."""
        while True:
            await self._clock.sleep(self._pause_s())
            self.look()

    def look(self) -> None:
        """Tell the one whose snapshot is the oldest, if it is old enough."""
        now_ns = self._clock.monotonic_ns()
        books = self._pipeline.book_manager.books
        self._told = {symbol: told for symbol, told in self._told.items() if symbol in books}
        proven = [book for book in books.values() if book.state is BookState.SYNCHRONIZED]
        for book in proven:
            told = self._told.get(book.symbol)
            if told is None or told.epoch != book.epoch:
                # A new epoch begins with a snapshot.
                self._told[book.symbol] = _Told(book.epoch, now_ns)
        oldest = min(proven, key=lambda book: self._told[book.symbol].at_ns, default=None)
        if oldest and now_ns - self._told[oldest.symbol].at_ns >= self._interval_ns:
            self._tell(oldest, now_ns)

    def _tell(self, book: SynchronizedBook, now_ns: int) -> None:
        # What was received before comes before it in the stream, too.
        self._pipeline.flush()
        if book.state is BookState.SYNCHRONIZED:
            received_ns = max(book.received_time_ns, self._clock.time_ns() - HELD_BACK_NS)
            whole = book.snapshot()._replace(received_time_ns=received_ns)
            pen = BookBatchBuilder(self._publish)
            pen.take(book, [UpdateEvent(whole, snapshot=True, epoch=book.epoch)])
            pen.publish()
            self._told[book.symbol] = _Told(book.epoch, now_ns)

    def _pause_s(self) -> float:
        """Half of what all books would take, one after another."""
        count = max(1, len(self._pipeline.book_manager.books))
        fair_s = self._interval_ns / NANOSECONDS_PER_SECOND / count / 2
        return min(max(fair_s, PAUSE_S_MIN), PAUSE_S_MAX)
