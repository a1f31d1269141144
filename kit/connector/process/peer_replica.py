"""Two processes of one venue: each subscribes to the other and publishes the first of each event.

The replicas find each other in the registry: same venue, another instance. Rows of the peer are
treated like rows of one more connection: known ones are dropped, missing ones are filled in. Each
batch says up to which cursor it includes the peer's batches, so that a reader that loses one
process continues at the other (core/ingest).

Trades are always merged, books where the venue's update numbers are the same on all connections,
quotes by their numbers, and the rest by the venue's time. Rows with neither come only from our own
connections.
"""

import asyncio
from collections.abc import Callable, Sequence

import grpc
from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.wire.v1 import wire_pb2

from kit.base import backoff, errors, rpc, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import START, Channel, Cursor
from kit.base.directory import ServiceDirectory
from kit.base.errors import CursorExpired
from kit.connector.contract.venue import CHANNEL_STATUS
from kit.connector.publishing.epoch_manager import EpochManager
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.replica.previous_sequence import (
    PreviousSequenceNumbers,
    trades_with_previous,
    updates_with_previous,
)
from kit.marketdata.codec import decode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import BookRows, Rows, TradeRows

KIND = "venue"
RETRY_SECONDS_MAX = 1.0
LOOK_INTERVAL_S = 0.1
SILENCE_S = 2.5
"""A peer publishes at least once a second."""
COVER_DELAY_S = 2.0
"""So long after the peer has connected, all its subscriptions deliver, and what it published before
has come over our own connections."""
UNREADABLE = (DecodeError, ValueError, LookupError)
CHANNEL_BOOK = types_pb2.CHANNEL_BOOK
CHANNEL_TRADES = types_pb2.CHANNEL_TRADES

_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]
_log = telemetry.logger("venue.replica")


