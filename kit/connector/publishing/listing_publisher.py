"""The STATUS channel: which instruments the venue lists, and changes while the process runs.

Venues do not report changes reliably, so the list is requested again and again, and differences are
published. A subscribed instrument that is no longer listed keeps its subscription while events
arrive, as a list may lack it by mistake. When it is silent too, it is unsubscribed, so that its
connections do not subscribe to it again after a reconnect. When it is listed again, it is
subscribed again.
"""

from collections.abc import Sequence
from itertools import islice

from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.errors import VenuemeshError
from kit.connector.contract.source import SubscriptionSet
from kit.connector.contract.venue import CHANNEL_STATUS
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.instrument_cache import (
    NONE,
    Instrument,
    InstrumentDifference,
    Listed,
    differences,
)
from kit.marketdata.codec import encode

ROWS_MAX = 1_000
"""Rows of one batch."""

_log = telemetry.logger("venue.listing")


class ListingPublisher:
    """Publishes what the venue lists, and what changes about it."""

    def __init__(self, feed_handler: FeedHandler, feed: SubscriptionSet) -> None:
        self.problem = ""
        """Why the list may be outdated; "" when it is not."""
        self._feed_handler = feed_handler
        self._feed = feed
        self._published: Listed = NONE
        self._missing_since_ns: dict[str, int] = {}
        """When a subscribed instrument was first not listed."""
        self._unsubscribed: set[str] = set()

    async def start(self) -> None:
        """Publish all listed instruments. Raises VenueUnavailable, RateLimited."""
        self._published = NONE
        self._update(await self._feed_handler.instruments.all())

    async def run(self, interval_s: float) -> None:
        """Refresh the list at an interval until cancelled."""
        while True:
            await self._feed_handler.clock.sleep(interval_s)
            await self.refresh()

    async def refresh(self) -> None:
        """Request the list and publish what changed. The list before stays when that fails."""
        try:
            listed = await self._feed_handler.instruments.refresh()
        except VenuemeshError as error:
            self._keep(error.message)
        except Exception as error:  # An unreadable list must not end the feed.
            self._keep(f"the list cannot be read: {error!r}")
        else:
            self.problem = ""
            self._update(listed)

    def publish_all(self) -> None:
        """Publish all listed instruments again, for readers that know nothing yet."""
        self._publish(list(differences(NONE, self._published)))

    def _keep(self, why: str) -> None:
        if why != self.problem:
            _log.warning("instruments not refreshed", extra={"detail": why})
        self.problem = f"instruments may have changed: {why}"

    def _update(self, listed: Listed) -> None:
        found = list(differences(self._published, listed))
        self._published = listed
        self._publish(found)
        subscriptions = self._feed_handler.subscriptions
        for symbol in subscriptions.symbols:
            idle = _why_idle(listed.get(symbol))
            subscriptions.set_idle(symbol, idle)
            if idle == DELISTED:
                self._on_delisted(symbol)
            elif symbol in self._missing_since_ns:
                self._on_listed_again(symbol)

    def _on_delisted(self, symbol: str) -> None:
        if symbol not in self._missing_since_ns:
            self._missing_since_ns[symbol] = self._feed_handler.clock.time_ns()
        elif symbol not in self._unsubscribed and self._is_silent(symbol):
            self._unsubscribed.add(symbol)
            self._feed.remove([symbol])
            self._feed_handler.book_manager.suspend(symbol)
            self._report_loss(symbol, DELISTED)

    def _on_listed_again(self, symbol: str) -> None:
        if symbol in self._unsubscribed or self._is_silent(symbol):
            self._feed.remove([symbol])
            self._report_loss(symbol, "listed again")
            self._feed_handler.book_manager.resume(symbol)
            self._feed.add([symbol])
        self._unsubscribed.discard(symbol)
        del self._missing_since_ns[symbol]

    def _report_loss(self, symbol: str, reason: str) -> None:
        self._feed_handler.pipeline.flush()
        channels = self._feed_handler.subscriptions.channels
        self._feed_handler.row_publisher.on_connection_lost([symbol], channels, reason)

    def _is_silent(self, symbol: str) -> bool:
        """Whether no event has come since it is not listed."""
        subscriptions = self._feed_handler.subscriptions
        newest = (
            subscriptions.received_time_ns(symbol, channel)
            for channel in subscriptions.channels
            if channel != CHANNEL_STATUS
        )
        return max(newest, default=0) < self._missing_since_ns[symbol]

    def _publish(self, found: Sequence[InstrumentDifference]) -> None:
        rows = iter(found)
        while some := list(islice(rows, ROWS_MAX)):
            draft = encode.statuses(
                [one.instrument for one in some],
                [one.change for one in some],
                self._feed_handler.clock.time_ns(),
            )
            self._feed_handler.subscriptions.count_published(CHANNEL_STATUS, draft)
            self._feed_handler.hub.publish(CHANNEL_STATUS, draft)


DELISTED, HALTED = "delisted", "halted"


def _why_idle(instrument: Instrument | None) -> str:
    if instrument is None or instrument.status == types_pb2.INSTRUMENT_STATUS_DELISTED:
        return DELISTED
    return HALTED if instrument.status == types_pb2.INSTRUMENT_STATUS_HALTED else ""
