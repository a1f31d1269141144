"""Publishes an empty batch on each quiet channel, so that its readers know the time."""

from kit.connector.contract.source import Feed
from kit.connector.contract.venue import CHANNEL_STATUS
from kit.connector.host.listing_publisher import ListingPublisher
from kit.connector.host.venue_host import VenueHost
from kit.connector.process.first_updates import FirstUpdateMonitor
from kit.connector.process.peer_replica import PeerReplica
from kit.connector.process.replay_status import ReplayStatus
from kit.marketdata.codec.encode import BatchDraft

CHECKPOINT_INTERVAL_S = 1.0


class CheckpointPublisher:
    """Publishes checkpoints, and reports the state of the process, once a second."""

    def __init__(
        self,
        host: VenueHost,
        feed: Feed,
        listing: ListingPublisher,
        replica: PeerReplica,
        replay: ReplayStatus | None,
    ) -> None:
        """``replay`` is the status of the tape in the world replay."""
        self._host = host
        self._feed = feed
        self._listing = listing
        self._replica = replica
        self._replay = replay
        self._first_updates = FirstUpdateMonitor(host.book_manager, host.clock)
        self._published = dict.fromkeys(host.subscriptions.channels, 0)
        """The sequence of each channel at the last look."""
        host.meter.gauge(
            "books_in_doubt", "Books that wait for a snapshot or an update"
        ).set_function(host.book_manager.in_doubt_count)

    async def run(self) -> None:
        """Publish and report until cancelled."""
        while True:
            await self._host.clock.sleep(CHECKPOINT_INTERVAL_S)
            self._first_updates.look()
            self._report_state()
            self._publish()

    def _publish(self) -> None:
        hub = self._host.hub
        for channel in self._published:
            cursor = hub.cursor(channel)
            # A peer replica needs to know that this process lives, connected or not.
            is_watched = self._replica.is_known and channel == CHANNEL_STATUS
            is_quiet = cursor.sequence == self._published[channel]
            if is_quiet and (self._feed.connected or is_watched):
                cursor = hub.publish(channel, BatchDraft())
            self._published[channel] = cursor.sequence

    def _report_state(self) -> None:
        host, meter = self._host, self._host.meter
        meter.counters["dropped_rows_total"] = host.row_publisher.dropped_total()
        if host.subscriptions.symbols and not self._feed.connected:
            meter.degraded("no connection to the venue")
        elif self._listing.problem:
            meter.degraded(self._listing.problem)
        elif self._replay is not None and self._replay.problem:
            meter.degraded(self._replay.problem)
        elif self._feed.connected:
            meter.serving()
