"""Calls of processes that become events, from their servers to a real database."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.events.v1.system_pb2 import CallMade
from venuemesh.registry.v1 import registry_pb2

from core.audit.call_collector import CallCollector
from core.audit.metrics import AuditMetrics
from core.audit.store import SYSTEM
from core.audit.tests.rig import Rig, rig_for
from kit.base import rpc
from kit.base.access.made_calls import MadeCalls
from kit.base.admin import AdminServicer
from kit.base.clock import SystemClock
from kit.base.recent_logs import RecentLogs
from kit.base.telemetry import Meter
from kit.events import event_log
from tests.support.waiting import eventually

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["Admin"]


class Processes:
    """Processes that serve Admin, and a directory that lists those that run."""

    def __init__(self) -> None:
        self._running: list[registry_pb2.ServiceInstance] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, service_id: str, start_time_ns: int, calls: MadeCalls):
        """A process until the end of the context. It keeps the calls that it is given."""
        instance = registry_pb2.ServiceInstance(
            service_id=service_id, instance_id=f"host-{service_id}", start_time_ns=start_time_ns
        )
        server = rpc.server()
        logs = RecentLogs(start_time_ns, SystemClock())
        servicer = AdminServicer(instance, Meter(service_id), lambda: None, calls, logs)
        rpc.serve(server, ADMIN, servicer)
        instance.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        self._running.append(instance)
        self._changed.set()
        try:
            yield
        finally:
            self._running.remove(instance)
            self._changed.set()
            await server.stop(0)

    async def watch(self, kind):
        assert kind == ""
        while True:
            self._changed.clear()
            yield [registry_pb2.Service(instance=one) for one in self._running]
            await self._changed.wait()


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path) as rig:
        yield rig


@asynccontextmanager
async def collecting(rig: Rig, processes: Processes):
    meter = Meter("collector")
    collector = CallCollector(processes, rig.database, SystemClock(), AuditMetrics(meter))
    running = asyncio.create_task(collector.run())
    try:
        yield meter
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def stored(rig: Rig) -> list[tuple[str, str]]:
    """Process and request id of each stored call, in order."""
    async with rig.database.transaction() as connection:
        events = [one.event() for one in await event_log.read(connection, SYSTEM, 0)]
    return [(one.source, one.call_made.request_id) for one in events]


async def until_stored(rig: Rig, *expected: tuple[str, str]) -> None:
    async def are_there() -> bool:
        return sorted(await stored(rig)) == sorted(expected)

    await eventually(are_there)


def call(request_id: str, caller: str = "desk") -> CallMade:
    return CallMade(caller=caller, request_id=request_id, outcome="OK")


async def test_each_call_of_each_process_is_stored_once(rig: Rig):
    processes, bars, venue = Processes(), MadeCalls(SystemClock()), MadeCalls(SystemClock())
    async with processes.running("bars", 1, bars):
        bars.add(call("r-1"))
        async with collecting(rig, processes):
            await until_stored(rig, ("bars", "r-1"))
            async with processes.running("binance", 1, venue):
                venue.add(call("r-2"))
                bars.add(call("r-3"))
                await until_stored(rig, ("bars", "r-1"), ("binance", "r-2"), ("bars", "r-3"))
        # Another process of Audit, or the next one, reads all of them again.
        async with collecting(rig, processes):
            bars.add(call("r-4"))
            await until_stored(
                rig, ("bars", "r-1"), ("binance", "r-2"), ("bars", "r-3"), ("bars", "r-4")
            )
    assert await rig.difference() == ""


async def test_calls_of_the_next_start_are_others(rig: Rig):
    processes = Processes()
    async with collecting(rig, processes):
        for start in (1, 2):
            calls = MadeCalls(SystemClock())
            async with processes.running("bars", start, calls):
                calls.add(call(f"r-{start}"))
                await until_stored(rig, *(("bars", f"r-{one}") for one in range(1, start + 1)))
    assert await stored(rig) == [("bars", "r-1"), ("bars", "r-2")]


async def test_what_a_process_has_dropped_is_counted(rig: Rig):
    processes, calls = Processes(), MadeCalls(SystemClock(), calls_max=2)
    for number in range(1, 6):
        calls.add(call(f"r-{number}"))
    async with processes.running("bars", 1, calls), collecting(rig, processes) as meter:
        await until_stored(rig, ("bars", "r-4"), ("bars", "r-5"))
    assert meter.registry.get_sample_value("venuemesh_audit_missed_calls_total") == 3


async def test_a_caller_may_have_any_name(rig: Rig):
    processes, calls = Processes(), MadeCalls(SystemClock())
    calls.add(call("r-1", caller="ann\0 \u2028'"))
    async with processes.running("bars", 1, calls), collecting(rig, processes):
        await until_stored(rig, ("bars", "r-1"))
    assert await rig.execute("SELECT FROM events WHERE subject = %s", "caller:ann \u2028'") == 1
