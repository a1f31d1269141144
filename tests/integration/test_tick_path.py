"""The way of a tick: the functions that run are those that ARCHITECTURE.md lists.

One trade and one book update pass from a websocket through the parts of a venue process, ingest,
recorder, bars and bridge, on a real Valkey and PostgreSQL.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from aiohttp import web
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2

from core.bars.settings import BarsSettings
from core.bars.tests.rig import rig_for as bars_for
from core.bridge.tests.fakes import Bridge
from core.ingest.context import IngestContext
from core.ingest.memory_budget import MemoryBudget
from core.ingest.replicas import ActiveReplicaGauge, Replica, VenueReplicas
from core.ingest.settings import IngestSettings
from core.ingest.venue_writer import VenueWriter
from core.recorder.tests.rig import rig_for as recorder_for
from kit.base import rpc
from kit.base.cursor import Channel, Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.connector.contract.venue import BookSnapshot, Environment
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.market_data import MarketDataServicer
from kit.connector.process.venue_market_data import VenueMarketData
from kit.connector.publishing.feed_handler import FeedHandler
from kit.marketdata.delivery.redis_streams import RedisStreams
from kit.marketdata.model.columns import PriceLevels
from tests.support.call_trace import CallTrace
from tests.support.documented_path import DocumentedPath
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX, until
from venues.binance.catalog import spot

VENUE, SYMBOL = "binance", "BTCUSDT"
CHANNELS: tuple[Channel, ...] = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK)
WARM_UP_TICKS = 3
"""After so many ticks, what runs once for an instrument or a day has run."""
BARS = BarsSettings(store_interval_ms=10, publish_interval_ms=10, lease_seconds=60.0)


class Exchange:
    """A websocket server that sends ticks."""

    def __init__(self) -> None:
        self.sequence = 100
        self._sockets: list[web.WebSocketResponse] = []
        self._time_ms = time.time_ns() // 1_000_000

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Yields its base address."""
        application = web.Application()
        application.router.add_get("/binance/stream", self._accept)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    @property
    def is_connected(self) -> bool:
        return bool(self._sockets)

    async def send_tick(self) -> None:
        """A trade and a book update, a second after those before."""
        self.sequence += 1
        self._time_ms += 1_000
        common = {"E": self._time_ms, "s": SYMBOL}
        number = self.sequence
        trade = {"t": number, "p": "100.01", "q": "0.5", "T": self._time_ms, "m": True}
        update = {"U": number, "u": number, "b": [["100.00", "1.5"]], "a": [["100.02", "2.5"]]}
        for stream, data in (("trade", trade), ("depth@100ms", update)):
            frame = {"stream": f"btcusdt@{stream}", "data": common | data}
            await self._sockets[-1].send_str(json.dumps(frame, separators=(",", ":")))

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        async for _ in socket:
            pass
        return socket


