"""Lists, explains and repeats stored decisions."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from google.protobuf.message import Message
from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2

from core.advisor.decider import SOURCE, repeated_event
from core.advisor.settings import DecisionRules
from core.advisor.signal_handler import DECISIONS
from kit.base import paging
from kit.base.database import Connection, Database
from kit.base.errors import BadRequest, UnknownEvent
from kit.events import event_log, newest_events
from kit.events.event_ids import EVENT_ID_BYTES, event_id

PAGE_DECISIONS, PAGE_DECISIONS_MAX = 100, 1_000
DIFFERENCES_MAX = 100
TEXT_LENGTH_MAX = 200
"""Of a value that differs."""
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED


class StoredDecision(NamedTuple):
    """A decision and the signal that it was made on."""

    signal: event_pb2.Event
    decision: event_pb2.Event


async def list_decisions(
    database: Database, request: decision_reports_pb2.ListDecisionsRequest
) -> decision_reports_pb2.ListDecisionsResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    size = paging.page_size(request.page_size, PAGE_DECISIONS, PAGE_DECISIONS_MAX)
    is_wanted = partial(_is_wanted, request)
    async with database.reading() as connection:
        page = await newest_events.read_page(connection, DECISIONS, request, size, is_wanted)
        decisions = [one.event for one in page.events]
        related = await event_log.stored(connection, list(_related_ids(decisions)))
    return decision_reports_pb2.ListDecisionsResponse(
        decisions=[_report(one, related) for one in decisions], next_page_token=page.next_token
    )


async def explain(
    database: Database, wanted_id: bytes
) -> decision_reports_pb2.ExplainDecisionResponse:
    """All that a decision rests on. Raises BadRequest, UnknownEvent and
    StoreUnavailable."""
    async with database.reading() as connection:
        found = await _load(connection, wanted_id)
        outcome_id = _outcome_id(found.decision)
        outcomes = await event_log.stored(connection, [outcome_id])
    response = decision_reports_pb2.ExplainDecisionResponse(
        signal=found.signal, decision=found.decision
    )
    if outcome_id in outcomes:
        response.observed.CopyFrom(outcomes[outcome_id].outcome_observed)
    return response


async def repeat(
    database: Database, wanted_id: bytes, rules: DecisionRules
) -> decision_reports_pb2.RepeatDecisionResponse:
    """Decide again from the record. Raises BadRequest, UnknownEvent and
    StoreUnavailable."""
    async with database.reading() as connection:
        found = await _load(connection, wanted_id)
    made = repeated_event(found.signal, found.decision, rules)
    is_equal = event_log.encoded(made) == event_log.encoded(found.decision)
    response = decision_reports_pb2.RepeatDecisionResponse(
        event_id=found.decision.event_id, is_equal=is_equal
    )
    if not is_equal:
        pairs = zip(range(DIFFERENCES_MAX), differences(found.decision, made), strict=False)
        response.differences.extend(one for _, one in pairs)
    return response


def differences(
    stored: Message, made: Message, path: str = ""
) -> Iterator[decision_reports_pb2.DecisionDifference]:
    """The fields in which two messages of a kind differ, in their order."""
    for field in stored.DESCRIPTOR.fields:
        one, other = _values(stored, field.name), _values(made, field.name)
        if one == other:
            continue
        for number in range(max(len(one), len(other))):
            name = f"{path}{field.name}[{number}]" if field.is_repeated else f"{path}{field.name}"
            pair = one[number : number + 1], other[number : number + 1]
            if pair[0] == pair[1]:
                continue
            match [*pair[0], *pair[1]]:
                case [Message() as one_message, Message() as other_message]:
                    yield from differences(one_message, other_message, f"{name}.")
                case _:
                    yield decision_reports_pb2.DecisionDifference(
                        field=name, stored=_text(pair[0]), made=_text(pair[1])
                    )


def _values(message: Message, name: str) -> Sequence[object]:
    """The values of a field: none if it is not set."""
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.is_repeated:
        return list(value)
    return [value] if not field.has_presence or message.HasField(name) else []


def _text(values: Sequence[object]) -> str:
    if not values:
        return ""
    value = values[0]
    text = value.hex() if isinstance(value, bytes) else " ".join(str(value).split())
    return text[:TEXT_LENGTH_MAX]


def _is_wanted(request: decision_reports_pb2.ListDecisionsRequest, event: event_pb2.Event) -> bool:
    if not event.HasField("decision_made"):
        return False
    is_of_strategy = request.strategy in ("", event.instance)
    return is_of_strategy and request.outcome in (0, event.decision_made.outcome)


def _related_ids(decisions: Sequence[event_pb2.Event]) -> Iterator[bytes]:
    """The ids of the signals and outcomes of decisions."""
    for decision in decisions:
        yield from decision.cause_ids
        yield _outcome_id(decision)


def _outcome_id(decision: event_pb2.Event) -> bytes:
    """The id of the event of its outcome."""
    return event_id(SOURCE, decision.instance, [decision.event_id])


async def _load(connection: Connection, wanted_id: bytes) -> StoredDecision:
    """The decision with an id, or on the signal with this id. Raises BadRequest, UnknownEvent."""
    if len(wanted_id) != EVENT_ID_BYTES:
        text = f"event_id has {len(wanted_id)} bytes; allowed are {EVENT_ID_BYTES}"
        raise BadRequest(text, field="event_id", value=wanted_id.hex(), allowed=EVENT_ID_BYTES)
    found = (await event_log.stored(connection, [wanted_id])).get(wanted_id)
    if found is not None and found.HasField("signal_raised"):
        decision_id = event_id(SOURCE, found.instance, [wanted_id])
        found = (await event_log.stored(connection, [decision_id])).get(decision_id)
    if found is None or not found.HasField("decision_made"):
        text = f"{wanted_id.hex()} is no decision and no signal that was decided on"
        raise UnknownEvent(text, event_id=wanted_id.hex())
    causes = await event_log.stored(connection, list(found.cause_ids))
    for cause in causes.values():
        if cause.HasField("signal_raised"):
            return StoredDecision(cause, found)
    text = f"the signal of the decision {found.event_id.hex()} is not stored"
    raise UnknownEvent(text, event_id=wanted_id.hex())


def _report(
    decision: event_pb2.Event, related: Mapping[bytes, event_pb2.Event]
) -> decision_reports_pb2.ReportedDecision:
    made = decision.decision_made
    report = decision_reports_pb2.ReportedDecision(
        event_id=decision.event_id,
        time_ns=decision.time_ns,
        outcome=made.outcome,
        synthesis=made.synthesis.outcome,
    )
    for cause in decision.cause_ids:
        if cause in related:
            signal = related[cause].signal_raised
            report.signal_id, report.strategy = cause, signal.strategy
            report.venue, report.account = signal.venue, signal.account
            report.symbol, report.regime = signal.symbol, signal.regime
            report.action, report.side = signal.action, signal.side
    if made.outcome != decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED:
        report.blocked_stage, report.blocked_by = _block(made)
    if made.HasField("calibration"):
        report.conviction = made.calibration.conviction
        report.probability = made.calibration.probability
    elif made.HasField("intent"):
        report.conviction = made.intent.conviction
    outcome = related.get(_outcome_id(decision))
    if outcome is not None:
        report.observed.CopyFrom(outcome.outcome_observed)
    return report


def _block(
    made: decisions_pb2.DecisionMade,
) -> tuple["decisions_pb2.DecisionStage.ValueType", str]:
    """The stage that has blocked a signal, and the name of its first check that has."""
    for stage in made.stages:
        for check in stage.checks:
            if check.result == BLOCKED:
                return stage.stage, check.name
    return decisions_pb2.DECISION_STAGE_UNSPECIFIED, ""
