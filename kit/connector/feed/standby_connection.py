"""A new connection beside the one that it will replace.

Until it takes over, nothing that it brings is published. A pipeline of its own reads its frames, so
that its books become whole and it is known which subscriptions deliver; its newest frames are held.
It takes over when it has brought everything that the old connection brought meanwhile: the old one
is no longer read, the held frames are handled, and rows that the old one had brought are dropped.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import Channel
from kit.base.telemetry import Meter
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import FeedProtocol, SnapshotSource
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.frame_pipeline import FramePipeline, FrameSource, ReceivedFrames
from kit.connector.publishing.row_publisher import RowPublisher
from kit.connector.subscriptions import VenueSubscriptions
from kit.marketdata.codec.encode import BatchDraft

COMPARE_S_MIN = 2.0
"""Both connections are compared for at least so long after the new one has subscribed."""
SUBSCRIBE_S_MAX = 1.0
"""So long a subscription may take until it delivers."""
COMPARE_S_MAX = 20.0
"""What the new connection has not brought after so long is not waited for."""
HELD_S = 2.0
"""The old connection may be behind the new one by so much."""
HELD_FRAMES_MAX = 100_000


class _NullSink:
    """Publishes nothing."""

    def publish(self, channel: Channel, draft: BatchDraft) -> None:
        pass


class StandbyConnection:
    """What one opening of a new connection has brought so far."""

    def __init__(
        self, feed_handler: FeedHandler, protocol: FeedProtocol, symbols: Sequence[str]
    ) -> None:
        venue = feed_handler.venue
        self._feed_handler = feed_handler
        self._protocol = protocol
        self._clock = feed_handler.clock
        self._feed_sends_books = (
            types_pb2.CHANNEL_BOOK in protocol.channels
            and venue.book.snapshots is SnapshotSource.FEED
        )
        self._subscriptions = VenueSubscriptions(protocol.channels)
        publisher = RowPublisher(
            venue, _NullSink(), self._subscriptions, Meter(venue.venue_id), feed_handler.clock
        )
        self._book_manager = publisher.book_manager
        self._pipeline = FramePipeline(venue, publisher)
        self._buffer = self._pipeline.buffer(protocol)
        self._held: deque[ReceivedFrames] = deque()
        self._held_count = 0
        self._subscribed_ns = 0
        self.subscribe(symbols)

    def subscribe(self, symbols: Iterable[str]) -> None:
        """The connection subscribes to these instruments too."""
        names = list(symbols)
        self._subscriptions.add(names)
        self._book_manager.add(names)

    def add(self, payloads: list[bytes], received_time_ns: int, source: FrameSource) -> None:
        """Add messages that were read together."""
        self._buffer.add(payloads, received_time_ns, source)
        self._held.append(ReceivedFrames(payloads, received_time_ns, source))
        self._held_count += len(payloads)
        oldest_ns = received_time_ns - HELD_S * NANOSECONDS_PER_SECOND
        while self._held[0].received_time_ns < oldest_ns or self._held_count > HELD_FRAMES_MAX:
            self._held_count -= len(self._held.popleft().payloads)

    def on_subscribed(self) -> None:
        """All subscriptions have been requested. Later calls have no effect."""
        self._subscribed_ns = self._subscribed_ns or self._clock.time_ns()

    def is_ready(self, symbols: Sequence[str]) -> bool:
        """Whether it brings all that the current connection brings."""
        passed_s = (self._clock.time_ns() - self._subscribed_ns) / NANOSECONDS_PER_SECOND
        if not self._subscribed_ns or passed_s < COMPARE_S_MIN:
            return False
        if passed_s > COMPARE_S_MAX:
            return True
        self._feed_handler.pipeline.flush()
        self._pipeline.flush()
        return all(self._delivers(symbol) for symbol in symbols)

    def take_over(self) -> None:
        """Publish from now on what this connection brings. The old one must bring nothing more."""
        self._pipeline.flush()
        books = self._book_manager if self._feed_sends_books else None
        self._feed_handler.pipeline.take_over(self._protocol, self._held, books)

    def _delivers(self, symbol: str) -> bool:
        """Whether all channels have come here on which the current connection has brought events
        meanwhile."""
        since_ns = self._subscribed_ns + int(SUBSCRIBE_S_MAX * NANOSECONDS_PER_SECOND)
        current = self._feed_handler.subscriptions
        silent = [
            channel
            for channel in self._protocol.channels
            if current.received_time_ns(symbol, channel) > since_ns
            and not self._has_brought(symbol, channel)
        ]
        if silent or not self._feed_sends_books:
            return not silent
        is_proven = self._feed_handler.book_manager.books[symbol].state is BookState.SYNCHRONIZED
        return not is_proven or self._book_manager.books[symbol].state is BookState.SYNCHRONIZED

    def _has_brought(self, symbol: str, channel: Channel) -> bool:
        if self._subscriptions.received_time_ns(symbol, channel):
            return True
        # Nobody requests a REST snapshot for these books, so their updates are only held.
        is_book = channel == types_pb2.CHANNEL_BOOK
        return is_book and len(self._book_manager.books[symbol].held) > 0
