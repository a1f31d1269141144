"""Decides on the entries about which a language model is asked first.

They have a consumer of their own: while a model thinks, all other signals are decided on.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from venuemesh.events.v1 import decisions_pb2, event_pb2, signals_pb2

from core.advisor.decider import SOURCE, case_event, scored
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import DecisionFacts, superseded_fact
from core.advisor.metrics import AdvisorMetrics
from core.advisor.signal_handler import DECISIONS, SIGNALS, asks_model
from core.advisor.synthesis.model_context import ModelContext, context_of
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.database import Connection, PendingRead
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.logged_events import LoggedEvent
from kit.events.relay import StoredEvents

Synthesis = decisions_pb2.Synthesis

STEPS = {
    decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED: decisions_pb2.SYNTHESIS_STEP_KIND_ANSWERED,
    decisions_pb2.SYNTHESIS_OUTCOME_TIMED_OUT: decisions_pb2.SYNTHESIS_STEP_KIND_TIMED_OUT,
    decisions_pb2.SYNTHESIS_OUTCOME_FAILED: decisions_pb2.SYNTHESIS_STEP_KIND_INVALID,
    decisions_pb2.SYNTHESIS_OUTCOME_TRUNCATED: decisions_pb2.SYNTHESIS_STEP_KIND_TRUNCATED,
    decisions_pb2.SYNTHESIS_OUTCOME_REFUSED: decisions_pb2.SYNTHESIS_STEP_KIND_INVALID,
    decisions_pb2.SYNTHESIS_OUTCOME_INVALID: decisions_pb2.SYNTHESIS_STEP_KIND_INVALID,
    decisions_pb2.SYNTHESIS_OUTCOME_HALLUCINATION: (
        decisions_pb2.SYNTHESIS_STEP_KIND_HALLUCINATION_DETECTED
    ),
}
"""How a request ends, if a model was asked."""
REQUESTED = decisions_pb2.SYNTHESIS_STEP_KIND_REQUESTED
SWITCHED = decisions_pb2.SYNTHESIS_STEP_KIND_MODEL_SWITCHED


class CollectCases(Protocol):
    """Collects what is known about each signal."""

    async def __call__(
        self, signals: Sequence[signals_pb2.SignalRaised], /
    ) -> Sequence[DecisionCase]: ...


class AskModel(Protocol):
    """Asks a language model until a time, ns since the Unix epoch."""

    async def __call__(self, context: ModelContext, deadline_ns: int, /) -> Synthesis: ...


class SynthesisHandler:
    """Handles the entries in the stream of signals about which a model is asked."""

    def __init__(
        self,
        cases: CollectCases,
        ask: AskModel | None,
        metrics: AdvisorMetrics,
        wake_relay: Callable[[StoredEvents], None],
        clock: Clock,
    ) -> None:
        self._cases = cases
        self._ask = ask
        """None: no model is configured."""
        self._metrics = metrics
        self._wake_relay = wake_relay
        self._clock = clock
        self._answers: dict[bytes, Synthesis] = {}
        """By signal: a transaction that fails does not ask again."""
        self._decided: list[tuple[LoggedEvent, event_pb2.Event, DecisionCase]] = []
        """The signals of the next transaction, or the one that runs."""
        self._made: list[event_pb2.Event] = []
        self._stored: PendingRead[dict[bytes, event_pb2.Event]]
        self._appended: StoredEvents

    async def prepare(self, events: Sequence[LoggedEvent]) -> None:
        """Ask about each entry, and then collect what is known, as time has passed."""
        read = [(event, event.event()) for event in events]
        entries = [one for one in read if asks_model(one[1])]
        if not entries:
            self._decided = []
            return
        raised = [signal.signal_raised for _, signal in entries]
        cases = await self._cases(raised)
        answers = await asyncio.gather(*map(self._answer, entries, cases))
        self._answers = {
            signal.event_id: made
            for (_, signal), made in zip(entries, answers, strict=True)
            if made is not None
        }
        if self._answers:
            cases = await self._cases(raised)
        self._decided = [
            (event, signal, case.with_synthesis(self._answers.get(signal.event_id)))
            for (event, signal), case in zip(entries, cases, strict=True)
        ]

    async def send(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Send the first statement of ``handle``."""
        ids = [decision_id(signal) for _, signal, _ in self._decided]
        self._stored = await event_log.send_stored(connection, ids)

    async def handle(self, connection: Connection, events: Sequence[LoggedEvent]) -> None:
        """Store a decision on each entry without one, and the steps that led to it."""
        stored = await self._stored()
        new = [one for one in self._decided if decision_id(one[1]) not in stored]
        self._made = []
        if not new:
            return
        # Afterwards no decision on a newer signal is stored before these.
        await event_log.hold(connection, DECISIONS)
        newer = await _newer_signals(connection, min(event.sequence for event, _, _ in new))
        for event, signal, case in new:
            overtaking = newer.get(_place(signal.signal_raised))
            if overtaking is not None and overtaking.sequence > event.sequence:
                facts = (*case.facts.messages, superseded_fact(overtaking.event()))
                case = case.with_facts(DecisionFacts(facts))
            decision = case_event(signal, case, self._metrics.stage)
            self._made += [*steps(signal, decision), decision]
        self._appended = await event_log.append(
            connection, DECISIONS, self._made, self._clock.time_ns()
        )

    def committed(self) -> None:
        """Count the stored decisions and wake the relay."""
        self._answers = {}
        for event in self._made:
            if event.HasField("decision_made"):
                self._metrics.decided(event.decision_made)
        if self._made:
            self._wake_relay(self._appended)

    async def _answer(
        self, entry: tuple[LoggedEvent, event_pb2.Event], case: DecisionCase
    ) -> Synthesis | None:
        """None: no model is configured, or the entry is blocked without one."""
        event, signal = entry
        kept = self._answers.get(signal.event_id)
        if kept is not None or self._ask is None:
            return kept
        found = scored(case)
        if found is None:
            return None
        wait_ns = signal.signal_raised.synthesis.answer_max_ms * NANOSECONDS_PER_MILLISECOND
        return await self._ask(context_of(case, found), event.stored_time_ns + wait_ns)


