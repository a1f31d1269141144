"""The outside of the bridge: streams that are written, a venue that is asked, a registry."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.bridge.backlog_reader import BacklogReader
from core.bridge.live_book_manager import LiveBookManager
from core.bridge.service import LiveServicer
from core.bridge.settings import BridgeSettings
from core.bridge.stream_tailer import StreamTailer
from core.bridge.venue_clients import VenueClients
from kit.base import rpc
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.service_channels import ServiceChannels
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from kit.marketdata.delivery.subscription import PublishedBatch, Subscribers
from kit.marketdata.model.batches import Batch
from tests.support.waiting import WAIT_SECONDS_MAX, until

VENUE = "binance"
TRADES = StreamKey(VENUE, types_pb2.CHANNEL_TRADES)
QUOTES = StreamKey(VENUE, types_pb2.CHANNEL_QUOTES)
BOOK = StreamKey(VENUE, types_pb2.CHANNEL_BOOK)
LISTED = ("BTCUSDT", "ETHUSDT")
EPOCH = 1000


def batch(key: StreamKey, cursor: Cursor, symbols: Iterable[str] = ()) -> Batch:
    """A batch without rows."""
    return Batch(
        venue=key.venue,
        channel=key.channel,
        cursor=cursor.message(),
        instruments=[
            batch_pb2.InstrumentEntry(symbol=symbol, price_scale=2, size_scale=3)
            for symbol in symbols
        ],
    )


def trades(sequence: int, symbols: Sequence[str] = ("BTCUSDT",), epoch: int = EPOCH) -> StreamEntry:
    """One trade per symbol, whose id is the sequence."""
    cursor = Cursor(epoch, sequence)
    made = batch(TRADES, cursor, symbols)
    made.trades.instrument.extend(range(len(symbols)))
    made.trades.trade_id.extend([sequence] * len(symbols))
    return StreamEntry(TRADES, cursor, made.SerializeToString())


def quotes(sequence: int, bid_price: int) -> StreamEntry:
    cursor = Cursor(EPOCH, sequence)
    made = batch(QUOTES, cursor, ("BTCUSDT",))
    made.quotes.instrument.append(0)
    for column in ("bid_price", "bid_size", "ask_price", "ask_size", "sequence"):
        getattr(made.quotes, column).append(bid_price)
    made.quotes.venue_time_ns.append(1)
    made.quotes.received_time_ns.append(1)
    return StreamEntry(QUOTES, cursor, made.SerializeToString())


def book(
    sequence: int,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    epoch: int = 1,
    snapshot: bool = False,
    symbol: str = "BTCUSDT",
) -> StreamEntry:
    """One update of one book; levels as price and size at the scales 2 and 3."""
    cursor = Cursor(EPOCH, sequence)
    made = batch(BOOK, cursor, (symbol,))
    levels = [*bids, *asks]
    made.book.CopyFrom(
        batch_pb2.BookColumns(
            instrument=[0],
            first_sequence=[sequence],
            last_sequence=[sequence],
            snapshot=[snapshot],
            book_epoch=[epoch],
            venue_time_ns=[sequence],
            received_time_ns=[sequence],
            bid_count=[len(bids)],
            ask_count=[len(asks)],
            price=[price for price, _ in levels],
            size=[size for _, size in levels],
        )
    )
    return StreamEntry(BOOK, cursor, made.SerializeToString())


def gap(key: StreamKey, sequence: int, symbol: str = "BTCUSDT") -> StreamEntry:
    cursor = Cursor(EPOCH, sequence)
    made = batch(key, cursor)
    made.gaps.add(symbol=symbol, reason=types_pb2.GAP_REASON_SEQUENCE)
    return StreamEntry(key, cursor, made.SerializeToString())


class FakeVenue(market_data_pb2_grpc.MarketDataServicer):
    """Lists instruments and serves its book."""

    def __init__(self) -> None:
        self.book = market_data_pb2.GetOrderBookResponse(state=market_data_pb2.BOOK_STATE_IN_DOUBT)
        self.asked_books = 0
        self.listed = list(LISTED)

    def has_book(
        self,
        sequence: int,
        bids: Sequence[tuple[str, str]],
        asks: Sequence[tuple[str, str]],
        book_epoch: int = 1,
    ) -> None:
        """From now on this is the book, true at this cursor."""
        self.book = market_data_pb2.GetOrderBookResponse(
            venue=VENUE,
            symbol="BTCUSDT",
            state=market_data_pb2.BOOK_STATE_PROVEN,
            book_epoch=book_epoch,
            last_sequence=sequence,
            cursor=types_pb2.Cursor(epoch=EPOCH, sequence=sequence),
            bids=[market_data_pb2.Level(price=price, size=size) for price, size in bids],
            asks=[market_data_pb2.Level(price=price, size=size) for price, size in asks],
        )

    async def GetOrderBook(self, request, context) -> market_data_pb2.GetOrderBookResponse:
        self.asked_books += 1
        return self.book

    async def ListInstruments(self, request, context) -> market_data_pb2.ListInstrumentsResponse:
        """Pages of one."""
        place = int(request.page_token or 0)
        return market_data_pb2.ListInstrumentsResponse(
            instruments=[types_pb2.Instrument(symbol=self.listed[place])],
            next_page_token=str(place + 1) if place + 1 < len(self.listed) else "",
        )


class FakeDirectory:
    """Always the same venues."""

    def __init__(self, **addresses: str) -> None:
        self._services = [
            registry_pb2.Service(
                instance=registry_pb2.ServiceInstance(kind="venue", name=name, address=address)
            )
            for name, address in addresses.items()
        ]

    async def watch(self, kind: str) -> AsyncIterator[list[registry_pb2.Service]]:
        yield self._services
        await asyncio.Event().wait()


class Bridge:
    """All parts of the bridge in this process, on a real Valkey."""

    def __init__(self, redis_url: str, venue_address: str, **settings: int) -> None:
        given = BridgeSettings(**settings)
        clock = SystemClock()
        self.meter = Meter("bridge")
        self.streams = RedisStreams(redis_url)
        self.subscribers = Subscribers(given.subscribers_max)
        self.channels = ServiceChannels(FakeDirectory(**{VENUE: venue_address}), "venue")
        self.venues = VenueClients(self.channels, clock)
        degraded_reasons = DegradedReasons(self.meter)
        self.tailer = StreamTailer(
            self.streams, self._publish, self._entries_lost, self.meter, degraded_reasons, clock
        )
        self.books = LiveBookManager(self.venues, self.tailer.position, clock)
        catch_up = partial(BacklogReader, self.streams, self.tailer, clock=clock)
        self.servicer = LiveServicer(
            self.tailer, catch_up, self.subscribers, self.books, self.venues, given
        )
        self.live: live_pb2_grpc.LiveStub

    def _publish(self, publication: PublishedBatch) -> None:
        self.books.apply(publication)
        self.subscribers.publish(publication)

    def _entries_lost(self, key: StreamKey) -> None:
        self.books.entries_lost(key)

    async def write(self, *entries: StreamEntry) -> None:
        for key in {entry.key for entry in entries}:
            await self.streams.register(key)
        await self.streams.append(entries)

    async def write_and_read(self, *entries: StreamEntry) -> None:
        """Write, and wait until the tailer has handed it out."""
        await self.write(*entries)
        for entry in entries:
            await until(lambda entry=entry: self.tailer.position(entry.key) >= entry.cursor)

    def subscribe(self, request: live_pb2.SubscribeRequest) -> "Reader":
        return Reader(self.live.Subscribe(request))


class Reader:
    """One subscriber."""

    def __init__(self, call: grpc.aio.UnaryStreamCall) -> None:
        self.call = call
        self._batches: list[Batch] = []

    async def batch(self) -> Batch:
        """The next."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not self._batches:
                response = await self.call.read()
                assert response is not grpc.aio.EOF
                self._batches += response.batches
        return self._batches.pop(0)

    async def sequences(self, last: int) -> list[int]:
        """Sequences of batches up to this one."""
        found: list[int] = []
        while not found or found[-1] != last:
            found.append((await self.batch()).cursor.sequence)
        return found

    async def to_the_end(self) -> tuple[list[int], grpc.aio.AioRpcError]:
        """Sequences of the batches up to the error that the subscription ends with."""
        found: list[int] = []
        try:
            while True:
                found.append((await self.batch()).cursor.sequence)
        except grpc.aio.AioRpcError as error:
            return found, error

    async def error(self) -> grpc.aio.AioRpcError:
        """What the subscription ends with."""
        _, error = await self.to_the_end()
        return error


@asynccontextmanager
async def bridging(redis_url: str, venue: FakeVenue, **settings: int) -> AsyncIterator[Bridge]:
    """A running bridge, with a client."""
    venue_server, server = rpc.server(), rpc.server()
    rpc.serve(venue_server, market_data_pb2.DESCRIPTOR.services_by_name["MarketData"], venue)
    venue_port = venue_server.add_insecure_port("127.0.0.1:0")
    await venue_server.start()
    bridge = Bridge(redis_url, f"127.0.0.1:{venue_port}", **settings)
    live = live_pb2.DESCRIPTOR.services_by_name["Live"]
    rpc.serve(server, live, bridge.servicer, raw=("Subscribe",))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tasks = [
        asyncio.create_task(run())
        for run in (bridge.tailer.run, bridge.channels.run, bridge.books.run)
    ]
    try:
        async with rpc.channel(f"127.0.0.1:{port}") as channel:
            bridge.live = live_pb2_grpc.LiveStub(channel)
            await until(lambda: bridge.tailer.started and bridge.venues.knows(VENUE))
            yield bridge
    finally:
        await server.stop(None)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await venue_server.stop(None)
        await bridge.channels.close()
        await bridge.streams.close()
