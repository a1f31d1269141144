"""Observes the outcomes of stored decisions, each once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from venuemesh.bars.v1 import bars_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2

from core.advisor import outcome_store
from core.advisor.decider import SOURCE
from core.advisor.observed_entries import is_improbable, observed_intent
from core.advisor.outcome_store import OpenOutcome
from core.advisor.recorded_bars import BarsUnavailable
from core.advisor.signal_handler import DECISIONS
from core.advisor.triple_barrier import Barrier, BarrierOutcome, Barriers, barrier_outcome
from kit.accounting.amounts import plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import Connection, Database
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.logged_events import LoggedEvent

INTERVAL = "1m"
BAR_NS = 60 * NANOSECONDS_PER_SECOND
ENTRIES_MAX = 1_000
"""Most open outcomes that are looked at in one round: those whose time limit is first."""
RECORD_WAIT_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
"""How long after the time limit bars are waited for. Then the outcome is unknown."""

BARRIERS = {
    Barrier.TARGET: decisions_pb2.OUTCOME_BARRIER_TARGET,
    Barrier.STOP: decisions_pb2.OUTCOME_BARRIER_STOP,
    Barrier.TIME_LIMIT: decisions_pb2.OUTCOME_BARRIER_TIME_LIMIT,
    Barrier.UNKNOWN: decisions_pb2.OUTCOME_BARRIER_UNKNOWN,
}

_log = telemetry.logger("advisor.outcomes")


class BarHistory(Protocol):
    """The recorded bars of all instruments."""

    async def opened_in(
        self, venue: str, symbol: str, interval: str, times_ns: range
    ) -> list[bars_pb2.Bar]:
        """The final bars that open in this range, oldest first. Raises BarsUnavailable."""


class OutcomeTimes(NamedTuple):
    """Times of the observation."""

    limit_s: int
    """From a decision to its time limit."""
    interval_s: int
    """Between two rounds."""


class OutcomeObserver:
    """Notes the entries among the decisions, and stores an event when the outcome of one is known.

    One transaction removes the note and stores the event.
    """

    def __init__(
        self,
        database: Database,
        bars: BarHistory,
        times: OutcomeTimes,
        wake_relay: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._bars = bars
        self._times = times
        self._wake_relay = wake_relay
        self._clock = clock

    async def handle(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Note the entries among these events, in the transaction of the position."""
        decisions = [
            event
            for event in (one.event() for one in events)
            if event.decision_made.HasField("intent") or is_improbable(event.decision_made)
        ]
        if not decisions:
            return
        signals = await event_log.stored(connection, [one.cause_ids[0] for one in decisions])
        limits_ns = {
            event.event_id: event.time_ns + self._times.limit_s * NANOSECONDS_PER_SECOND
            for event in decisions
            if event.cause_ids[0] in signals
            and _barriers(signals[event.cause_ids[0]], event, 0) is not None
        }
        if limits_ns:
            await outcome_store.open_outcomes(connection, limits_ns)

    def committed(self) -> None:
        """Nothing follows from a note at once."""

    async def run(self) -> None:
        """Observe forever. What fails is tried again in the next round."""
        while True:
            try:
                await self.observe()
            except (BarsUnavailable, StoreUnavailable) as error:
                _log.debug("not observed", extra={"detail": str(error)})
            await self._clock.sleep(self._times.interval_s)

    async def observe(self) -> None:
        """Store the outcomes that are known now."""
        async with self._database.reading() as connection:
            entries = await outcome_store.load(connection, ENTRIES_MAX)
        groups = defaultdict(list)
        for entry in entries:
            signal = entry.signal.signal_raised
            groups[signal.venue, signal.symbol].append(entry)
        for (venue, symbol), group in groups.items():
            start_ns = min(entry.decision.time_ns for entry in group) - BAR_NS
            times_ns = range(start_ns, max(entry.limit_ns for entry in group) + BAR_NS)
            bars = await self._bars.opened_in(venue, symbol, INTERVAL, times_ns)
            now_ns = self._clock.time_ns()
            found = [outcome_event(entry, bars, now_ns) for entry in group]
            await self._store([event for event in found if event is not None])

    async def _store(self, events: Sequence[event_pb2.Event]) -> None:
        if not events:
            return
        async with self._database.transaction() as connection:
            ids = [event.cause_ids[0] for event in events]
            closed = await outcome_store.close(connection, ids)
            # A backup may have restored the notes without the events, or the reverse.
            stored = await event_log.stored(connection, [event.event_id for event in events])
            new = [
                event
                for event in events
                if event.cause_ids[0] in closed and event.event_id not in stored
            ]
            await event_log.append(connection, DECISIONS, new, self._clock.time_ns())
        self._wake_relay()


def outcome_event(
    entry: OpenOutcome, bars: Sequence[bars_pb2.Bar], now_ns: int
) -> event_pb2.Event | None:
    """The event of the outcome of a decision; None while it is open."""
    outcome = _outcome(entry, bars, now_ns)
    if outcome is None:
        return None
    decision = entry.decision
    made, signal = decision.decision_made, entry.signal.signal_raised
    by_rules = made.calibration if made.HasField("calibration") else made.intent
    event = event_pb2.Event(
        event_id=event_id(SOURCE, signal.strategy, [decision.event_id]),
        source=SOURCE,
        instance=signal.strategy,
        time_ns=max(decision.time_ns, outcome.time_ns),
        lifecycle_id=decision.lifecycle_id,
        cause_ids=[decision.event_id],
        outcome_observed=decisions_pb2.OutcomeObserved(
            strategy=signal.strategy,
            regime=signal.regime,
            conviction=by_rules.conviction,
            barrier=BARRIERS[outcome.barrier],
            price="" if outcome.price is None else plain(outcome.price),
            is_won=outcome.is_won,
            reason=outcome.reason,
        ),
    )
    for bar in bars:
        if bar.close_time_ns == outcome.time_ns:
            event.inputs.add(
                venue=bar.venue,
                symbol=bar.symbol,
                interval=bar.interval,
                open_time_ns=bar.open_time_ns,
                revision=bar.revision,
            )
    return event


def _barriers(signal: event_pb2.Event, decision: event_pb2.Event, limit_ns: int) -> Barriers | None:
    intent = observed_intent(signal.signal_raised, decision.decision_made)
    return Barriers.of(intent, decision.time_ns, limit_ns)


def _outcome(
    entry: OpenOutcome, bars: Sequence[bars_pb2.Bar], now_ns: int
) -> BarrierOutcome | None:
    barriers = _barriers(entry.signal, entry.decision, entry.limit_ns)
    if barriers is None:
        return None
    # A gap in trades begins with the last trade before it, so in a bar that is not covered.
    gaps = [
        range(bar.open_time_ns, bar.close_time_ns)
        for bar in bars
        if bar.covered_ns < bar.close_time_ns - bar.open_time_ns
    ]
    known_until_ns = max((bar.close_time_ns for bar in bars), default=0)
    found = barrier_outcome(barriers, bars, gaps, known_until_ns)
    if found is None and now_ns > entry.limit_ns + RECORD_WAIT_NS:
        reason = "the record ends before the time limit"
        return BarrierOutcome(Barrier.UNKNOWN, entry.limit_ns, reason=reason)
    return found
