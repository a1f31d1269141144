"""Runs the stages of a decision in order. The same case gives the same bytes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import (
    calibrations_pb2,
    checks_pb2,
    decisions_pb2,
    event_pb2,
    scoring_models_pb2,
)

from core.advisor import facts as fact_ids
from core.advisor.decision_case import FLIP, Assessment, DecisionCase, StageOutput
from core.advisor.facts import DecisionFacts
from core.advisor.settings import DecisionRules
from core.advisor.stages import (
    calibration,
    context,
    conviction,
    intent,
    quality,
    rules,
    synthesis,
    validation,
)
from kit.events.event_ids import event_id

SOURCE = "advisor"
CURSORS = {
    types_pb2.CHANNEL_QUOTES: fact_ids.QUOTE_CURSOR,
    types_pb2.CHANNEL_BOOK: fact_ids.BOOK_CURSOR,
}
"""Facts that are positions in the channel of an input."""

if TYPE_CHECKING:
    Stage: TypeAlias = decisions_pb2.DecisionStage.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Stage = int

RunStage: TypeAlias = Callable[[DecisionCase, Assessment], StageOutput]
MeasureStage: TypeAlias = Callable[[Stage], AbstractContextManager[object]]

STAGES: tuple[tuple[Stage, RunStage], ...] = (
    (decisions_pb2.DECISION_STAGE_CONTEXT, context.run),
    (decisions_pb2.DECISION_STAGE_QUALITY, quality.run),
    (decisions_pb2.DECISION_STAGE_SCORE, rules.run),
    (decisions_pb2.DECISION_STAGE_CONVICTION, conviction.run),
    (decisions_pb2.DECISION_STAGE_CALIBRATION, calibration.run),
    (decisions_pb2.DECISION_STAGE_SYNTHESIS, synthesis.run),
    (decisions_pb2.DECISION_STAGE_VALIDATION, validation.run),
    (decisions_pb2.DECISION_STAGE_INTENT, intent.run),
)


def unmeasured(stage: Stage) -> AbstractContextManager[object]:
    """A MeasureStage that measures nothing."""
    return nullcontext()


def decide(case: DecisionCase, measured: MeasureStage = unmeasured) -> decisions_pb2.DecisionMade:
    """The decision. A flip whose entry is blocked closes the position."""
    decision = decisions_pb2.DecisionMade(facts=case.facts.messages, synthesis=case.synthesis)
    found = Assessment()
    for stage, run in STAGES:
        with measured(stage):
            output = run(case, found)
        found = output.assessment
        decision.stages.add(stage=stage, checks=output.checks, skipped_reason=output.skipped_reason)
        blocked = [one for one in output.checks if one.result == checks_pb2.CHECK_RESULT_BLOCKED]
        if blocked and case.action != FLIP:
            decision.outcome = _outcome(case, blocked)
            break
        if blocked:
            case = case.closing([one.name for one in blocked])
    else:
        decision.outcome = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
    decision.model_scores.extend(found.model_scores)
    if found.calibration is not None:
        decision.calibration.CopyFrom(found.calibration)
    if found.intent is not None:
        decision.intent.CopyFrom(found.intent)
    return decision


def scored(case: DecisionCase) -> Assessment | None:
    """The results of the stages before the synthesis. None: one of them blocks."""
    found = Assessment()
    for stage, run in STAGES:
        if stage == decisions_pb2.DECISION_STAGE_SYNTHESIS:
            break
        output = run(case, found)
        if any(one.result == checks_pb2.CHECK_RESULT_BLOCKED for one in output.checks):
            return None
        found = output.assessment
    return found


def decision_event(
    signal: event_pb2.Event,
    facts: DecisionFacts,
    rules: DecisionRules,
    measured: MeasureStage = unmeasured,
    made: decisions_pb2.Synthesis | None = None,
    calibration_map: calibrations_pb2.CalibrationMap | None = None,
) -> event_pb2.Event:
    """The event of the decision on a signal."""
    case = DecisionCase.of(signal.signal_raised, facts, rules, made, calibration_map)
    return case_event(signal, case, measured)


def case_event(
    signal: event_pb2.Event, case: DecisionCase, measured: MeasureStage = unmeasured
) -> event_pb2.Event:
    """The event of the decision on a signal, of its case."""
    raised, facts = signal.signal_raised, case.facts
    now_ns = facts.whole(fact_ids.CLOCK_TIME) or 0
    event = event_pb2.Event(
        event_id=event_id(SOURCE, raised.strategy, [signal.event_id]),
        source=SOURCE,
        instance=raised.strategy,
        time_ns=max(signal.time_ns, now_ns),
        lifecycle_id=signal.lifecycle_id or signal.event_id,
        cause_ids=[signal.event_id],
        config_hash=case.rules.config_hash(facts.rules_version),
        inputs=signal.inputs,
        decision_made=decide(case, measured),
    )
    for channel, fact_id in CURSORS.items():
        cursor = facts.cursor(fact_id)
        if cursor is not None:
            event.inputs.add(venue=raised.venue, channel=channel, cursor=cursor.message())
    return event


def repeated_event(
    signal: event_pb2.Event, stored: event_pb2.Event, rules: DecisionRules
) -> event_pb2.Event:
    """The event of a stored decision, made again from what it has recorded."""
    made = stored.decision_made
    case = DecisionCase.of(
        signal.signal_raised,
        DecisionFacts(made.facts),
        rules,
        made.synthesis if made.HasField("synthesis") else None,
        made.calibration.map if made.HasField("calibration") else None,
    )
    return case_event(signal, case.with_models(assigned_models(made)))


def assigned_models(
    made: decisions_pb2.DecisionMade,
) -> list[scoring_models_pb2.AssignedScoringModel]:
    """The scoring models that a decision rests on."""
    return [one.assigned for one in made.model_scores]


def _outcome(
    case: DecisionCase, blocked: list[checks_pb2.Check]
) -> "decisions_pb2.DecisionOutcome.ValueType":
    has_expired = case.now_ns is not None and blocked[0].name == context.EXPIRY
    if has_expired:
        return decisions_pb2.DECISION_OUTCOME_EXPIRED
    return decisions_pb2.DECISION_OUTCOME_BLOCKED
