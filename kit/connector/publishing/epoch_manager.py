"""Starts epochs of a hub, at the start of a process and while it runs."""

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.connector.publishing.epoch_file import EpochFile
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.listing_publisher import ListingPublisher

AHEAD_MAX_MS = 24 * 60 * 60 * 1000
"""An epoch so far ahead of the clock is not believed."""


class EpochManager:
    """Starts epochs: each begins with a gap in all channels, the listing, and whole books."""

    def __init__(
        self, feed_handler: FeedHandler, listing: ListingPublisher, epochs: EpochFile
    ) -> None:
        self._feed_handler = feed_handler
        self._listing = listing
        self._epochs = epochs

    def report_restart(self, ended_epoch: int) -> None:
        """Publish a gap on every channel: the epoch before has ended."""
        detail = f"epoch {ended_epoch} ended"
        for channel in self._feed_handler.subscriptions.channels:
            self._feed_handler.row_publisher.report_gap(
                "", channel, types_pb2.GAP_REASON_RESTART, detail
            )

    def on_stream_epoch(self, epoch: int) -> None:
        """Start a newer epoch when the streams hold a newer one than ours: our clock or our epoch
        file is behind, and Redis would refuse everything that we publish."""
        now_ms = self._feed_handler.clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        current = self._feed_handler.hub.epoch
        if current < epoch < max(now_ms, current) + AHEAD_MAX_MS:
            self.start_above(epoch)

    def start_above(self, epoch: int) -> None:
        """Start an epoch that is larger than this one."""
        feed_handler = self._feed_handler
        ended = feed_handler.hub.epoch
        feed_handler.pipeline.flush()
        feed_handler.hub.start_epoch(self._epochs.next(feed_handler.clock, above=epoch))
        self.report_restart(ended)
        self._listing.publish_all()
        books = feed_handler.book_manager
        reason = types_pb2.GAP_REASON_RESTART
        books.mark_in_doubt([*books.books], reason, feed_handler.clock.time_ns(), "a new epoch")
        books.snapshot_wanted.set()
