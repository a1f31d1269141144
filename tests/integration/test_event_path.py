"""The way of an event: the functions that run are those that ARCHITECTURE.md lists.

A final bar raises a signal. What follows passes through the services, each put together by its own
app, on a real Valkey and PostgreSQL, until the audit log has all of it. The venue's process is
played: what happens there is the way of an order.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import psycopg
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import trade_flow_pb2

from core.advisor import app as advisor
from core.advisor.settings import AdvisorSettings
from core.audit import app as audit
from core.audit.settings import AuditSettings
from core.detector import app as detector
from core.detector.bar_clients import BARS, HISTORY
from core.detector.settings import DetectorSettings
from core.detector.tests.process import MeshServer
from core.detector.tests.rig import MadeBars
from core.detector.workers import pool, worker_main, worker_process
from core.detector.workers.messages import LENGTH_BYTES, Restrictions, frame
from core.detector.workers.request_handler import RequestHandler
from core.inspector import app as inspector
from core.inspector.settings import InspectorSettings
from core.ledger import app as ledger
from core.ledger.account_discovery import TRADE_FLOW
from core.ledger.settings import LedgerSettings
from kit.base import rpc
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.directory import VENUE as VENUE_KIND
from kit.base.runtime import ProcessIdentity
from kit.base.service_channels import ServiceChannels
from kit.base.settings import MeshSettings
from kit.base.store_metrics import StoreMetrics
from kit.base.telemetry import Meter
from kit.events.settings import EventsSettings
from kit.strategy.tests.market import bar
from tests.integration.filling_venue import VENUE, FillingVenue
from tests.support.call_trace import CallTrace
from tests.support.documented_path import DocumentedPath
from tests.support.waiting import eventually, until

SYMBOLS = ("ETHUSDT", "SOLUSDT", "BTCUSDT")
"""One position in each. With the first ones, what runs once has run."""
STRATEGY = f"""\
from kit.features.indicators import close
from kit.strategy.strategy import PositionSize, Rule, Strategy

rise = Strategy(
    name="rise",
    instruments={tuple(f"{VENUE}/{symbol}" for symbol in SYMBOLS)},
    interval="1s",
    account="paper",
    rules=(Rule(name="high", condition=close > 150),),
    threshold=0.5,
    position=PositionSize(
        notional="100", stop_distance=close * 0.01, target_distance=close * 0.02
    ),
    expiry_s=60,
    warm_up_bars=0,
)
"""
LOW, HIGH = 100.0, 200.0
"""Prices of a bar that raises no signal, and of one that does."""
EXECUTIONS = 4
"""Of one signal: a fill, and the states of the entry, its stop and its take-profit."""
IS_HANDLED = """
SELECT (SELECT count(*) FROM audit_leaves) = (SELECT count(*) FROM events)
    AND (SELECT count(*) FROM events WHERE stream = 'executions') = 1 + %(executions)s
    AND (SELECT count(*) FROM events WHERE stream = 'ledger') = 1 + %(signals)s
    AND NOT EXISTS (
        SELECT FROM event_positions AS at JOIN event_streams AS newest USING (stream)
        WHERE at.sequence < newest.sequence
    )
