"""The parts of a venue process between its feed and its services."""

from collections.abc import Iterable
from dataclasses import dataclass

from kit.base.clock import Clock
from kit.base.telemetry import Meter
from kit.connector.books.book_manager import BookManager
from kit.connector.contract.venue import Venue
from kit.connector.publishing.frame_pipeline import FramePipeline
from kit.connector.publishing.hub import RING_BYTES_MAX, Hub
from kit.connector.publishing.instrument_cache import InstrumentCache
from kit.connector.publishing.row_publisher import RowPublisher
from kit.connector.subscriptions import VenueSubscriptions
from kit.connector.trades.trade_sequencer import TradeSequencer


@dataclass(frozen=True, slots=True)
class FeedHandler:
    """A feed adds frames or rows, services read the hub and the books."""

    venue: Venue
    meter: Meter
    clock: Clock
    hub: Hub
    row_publisher: RowPublisher
    pipeline: FramePipeline
    instruments: InstrumentCache

    @classmethod
    def of(
        cls,
        venue: Venue,
        meter: Meter,
        clock: Clock,
        epoch: int = 1,
        ring_bytes_max: int = RING_BYTES_MAX,
    ) -> "FeedHandler":
        """The parts of one venue, subscribed to nothing yet; ``epoch`` is the first of its hub."""
        hub = Hub(venue.venue_id, epoch, clock, meter, ring_bytes_max)
        rows = RowPublisher(venue, hub, VenueSubscriptions(venue.channels), meter, clock)
        instruments = InstrumentCache(venue.venue_id, venue.history)
        return cls(venue, meter, clock, hub, rows, FramePipeline(venue, rows), instruments)

    @property
    def subscriptions(self) -> VenueSubscriptions:
        """What is subscribed to, with figures."""
        return self.row_publisher.subscriptions

    @property
    def book_manager(self) -> BookManager:
        """The books of all subscribed instruments."""
        return self.row_publisher.book_manager

    @property
    def trade_sequencer(self) -> TradeSequencer:
        """The trades that wait for missing ones before them."""
        return self.row_publisher.trade_sequencer

    def subscribe(self, symbols: Iterable[str]) -> None:
        """Publish rows of these instruments from now on, and keep their books."""
        added = list(symbols)
        self.subscriptions.add(added)
        self.book_manager.add(added)

    def unsubscribe(self, symbols: Iterable[str]) -> None:
        """Publish what was received, and nothing of these instruments afterwards."""
        removed = list(symbols)
        self.pipeline.flush()
        self.subscriptions.remove(removed)
        self.book_manager.remove(removed)
