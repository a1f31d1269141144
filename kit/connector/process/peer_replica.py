"""Two processes of one venue: each hears the other, so that either holds the first of each event.

The twins find each other in the registry: same venue, another instance. Each subscribes to what the
other publishes, and takes it as if one of its own connections had brought it: what is known is
dropped, what was missed is filled in. Each batch says up to where it includes the twin, so that a
reader who loses one of them goes on at the other (core/ingest).

Books are merged where the venue's numbers are the same everywhere, trades always, quotes by their
numbers, and the rest by the venue's time; what has neither is only our own.
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
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import START, Channel, Cursor
from kit.base.directory import Directory
from kit.base.errors import CursorExpired
from kit.base.telemetry import Meter
from kit.connector.contract.venue import CHANNEL_STATUS, Venue
from kit.connector.host.epoch_manager import EpochManager
from kit.connector.host.frame_pipeline import FramePipeline
from kit.connector.host.hub import Hub
from kit.connector.replica.chain import Chain, trades_in_order, updates_in_order
from kit.marketdata.codec import decode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import BookRows, Rows, TradeRows

KIND = "venue"
RETRY_SECONDS_MAX = 1.0
LOOK_S = 0.1
SILENCE_S = 2.5
"""A twin is heard at least once a second."""
SETTLE_S = 2.0
"""So long after it is connected, all its subscriptions flow, and what it published before has come
over our own connections."""
UNREADABLE = (DecodeError, ValueError, LookupError)
CHANNEL_BOOK = types_pb2.CHANNEL_BOOK
CHANNEL_TRADES = types_pb2.CHANNEL_TRADES

_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]
_log = telemetry.logger("venue.twin")


class PeerReplica:
    """Our hearing of the other process."""

    def __init__(
        self,
        venue: Venue,
        service_id: str,
        hub: Hub,
        pipeline: FramePipeline,
        beginning: EpochManager,
        is_connected: Callable[[], bool],
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._service_id = service_id
        self._hub = hub
        self._pipeline = pipeline
        self._beginning = beginning
        self._is_connected = is_connected
        self._clock = clock
        self._channels = sorted(venue.channels)
        self._address = ""
        self._listed = asyncio.Event()
        self._positions: dict[Channel, Cursor] = {}
        self._chains = {channel: Chain() for channel in self._channels}
        self._heard_ns = 0
        self._is_heard = False
        self._connected_since_ns = 0
        """Since when the twin has all its connections; 0: it does not, or is not heard."""
        self._includes_all = False
        """Whether it can be said what of the twin is in our batches."""
        self.is_there = False
        """Whether there was ever a twin."""
        meter.gauge("twin_covers", "1: what our connections miss comes from the twin").set_function(
            lambda: pipeline.merging.cover.stands
        )

    async def run(self, directory: Directory) -> None:
        """Endless."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(directory))
            group.create_task(self._watch())
            await self._hear()

    def take(self, payload: bytes) -> None:
        """One batch of the twin."""
        batch = Batch.FromString(payload)
        cursor = Cursor.of(batch.cursor)
        if cursor.epoch != self._epoch:
            self._began(cursor.epoch)
        chain = self._chains[batch.channel]
        before = self._positions.get(batch.channel)
        if before is not None and not cursor.follows(before):
            chain.clear()
        chain.broken(batch.gaps)
        self._positions[batch.channel] = cursor
        self._heard(batch.unconnected)
        rows = decode.rows_of(batch)
        if rows is not None:
            rows = self._in_order(chain, rows)
            if len(rows):
                self._pipeline.from_twin(rows)
        self._include(batch.channel, cursor)

    def look(self) -> None:
        """Whether it is still heard, and what was waited for in vain."""
        now_ns = self._clock.time_ns()
        silent_s = (now_ns - self._heard_ns) / NANOSECONDS_PER_SECOND
        if silent_s > SILENCE_S:
            self._unheard("the twin is silent")
        elif self._connected_since_ns and self._passed_s(self._connected_since_ns) >= SETTLE_S:
            self._pipeline.merging.cover.begin()
            if not self._includes_all:
                self._includes_all = True
                for channel, cursor in self._positions.items():
                    self._include(channel, cursor)
        self._pipeline.book_manager.expire_waits(now_ns)

    @property
    def _epoch(self) -> int:
        return max((cursor.epoch for cursor in self._positions.values()), default=0)

    def _passed_s(self, since_ns: int) -> float:
        return (self._clock.time_ns() - since_ns) / NANOSECONDS_PER_SECOND

    def _began(self, epoch: int) -> None:
        """A process, or an epoch of it, of which we have nothing yet."""
        self._forget()
        if not self.is_there:
            self.is_there = True
            self._hub.is_unconnected = lambda: not self._is_connected()
            self._pipeline.merging.cover.when_lost = self._own_lost
        _log.info("a twin is heard", extra={"epoch": epoch})

    def _forget(self) -> None:
        self._positions.clear()
        for chain in self._chains.values():
            chain.clear()
        self._includes_all = False
        self._connected_since_ns = 0
        self._pipeline.merging.cover.end("the twin was started anew")

    def _heard(self, is_unconnected: bool) -> None:
        self._heard_ns = self._clock.time_ns()
        if is_unconnected:
            self._connected_since_ns = 0
            self._pipeline.merging.cover.end("the twin has lost its own")
        elif not self._connected_since_ns:
            self._connected_since_ns = self._heard_ns

    def _unheard(self, why: str) -> None:
        self._connected_since_ns = 0
        self._pipeline.merging.cover.end(why)

    def _own_lost(self) -> None:
        """Let the twin know at once, in a channel where a batch without rows says nothing else."""
        self._hub.publish(CHANNEL_STATUS, BatchDraft())

    def _in_order(self, chain: Chain, rows: Rows) -> Rows:
        if isinstance(rows, TradeRows):
            return trades_in_order(chain, rows, self._venue.profile.trade_numbering)
        return updates_in_order(chain, rows) if isinstance(rows, BookRows) else rows

    def _include(self, channel: Channel, cursor: Cursor) -> None:
        """From the next batch on we include the twin up to here; not while trades wait."""
        if not self._includes_all or channel in (CHANNEL_BOOK, CHANNEL_STATUS):
            return
        if channel == CHANNEL_TRADES and self._pipeline.trade_sequencer.holds:
            return
        self._hub.twin_cursors[channel] = cursor

    async def _follow(self, directory: Directory) -> None:
        """Know where the twin is."""
        async for services in directory.watch(KIND):
            self._address = self._address_of(services)
            if self._address:
                self._listed.set()
            else:
                self._listed.clear()

    def _address_of(self, services: Sequence[registry_pb2.Service]) -> str:
        """The first that is another instance of our venue, those that are lost last."""
        others = [
            (service.status.state == registry_pb2.SERVICE_STATE_LOST, service.instance)
            for service in services
            if service.instance.name == self._venue.venue_id
            and service.instance.service_id != self._service_id
        ]
        others.sort(key=lambda other: (other[0], other[1].service_id))
        for _, instance in others:
            self._differ(instance)
        return others[0][1].address if others else ""

    def _differ(self, other: registry_pb2.ServiceInstance) -> None:
        """Two that began in the same millisecond must not number alike."""
        if other.epoch == self._hub.epoch and other.service_id < self._service_id:
            self._beginning.anew(other.epoch)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()

    async def _hear(self) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            await self._listed.wait()
            try:
                async with rpc.channel(self._address) as channel:
                    call = rpc.raw_stream(channel, _SUBSCRIBE)(self._request())
                    async for response in call:
                        self._is_heard = True
                        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                        for payload in wire_pb2.BatchFrames.FromString(response).batches:
                            self.take(payload)
            except grpc.aio.AioRpcError as error:
                if errors.reason_of(error) == CursorExpired.reason:
                    self._forget()
                if self._is_heard:
                    _log.info("the twin is not heard", extra={"detail": error.details()})
            except UNREADABLE as error:
                # What another process says must not end this one.
                self._forget()
                _log.warning("the twin cannot be understood", extra={"detail": repr(error)})
            self._is_heard = False
            self._unheard("the twin is lost")
            await self._clock.sleep(next(waits))

    def _request(self) -> market_data_pb2.SubscribeRequest:
        return market_data_pb2.SubscribeRequest(
            venue=self._venue.venue_id,
            channels=self._channels,
            resume_after=[
                types_pb2.ChannelCursor(channel=channel, cursor=cursor.message())
                for channel, cursor in self._positions.items()
                if cursor != START
            ],
            start_at=market_data_pb2.START_AT_LATEST,
            delivery=types_pb2.Delivery(lossless=types_pb2.Lossless()),
        )
