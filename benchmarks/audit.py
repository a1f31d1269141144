"""The log of all events: appended, proven, verified, and asked why."""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from benchmarks.bulk_log import fill_log, pairs
from benchmarks.options import Options
from benchmarks.report import Figure, Report
from conftest import free_port
from core.audit.tests.rig import EXECUTIONS, Rig, rig_for
from kit.base.migration import migrate
from kit.events import event_log
from tests.support.postgres_process import PostgresProcess

EVENTS = 100_000
LONG_EVENTS = 10_000_000
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
        verified = await _verified(rig, EVENTS)
        some = [event.event_id for event in events[:: EVENTS // CALLS]]
        return appended, verified, *await _asked(rig, some)


def run_long(options: Options) -> Report:
    """The slowest of a hundred proofs and of a hundred chains, with ten million leaves."""
    return asyncio.run(_run_long(options.runs))


async def _run_long(runs: int) -> Report:
    async with _rig() as rig:
        started = time.perf_counter()
        await fill_log(rig, LONG_EVENTS)
        filled = time.perf_counter() - started
        await rig.sign()
        verified = await _verified(rig, LONG_EVENTS)
        chance = random.Random(1)
        asked = []
        for _ in range(runs):
            places = (chance.randrange(0, LONG_EVENTS, 2) for _ in range(CALLS))
            some = [pairs(place, place + 2)[place // 2 % 2].event_id for place in places]
            asked.append(await _asked(rig, some))
    proven, why = zip(*asked, strict=True)
    figures = [
        Figure("verify all", "leaves/s", [verified], "above 200,000"),
        Figure("prove, p99", "ms", proven, "under 5"),
        Figure("why, p99", "ms", why, "under 50"),
    ]
    notes = [f"{LONG_EVENTS // 2:,} fills with their orders, filled in bulk in {filled:,.0f} s"]
    return Report(f"audit: {LONG_EVENTS:,} events", figures, notes)


async def _verified(rig: Rig, leaves: int) -> float:
    """Leaves that are compared each second. Raises ValueError when one is wrong."""
    started = time.perf_counter()
    outcome = await rig.verify()
    seconds = time.perf_counter() - started
    if outcome.HasField("difference") or outcome.signed_size < leaves:
        raise ValueError(f"the log differs: {outcome}")
    return leaves / seconds


async def _asked(rig: Rig, some: Sequence[bytes]) -> tuple[float, float]:
    """The slowest of a hundred proofs and of a hundred chains of these events, ms."""

    async def prove(number: int) -> None:
        await rig.prover.prove(audit_pb2.ProveRequest(event_id=some[number]))

    async def why(number: int) -> None:
        await rig.chains.why(audit_pb2.WhyRequest(event_id=some[number]))

    return await _p99_ms(prove), await _p99_ms(why)


async def _fill(rig: Rig) -> list[event_pb2.Event]:
    """Store orders with their fills."""
    events = pairs(0, EVENTS)
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
        await migrate(postgres.url)
        async with rig_for(postgres.url, folder, batch_events_max=BATCH_EVENTS_MAX) as rig:
            yield rig
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)
