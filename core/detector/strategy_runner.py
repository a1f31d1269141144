"""Runs one strategy on one instrument."""

from contextlib import aclosing
from decimal import Decimal

from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import event_pb2

from core.detector import run_store, store
from core.detector.bar_clients import BarsAway, BarSeries
from core.detector.bar_feed import BarFeed, BarPart
from core.detector.context import DetectorContext
from core.detector.run_store import SeenPosition, StrategyRun
from core.detector.store import InstanceKey, StoredInstance
from kit.base import backoff, telemetry
from kit.base.database import POSTGRESQL, Connection, ConsumerPositionConflict
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_log import EventConflict
from kit.strategy.input_feed import InputFeed
from kit.strategy.instance import StrategyInstance
from kit.strategy.loader import LoadedStrategy, line_in
from kit.strategy.strategy import Instrument

RETRY_SECONDS_MAX = 5.0
SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
WAITING = detector_pb2.STRATEGY_STATE_WAITING
RUNNING = detector_pb2.STRATEGY_STATE_RUNNING
STOPPED = detector_pb2.STRATEGY_STATE_STOPPED

_log = telemetry.logger("detector")


class StrategyFailed(Exception):
    """A strategy has raised an error."""


class StrategyRunner:
    """Hands each bar to the strategy once, in a transaction with its state and its signals.

    It begins again from the stored state when a store or a process is away. A strategy that raises
    an error stops, and no other one does.
    """

    def __init__(
        self, loaded: LoadedStrategy, instrument: Instrument, context: DetectorContext
    ) -> None:
        self.loaded = loaded
        self.key = InstanceKey(loaded.strategy.name, *instrument)
        self.state = WAITING
        self.detail = "waits for its first bar"
        self.bar: bars_pb2.Bar | None = None
        """The newest one."""
        self.position = store.FLAT
        """As of the newest bar."""
        self.signals = 0
        """Since the start."""
        self._instrument = instrument
        self._context = context
        self._stored: StoredInstance | None = None
        self._begins = False
        self._seen_position: Decimal | None = None
        self._warm_up_time_ns: int | None = None
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        series = BarSeries(*instrument, loaded.strategy.interval)
        warm_up_bars = loaded.strategy.warm_up_bars
        self._make_instance()
        self._feed = BarFeed(context.source, series, warm_up_bars, context.clock)

    async def run(self) -> None:
        """Run until the strategy fails."""
        while True:
            try:
                await self._follow()
            except StrategyFailed as error:
                self._stop(str(error))
                return
            except StoreUnavailable as error:
                self._context.degraded_reasons.report(POSTGRESQL, error.message)
                self._wait(error.message)
            except (BarsAway, ConsumerPositionConflict) as error:
                _log.info("begin again", extra={"strategy": self.name, "detail": str(error)})
                self._wait(str(error))
            except EventConflict as error:
                # Another version of this program has raised other signals on these bars.
                self._stop(str(error))
                return
            await self._context.clock.sleep(next(self._waits))

    def stay_stopped(self, detail: str) -> None:
        """Say why it does not run."""
        self.state, self.detail = STOPPED, detail

    def forget(self) -> None:
        """Report no error of it any more: another one takes its place."""
        self._context.degraded_reasons.clear(f"strategy {self.name}")

    @property
    def name(self) -> str:
        """Of the strategy on this instrument, for people."""
        return "/".join(self.key)

    async def _follow(self) -> None:
        """Go on from the stored state, until an error."""
        after_ns = await self._load()
        self._context.degraded_reasons.clear(POSTGRESQL)
        async with aclosing(self._feed.follow(after_ns)) as parts:
            async for part in parts:
                if part.warms_up:
                    await self._warm_up(part)
                elif self.instance.inputs.series:
                    for bar in part.bars:
                        await self._inputs.fill(bar, waits=len(part.bars) == 1)
                        await self._step(BarPart([bar]))
                else:
                    await self._step(part)

    async def _load(self) -> int | None:
        """Restore the instance. Returns the open time of its newest bar; None: it must warm up."""
        async with self._context.database.transaction() as connection:
            self._stored = await store.load(connection, self.key)
            self._seen_position = await run_store.newest_position(connection, self.key)
        self._begins, self._warm_up_time_ns = False, None
        self._make_instance()
        if self._stored is None or self._stored.version != self.loaded.version:
            self._begins = True
            return None
        try:
            self.instance.restore(self._stored.state)
        except ValueError as error:
            _log.warning("warms up again", extra={"strategy": self.name, "detail": str(error)})
            self._make_instance()
            self._begins = True
            return None
        self._inputs.resume(self._stored.open_time_ns + self.loaded.strategy.bar_interval.length_ns)
        return self._stored.open_time_ns

    def _make_instance(self) -> None:
        self.instance = StrategyInstance(self.loaded, self._instrument)
        context, interval = self._context, self.loaded.strategy.bar_interval
        self._inputs = InputFeed(context.inputs, self.instance.inputs, interval, context.clock)

    async def _warm_up(self, part: BarPart) -> None:
        if part.bars:
            self._warm_up_time_ns = part.bars[0].open_time_ns
        for bar in part.bars:
            await self._inputs.fill(bar, waits=False)
            try:
                self.instance.warm_up(bar)
            except (Exception, SystemExit) as error:
                raise self._failure(bar, error) from error

    async def _step(self, part: BarPart) -> None:
        """Evaluate bars, and store what follows."""
        newest = part.bars[-1]
        async with self._context.database.transaction() as connection:
            position = await store.position(connection, self.key)
            events = [event for bar in part.bars if (event := self._evaluate(bar, position))]
            now = StoredInstance(
                self.loaded.version, newest.open_time_ns, newest.revision, self.instance.save()
            )
            await store.save(connection, self.key, self._stored, now)
            await self._keep_inputs(connection, part.bars[0].open_time_ns, position)
            if events:
                stored_time_ns = self._context.clock.time_ns()
                await event_log.append(connection, SIGNALS, events, stored_time_ns)
        if events:
            self._context.after_signal()
        self._stored, self.bar, self.position = now, newest, position
        self._seen_position, self._begins = position, False
        self.signals += len(events)
        self.state, self.detail = RUNNING, ""
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        self._context.metrics.evaluated(self.key.strategy, len(part.bars), len(events))

    async def _keep_inputs(
        self, connection: Connection, open_time_ns: int, position: Decimal
    ) -> None:
        """Keep what the signals of these bars rest on besides bars. ``open_time_ns``: of the first
        one."""
        if self._begins:
            warm_up_time_ns = self._warm_up_time_ns or open_time_ns
            run = StrategyRun(open_time_ns, warm_up_time_ns, self.loaded.version)
            await run_store.begin(connection, self.key, run)
        if position != self._seen_position:
            await run_store.see(connection, self.key, SeenPosition(open_time_ns, position))

    def _evaluate(self, bar: bars_pb2.Bar, position: Decimal) -> event_pb2.Event | None:
        try:
            return self.instance.update(bar, position)
        except (Exception, SystemExit) as error:
            raise self._failure(bar, error) from error

    def _failure(self, bar: bars_pb2.Bar, error: BaseException) -> StrategyFailed:
        place = f"{self.loaded.file.name}:{line_in(self.loaded.file, error)}"
        reason = f"{type(error).__name__}: {error}"
        return StrategyFailed(f"{place}: {reason}, at the bar that opens at {bar.open_time_ns}")

    def _wait(self, detail: str) -> None:
        self.state, self.detail = WAITING, detail

    def _stop(self, detail: str) -> None:
        self.stay_stopped(detail)
        self._context.degraded_reasons.report(f"strategy {self.name}", detail)
        self._context.metrics.stopped()
