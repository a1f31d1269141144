"""Publishes an empty batch on each quiet channel, so that its readers know the time."""

from collections.abc import Callable

from kit.connector.contract.source import Feed
from kit.connector.contract.venue import CHANNEL_STATUS
from kit.connector.process.first_updates import FirstUpdateMonitor
from kit.connector.process.peer_replica import PeerReplica
from kit.connector.process.replay_monitor import ReplayMonitor
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.listing_publisher import ListingPublisher
from kit.marketdata.codec.encode import BatchDraft

CHECKPOINT_INTERVAL_S = 1.0


class CheckpointPublisher:
    """Publishes checkpoints, and reports the state of the process, once a second."""

    def __init__(
        self,
        feed_handler: FeedHandler,
        feed: Feed,
        listing: ListingPublisher,
        replica: PeerReplica,
        replay: ReplayMonitor | None,
        account_problem: Callable[[], str],
    ) -> None:
        """``replay`` is the status of the capture in the world replay, ``account_problem`` says
        what is wrong with orders that are held here."""
        self._feed_handler = feed_handler
        self._feed = feed
        self._listing = listing
        self._replica = replica
        self._replay = replay
        self._account_problem = account_problem
        self._first_updates = FirstUpdateMonitor(feed_handler.book_manager, feed_handler.clock)
        self._published = dict.fromkeys(feed_handler.subscriptions.channels, 0)
        """The sequence of each channel at the last look."""
        feed_handler.meter.gauge(
            "books_in_doubt", "Books that wait for a snapshot or an update"
        ).set_function(feed_handler.book_manager.in_doubt_count)

    async def run(self) -> None:
        """Publish and report until cancelled."""
        while True:
            await self._feed_handler.clock.sleep(CHECKPOINT_INTERVAL_S)
            self._first_updates.look()
            self._report_state()
            self._publish()

    def _publish(self) -> None:
        hub = self._feed_handler.hub
        for channel in self._published:
            cursor = hub.cursor(channel)
            # A peer replica needs to know that this process lives, connected or not.
            is_watched = self._replica.is_known and channel == CHANNEL_STATUS
            is_quiet = cursor.sequence == self._published[channel]
            if is_quiet and (self._feed.connected or is_watched):
                cursor = hub.publish(channel, BatchDraft())
            self._published[channel] = cursor.sequence

    def _report_state(self) -> None:
        feed_handler, meter = self._feed_handler, self._feed_handler.meter
        meter.counters["dropped_rows_total"] = feed_handler.row_publisher.dropped_total()
        if feed_handler.subscriptions.symbols and not self._feed.connected:
            meter.degraded("no connection to the venue")
        elif self._listing.problem:
            meter.degraded(self._listing.problem)
        elif self._replay is not None and self._replay.problem:
            meter.degraded(self._replay.problem)
        elif problem := self._account_problem():
            meter.degraded(problem)
        elif self._feed.connected:
            meter.serving()
