"""What readers are told when a process begins, or an epoch of it."""

from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.connector.host.epoch_file import EpochFile
from kit.connector.host.frame_pipeline import FramePipeline
from kit.connector.host.hub import Hub
from kit.connector.host.listing_publisher import ListingPublisher

AHEAD_MAX_MS = 24 * 60 * 60 * 1000
"""An epoch of a later time than that was never ours."""


class EpochManager:
    """Begins epochs: gaps in all channels, all that is listed, and whole books."""

    def __init__(
        self,
        hub: Hub,
        pipeline: FramePipeline,
        listing: ListingPublisher,
        epochs: EpochFile,
        clock: Clock,
    ) -> None:
        self._hub = hub
        self._pipeline = pipeline
        self._listing = listing
        self._epochs = epochs
        self._clock = clock

    def after(self, epoch: int) -> None:
        """The epoch before has ended with what is missing now."""
        detail = f"epoch {epoch} ended"
        self._pipeline.restarted(self._pipeline.subscriptions.channels, detail)

    def seen(self, epoch: int) -> None:
        """Streams that hold a newer epoch than ours prove that our clock or our memory of epochs is
        behind; without a newer one Redis would refuse everything that we publish."""
        now_ms = self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        if self._hub.epoch < epoch < max(now_ms, self._hub.epoch) + AHEAD_MAX_MS:
            self.anew(epoch)

    def anew(self, above: int) -> None:
        """Begin an epoch above this one."""
        before = self._hub.epoch
        self._pipeline.flush()
        self._hub.start_epoch(self._epochs.next(self._clock, above=above))
        self.after(before)
        self._listing.tell_all()
        book_manager = self._pipeline.book_manager
        reason = types_pb2.GAP_REASON_RESTART
        detail = "a new epoch"
        book_manager.mark_in_doubt([*book_manager.books], reason, self._clock.time_ns(), detail)
        book_manager.snapshot_wanted.set()
