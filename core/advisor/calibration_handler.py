"""Learns calibration maps from observed outcomes, each counted once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2

from core.advisor import calibration_store
from core.advisor.calibration.calibrator import POOL, CalibrationOutcome, Calibrator
from core.advisor.calibration.messages import drift_message, updated_message
from core.advisor.calibration_store import CalibrationRow, StoredSeries, regime_key
from core.advisor.decider import SOURCE
from core.advisor.signal_handler import DECISIONS
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.logged_events import LoggedEvent


class Learned(NamedTuple):
    """What follows from some outcomes."""

    rows: Sequence[CalibrationRow] = ()
    events: Sequence[event_pb2.Event] = ()


class CalibrationHandler:
    """Handles the outcomes in the stream of decisions: a transaction stores maps, outcomes, events
    and the position in the stream."""

    def __init__(self, database: Database, wake_relay: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake_relay = wake_relay
        self._clock = clock
        self._learned = Learned()
        """For the next transaction, or the one that runs."""

    async def prepare(self, events: Sequence[LoggedEvent]) -> None:
        """Compute the maps after these events. Another process that has counted some of them
        meanwhile has moved the position, so that the transaction fails."""
        self._learned = Learned()
        outcomes = [
            (logged.sequence, event)
            for logged in events
            for event in [logged.event()]
            if event.HasField("outcome_observed") and event.outcome_observed.HasField("is_won")
        ]
        if not outcomes:
            return
        strategies = {event.outcome_observed.strategy for _, event in outcomes}
        async with self._database.reading() as connection:
            stored = await calibration_store.load(connection, strategies)
        # Fitting takes up to a tenth of a second.
        self._learned = await asyncio.to_thread(learn, stored, outcomes)

    async def handle(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Store what was learned from these events."""
        if self._learned.rows:
            await calibration_store.save(connection, self._learned.rows)
            made = self._learned.events
            await event_log.append(connection, DECISIONS, made, self._clock.time_ns())

    def committed(self) -> None:
        if self._learned.events:
            self._wake_relay()


def learn(
    stored: Mapping[str, Mapping[str | None, StoredSeries]],
    outcomes: Sequence[tuple[int, event_pb2.Event]],
) -> Learned:
    """The maps after some outcomes, with their numbers in the stream, and an event for each change
    of a map. Outcomes that the stored maps have counted are passed over: a backup may have restored
    the positions without the maps, or the reverse."""
    calibrators, counted = {}, {}
    observed: set[tuple[str, str | None]] = set()
    for strategy, series in stored.items():
        calibrators[strategy] = Calibrator({one: series[one].series for one in series})
        counted[strategy] = max(one.sequence for one in series.values())
    events: list[event_pb2.Event] = []
    for sequence, event in outcomes:
        strategy = event.outcome_observed.strategy
        if sequence > counted.get(strategy, 0):
            calibrator = calibrators.setdefault(strategy, Calibrator())
            events += _observed(calibrator, event)
            counted[strategy] = sequence
            observed |= {(strategy, POOL), (strategy, regime_key(event.outcome_observed.regime))}
    rows = [
        CalibrationRow(
            strategy,
            regime,
            counted[strategy],
            updated_message(strategy, regime, found),
            calibrator.series[regime],
        )
        for strategy, calibrator in calibrators.items()
        for regime, found in calibrator.maps.items()
        if found.is_pooled or (strategy, regime) in observed
    ]
    return Learned(rows, events)


def _observed(calibrator: Calibrator, event: event_pb2.Event) -> list[event_pb2.Event]:
    """Learn from an outcome. Returns the events of what has changed."""
    outcome = event.outcome_observed
    strategy = outcome.strategy
    regime = regime_key(outcome.regime)
    change = calibrator.observe(CalibrationOutcome(regime, outcome.conviction, outcome.is_won))
    made = [
        event_pb2.Event(calibration_drift=drift_message(strategy, drift)) for drift in change.drifts
    ]
    made += [
        event_pb2.Event(calibration_updated=updated_message(strategy, regime, found))
        for regime, found in change.maps.items()
    ]
    for number, one in enumerate(made):
        one.event_id = event_id(SOURCE, strategy, [event.event_id], number)
        one.source, one.instance = SOURCE, strategy
        one.time_ns = event.time_ns
        one.cause_ids.append(event.event_id)
    return made
