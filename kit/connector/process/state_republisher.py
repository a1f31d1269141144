"""Everything as it is now, for readers who go on here after another process of the venue."""

from collections.abc import Iterable

from venuemesh.common.v1 import types_pb2

from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.connector.books.batch_builder import BookBatchBuilder
from kit.connector.books.book_events import GapEvent, UpdateEvent
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.host.hub import Hub
from kit.connector.host.listing_publisher import ListingPublisher
from kit.marketdata.codec.encode import BatchDraft

LEVELS_MAX = 20_000
"""Of one batch, or one book."""


class StateRepublisher:
    """Tells whole books, and all that is listed."""

    def __init__(
        self, book_manager: BookManager, hub: Hub, listing: ListingPublisher, clock: Clock
    ) -> None:
        self._bookkeeper = book_manager
        self._hub = hub
        self._listing = listing
        self._clock = clock

    def tell(self, channels: Iterable[Channel]) -> None:
        """All of it. A book that is in doubt is a gap, as readers may have a better one. Of the
        other channels at least a batch without rows comes at once, so that all go on together."""
        self._listing.tell_all()
        for channel in channels:
            if channel in self._hub.twin_cursors:
                self._hub.publish(channel, BatchDraft())
        self._tell_books()

    def _tell_books(self) -> None:
        books = self._bookkeeper.books.values()
        pen = BookBatchBuilder(lambda draft: self._hub.publish(types_pb2.CHANNEL_BOOK, draft))
        for book in books:
            if book.state is not BookState.SYNCHRONIZED:
                pen.take(book, [self._doubted(book)])
        levels = 0
        for book in books:
            if book.state is BookState.SYNCHRONIZED:
                pen.take(book, [UpdateEvent(book.snapshot(), snapshot=True, epoch=book.epoch)])
                levels += book.book.level_count()
            if levels > LEVELS_MAX:
                pen.publish()
                levels = 0
        pen.publish()

    def _doubted(self, book: SynchronizedBook) -> GapEvent:
        return GapEvent(
            types_pb2.Gap(
                symbol=book.symbol,
                reason=types_pb2.GAP_REASON_RECONNECT,
                last_id_before=book.last_sequence,
                last_time_ns=book.venue_time_ns,
                detected_time_ns=self._clock.time_ns(),
                detail="in doubt where the stream goes on with the other process",
            )
        )
