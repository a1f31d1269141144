"""Decides on signals and stores the decisions with the position in the stream."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from venuemesh.events.v1 import event_pb2, signals_pb2

from core.advisor.decider import case_event
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import DecisionFacts
from core.advisor.learned_models import LearnedModels
from core.advisor.metrics import AdvisorMetrics
from core.advisor.settings import DecisionRules
from kit.base.clock import Clock
from kit.base.database import Connection, PendingRead
from kit.events import event_log
from kit.events.logged_events import LoggedEvent
from kit.events.relay import StoredEvents
from kit.events.streams import EventStream

SIGNALS: EventStream = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS: EventStream = event_pb2.EVENT_STREAM_DECISIONS


class CollectFacts(Protocol):
    """Collects the facts about each signal."""

    async def __call__(
        self, signals: Collection[signals_pb2.SignalRaised], /
    ) -> Sequence[DecisionFacts]: ...


class LoadModels(Protocol):
    """Reads what was learned about the strategy of each signal."""

    async def __call__(
        self, signals: Collection[signals_pb2.SignalRaised], /
    ) -> Sequence[LearnedModels]: ...


def asks_model(event: event_pb2.Event) -> bool:
    """Whether it is a signal about which a language model is asked first, if there is one. A
    signal that reduces a position waits for no model."""
    raised = event.signal_raised
    return raised.HasField("synthesis") and raised.action == signals_pb2.POSITION_ACTION_OPEN


class SignalHandler:
    """Handles the signals about which no language model is asked."""

    def __init__(
        self,
        collect: CollectFacts,
        load_models: LoadModels,
        rules: DecisionRules,
        metrics: AdvisorMetrics,
        wake_relay: Callable[[StoredEvents], None],
        clock: Clock,
    ) -> None:
        self._collect = collect
        self._load_models = load_models
        self._rules = rules
        self._metrics = metrics
        self._wake_relay = wake_relay
        self._clock = clock
        self._made: list[event_pb2.Event] = []
        """For the next transaction, or the one that runs."""
        self._stored: PendingRead[dict[bytes, event_pb2.Event]]
        self._appended: StoredEvents

    async def prepare(self, events: Sequence[LoggedEvent]) -> None:
        """Collect the facts about each signal and decide, before the transaction."""
        read = [event.event() for event in events]
        signals = [
            event for event in read if event.HasField("signal_raised") and not asks_model(event)
        ]
        cases = await self.cases([signal.signal_raised for signal in signals])
        self._made = [
            case_event(signal, case, self._metrics.stage)
            for signal, case in zip(signals, cases, strict=True)
        ]

    async def cases(self, signals: Sequence[signals_pb2.SignalRaised]) -> list[DecisionCase]:
        """What is known about each signal."""
        facts, learned = await asyncio.gather(self._collect(signals), self._load_models(signals))
        return [
            DecisionCase.of(
                raised, known, self._rules, calibration_map=one.calibration_map
            ).with_models(one.scoring_models)
            for raised, known, one in zip(signals, facts, learned, strict=True)
        ]

    async def send(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Send the first statement of ``handle``."""
        ids = [one.event_id for one in self._made]
        self._stored = await event_log.send_stored(connection, ids)

    async def handle(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Store a decision on each signal without one."""
        # A backup may have restored the positions without the decisions, or the reverse.
        stored = await self._stored()
        self._made = [one for one in self._made if one.event_id not in stored]
        self._appended = await event_log.append(
            connection, DECISIONS, self._made, self._clock.time_ns()
        )

    def committed(self) -> None:
        """Count the stored decisions and wake the relay."""
        for event in self._made:
            self._metrics.decided(event.decision_made)
        if self._made:
            self._wake_relay(self._appended)
