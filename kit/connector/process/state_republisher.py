"""Publishes the whole current state, for readers that continue here after another process."""

from collections.abc import Iterable

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.books.batch_builder import BookBatchBuilder
from kit.connector.books.book_events import GapEvent, UpdateEvent
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.listing_publisher import ListingPublisher
from kit.marketdata.codec.encode import BatchDraft

LEVELS_MAX = 20_000
"""Levels of one batch, unless a single book has more."""


class StateRepublisher:
    """Publishes whole books and the listing."""

    def __init__(self, feed_handler: FeedHandler, listing: ListingPublisher) -> None:
        self._feed_handler = feed_handler
        self._listing = listing

    def publish(self, channels: Iterable[Channel]) -> None:
        """Publish the state of these channels. A book in doubt is a gap, as readers may have a
        better one. Each of the other channels gets at least an empty batch at once, so that readers
        continue on all channels together."""
        self._listing.publish_all()
        for channel in channels:
            if channel in self._feed_handler.hub.replica_cursors:
                self._feed_handler.hub.publish(channel, BatchDraft())
        self._publish_books()

    def _publish_books(self) -> None:
        hub = self._feed_handler.hub
        books = self._feed_handler.book_manager.books.values()
        builder = BookBatchBuilder(lambda draft: hub.publish(types_pb2.CHANNEL_BOOK, draft))
        for book in books:
            if book.state is not BookState.SYNCHRONIZED:
                builder.take(book, [self._doubted(book)])
        levels = 0
        for book in books:
            if book.state is BookState.SYNCHRONIZED:
                builder.take(book, [UpdateEvent(book.snapshot(), snapshot=True, epoch=book.epoch)])
                levels += book.book.level_count()
            if levels > LEVELS_MAX:
                builder.publish()
                levels = 0
        builder.publish()

    def _doubted(self, book: SynchronizedBook) -> GapEvent:
        return GapEvent(
            types_pb2.Gap(
                symbol=book.symbol,
                reason=types_pb2.GAP_REASON_RECONNECT,
                last_id_before=book.last_sequence,
                last_time_ns=book.venue_time_ns,
                detected_time_ns=self._feed_handler.clock.time_ns(),
                detail="in doubt where the stream continues with the other process",
            )
        )
