"""Strategies on a real database, with bars that the test makes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from venuemesh.bars.v1 import bars_pb2
from venuemesh.events.v1 import event_pb2

from core.detector.bar_clients import BarsUnavailable
from core.detector.context import DetectorContext
from core.detector.local_programs import LocalProgram
from core.detector.metrics import DetectorMetrics
from core.detector.strategy_runner import SIGNALS, StrategyRunner
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.strategy.tests.market import BTCUSDT, bar, loaded


class MadeBars:
    """Bars of one series: those that are recorded, and those that are sent to who follows."""

    def __init__(self) -> None:
        self.record: dict[int, bars_pb2.Bar] = {}
        self.is_away = False
        self._followers: set[asyncio.Queue[list[bars_pb2.Bar]]] = set()

    @property
    def followers(self) -> int:
        return len(self._followers)

    def add(self, *bars: bars_pb2.Bar) -> None:
        """Record bars, and send them together."""
        self.record.update((one.open_time_ns, one) for one in bars)
        self.send(*bars)

    def send(self, *bars: bars_pb2.Bar) -> None:
        for follower in self._followers:
            follower.put_nowait(list(bars))

    async def live(self, series):
        queue: asyncio.Queue[list[bars_pb2.Bar]] = asyncio.Queue()
        self._followers.add(queue)
        if self.record:
            newest = self.record[max(self.record)]
            open_bar = bars_pb2.Bar(open_time_ns=newest.close_time_ns)
            queue.put_nowait([open_bar])
        try:
            while True:
                bars = await queue.get()
                self._require()
                yield bars
        finally:
            self._followers.discard(queue)

    async def recorded(self, series, times_ns, count, newest_first=False):
        self._require()
        found = [one for at, one in sorted(self.record.items()) if at in times_ns]
        return list(reversed(found))[:count] if newest_first else found[:count]

    def _require(self) -> None:
        if self.is_away:
            raise BarsUnavailable("bars does not run")


class Rig:
    """A detector without its server."""

    def __init__(self, postgres_url: str) -> None:
        self.database = Database(postgres_url)
        self.bars = MadeBars()
        self.meter = Meter("detector")
        self.degraded_reasons = DegradedReasons(self.meter)
        metrics = DetectorMetrics(self.meter)
        self.context = DetectorContext(
            self.database,
            self.bars,
            lambda stored: None,
            metrics,
            self.degraded_reasons,
            SystemClock(),
        )

    def runner(self, strategy=None, version="ab" * 32) -> StrategyRunner:
        return StrategyRunner(LocalProgram(loaded(strategy, version)), BTCUSDT, self.context)

    @asynccontextmanager
    async def running(self, *runners: StrategyRunner) -> AsyncIterator[None]:
        """As long as the context, and until they follow the bars."""
        before = self.bars.followers
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        try:
            while self.bars.followers < before + len(tasks):
                await asyncio.sleep(0.001)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def signals(self) -> list[event_pb2.Event]:
        async with self.database.transaction() as connection:
            found = [one.event() for one in await event_log.read(connection, SIGNALS, 0, 5_000)]
            return [event for event in found if event.HasField("signal_raised")]

    async def states(self, strategy: str) -> list[tuple[int, str]]:
        """Each state of a strategy, and why, in order."""
        async with self.database.transaction() as connection:
            found = [one.event() for one in await event_log.read(connection, SIGNALS, 0, 5_000)]
        changes = [event.strategy_state_changed for event in found]
        return [(one.state, one.detail) for one in changes if one.strategy == strategy]

    async def has_begun(self) -> bool:
        """Whether a strategy has seen a bar."""
        async with self.database.transaction() as connection:
            rows = await connection.execute("SELECT FROM detector_instances")
            return rows.rowcount > 0

    async def store(self, stream, *events: event_pb2.Event) -> None:
        async with self.database.transaction() as connection:
            await event_log.append(connection, stream, events, 1)


@asynccontextmanager
async def rig_for(postgres_url: str) -> AsyncIterator[Rig]:
    rig = Rig(postgres_url)
    try:
        yield rig
    finally:
        await rig.database.close()


def numbers(events) -> list[int]:
    """The numbers of the bars of signals."""
    first = bar(0)
    length_ns = first.close_time_ns - first.open_time_ns
    opened = [event.signal_raised.bar.open_time_ns for event in events]
    return [(open_ns - first.open_time_ns) // length_ns for open_ns in opened]
