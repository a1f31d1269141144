"""The log of all events: appended, proven, verified, and asked why."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from benchmarks.options import Options
from benchmarks.report import Figure, Report
from conftest import free_port
from core.audit.tests.rig import EXECUTIONS, Rig, fill, order, rig_for
from kit.events import event_log
from tests.support.postgres_process import PostgresProcess

EVENTS = 100_000
BATCH = 1_000
BATCH_EVENTS_MAX = 2_000
CALLS = 200
MS = 1_000


def run(options: Options) -> Report:
    """Rates of leaves, and the slowest of a hundred proofs and of a hundred chains."""
    runs = [asyncio.run(_measure()) for _ in range(options.runs)]
    appended, verified, proven, asked = zip(*runs, strict=True)
    figures = [
        Figure("append", "events/s", appended, "above 5,000"),
        Figure("verify all", "leaves/s", verified, "above 200,000"),
        Figure("prove, p99", "ms", proven, "under 5"),
        Figure("why, p99", "ms", asked, "under 50"),
    ]
    return Report(f"audit: {EVENTS:,} events", figures)


async def _measure() -> tuple[float, float, float, float]:
    async with _rig() as rig:
        events = await _fill(rig)
        started = time.perf_counter()
        await rig.write()
        appended = EVENTS / (time.perf_counter() - started)
        await rig.sign()
        started = time.perf_counter()
        if await rig.difference():
            raise ValueError("the log differs")
        verified = EVENTS / (time.perf_counter() - started)
        some = events[:: EVENTS // CALLS]

        async def prove(number: int) -> None:
            request = audit_pb2.ProveRequest(event_id=some[number].event_id)
            await rig.prover.prove(request)

        async def why(number: int) -> None:
            await rig.chains.why(audit_pb2.WhyRequest(event_id=some[number].event_id))

        return appended, verified, await _p99_ms(prove), await _p99_ms(why)


async def _fill(rig: Rig) -> list[event_pb2.Event]:
    """Store orders with their fills, each pair a lifecycle of its own."""
    events: list[event_pb2.Event] = []
    for number in range(EVENTS // 2):
        placed = order(number)
        placed.lifecycle_id = placed.event_id
        events += [placed, fill(number, placed.event_id, (placed.event_id,))]
    for begin in range(0, EVENTS, BATCH):
        async with rig.database.transaction() as connection:
            batch = events[begin : begin + BATCH]
            await event_log.append(connection, EXECUTIONS, batch, rig.now_ns)
    return events


async def _p99_ms(call: Callable[[int], Awaitable[None]]) -> float:
    times = []
    for number in range(CALLS):
        started = time.perf_counter()
        await call(number)
        times.append(time.perf_counter() - started)
    return sorted(times)[int(CALLS * 0.99)] * MS


@asynccontextmanager
async def _rig() -> AsyncIterator[Rig]:
    # PostgreSQL does not run as root, and may not enter a folder that only root may.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    folder.chmod(0o711)
    postgres = PostgresProcess(folder / "postgres", free_port())
    try:
        await postgres.start()
        async with rig_for(postgres.url, folder, batch_events_max=BATCH_EVENTS_MAX) as rig:
            yield rig
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)
