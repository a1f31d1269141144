"""The websocket with a thousand clients: processor time, memory, and a client that does not read.

The server is a process of its own, with the topics, subscriptions and sockets of ``push``. In place
of the bridge it makes batches of trades of 20 instruments, 30 a second each, and turns them into
messages as ``push`` does. The clients are in this process; what they need does not count. Two more
clients read nothing: of a lossless subscription to large books, and of a conflated one.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count
from typing import Any

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from benchmarks.options import Options
from benchmarks.processes import (
    family_cpu_seconds,
    family_megabytes,
    measured_port,
    spawned,
)
from benchmarks.report import Figure, Report
from gateway.push.channels import TopicKey
from gateway.push.connection import ConnectionTerms
from gateway.push.feeds.market_rows import updates_of
from gateway.push.metrics import PushMetrics
from gateway.push.server import PushServer
from gateway.push.settings import PushSettings
from gateway.push.topics import Topics
from gateway.push.updates import Position, Update
from kit.base.access.call_guard import CallGuard
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter

CLIENTS, SYMBOLS, RATE = 1_000, 20, 30
SECONDS = 20.0
SILENT_SECONDS_MAX = 120.0
"""A client that answers no ping for so long is disconnected; the two shall last until the end."""
HISTORY_BYTES_MAX = 1024 * 1024
"""Less than by default: the buffers of the system take many of the messages that nobody reads."""
RECEIVED_BYTES_MAX = 256 * 1024
"""What the system keeps of a client that does not read."""
FRESH_NS = 5_000_000_000
LEVELS = 1_000
CLIENTS_AT_ONCE = 50
READY_SECONDS_MAX = 60.0
READ_SECONDS_MAX = 30.0
LOOK_AGAIN_SECONDS = 0.1
SAMPLED = 50
"""One message in so many is read for its delay."""
HOST = "127.0.0.1"
NANOSECONDS_PER_MILLISECOND = 1_000_000
VENUE = "binance"
BOOKS = {"channel": "books", "venue": VENUE, "symbol": "BTC", "delivery": "lossless"}
QUIET = {"channel": "trades", "venue": VENUE, "symbol": "S0", "delivery": "conflated"}

Figures = dict[str, float]


def run(options: Options) -> Report:
    """Share of a core, MiB, and what the clients got."""
    runs = [uvloop.run(_run()) for _ in range(options.runs)]
    figures = [
        Figure("share of a core", "%", [one["core_share"] for one in runs], "under 100"),
        Figure("memory of the process", "MiB", [one["memory"] for one in runs]),
        Figure("messages of those due", "%", [one["delivered"] for one in runs], "at least 99"),
        Figure("delay, 99 of 100", "ms", [one["delay_ms"] for one in runs]),
        Figure("ended with a cursor", "of 1", [one["ended"] for one in runs], "1"),
        Figure("still there, conflated", "of 1", [one["conflated"] for one in runs], "1"),
    ]
    note = f"{CLIENTS} clients, {RATE} messages/s each, {SECONDS:.0f} s; two clients read nothing"
    return Report("ws: clients of the websocket", figures, [note])


class _BatchFeed:
    """Batches of one instrument, made at a rate."""

    def __init__(self, key: TopicKey) -> None:
        self._key = key

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        whole = self._key.is_lossless
        for number in count(1):
            make = _book if self._key.channel == "books" else _trades
            yield list(updates_of(make(self._key.symbol, number), whole=whole))
            await asyncio.sleep(max(0.0, begun_s + number / RATE - loop.time()))

    async def snapshot(self) -> Update | None:
        return None


def _trades(symbol: str, number: int) -> batch_pb2.MarketDataBatch:
    batch = _batch(symbol, number)
    now_ns = time.time_ns()
    trades = batch.trades
    trades.instrument.append(0)
    trades.price.append(6_182_750 + number % 100)
    trades.size.append(479)
    trades.side.append(types_pb2.SIDE_BUY)
    trades.trade_id.append(number)
    trades.venue_time_ns.append(now_ns)
    trades.received_time_ns.append(now_ns)
    return batch


def _book(symbol: str, number: int) -> batch_pb2.MarketDataBatch:
    batch = _batch(symbol, number)
    book = batch.book
    book.instrument.append(0)
    book.snapshot.append(False)
    book.book_epoch.append(1)
    for name in ("first_sequence", "last_sequence", "venue_time_ns", "received_time_ns"):
        getattr(book, name).append(number)
    book.bid_count.append(LEVELS)
    book.ask_count.append(0)
    book.price.extend(range(6_000_000, 6_000_000 + LEVELS))
    book.size.extend([number] * LEVELS)
    return batch


def _batch(symbol: str, number: int) -> batch_pb2.MarketDataBatch:
    entry = batch_pb2.InstrumentEntry(symbol=symbol, price_scale=2, size_scale=5)
    cursor = types_pb2.Cursor(epoch=1, sequence=number)
    return batch_pb2.MarketDataBatch(venue=VENUE, instruments=[entry], cursor=cursor)


async def _serve(port: int) -> None:
    clock = SystemClock()
    settings = PushSettings(
        http_port=port,
        heartbeat_interval_s=SILENT_SECONDS_MAX,
        history_bytes_max=HISTORY_BYTES_MAX,
    )
    verifier = TokenVerifier(MeshNames("bench"), clock)
    guard = CallGuard(verifier, clock, required=False, streams_max=1)
    topics = Topics(_BatchFeed, settings, clock)
    terms = ConnectionTerms(topics, settings, PushMetrics(Meter("push")))
    await PushServer(guard, terms, clock).run(HOST)


class _Client(WSListener):
    """Subscribes, and counts what it gets."""

    def __init__(self, subscription: dict[str, str], delays_ms: list[float]) -> None:
        self.received = 0
        self.is_gone = False
        self.disconnect: Callable[[], None] = lambda: None
        self._request = msgspec.json.encode({"type": "subscribe", "subscriptions": [subscription]})
        self._delays_ms = delays_ms

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.disconnect = transport.disconnect
        transport.send(WSMsgType.TEXT, self._request)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        self.received += 1
        if self.received % SAMPLED == 0:
            message = msgspec.json.decode(frame.get_payload_as_bytes())
            for row in message.get("rows", ()):
                delay_ns = time.time_ns() - int(row["received_time_ns"])
                self._delays_ms.append(delay_ns / NANOSECONDS_PER_MILLISECOND)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_gone = True


async def _run() -> Figures:
    port = measured_port()
    environment = {**os.environ}
    async with spawned(["benchmarks.ws", str(port)], environment) as process:
        url, delays_ms = f"ws://{HOST}:{port}/ws", list[float]()
        await _until_served(port)
        clients = await _connected(url, delays_ms)
        silent = [await _silent(port, subscription) for subscription in (BOOKS, QUIET)]
        delays_ms.clear()
        counts = [client.received for client in clients]
        used_s, started_s = family_cpu_seconds(process.pid), time.monotonic()
        await asyncio.sleep(SECONDS)
        wall_s = time.monotonic() - started_s
        used_s = family_cpu_seconds(process.pid) - used_s
        got = sum(client.received for client in clients) - sum(counts)
        memory = family_megabytes(process.pid)
        assert not any(client.is_gone for client in clients)
        for client in clients:
            client.disconnect()
        reading = [_read_late(*one) for one in silent]
        lossless, conflated = await asyncio.gather(*reading)
    delays_ms.sort()
    return {
        "core_share": 100 * used_s / wall_s,
        "memory": memory,
        "delivered": 100 * got / (CLIENTS * RATE * wall_s),
        "delay_ms": delays_ms[len(delays_ms) * 99 // 100],
        "ended": float(lossless == "ended"),
        "conflated": float(conflated == "data"),
    }


async def _connected(url: str, delays_ms: list[float]) -> list[_Client]:
    free, clients = asyncio.Semaphore(CLIENTS_AT_ONCE), list[_Client]()

    async def connect(number: int) -> None:
        wanted = {"channel": "trades", "venue": VENUE, "symbol": f"S{number % SYMBOLS}"}
        async with free:
            _, client = await ws_connect(lambda: _Client(wanted, delays_ms), url)
        assert isinstance(client, _Client)
        clients.append(client)

    await asyncio.gather(*map(connect, range(CLIENTS)))
    async with asyncio.timeout(READY_SECONDS_MAX):
        while not all(client.received for client in clients):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return clients


async def _until_served(port: int) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                continue
            writer.close()
            return


class _Late(WSListener):
    """Keeps the newest message of each type."""

    def __init__(self, subscription: dict[str, str]) -> None:
        self.newest: dict[str, Any] = {}
        self._request = msgspec.json.encode({"type": "subscribe", "subscriptions": [subscription]})

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, self._request)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = msgspec.json.decode(frame.get_payload_as_bytes())
            self.newest[message["type"]] = message


async def _silent(port: int, subscription: dict[str, str]) -> tuple[WSTransport, _Late]:
    """A client whose socket is not read from now on."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES_MAX)
    own.setblocking(False)
    transport, late = await ws_connect(
        lambda: _Late(subscription), f"ws://{HOST}:{port}/ws", socket_factory=lambda _: own
    )
    assert isinstance(late, _Late)
    async with asyncio.timeout(READY_SECONDS_MAX):
        while "data" not in late.newest:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    transport.underlying_transport.pause_reading()
    return transport, late


async def _read_late(transport: WSTransport, late: _Late) -> str:
    """The type of the message with which a client knows where it is: "ended" with a cursor after
    which it can resume, or "data" of the last seconds. "" if neither comes: a machine that is too
    busy makes fewer messages than the buffers of the system take."""
    late.newest.clear()
    transport.underlying_transport.resume_reading()
    until_s = time.monotonic() + READ_SECONDS_MAX
    while time.monotonic() < until_s:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        if late.newest.get("ended", {}).get("cursor"):
            return "ended"
        rows = late.newest.get("data", {}).get("rows", ())
        if rows and int(rows[-1]["received_time_ns"]) > time.time_ns() - FRESH_NS:
            return "data"
    return ""


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
