"""The process of one venue: the parts put together."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base import backoff, settings, telemetry
from kit.base.clock import SystemClock
from kit.base.errors import Draining, VenuemeshError
from kit.base.request_budget import RequestBudget
from kit.base.runtime import Identity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract.source import Feed
from kit.connector.contract.venue import CHANNEL_STATUS, Environment, Venue
from kit.connector.feed.raw_frames import RawFrames
from kit.connector.feed.staleness import StalenessMonitor
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.host.epoch_file import EpochFile
from kit.connector.host.epoch_manager import EpochManager
from kit.connector.host.frame_pipeline import FramePipeline
from kit.connector.host.hub import Hub
from kit.connector.host.instruments import InstrumentCache
from kit.connector.host.listing_publisher import ListingPublisher
from kit.connector.process.book_resync import BookResync
from kit.connector.process.book_snapshots import BookSnapshots
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.market_data import MarketDataServicer
from kit.connector.process.order_accounts import PretendedCredentials, VenueAccounts, no_credentials
from kit.connector.process.peer_replica import PeerReplica
from kit.connector.process.replay_status import ReplayStatus
from kit.connector.process.settings import VenueSettings
from kit.connector.process.state_republisher import StateRepublisher
from kit.connector.process.trade_refill import TradeRefill
from kit.connector.process.venue_controller import VenueController
from kit.connector.rest.rate_limited import RateLimitedHistory
from kit.connector.subscriptions import Subscriptions
from kit.execution.settings import OrdersSettings
from kit.marketdata.codec.encode import BatchDraft

CHECKPOINT_INTERVAL_S = 1.0
PRESSURE_CHECK_S = 0.005
UNREAD_SHARE_MAX = 0.5
ALL_SYMBOLS = "*"

_log = telemetry.logger("venue.app")


def main(
    name: str, port: int = 0, pretended_credentials: PretendedCredentials = no_credentials
) -> int:
    """Run a venue, on its usual port or another one. Returns the exit code."""
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    venue_id = discovery.venue_id(name)
    own = settings.load(VenueSettings, f"venues.{venue_id}")
    if port:
        own = msgspec.structs.replace(own, port=port)
    orders = settings.load(OrdersSettings, "orders")
    place = Environment(mesh.world, mesh.simulator_url, own.options, orders.transport)
    venue = discovery.require(venue_id)(place)

    async def serve() -> None:
        await VenueProcess(venue, mesh, own, orders, pretended_credentials).run()

    return run_process(own.service_id(venue_id), mesh, serve)


class VenueProcess:
    """Feed, hub and services of one venue."""

    def __init__(
        self,
        venue: Venue,
        mesh: MeshSettings,
        own: VenueSettings,
        orders: OrdersSettings,
        pretended_credentials: PretendedCredentials = no_credentials,
    ) -> None:
        clock = SystemClock()
        budget = RequestBudget(venue.venue_id, venue.limits.requests_per_second, clock)
        venue = replace(venue, history=RateLimitedHistory(venue.history, budget))
        port = own.port or venue.port
        service_id = own.service_id(venue.venue_id)
        self.runtime = Runtime(Identity(service_id, "venue", venue.venue_id, port), mesh)
        self._venue = venue
        self._mesh = mesh
        self._replay_problem: Callable[[], str] = str
        self._own = own
        self._clock = clock
        epochs = EpochFile(Path(mesh.data_dir) / "epochs" / service_id)
        self._epoch_before = epochs.last()
        meter = self.runtime.meter
        self.hub = Hub(venue.venue_id, epochs.next(clock), clock, meter, own.ring_bytes_max)
        self.subscriptions = Subscriptions(venue.channels)
        self.pipeline = FramePipeline(venue, self.hub, self.subscriptions, meter, clock)
        doubted = meter.gauge("books_in_doubt", "Books that wait for a snapshot or an update")
        doubted.set_function(self.pipeline.book_manager.in_doubt_count)
        self._raw_frames = RawFrames(self.hub) if own.raw_frames else None
        self.session: Feed = (
            WebsocketFeed(venue, self.pipeline, meter, clock, raw_frames=self._raw_frames)
            if venue.source is None
            else venue.source.feed(self.pipeline, clock)
        )
        self.instruments = InstrumentCache(venue.venue_id, venue.history)
        self.listing = ListingPublisher(
            self.instruments, self.pipeline, self.hub, self.session, clock
        )
        self._beginning = EpochManager(self.hub, self.pipeline, self.listing, epochs, clock)
        self.runtime.report_epoch(lambda: self.hub.epoch)
        self.twin = PeerReplica(
            venue,
            service_id,
            self.hub,
            self.pipeline,
            self._beginning,
            lambda: self.session.connected,
            meter,
            clock,
        )
        self.control = VenueController(
            venue.venue_id,
            self.instruments,
            self.subscriptions,
            self.pipeline,
            self.session,
            Path(mesh.data_dir),
        )

        self._trading = self._make_trading(orders, budget, pretended_credentials)

    def _make_trading(
        self,
        orders: OrdersSettings,
        budget: RequestBudget,
        pretended_credentials: PretendedCredentials,
    ) -> VenueAccounts:
        return VenueAccounts(
            self._venue,
            self._mesh,
            self._own,
            orders,
            budget,
            self.hub,
            self.pipeline,
            self.instruments,
            self._clock,
            pretended_credentials,
        )

    async def run(self) -> None:
        """Serve until told to stop."""
        runtime = self.runtime
        servicer = MarketDataServicer(
            self.hub,
            self.pipeline,
            self.instruments,
            self.subscriptions,
            self._venue.history,
            BookVerifier(self.hub, self.pipeline, self._venue, self._clock),
            self._beginning,
            StateRepublisher(
                self.pipeline.book_manager,
                self.hub,
                self.listing,
                self._clock,
            ),
        )
        runtime.serve(market_data_pb2.DESCRIPTOR, "MarketData", servicer, raw=["Subscribe"])
        self._trading.serve(runtime)
        runtime.control_venue(self.control)
        runtime.when_draining(self._end)
        runtime.run_task("session", self.session.run)
        resync = BookResync(
            self.pipeline.book_manager,
            self._venue.book.snapshots,
            self._venue.history,
            self.session.renew_book,
            self._clock,
        )
        runtime.run_task("resync", resync.run)
        if self._own.refill_s:
            refill = TradeRefill(
                self.pipeline.trade_sequencer,
                self._venue.history,
                self._own.refill_s,
                runtime.meter,
                self._clock,
            )
            runtime.run_task("refill", refill.run)
        if self._own.book_snapshot_interval_s:
            snapshots = BookSnapshots(
                self.pipeline,
                lambda draft: self.hub.publish(types_pb2.CHANNEL_BOOK, draft),
                self._own.book_snapshot_interval_s,
                self._clock,
            )
            runtime.run_task("book snapshots", snapshots.run)
        runtime.run_task("start", self._start)
        runtime.run_task("twin", lambda: self.twin.run(runtime.directory))
        runtime.run_task("checkpoints", self._publish_checkpoints)
        self._watch_feed()
        runtime.at_end(self._venue.history.close)
        await runtime.run()

    def _watch_feed(self) -> None:
        """Live, notice silence. In a replay, wait for readers and learn whether the tape fits."""
        if self._mesh.world == "replay":
            status = ReplayStatus(self._venue.venue_id, self._mesh.simulator_url, self._clock)
            self._replay_problem = lambda: status.problem
            self.runtime.run_task("pressure", self._wait_for_readers)
            self.runtime.run_task("replay status", status.run)
            return
        # A tape is as it is: what is silent on it cannot be had by asking.
        staleness = StalenessMonitor(
            self.pipeline,
            self.session,
            self._venue.limits.stale_after_s,
            self.runtime.meter,
            self._clock,
        )
        self.runtime.run_task("staleness", staleness.run)

    def _end(self) -> None:
        if self._raw_frames is not None:
            self._raw_frames.publish()
        self.hub.end(Draining("the venue is stopping"))

    async def _start(self) -> None:
        """Subscribe, when it is known to what, and follow what is listed."""
        if self._epoch_before is not None:
            self._beginning.after(self._epoch_before)
        symbols = await self._wanted_symbols()
        _log.info("subscribing", extra={"symbols": len(symbols)})
        self.control.start(symbols)
        self.runtime.meter.serving()
        await self.listing.begin()
        await self.listing.run(self._own.instruments_refresh_s)

    async def _wanted_symbols(self) -> list[str]:
        configured = list(self._own.symbols)
        if not configured:
            live = self._mesh.world == "live"
            configured = list(self._venue.default_symbols) if live else [ALL_SYMBOLS]
        waits = backoff.delays()
        while True:
            try:
                listed = await self.instruments.all()
                break
            except VenuemeshError as error:
                self.runtime.meter.degraded(error.message)
                await self._clock.sleep(next(waits))
        if ALL_SYMBOLS in configured:
            return list(listed)
        for symbol in configured:
            if symbol not in listed:
                _log.error("not listed, left out", extra={"symbol": symbol})
        return [symbol for symbol in configured if symbol in listed]

    async def _publish_checkpoints(self) -> None:
        """Say in a quiet channel that nothing has happened, so that its readers know the time."""
        published = dict.fromkeys(self.subscriptions.channels, 0)
        while True:
            await self._clock.sleep(CHECKPOINT_INTERVAL_S)
            self._tell_state()
            self.runtime.meter.counters["dropped_rows_total"] = self.pipeline.dropped_total()
            for channel in self.subscriptions.channels:
                cursor = self.hub.cursor(channel)
                # A twin wants to hear that we live, also while we lack a connection.
                lives = self.twin.is_there and channel == CHANNEL_STATUS
                is_quiet = cursor.sequence == published[channel]
                if is_quiet and (self.session.connected or lives):
                    cursor = self.hub.publish(channel, BatchDraft())
                published[channel] = cursor.sequence

    def _tell_state(self) -> None:
        if self.subscriptions.symbols and not self.session.connected:
            self.runtime.meter.degraded("no connection to the venue")
        elif self.listing.trouble:
            self.runtime.meter.degraded(self.listing.trouble)
        elif problem := self._replay_problem():
            self.runtime.meter.degraded(problem)
        elif self.session.connected:
            self.runtime.meter.serving()

    async def _wait_for_readers(self) -> None:
        """A replay is as fast as it is read: do not let the rings move past a reader."""
        while True:
            if self.hub.unread_bytes_share() > UNREAD_SHARE_MAX:
                self.session.pause_reading()
                room = asyncio.Event()
                self.hub.on_room(room.set)
                await room.wait()
            else:
                self.session.resume_reading()
                await self._clock.sleep(PRESSURE_CHECK_S)
