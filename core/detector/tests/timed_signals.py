"""Measures many strategies of a detector on a database, for the benchmark of the detector."""

import gc
import os
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.detector.settings import DetectorSettings
from core.detector.strategy_runner import RUNNING, StrategyRunner
from core.detector.tests.rig import MadeBars, rig_for
from core.detector.workers.pool import WorkerPool
from kit.base.migration import migrate
from kit.strategy.strategy import Instrument
from tests.support.waiting import until


@dataclass
class Measured:
    """What was measured of strategies that got their bars at the same time."""

    signal_ms: list[float] = field(default_factory=list)
    """Of each signal, from the sending of its bar until it was stored."""
    step_ms: list[float] = field(default_factory=list)
    """Of each strategy and bar, until its new state was stored."""
    worker_bytes: float = 0.0
    """Of the worker processes, for each strategy."""
    detector_bytes: float = 0.0
    """Of the detector's own process, for each strategy."""


class MadeMarkets:
    """The bars of many instruments."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.by_instrument = {one: MadeBars() for one in instruments}

    def live(self, series):
        return self._of(series).live(series)

    async def recorded(self, series, times_ns, count, newest_first=False):
        return await self._of(series).recorded(series, times_ns, count, newest_first)

    @property
    def followers(self) -> int:
        return sum(one.followers for one in self.by_instrument.values())

    def _of(self, series) -> MadeBars:
        return self.by_instrument[Instrument(series.venue, series.symbol)]


async def measure(postgres_url, sources, bars, warm_up, now_s) -> Measured:
    """``sources``: an instrument, a file and a name for each strategy. ``bars``: of each
    instrument, of which the first ``warm_up`` are recorded before the strategies start. ``now_s``:
    the timer."""
    found, sent_s = Measured(), {}
    markets = MadeMarkets(list(bars))
    await migrate(postgres_url)
    async with rig_for(postgres_url) as rig, _pool() as pool:
        context = replace(rig.context, source=markets)
        programs = [(one, await pool.load(file, name)) for one, file, name in sources]
        worker_ids = await _started(pool, *programs[0])
        workers, own = memory_bytes(worker_ids), memory_bytes([os.getpid()])
        runners = [StrategyRunner(program, one, context) for one, program in programs]
        keep = context.steps.keep

        async def timed_keep(step):
            await keep(step)
            passed_ms = (now_s() - sent_s[step.move.now.open_time_ns]) * 1_000
            found.step_ms.append(passed_ms)
            found.signal_ms.extend(passed_ms for _ in step.events)

        context.steps.keep = timed_keep
        for instrument, of in bars.items():
            markets.by_instrument[instrument].add(*of[:warm_up])
        # Their tasks are those of the rig, which waits for followers of its own bars.
        rig.bars = markets
        async with rig.running(*runners):
            for number, together in enumerate(list(zip(*bars.values(), strict=True))[warm_up:], 1):
                sent_s[together[0].open_time_ns] = now_s()
                for instrument, one in zip(bars, together, strict=True):
                    markets.by_instrument[instrument].add(one)
                wanted = number * len(runners)
                await until(lambda count=wanted: len(found.step_ms) >= count)
                if number == 1:
                    # That step came after the start and the warm-up.
                    assert [one.detail for one in runners if one.state != RUNNING] == []
                    found.step_ms[:] = [0.0] * len(runners)
                    found.signal_ms.clear()
                    # As a process of the mesh does after its start.
                    gc.collect()
                    gc.freeze()
            del found.step_ms[: len(runners)]
            found.worker_bytes = (memory_bytes(worker_ids) - workers) / len(runners)
            found.detector_bytes = (memory_bytes([os.getpid()]) - own) / len(runners)
    gc.unfreeze()
    return found


@asynccontextmanager
async def _pool():
    settings = DetectorSettings()
    pool = WorkerPool(
        settings.workers, settings.limits, must_be_restricted=False, started=lambda _: None
    )
    try:
        yield pool
    finally:
        await pool.close()


async def _started(pool, instrument, program) -> list[int]:
    """Start all processes. Returns their ids."""
    instances = [await program.begin(instrument, None) for _ in pool._slots]
    for one in instances:
        one.close()
    workers = [await slot.worker() for slot in pool._slots]
    return [worker._process.pid for worker in workers]


def memory_bytes(process_ids: Sequence[int]) -> int:
    """What the processes have in memory now."""
    pages = (int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in process_ids)
    return sum(pages) * os.sysconf("SC_PAGESIZE")
