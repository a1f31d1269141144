"""The process of one venue: makes its parts, and runs them."""

from functools import partial
from pathlib import Path

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base import backoff, settings, telemetry
from kit.base.clock import SystemClock
from kit.base.errors import ProcessDraining, VenuemeshError
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract.source import Feed
from kit.connector.contract.venue import Environment, Venue
from kit.connector.feed.raw_frame_publisher import RawFramePublisher
from kit.connector.feed.staleness import StalenessMonitor
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.process import services
from kit.connector.process.book_snapshot_publisher import BookSnapshotPublisher
from kit.connector.process.book_snapshot_requester import BookSnapshotRequester
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.checkpoints import CheckpointPublisher
from kit.connector.process.market_data import MarketDataServicer
from kit.connector.process.order_accounts import (
    SimulatedCredentials,
    no_credentials,
    venue_accounts,
)
from kit.connector.process.peer_replica import PeerReplica
from kit.connector.process.replay_monitor import ReplayMonitor
from kit.connector.process.settings import VenueSettings
from kit.connector.process.state_republisher import StateRepublisher
from kit.connector.process.trade_backfill import TradeBackfill
from kit.connector.process.venue_controller import VenueController
from kit.connector.process.venue_market_data import VenueMarketData
from kit.connector.publishing.epoch_file import EpochFile
from kit.connector.publishing.epoch_manager import EpochManager
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.hub import UNREAD_SHARE_MAX
from kit.connector.publishing.listing_publisher import ListingPublisher
from kit.execution.settings import OrdersSettings

PRESSURE_CHECK_S = 0.005
ALL_SYMBOLS = "*"

_log = telemetry.logger("venue.app")


def main(
    name: str, port: int = 0, simulated_credentials: SimulatedCredentials = no_credentials
) -> int:
    """Run a venue, on its usual port or another one. Returns the exit code."""
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    venue_id = discovery.venue_id(name)
    own = settings.load(VenueSettings, f"venues.{venue_id}")
    if port:
        own = msgspec.structs.replace(own, port=port)
    orders = settings.load(OrdersSettings, "orders")
    place = Environment(
        mesh.world, mesh.simulator_url, own.options, orders.transport, limits_requests=True
    )
    venue = discovery.require(venue_id)(place)

    async def serve() -> None:
        await VenueProcess(venue, mesh, own, orders, simulated_credentials).run()

    return run_process(own.service_id(venue_id), mesh, serve)


