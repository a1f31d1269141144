"""Starts epochs of a hub, at the start of a process and while it runs."""

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.connector.host.epoch_file import EpochFile
from kit.connector.host.listing_publisher import ListingPublisher
from kit.connector.host.venue_host import VenueHost

AHEAD_MAX_MS = 24 * 60 * 60 * 1000
"""An epoch so far ahead of the clock is not believed."""


class EpochManager:
    """Starts epochs: each begins with a gap in all channels, the listing, and whole books."""

    def __init__(self, host: VenueHost, listing: ListingPublisher, epochs: EpochFile) -> None:
        self._host = host
        self._listing = listing
        self._epochs = epochs

    def report_restart(self, ended_epoch: int) -> None:
        """Publish a gap on every channel: the epoch before has ended."""
        detail = f"epoch {ended_epoch} ended"
        for channel in self._host.subscriptions.channels:
            self._host.row_publisher.report_gap("", channel, types_pb2.GAP_REASON_RESTART, detail)

    def on_stream_epoch(self, epoch: int) -> None:
        """Start a newer epoch when the streams hold a newer one than ours: our clock or our epoch
        file is behind, and Redis would refuse everything that we publish."""
        now_ms = self._host.clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        current = self._host.hub.epoch
        if current < epoch < max(now_ms, current) + AHEAD_MAX_MS:
            self.start_above(epoch)

    def start_above(self, epoch: int) -> None:
        """Start an epoch that is larger than this one."""
        host = self._host
        ended = host.hub.epoch
        host.pipeline.flush()
        host.hub.start_epoch(self._epochs.next(host.clock, above=epoch))
        self.report_restart(ended)
        self._listing.publish_all()
        books = host.book_manager
        reason = types_pb2.GAP_REASON_RESTART
        books.mark_in_doubt([*books.books], reason, host.clock.time_ns(), "a new epoch")
        books.snapshot_wanted.set()