class PeerReplica:
    """Merges what the other process of the venue publishes into what this one publishes."""

    def __init__(
        self,
        feed_handler: FeedHandler,
        service_id: str,
        epochs: EpochManager,
        is_connected: Callable[[], bool],
    ) -> None:
        """``is_connected``: whether all connections of this process are open."""
        self._feed_handler = feed_handler
        self._service_id = service_id
        self._epochs = epochs
        self._is_connected = is_connected
        self._clock = feed_handler.clock
        self._merger = feed_handler.row_publisher.merger
        self._channels = sorted(feed_handler.venue.channels)
        self._peer: registry_pb2.ServiceInstance | None = None
        self._listed = asyncio.Event()
        self._positions: dict[Channel, Cursor] = {}
        self._links = {channel: PreviousSequenceNumbers() for channel in self._channels}
        self._received_ns = 0
        self._is_subscribed = False
        self._connected_since_ns = 0
        """Since when the peer has all its connections; 0: it has not, or sends nothing."""
        self._includes_all = False
        """Whether it is known which batches of the peer ours include."""
        self.is_known = False
        """Whether a peer was ever seen."""
        feed_handler.meter.gauge(
            "peer_covers", "1: what our connections miss comes from the other process"
        ).set_function(lambda: self._merger.cover.is_active)

    async def run(self, directory: ServiceDirectory) -> None:
        """Follow the peer until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_directory(directory))
            group.create_task(self._watch())
            await self._subscribe()

    def take(self, payload: bytes) -> None:
        """Merge one serialised batch of the peer."""
        batch = Batch.FromString(payload)
        cursor = Cursor.of(batch.cursor)
        if cursor.epoch != self._epoch:
            self._on_new_epoch(cursor.epoch)
        links = self._links[batch.channel]
        before = self._positions.get(batch.channel)
        if before is not None and not cursor.follows(before):
            links.clear()
        links.on_gaps(batch.gaps)
        self._positions[batch.channel] = cursor
        self._on_batch(batch.unconnected)
        rows = decode.rows_of(batch)
        if rows is not None:
            rows = self._with_previous(links, rows)
            if len(rows):
                self._feed_handler.row_publisher.publish_from_peer(rows)
        self._include(batch.channel, cursor)

    def look(self) -> None:
        """Notice a silent peer, let a complete one cover us, and end waits for late updates."""
        now_ns = self._clock.time_ns()
        silent_s = (now_ns - self._received_ns) / NANOSECONDS_PER_SECOND
        if silent_s > SILENCE_S:
            self._on_lost("the other process is silent")
        elif self._connected_since_ns and self._passed_s(self._connected_since_ns) >= COVER_DELAY_S:
            self._merger.cover.start()
            if not self._includes_all:
                self._includes_all = True
                for channel, cursor in self._positions.items():
                    self._include(channel, cursor)
        self._feed_handler.book_manager.expire_waits(now_ns)

    @property
    def _epoch(self) -> int:
        return max((cursor.epoch for cursor in self._positions.values()), default=0)

    def _passed_s(self, since_ns: int) -> float:
        return (self._clock.time_ns() - since_ns) / NANOSECONDS_PER_SECOND

    def _on_new_epoch(self, epoch: int) -> None:
        """Forget the process, or the epoch, that published before."""
        self._forget()
        if not self.is_known:
            self.is_known = True
            self._feed_handler.hub.is_disconnected = lambda: not self._is_connected()
            self._merger.cover.on_own_loss = self._on_own_loss
        _log.info("batches of another process arrive", extra={"epoch": epoch})

    def _forget(self) -> None:
        self._positions.clear()
        for links in self._links.values():
            links.clear()
        self._includes_all = False
        self._connected_since_ns = 0
        self._merger.cover.stop("the other process was restarted")

    def _on_batch(self, is_disconnected: bool) -> None:
        self._received_ns = self._clock.time_ns()
        if is_disconnected:
            self._connected_since_ns = 0
            self._merger.cover.stop("the other process has lost its own")
        elif not self._connected_since_ns:
            self._connected_since_ns = self._received_ns

    def _on_lost(self, why: str) -> None:
        self._connected_since_ns = 0
        self._merger.cover.stop(why)

    def _on_own_loss(self) -> None:
        """Let the peer know at once, on a channel where a batch without rows says nothing else."""
        self._feed_handler.hub.publish(CHANNEL_STATUS, BatchDraft())

    def _with_previous(self, links: PreviousSequenceNumbers, rows: Rows) -> Rows:
        if isinstance(rows, TradeRows):
            numbering = self._feed_handler.venue.profile.trade_numbering
            return trades_with_previous(links, rows, numbering)
        return updates_with_previous(links, rows) if isinstance(rows, BookRows) else rows

    def _include(self, channel: Channel, cursor: Cursor) -> None:
        """From the next batch on ours include the peer's up to here; not while trades wait."""
        if not self._includes_all or channel in (CHANNEL_BOOK, CHANNEL_STATUS):
            return
        if channel == CHANNEL_TRADES and self._feed_handler.trade_sequencer.held:
            return
        self._feed_handler.hub.replica_cursors[channel] = cursor

    async def _follow_directory(self, directory: ServiceDirectory) -> None:
        """Know which process to subscribe to, as the registry has it."""
        async for services in directory.watch(KIND):
            self._peer = self._peer_of(services)
            if self._peer is not None:
                self._listed.set()
            else:
                self._listed.clear()

    def _peer_of(
        self, services: Sequence[registry_pb2.Service]
    ) -> registry_pb2.ServiceInstance | None:
        """Another instance of the venue; a lost one only if there is no other."""
        others = [
            (service.status.state == registry_pb2.SERVICE_STATE_LOST, service.instance)
            for service in services
            if service.instance.name == self._feed_handler.venue.venue_id
            and service.instance.service_id != self._service_id
        ]
        others.sort(key=lambda other: (other[0], other[1].service_id))
        for _, instance in others:
            self._avoid_same_epoch(instance)
        return others[0][1] if others else None

    def _avoid_same_epoch(self, other: registry_pb2.ServiceInstance) -> None:
        """Two processes that were started in the same millisecond must not have one epoch."""
        if other.epoch == self._feed_handler.hub.epoch and other.service_id < self._service_id:
            self._epochs.start_above(other.epoch)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL_S)
            self.look()

    async def _subscribe(self) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            await self._listed.wait()
            peer = self._peer or registry_pb2.ServiceInstance()
            try:
                async with rpc.channel(peer.address, service_id=peer.service_id) as channel:
                    call = rpc.raw_stream(channel, _SUBSCRIBE)(self._request())
                    async for response in call:
                        self._is_subscribed = True
                        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                        for payload in wire_pb2.BatchFrames.FromString(response).batches:
                            self.take(payload)
            except grpc.aio.AioRpcError as error:
                if errors.reason_of(error) == CursorExpired.reason:
                    self._forget()
                if self._is_subscribed:
                    _log.info("the other process sends nothing", extra={"detail": error.details()})
            except UNREADABLE as error:
                # What another process sends must not end this one.
                self._forget()
                _log.warning(
                    "a batch of the other process cannot be read", extra={"detail": repr(error)}
                )
            self._is_subscribed = False
            self._on_lost("the other process is lost")
            await self._clock.sleep(next(waits))

    def _request(self) -> market_data_pb2.SubscribeRequest:
        return market_data_pb2.SubscribeRequest(
            venue=self._feed_handler.venue.venue_id,
            channels=self._channels,
            resume_after=[
                types_pb2.ChannelCursor(channel=channel, cursor=cursor.message())
                for channel, cursor in self._positions.items()
                if cursor != START
            ],
            start_at=market_data_pb2.START_AT_LATEST,
            delivery=types_pb2.Delivery(lossless=types_pb2.Lossless()),
        )