class VenueProcess:
    """Feed, hub and services of one venue."""

    def __init__(
        self,
        venue: Venue,
        mesh: MeshSettings,
        own: VenueSettings,
        orders: OrdersSettings,
        simulated_credentials: SimulatedCredentials = no_credentials,
    ) -> None:
        clock = SystemClock()
        service_id = own.service_id(venue.venue_id)
        identity = ProcessIdentity(service_id, "venue", venue.venue_id, own.port or venue.port)
        self.runtime = Runtime(identity, mesh)
        self._mesh = mesh
        self._own = own
        data_dir = Path(mesh.data_dir)
        epoch_file = EpochFile(data_dir / "epochs" / service_id)
        self._epoch_before = epoch_file.last()
        epoch = epoch_file.next(clock)
        self.feed_handler = FeedHandler.of(
            venue, self.runtime.meter, clock, epoch, own.ring_bytes_max
        )
        self._raw_frames = RawFramePublisher(self.feed_handler.hub) if own.raw_frames else None
        self.feed: Feed = (
            WebsocketFeed(self.feed_handler, raw_frames=self._raw_frames)
            if venue.row_feed is None
            else venue.row_feed.feed(self.feed_handler.row_publisher, clock)
        )
        self.listing = ListingPublisher(self.feed_handler, self.feed)
        self._epochs = EpochManager(self.feed_handler, self.listing, epoch_file)
        self.replica = PeerReplica(
            self.feed_handler, service_id, self._epochs, lambda: self.feed.connected
        )
        self.control = VenueController(self.feed_handler, self.feed, data_dir)
        republisher = StateRepublisher(self.feed_handler, self.listing)
        source = VenueMarketData(self.feed_handler, BookVerifier(self.feed_handler), republisher)
        self.servicer = MarketDataServicer(
            self.feed_handler.hub, self._epochs, source, venue.history
        )
        self._accounts = venue_accounts(self.feed_handler, mesh, own, orders, simulated_credentials)

    async def run(self) -> None:
        runtime, feed_handler = self.runtime, self.feed_handler
        runtime.report_epoch(lambda: feed_handler.hub.epoch)
        services.serve(runtime, self.servicer, self._accounts, self.control)
        runtime.when_draining(self._end)
        self._run_tasks()
        runtime.at_end(feed_handler.venue.history.close)
        await runtime.run()

    def _run_tasks(self) -> None:
        runtime, feed_handler, own = self.runtime, self.feed_handler, self._own
        runtime.run_task("feed", self.feed.run)
        venue, clock = feed_handler.venue, feed_handler.clock
        resync = BookSnapshotRequester(
            feed_handler.book_manager,
            venue.book.snapshots,
            venue.history,
            self.feed.renew_book,
            clock,
        )
        runtime.run_task("resync", resync.run)
        if own.refill_s:
            refill = TradeBackfill(
                feed_handler.trade_sequencer, venue.history, own.refill_s, feed_handler.meter, clock
            )
            runtime.run_task("refill", refill.run)
        if own.book_snapshot_interval_s:
            publish = partial(feed_handler.hub.publish, types_pb2.CHANNEL_BOOK)
            snapshots = BookSnapshotPublisher(feed_handler, publish, own.book_snapshot_interval_s)
            runtime.run_task("book snapshots", snapshots.run)
        runtime.run_task("start", self._start)
        runtime.run_task("replica", lambda: self.replica.run(runtime.directory))
        replay = None
        if self._mesh.world == "replay":
            replay = ReplayMonitor(venue.venue_id, self._mesh.simulator_url, clock)
            runtime.run_task("replay status", replay.run)
            runtime.run_task("replay pace", self._wait_for_readers)
        else:
            # A capture is as it is: what it does not contain cannot be subscribed to again.
            runtime.run_task("staleness", StalenessMonitor(feed_handler, self.feed).run)
        checkpoints = CheckpointPublisher(
            feed_handler, self.feed, self.listing, self.replica, replay, self._accounts.problem
        )
        runtime.run_task("checkpoints", checkpoints.run)

    def _end(self) -> None:
        if self._raw_frames is not None:
            self._raw_frames.publish()
        self.feed_handler.hub.end(ProcessDraining("the venue is stopping"))

    async def _start(self) -> None:
        """Subscribe as soon as it is known to what, then keep the listing up to date."""
        if self._epoch_before is not None:
            self._epochs.report_restart(self._epoch_before)
        symbols = await self._wanted_symbols()
        _log.info("subscribing", extra={"symbols": len(symbols)})
        self.control.subscribe(symbols)
        self.runtime.meter.serving()
        await self.listing.start()
        await self.listing.run(self._own.instruments_refresh_s)

    async def _wanted_symbols(self) -> list[str]:
        configured = list(self._own.symbols)
        if not configured:
            is_live = self._mesh.world == "live"
            configured = list(self.feed_handler.venue.default_symbols) if is_live else [ALL_SYMBOLS]
        waits = backoff.delays()
        while True:
            try:
                listed = await self.feed_handler.instruments.all()
                break
            except VenuemeshError as error:
                self.runtime.meter.degraded(error.message)
                await self.feed_handler.clock.sleep(next(waits))
        if ALL_SYMBOLS in configured:
            return list(listed)
        for symbol in configured:
            if symbol not in listed:
                _log.error("not listed, left out", extra={"symbol": symbol})
        return [symbol for symbol in configured if symbol in listed]

    async def _wait_for_readers(self) -> None:
        """Stop reading a replay while a reader is behind, so that no ring moves past it."""
        hub = self.feed_handler.hub
        while True:
            if hub.unread_bytes_share() > UNREAD_SHARE_MAX:
                self.feed.set_reading(False)
                await hub.wait_until_read()
            else:
                self.feed.set_reading(True)
                await self.feed_handler.clock.sleep(PRESSURE_CHECK_S)