def decision_id(signal: event_pb2.Event) -> bytes:
    return event_id(SOURCE, signal.signal_raised.strategy, [signal.event_id])


def steps(signal: event_pb2.Event, decision: event_pb2.Event) -> Iterator[event_pb2.Event]:
    """The events of the request to a model that a decision rests on."""
    made = decision.decision_made.synthesis
    if made.outcome not in STEPS:
        return
    found = [(STEPS[made.outcome], made.answered_time_ns, made.detail)]
    if not made.is_cached:
        found.insert(0, (REQUESTED, made.asked_time_ns, ""))
    if made.next_model:
        found.append((SWITCHED, made.answered_time_ns, f"{made.model} to {made.next_model}"))
    strategy = signal.signal_raised.strategy
    for kind, time_ns, detail in found:
        yield event_pb2.Event(
            event_id=event_id(SOURCE, strategy, [signal.event_id], kind),
            source=SOURCE,
            instance=strategy,
            time_ns=max(signal.time_ns, time_ns),
            lifecycle_id=decision.lifecycle_id,
            cause_ids=[signal.event_id],
            synthesis_step=decisions_pb2.SynthesisStep(
                kind=kind,
                strategy=strategy,
                model=made.model,
                request_hash=made.request_hash,
                detail=detail,
            ),
        )


Place = tuple[str, str, str, str]


def _place(raised: signals_pb2.SignalRaised) -> Place:
    return raised.strategy, raised.venue, raised.account, raised.symbol


async def _newer_signals(connection: Connection, after: int) -> dict[Place, LoggedEvent]:
    """The newest signal of each place that follows a sequence."""
    found: dict[Place, LoggedEvent] = {}
    while page := await event_log.read(connection, SIGNALS, after):
        for event in page:
            content = event.event()
            if content.HasField("signal_raised"):
                found[_place(content.signal_raised)] = event
        after = page[-1].sequence
    return found
