"""Runs one strategy on one instrument."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from decimal import Decimal

from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from core.detector import instance_states, run_store, store
from core.detector.bar_clients import BarSeries, BarsUnavailable
from core.detector.bar_feed import BarFeed
from core.detector.context import DetectorContext
from core.detector.evaluation import (
    STEPS_MAX,
    BarStep,
    Evaluated,
    EvaluationLost,
    RunningInstance,
    StrategyFault,
    StrategyProgram,
    StrategyRefused,
)
from core.detector.input_buffer import InputBuffer
from core.detector.instance_states import InstanceState
from core.detector.run_store import SeenPosition, StrategyRun
from core.detector.step_store import StateChange, Step
from core.detector.store import InstanceKey, InstanceUpdate, StoredInstance
from kit.base import backoff, telemetry
from kit.base.database import POSTGRESQL, Connection, ConsumerPositionConflict
from kit.base.errors import StoreUnavailable
from kit.events.event_log import EventConflict
from kit.events.leases import LeaseLost
from kit.strategy.input_feed import InputFeed
from kit.strategy.instance import CLOSE, FLIP, OPEN
from kit.strategy.strategy import Instrument

RETRY_SECONDS_MAX = 5.0
FIRST_BAR = "waits for its first bar"
ELSEWHERE = "another detector runs it"
BY_A_PERSON = "it was paused by a person; ResumeStrategy lets it open positions again"
SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
WAITING = detector_pb2.STRATEGY_STATE_WAITING
RUNNING = detector_pb2.STRATEGY_STATE_RUNNING
STOPPED = detector_pb2.STRATEGY_STATE_STOPPED
FAILED = detector_pb2.STRATEGY_STATE_FAILED
WARMING = detector_pb2.STRATEGY_STATE_WARMING
PAUSED = detector_pb2.STRATEGY_STATE_PAUSED

_log = telemetry.logger("detector")


class _Unlisted(Exception):
    """The venue has no such instrument, at least not yet."""


class StrategyRunner:
    """Evaluates each bar once, and stores state and signals in one transaction.

    After an outage of a store or a process, or if another strategy has ended the worker process, it
    resumes from the stored state. A strategy whose code fails stops; the others continue.
    """

    def __init__(
        self,
        program: StrategyProgram,
        instrument: Instrument,
        context: DetectorContext,
        is_paused: bool = False,
    ) -> None:
        """``is_paused``: it opens no position."""
        self.terms = program.terms
        self.key = InstanceKey(self.terms.name, *instrument)
        self.state = WAITING
        self.detail = FIRST_BAR if context.ownership.owns(self.key) else ELSEWHERE
        self.bar: bars_pb2.Bar | None = None
        """The newest bar."""
        self.position = store.FLAT
        """As of the newest bar."""
        self.signals = 0
        """Since the start of the detector; whoever replaces a runner keeps it."""
        self._program = program
        self._instrument = instrument
        self._context = context
        self._is_paused = is_paused
        self._instance: RunningInstance | None = None
        self._stored: StoredInstance | None = None
        self._begins = False
        self._seen_position: Decimal | None = None
        self._warm_up_time_ns: int | None = None
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        series = BarSeries(*instrument, self.terms.interval)
        self._feed = BarFeed(context.source, series, self.terms.warm_up_bars, context.clock)

    async def run(self) -> None:
        """Run until the strategy fails."""
        self._wait(FIRST_BAR)
        while True:
            try:
                await self._follow()
            except (StrategyFault, StrategyRefused, EventConflict) as error:
                # A conflict: another version of this program raised other signals on these
                # bars.
                await self._fail(str(error))
                return
            except StoreUnavailable as error:
                self._context.degraded_reasons.report(POSTGRESQL, error.message)
                self._wait(error.message)
            except asyncio.CancelledError:
                if not self._context.ownership.owns(self.key):
                    self._wait(ELSEWHERE)
                raise
            except _Unlisted as error:
                self._wait(str(error))
            except (BarsUnavailable, ConsumerPositionConflict, LeaseLost, EvaluationLost) as error:
                _log.info("begin again", extra={"strategy": self.name, "detail": str(error)})
                self._wait(str(error))
            await self._context.clock.sleep(next(self._waits))

    def stay_stopped(self, detail: str) -> None:
        """Set the reason why it does not run."""
        self.state, self.detail = STOPPED, detail

    async def keep_stopped(self, connection: Connection, detail: str) -> None:
        """Store that it has stopped. Raises EventConflict."""
        await self._keep_state(
            connection, instance_states.STOPPED, detail, self._context.clock.time_ns()
        )

    def forget(self) -> None:
        """Clear its reported error: another runner replaces it."""
        self._context.degraded_reasons.clear(f"strategy {self.name}")

    @property
    def name(self) -> str:
        """The name of strategy and instrument, for people."""
        return "/".join(self.key)

    async def explain(self) -> detector_pb2.ExplainResponse:
        """The scores after its newest bar, without its status."""
        if self._instance is None:
            return detector_pb2.ExplainResponse(abstains_because=self.detail)
        try:
            return await self._instance.explain(self.bar)
        except (StrategyFault, EvaluationLost) as error:
            # The next bar raises the same error in the runner.
            return detector_pb2.ExplainResponse(abstains_because=str(error))

    async def evaluations(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        """What it has computed on its newest bars, without its status."""
        if self._instance is None:
            return detector_pb2.GetEvaluationsResponse()
        try:
            return await self._instance.evaluations(after_time_ns)
        except (StrategyFault, EvaluationLost):
            # The next bar raises the same error in the runner, whose state has the reason.
            return detector_pb2.GetEvaluationsResponse()

    async def _follow(self) -> None:
        """Run from the stored state until an error."""
        stored = await self._load()
        venue, symbol = self._instrument
        if stored is None and await self._context.listings.unlisted(venue, [symbol]):
            raise _Unlisted(f"{venue} lists no instrument {symbol!r}")
        state = None if stored is None else stored.state
        instance = await self._begin(state)
        try:
            after_ns = None if stored is None or instance.begins else stored.open_time_ns
            if stored is not None and instance.begins:
                _log.warning("warms up again", extra={"strategy": self.name})
            await self._evaluate(instance, after_ns)
        finally:
            self._close()

    async def _load(self) -> StoredInstance | None:
        """The stored state to resume from; None: it starts."""
        async with self._context.database.transaction() as connection:
            self._stored = await store.load(connection, self.key)
            self._seen_position = await run_store.newest_position(connection, self.key)
        self._context.degraded_reasons.clear(POSTGRESQL)
        self._warm_up_time_ns = None
        is_same = self._stored is not None and self._stored.version == self.terms.version
        return self._stored if is_same else None

    async def _begin(self, state: bytes | None) -> RunningInstance:
        self._close()
        self._instance = await self._program.begin(self._instrument, state)
        return self._instance

    def _close(self) -> None:
        if self._instance is not None:
            self._instance.close()
        self._instance = None

    async def _evaluate(self, instance: RunningInstance, after_ns: int | None) -> None:
        """Evaluate the bars after this time."""
        self._begins, interval = after_ns is None, self.terms.bar_interval
        rows = InputBuffer(instance.series)
        inputs = InputFeed(self._context.inputs, rows, interval, self._context.clock)
        if after_ns is not None:
            inputs.resume(after_ns + interval.length_ns)
        async with aclosing(self._feed.follow(after_ns)) as parts:
            async for part in parts:
                # A bar with other market data has a transaction of its own, as reading takes time.
                steps_max = 1 if instance.series and not part.warms_up else STEPS_MAX
                waits = len(part.bars) == 1 and not part.warms_up
                if part.warms_up and part.bars:
                    # Reading its other market data may take long.
                    await self._begin_to_warm_up(part.bars)
                for bars in batched(part.bars, steps_max):
                    steps: list[BarStep] = []
                    for bar in bars:
                        await inputs.fill(bar, waits=waits)
                        steps.append(BarStep(bar, rows.take()))
                    if part.warms_up:
                        await instance.warm_up(steps)
                    else:
                        await self._step(steps, is_live=waits)

    async def _begin_to_warm_up(self, bars: Sequence[bars_pb2.Bar]) -> None:
        self._warm_up_time_ns, detail = bars[0].open_time_ns, f"{len(bars)} recorded bars"
        now = InstanceState(self.terms.version, instance_states.WARMING, detail)
        await self._context.steps.change(StateChange(self.key, now, bars[-1].close_time_ns))
        self._context.after_signal(None)
        self.state, self.detail = WARMING, detail

    async def _step(self, steps: Sequence[BarStep], *, is_live: bool) -> None:
        """Evaluate bars and store the result."""
        first, newest = steps[0].bar, steps[-1].bar
        context = self._context
        state, detail = (PAUSED, BY_A_PERSON) if self._is_paused else (RUNNING, "")
        stored = instance_states.PAUSED if self._is_paused else instance_states.RUNNING
        is_new = self.state != state
        position = await context.steps.position(self.key)
        # No transaction is open while the code of a strategy runs: it may take seconds.
        found = await self._updated(steps, position)
        events = _while_paused(found.events) if self._is_paused else found.events
        version = self.terms.version
        now = StoredInstance(version, newest.open_time_ns, newest.revision, found.state)
        await context.steps.keep(
            Step(
                move=InstanceUpdate(self.key, self._stored, now),
                events=events,
                run=self._run(first) if self._begins else None,
                seen=self._seen(first, position),
                state=InstanceState(version, stored, detail) if is_new else None,
                time_ns=newest.close_time_ns,
                is_live=is_live,
            )
        )
        self._stored, self.bar, self.position = now, newest, position
        self._seen_position, self._begins = position, False
        self.signals += len(events)
        self.state, self.detail = state, detail
        if is_new:
            self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        dropped = len(found.events) - len(events)
        self._context.metrics.evaluated(self.key.strategy, len(steps), len(events), dropped)

    async def _updated(self, steps: Sequence[BarStep], position: Decimal) -> Evaluated:
        """The result of bars. If another strategy has ended the worker process, and the state is
        stored completely, it starts again at once."""
        instance = self._instance
        assert instance is not None
        try:
            return await instance.update(steps, position)
        except EvaluationLost:
            if self._begins or self._stored is None or instance.series:
                raise
            again = await self._begin(self._stored.state)
            if again.begins:
                raise
        return await again.update(steps, position)

    def _run(self, first: bars_pb2.Bar) -> StrategyRun:
        """The run that starts with this bar."""
        warm_up_time_ns = self._warm_up_time_ns or first.open_time_ns
        return StrategyRun(first.open_time_ns, warm_up_time_ns, self.terms.version)

    def _seen(self, first: bars_pb2.Bar, position: Decimal) -> SeenPosition | None:
        """The position, or None if it has not changed."""
        is_known = position == self._seen_position
        return None if is_known else SeenPosition(first.open_time_ns, position)

    def _wait(self, detail: str) -> None:
        self.state, self.detail = WAITING, detail

    async def _fail(self, detail: str) -> None:
        self._context.degraded_reasons.report(f"strategy {self.name}", detail)
        self._context.metrics.stopped()
        time_ns = self.bar.close_time_ns if self.bar else self._context.clock.time_ns()
        try:
            async with self._context.database.transaction() as connection:
                await self._context.ownership.hold(connection, [self.key])
                await self._keep_state(connection, instance_states.FAILED, detail, time_ns)
        except (StoreUnavailable, EventConflict, LeaseLost) as error:
            # The strategy has failed in any case, and is not called again.
            _log.warning("failure not stored", extra={"strategy": self.name, "detail": str(error)})
        else:
            self._context.after_signal(None)
        # Only now: a caller who sees FAILED may replace the strategy, which cancels the commit.
        self.state, self.detail = FAILED, detail

    async def _keep_state(
        self,
        connection: Connection,
        state: "signals_pb2.StrategyRunState.ValueType",
        detail: str,
        time_ns: int,
    ) -> None:
        now = InstanceState(self.terms.version, state, detail)
        stored_time_ns = self._context.clock.time_ns()
        await instance_states.record(connection, self.key, now, time_ns, stored_time_ns)


def _while_paused(events: Sequence[event_pb2.Event]) -> Sequence[event_pb2.Event]:
    """Without those that open a position; a flip only closes."""
    kept = [event for event in events if event.signal_raised.action != OPEN]
    for event in kept:
        if event.signal_raised.action == FLIP:
            event.signal_raised.action = CLOSE
            event.signal_raised.ClearField("request")
    return kept


def batched(bars: Sequence[bars_pb2.Bar], count: int) -> Iterator[Sequence[bars_pb2.Bar]]:
    """Bars in parts of up to ``count``."""
    for start in range(0, len(bars), count):
        yield bars[start : start + count]