"""
"""Whether everybody has read everything after so many signals. The first execution and the first
group of postings are those of the deposit."""
HAS_SEEN = "SELECT count(*) = %(instances)s FROM detector_instances"


class WorkerThread:
    """A process with strategies, as a thread of the part "strategies"."""

    def __init__(self, trace: CallTrace, its_socket: socket.socket) -> None:
        self.pid = os.getpid()
        self._socket = its_socket.dup()
        handler = RequestHandler(1 << 40, lambda: 0)
        with trace.part("strategies"):
            threading.Thread(target=self._run, args=[handler], daemon=True).start()

    def kill(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def wait(self, _seconds: float | None = None) -> int:
        return 0

    def _run(self, handler: RequestHandler) -> None:
        with self._socket, suppress(EOFError, OSError):
            length = int.from_bytes(self._socket.recv(LENGTH_BYTES), "big")
            self._socket.recv(length)
            self._socket.sendall(frame(msgspec.msgpack.encode(Restrictions("", "", ""))))
            worker_main.serve(self._socket.fileno(), handler)


class Directory:
    """The processes of the mesh, as a registry tells of them."""

    def __init__(self) -> None:
        self._services: list[registry_pb2.Service] = []
        self._changed = asyncio.Condition()

    async def register(self, kind: str, name: str, address: str, *served: str) -> None:
        instance = registry_pb2.ServiceInstance(
            kind=kind, name=name, service_id=name, address=address, grpc_services=served
        )
        async with self._changed:
            self._services.append(registry_pb2.Service(instance=instance))
            self._changed.notify_all()

    async def watch(self, kind: str) -> AsyncIterator[Sequence[registry_pb2.Service]]:
        while True:
            count = len(self._services)
            yield [one for one in self._services if one.instance.kind == kind]
            async with self._changed:
                await self._changed.wait_for(partial(self._has_more_than, count))

    def _has_more_than(self, count: int) -> bool:
        return len(self._services) > count


class AppRuntime:
    """Serves an app and runs its tasks, without registration, health and signals."""

    def __init__(self, directory: Directory, identity: ProcessIdentity, _mesh: object) -> None:
        self.directory = directory
        self.meter = Meter(identity.service_id)
        self.store_metrics = StoreMetrics(self.meter)
        self._name = identity.name
        self._server = rpc.server()
        self._tasks: list[Callable[[], Awaitable[None]]] = []
        self._at_end: list[Callable[[], Awaitable[None]]] = []

    def serve(self, file: Any, name: str, servicer: object) -> None:
        rpc.serve(self._server, file.services_by_name[name], servicer)

    def run_task(self, _name: str, task: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(task)

    run_while_active = run_task

    def channels(self, *kinds: str) -> ServiceChannels:
        channels = ServiceChannels(self.directory, *kinds)
        self.run_task("follow", channels.run)
        self.at_end(channels.close)
        return channels

    def when_draining(self, _callback: Callable[[], None]) -> None:
        pass

    def at_end(self, finish: Callable[[], Awaitable[None]]) -> None:
        self._at_end.append(finish)

    async def run(self) -> None:
        await self.directory.register(self._name, self._name, await _listen(self._server))
        try:
            await asyncio.gather(*(task() for task in self._tasks))
        finally:
            await self._server.stop(None)
            for finish in self._at_end:
                await finish()


class PlayedBars(bars_pb2_grpc.BarsServicer, history_pb2_grpc.HistoryServicer):
    """Bars and history of several instruments."""

    def __init__(self, bars: Mapping[str, MadeBars]) -> None:
        self._servers = {symbol: MeshServer(made) for symbol, made in bars.items()}

    async def Subscribe(self, request, context):
        async for response in self._servers[request.symbol].Subscribe(request, context):
            yield response

    async def ListBars(self, request, context):
        return await self._servers[request.symbol].ListBars(request, context)


class Mesh:
    """The services that an event passes. Each runs as its part of the trace."""

    def __init__(self, trace: CallTrace, stack: AsyncExitStack, postgres_url: str) -> None:
        self._trace = trace
        self._stack = stack
        self._postgres_url = postgres_url
        self._directory = Directory()
        self._bars = {symbol: MadeBars() for symbol in SYMBOLS}

    async def start(self, valkey_url: str, folder: Path) -> None:
        await self._play_others()
        strategies = folder / "strategies"
        strategies.mkdir()
        (strategies / "rise.py").write_text(STRATEGY)
        mesh = MeshSettings(
            database_url=self._postgres_url, redis_url=valkey_url, data_dir=str(folder)
        )
        for app, settings in (
            (ledger, LedgerSettings()),
            (audit, AuditSettings(checkpoint_interval_s=86_400)),
            (inspector, InspectorSettings()),
            (advisor, AdvisorSettings()),
            (detector, DetectorSettings(strategies_folder=str(strategies))),
        ):
            with self._trace.part(app.SERVICE), ExitStack() as patched:
                made = partial(AppRuntime, self._directory)
                patched.enter_context(patch.object(app, "Runtime", made))
                running = asyncio.create_task(app.run(settings, EventsSettings(), mesh))
                self._stack.push_async_callback(cancelled, running)
                # It has made its runtime.
                await asyncio.sleep(0)
        await until(lambda: all(bars.followers for bars in self._bars.values()))
        await self._until(IS_HANDLED, signals=0, executions=0)
        # Strategies act from their second bar on.
        for number, symbol in enumerate(SYMBOLS, 1):
            self._send_bar(symbol, LOW, seconds_ago=60)
            await self._until(HAS_SEEN, instances=number)

    async def signal(self, number: int) -> None:
        """Raise a signal with a bar, and wait until the log has all that follows."""
        self._send_bar(SYMBOLS[number - 1], HIGH)
        await self._until(IS_HANDLED, signals=number, executions=number * EXECUTIONS)

    def _send_bar(self, symbol: str, price: float, seconds_ago: int = 0) -> None:
        seconds = time.time_ns() // NANOSECONDS_PER_SECOND - seconds_ago
        open_ns, close_ns = (one * NANOSECONDS_PER_SECOND for one in (seconds - 1, seconds))
        sent = bar(0, price, symbol=symbol, open_time_ns=open_ns, close_time_ns=close_ns)
        self._bars[symbol].add(sent)

    async def _until(self, query: str, **values: int) -> None:
        async with await psycopg.AsyncConnection.connect(self._postgres_url, autocommit=True) as at:

            async def holds() -> bool:
                row = await (await at.execute(query, values)).fetchone()
                return bool(row and row[0])

            await eventually(holds)

    async def _play_others(self) -> None:
        """The processes of the venue, of bars and of history."""
        server, venue, bars = rpc.server(), FillingVenue(SYMBOLS), PlayedBars(self._bars)
        for file, name, servicer in (
            (market_data_pb2, "MarketData", venue),
            (trade_flow_pb2, "TradeFlow", venue),
            (bars_pb2, "Bars", bars),
            (history_pb2, "History", bars),
        ):
            rpc.serve(server, file.DESCRIPTOR.services_by_name[name], servicer)
        address = await _listen(server)
        self._stack.push_async_callback(server.stop, None)
        await self._directory.register(VENUE_KIND, VENUE, address, TRADE_FLOW)
        for kind in (BARS, HISTORY):
            await self._directory.register(kind, kind, address)


async def _listen(server: Any) -> str:
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return f"127.0.0.1:{port}"


async def cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_event_runs_the_functions_that_are_documented(
    valkey_url, postgres_url, tmp_path
) -> None:
    trace = CallTrace()
    as_thread = patch.object(worker_process, "_started", partial(WorkerThread, trace))
    # Its end would be recorded on a slow machine only.
    loader_stays = patch.object(pool, "LOADER_SECONDS", 3600.0)
    with trace.installed(), as_thread, loader_stays:
        async with AsyncExitStack() as stack:
            mesh = Mesh(trace, stack, postgres_url)
            await mesh.start(valkey_url, tmp_path)
            for number in range(1, len(SYMBOLS)):
                await mesh.signal(number)
            with trace.recording():
                await mesh.signal(len(SYMBOLS))
    differences = DocumentedPath.read("The way of an event").differences(trace)
    assert not differences, "\n".join([*differences, trace.table()])
