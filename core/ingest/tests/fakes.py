"""The outside of ingest: a venue with a ring, and a registry that lists it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import redis
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base import rpc
from kit.base.cursor import START, Channel, Cursor, StreamKey, channel_name
from kit.base.errors import CursorExpired
from kit.marketdata.delivery.subscription import frame

VENUE = "binance"
TRADES = StreamKey(VENUE, types_pb2.CHANNEL_TRADES)
QUOTES = StreamKey(VENUE, types_pb2.CHANNEL_QUOTES)


class FakeVenue(market_data_pb2_grpc.MarketDataServicer):
    """Numbers batches, holds the newest of them, and serves them from a cursor."""

    def __init__(self, epoch: int = 1000, ring_entries: int = 1_000_000) -> None:
        self.epoch = epoch
        self.ring_entries = ring_entries
        self.rings: dict[Channel, dict[Cursor, bytes]] = {}
        self.requests: list[market_data_pb2.SubscribeRequest] = []
        self.metadata: list[tuple[str, str]] = []
        """Of the newest request."""
        self.sent = 0
        self._numbers: dict[Channel, int] = {}
        self._more = asyncio.Condition()

    async def publish(self, key: StreamKey = TRADES, count: int = 1) -> None:
        for _ in range(count):
            number = self._numbers[key.channel] = self._numbers.get(key.channel, 0) + 1
            cursor = Cursor(self.epoch, number)
            ring = self.rings.setdefault(key.channel, {})
            ring[cursor] = batch_of(key, cursor)
            if len(ring) > self.ring_entries:
                del ring[next(iter(ring))]
        async with self._more:
            self._more.notify_all()

    def restart(self, epoch: int) -> None:
        """As the process does: nothing is held, numbers start again."""
        self.epoch = epoch
        self.rings.clear()
        self._numbers.clear()

    def newest(self, key: StreamKey = TRADES) -> Cursor:
        return next(reversed(self.rings[key.channel]))

    async def Subscribe(
        self, request: market_data_pb2.SubscribeRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        self.requests.append(request)
        self.metadata = list(context.invocation_metadata())
        epoch = self.epoch
        after = {each.channel: Cursor.of(each.cursor) for each in request.resume_after}
        for channel, cursor in after.items():
            self._check(channel, cursor)
        while self.epoch == epoch:
            batches = []
            for channel in request.channels:
                ring = self.rings.get(channel, {})
                batches += [
                    ring[cursor] for cursor in ring if cursor > after.get(channel, Cursor(0, 0))
                ]
                if ring:
                    after[channel] = next(reversed(ring))
            if batches:
                self.sent += len(batches)
                yield b"".join(map(frame, batches))
            else:
                async with self._more:
                    await self._more.wait()

    def _check(self, channel: Channel, cursor: Cursor) -> None:
        ring = self.rings.get(channel) or {Cursor(self.epoch, 1): b""}
        earliest = next(iter(ring))
        if cursor.epoch != self.epoch:
            why = "other_epoch"
        elif cursor.sequence < earliest.sequence - 1:
            why = "too_old"
        else:
            return
        raise CursorExpired(
            f"{cursor} is not held",
            channel=channel_name(channel),
            cursor=cursor,
            earliest=earliest,
            why=why,
        )


class FakeRegistry(registry_pb2_grpc.RegistryServicer):
    """Lists venues, and the ingest processes that register, until the test says that they are
    lost."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses
        self.members: dict[str, registry_pb2.Service] = {}
        """The ingest processes, by address."""
        self._changed = asyncio.Condition()

    async def list_only(self, **addresses: str) -> None:
        self.addresses = addresses
        await self._notify()

    async def lose(self, address: str) -> None:
        """As after five seconds without a heartbeat."""
        self.members[address].status.state = registry_pb2.SERVICE_STATE_LOST
        await self._notify()

    async def find(self, address: str) -> None:
        """As after a heartbeat of a process that was lost."""
        self.members[address].status.state = registry_pb2.SERVICE_STATE_SERVING
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def Register(self, request, context) -> registry_pb2.RegisterResponse:
        one = request.instance
        self.members[one.address] = registry_pb2.Service(instance=one)
        await self._notify()
        return registry_pb2.RegisterResponse(heartbeat_interval_ms=1000)

    async def Heartbeat(self, request, context) -> registry_pb2.HeartbeatResponse:
        return registry_pb2.HeartbeatResponse()

    async def Unregister(self, request, context) -> registry_pb2.UnregisterResponse:
        return registry_pb2.UnregisterResponse()

    async def Watch(self, request, context) -> AsyncIterator[registry_pb2.WatchResponse]:
        while True:
            venues = [
                registry_pb2.Service(
                    instance=registry_pb2.ServiceInstance(
                        service_id=name, kind="venue", name=name, address=address
                    )
                )
                for name, address in self.addresses.items()
            ]
            listed = [*venues, *self.members.values()]
            yield registry_pb2.WatchResponse(
                services=[one for one in listed if one.instance.kind == request.kind]
            )
            async with self._changed:
                await self._changed.wait()


@asynccontextmanager
async def serving(
    venue: FakeVenue | None = None, registry: FakeRegistry | None = None, port: int = 0
) -> AsyncIterator[str]:
    """A server with these; its address. Ends at once, as a killed process does."""
    server = rpc.server()
    if venue is not None:
        service = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"]
        rpc.serve(server, service, venue, raw=("Subscribe",))
    if registry is not None:
        rpc.serve(server, registry_pb2.DESCRIPTOR.services_by_name["Registry"], registry)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def batch_of(key: StreamKey, cursor: Cursor, symbols: Sequence[str] = ("BTCUSDT",)) -> bytes:
    """A batch with one row per symbol; its price and id are the sequence. The first of an epoch
    says that the venue was restarted."""
    rows = len(symbols)
    batch = batch_pb2.MarketDataBatch(
        venue=key.venue,
        channel=key.channel,
        cursor=cursor.message(),
        instruments=[
            batch_pb2.InstrumentEntry(symbol=symbol, price_scale=2, size_scale=5)
            for symbol in symbols
        ],
        published_time_ns=cursor.sequence,
    )
    if cursor.sequence == 1:
        batch.gaps.add(reason=types_pb2.GAP_REASON_RESTART)
    if key.channel == types_pb2.CHANNEL_TRADES:
        batch.trades.instrument.extend(range(rows))
        batch.trades.price.extend([cursor.sequence] * rows)
        batch.trades.trade_id.extend([cursor.sequence] * rows)
    else:
        batch.quotes.instrument.extend(range(rows))
        batch.quotes.bid_price.extend([cursor.sequence] * rows)
    return batch.SerializeToString()


def stored(url: str, key: StreamKey = TRADES) -> list[tuple[Cursor, bytes]]:
    """What the stream holds."""
    with redis.Redis.from_url(url) as client:
        return [
            (Cursor.parse(entry_id), fields[b"b"]) for entry_id, fields in client.xrange(str(key))
        ]


def cursors(url: str, key: StreamKey = TRADES) -> list[Cursor]:
    return [cursor for cursor, _ in stored(url, key)]


def newest(url: str, key: StreamKey = TRADES) -> Cursor:
    """The newest entry that the stream holds."""
    with redis.Redis.from_url(url) as client:
        entries = client.xrevrange(str(key), count=1)
    return Cursor.parse(entries[0][0]) if entries else START