class Mesh:
    """The parts that a tick passes. Each runs as its part of the trace."""

    def __init__(self, trace: CallTrace, stack: AsyncExitStack) -> None:
        self._trace = trace
        self._stack = stack
        self._enter = stack.enter_async_context
        self.exchange = Exchange()
        self.received: dict[Channel, Cursor] = {}
        """The newest batch of each channel that the bridge's reader got."""

    async def start(self, valkey_url: str, postgres_url: str) -> None:
        base = await self._enter(self.exchange.serving())
        with self._trace.part("venue"):
            address = await self._start_venue(base)
        with self._trace.part("ingest"):
            await self._start_ingest(address, valkey_url)
        with self._trace.part("recorder"):
            self._recorder = await self._enter(recorder_for(valkey_url, postgres_url))
            await self._enter(self._recorder.running())
        with self._trace.part("bars"):
            self._bars = await self._enter(bars_for(valkey_url, postgres_url, BARS))
            await self._enter(self._bars.running())
        with self._trace.part("bridge"):
            await self._start_bridge(address, valkey_url)

    async def tick(self) -> None:
        """Send a tick, and wait until it has arrived everywhere."""
        await self.exchange.send_tick()
        published = [book.last_sequence for book in self._feed_handler.book_manager.books.values()]
        while published != [self.exchange.sequence]:
            await asyncio.sleep(0)
            published = [
                book.last_sequence for book in self._feed_handler.book_manager.books.values()
            ]
        newest = {channel: self._feed_handler.hub.cursor(channel) for channel in CHANNELS}
        await until(lambda: self.received == newest)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await self._is_stored(newest):
                await asyncio.sleep(0.01)

    async def _is_stored(self, newest: dict[Channel, Cursor]) -> bool:
        for channel, cursor in newest.items():
            if await self._recorder.position(StreamKey(VENUE, channel)) < cursor:
                return False
        rows = await self._bars.query(
            "SELECT max(sequence) FROM bar_positions WHERE stream LIKE '%trades'"
        )
        return rows == [(newest[types_pb2.CHANNEL_TRADES].sequence,)]

    async def _start_venue(self, base: str) -> str:
        venue = spot(Environment("simulate", base))
        self._stack.push_async_callback(venue.history.close)
        self._feed_handler = feed_handler = FeedHandler.of(venue, Meter(VENUE), ManualClock())
        feed = WebsocketFeed(feed_handler)
        feed_handler.subscribe([SYMBOL])
        feed.add([SYMBOL])
        levels = [PriceLevels.parse([(price, "1")]) for price in ("99.00", "101.00")]
        snapshot = BookSnapshot(self.exchange.sequence, levels[0], levels[1], time.time_ns())
        feed_handler.book_manager.on_snapshot(SYMBOL, snapshot)
        unused: Any = None
        source = VenueMarketData(feed_handler, BookVerifier(feed_handler), unused)
        servicer = MarketDataServicer(feed_handler.hub, EpochsOfOthers(), source, venue.history)
        address = await self._serve(market_data_pb2.DESCRIPTOR, "MarketData", servicer)
        await self._run(feed.run())
        await until(lambda: self.exchange.is_connected)
        return address

    async def _start_ingest(self, address: str, valkey_url: str) -> None:
        clock, meter, streams = ManualClock(), Meter("ingest"), RedisStreams(valkey_url)
        self._stack.push_async_callback(streams.close)
        memory, degraded = MemoryBudget(10**9, waits=False), DegradedReasons(meter)
        context = IngestContext(streams, memory, IngestSettings(), meter, degraded, clock)
        replicas = VenueReplicas(clock, [Replica(VENUE, address)])
        feed = VenueWriter(VENUE, replicas, ActiveReplicaGauge(meter), context)
        await self._run(feed.run())

    async def _start_bridge(self, address: str, valkey_url: str) -> None:
        bridge = Bridge(valkey_url, address)
        for finish in (bridge.streams.close, bridge.channels.close):
            self._stack.push_async_callback(finish)
        await self._run(bridge.tailer.run(), bridge.channels.run(), bridge.books.run())
        await until(lambda: bridge.tailer.started and bridge.tailer.knows(VENUE))
        live = await self._serve(live_pb2.DESCRIPTOR, "Live", bridge.servicer)
        stub = live_pb2_grpc.LiveStub(await self._enter(rpc.channel(live)))
        selector = live_pb2.Selector(venue=VENUE, channels=CHANNELS, symbols=[SYMBOL])
        delivery = types_pb2.Delivery(lossless=types_pb2.Lossless())
        call = stub.Subscribe(live_pb2.SubscribeRequest(selectors=[selector], delivery=delivery))

        async def read() -> None:
            async for response in call:
                for batch in response.batches:
                    self.received[batch.channel] = Cursor.of(batch.cursor)

        await self._run(read())
        await until(lambda: bridge.subscribers.joined(StreamKey(VENUE, CHANNELS[-1])))

    async def _serve(self, file: Any, name: str, servicer: object) -> str:
        server = rpc.server()
        rpc.serve(server, file.services_by_name[name], servicer, raw=("Subscribe",))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        return f"127.0.0.1:{port}"

    async def _run(self, *loops: Coroutine[Any, Any, None]) -> None:
        for loop in loops:
            task = asyncio.create_task(loop)
            self._stack.push_async_callback(cancelled, task)


class EpochsOfOthers:
    """The streams hold no epoch but ours."""

    def on_stream_epoch(self, epoch: int) -> None:
        pass


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_tick_runs_the_functions_that_are_documented(valkey_url, postgres_url) -> None:
    trace = CallTrace()
    with trace.installed():
        async with AsyncExitStack() as stack:
            mesh = Mesh(trace, stack)
            await mesh.start(valkey_url, postgres_url)
            for _ in range(WARM_UP_TICKS):
                await mesh.tick()
            with trace.recording():
                await mesh.tick()
    differences = DocumentedPath.read("The way of a tick").differences(trace)
    assert not differences, "\n".join([*differences, trace.table()])
