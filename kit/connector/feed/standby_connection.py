"""A new connection beside the one that it will replace.

Until it takes over, nothing that it brings is published. A pipeline of its own reads its frames, so
that its books become whole and it is known which subscriptions flow; its newest frames are held.
It takes over when it has brought everything that the old connection brought meanwhile: the old one
is no longer read, the held frames are handled, and rows that the old one had brought are dropped.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Channel
from kit.base.telemetry import Meter
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import FeedProtocol, SnapshotSource, Venue
from kit.connector.host.frame_pipeline import FramePipeline, Heard, Source
from kit.connector.subscriptions import Subscriptions
from kit.marketdata.codec.encode import BatchDraft

LISTEN_S = 2.0
"""Both are heard for at least so long after the new one has subscribed to everything."""
SETTLE_S = 1.0
"""So long a subscription may take until it flows."""
PATIENCE_S = 20.0
"""What the new one has not brought after so long is not waited for."""
HELD_S = 2.0
"""The old one may be later than the new one by so much."""
HELD_FRAMES_MAX = 100_000


class _Nowhere:
    """Takes what is not published."""

    def publish(self, channel: Channel, draft: BatchDraft) -> None:
        """Nothing."""


class StandbyConnection:
    """What one opening of a new connection has brought so far."""

    def __init__(
        self, venue: Venue, wire: FeedProtocol, symbols: Sequence[str], clock: Clock
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._books_come = (
            types_pb2.CHANNEL_BOOK in wire.channels and venue.book.snapshots is SnapshotSource.FEED
        )
        self._pipeline = FramePipeline(
            venue, _Nowhere(), Subscriptions(wire.channels), Meter(venue.venue_id), clock
        )
        self._held: deque[Heard] = deque()
        self._held_count = 0
        self._subscribed_ns = 0
        self.add(symbols)

    def add(self, symbols: Iterable[str]) -> None:
        """These are subscribed to as well."""
        names = list(symbols)
        self._pipeline.subscriptions.add(names)
        self._pipeline.book_manager.add(names)

    def frames(self, payloads: list[bytes], received_time_ns: int, source: Source) -> None:
        """Messages that were read together."""
        self._pipeline.frames(payloads, received_time_ns, self._wire, source)
        self._held.append(Heard(payloads, received_time_ns, source))
        self._held_count += len(payloads)
        oldest_ns = received_time_ns - HELD_S * NANOSECONDS_PER_SECOND
        while self._held[0].received_time_ns < oldest_ns or self._held_count > HELD_FRAMES_MAX:
            self._held_count -= len(self._held.popleft().payloads)

    def subscribed(self) -> None:
        """All subscriptions have been asked for. Only the first time counts."""
        self._subscribed_ns = self._subscribed_ns or self._clock.time_ns()

    def is_ready(self, shown: FramePipeline, symbols: Sequence[str]) -> bool:
        """Whether it can do what the one does that ``shown`` hears."""
        passed_s = (self._clock.time_ns() - self._subscribed_ns) / NANOSECONDS_PER_SECOND
        if not self._subscribed_ns or passed_s < LISTEN_S:
            return False
        if passed_s > PATIENCE_S:
            return True
        shown.flush()
        self._pipeline.flush()
        return all(self._flows(shown, symbol) for symbol in symbols)

    def take_over(self, shown: FramePipeline) -> None:
        """Go on in ``shown`` with what was heard here. Nothing of the old connection may come to it
        after this."""
        self._pipeline.flush()
        books = self._pipeline.book_manager if self._books_come else None
        shown.take_over(self._wire, self._held, books)

    def _flows(self, shown: FramePipeline, symbol: str) -> bool:
        since_ns = self._subscribed_ns + int(SETTLE_S * NANOSECONDS_PER_SECOND)
        silent = [
            channel
            for channel in self._wire.channels
            if shown.subscriptions.received_time_ns(symbol, channel) > since_ns
            and not self._has_brought(symbol, channel)
        ]
        if silent or not self._books_come:
            return not silent
        proven = shown.book_manager.books[symbol].state is BookState.SYNCHRONIZED
        return (
            not proven or self._pipeline.book_manager.books[symbol].state is BookState.SYNCHRONIZED
        )

    def _has_brought(self, symbol: str, channel: Channel) -> bool:
        if self._pipeline.subscriptions.received_time_ns(symbol, channel):
            return True
        # Without a snapshot, for which nobody asks here, updates are only held.
        is_book = channel == types_pb2.CHANNEL_BOOK
        return is_book and self._pipeline.book_manager.books[symbol].held_count > 0
