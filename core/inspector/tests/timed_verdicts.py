"""Measures verdicts of a process of the inspector on a database, for the benchmark of verdicts."""

import asyncio
import time
from contextlib import asynccontextmanager

import grpc
from venuemesh.inspector.v1 import inspector_pb2_grpc

from core.inspector.tests.rig import DECISIONS, START_NS, decision, rig_for
from core.inspector.tests.test_manual_orders import LENA, limit, place
from kit.base.migration import migrate
from kit.risk.facts import ReferencePrice
from tests.support.waiting import until

EVENTS = "SELECT count(*) FROM events WHERE stream = 'risk'"


class RealClock:
    """Begins at the time of the decisions and runs as fast as time does. With a faster one, all
    periodic work of the process would be done more often than it is."""

    def __init__(self):
        self._offset_ns = START_NS - time.monotonic_ns()

    def time_ns(self):
        return self._offset_ns + time.monotonic_ns()

    def monotonic_ns(self):
        return time.monotonic_ns()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


async def measure(postgres_url, policy, calls, decisions, now_s):
    """Return the milliseconds of each call of SubmitManual, and the verdicts per second on waiting
    decisions. All are blocked: no venue is waited for. ``now_s``: the timer."""
    await migrate(postgres_url)
    async with rig_for(postgres_url, RealClock()) as rig:
        process = await rig.start(policy=policy)
        await until(lambda: process.active.is_active)
        best = rig.venue.best
        process.rules.price = lambda venue, symbol: ReferencePrice(
            bid=best, ask=best, time_ns=rig.clock.time_ns(), book_state="proven"
        )
        times = []
        async with _served(process) as stub:
            for number in range(calls):
                started = now_s()
                await stub.SubmitManual(place(f"r{number}", limit("1000")))
                times.append((now_s() - started) * 1_000)
        return times, await _rate(rig, decisions, now_s)


async def _rate(rig, decisions, now_s):
    before = await _events(rig)
    await rig.put(DECISIONS, *[decision(number, size="1000") for number in range(decisions)])
    started = now_s()
    while await _events(rig) < before + decisions:
        await asyncio.sleep(0.02)
    return decisions / (now_s() - started)


async def _events(rig):
    async with rig.database.transaction() as connection:
        (count,) = await (await connection.execute(EVENTS)).fetchone()
    return count


class _Requests(inspector_pb2_grpc.InspectorServicer):
    """Requests of one person, without tokens."""

    def __init__(self, manual):
        self._manual = manual

    async def SubmitManual(self, request, context):
        return await self._manual.submit(request, LENA)


@asynccontextmanager
async def _served(process):
    server = grpc.aio.server()
    inspector_pb2_grpc.add_InspectorServicer_to_server(_Requests(process.manual), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield inspector_pb2_grpc.InspectorStub(channel)
    finally:
        await server.stop(None)
