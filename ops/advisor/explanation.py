"""A decision in plain words, stage by stage."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.events.v1 import (
    calibrations_pb2,
    checks_pb2,
    decisions_pb2,
    event_pb2,
    scoring_models_pb2,
    signals_pb2,
)

from ops.advisor import tables
from ops.tables import time_text, word

if TYPE_CHECKING:
    Stage: TypeAlias = decisions_pb2.DecisionStage.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Stage = int

QUESTIONS: dict[Stage, str] = {
    decisions_pb2.DECISION_STAGE_CONTEXT: "is the signal one to decide on",
    decisions_pb2.DECISION_STAGE_QUALITY: "are the facts known and current",
    decisions_pb2.DECISION_STAGE_SCORE: "what do the advisor's own rules say",
    decisions_pb2.DECISION_STAGE_CONVICTION: "is the conviction large enough",
    decisions_pb2.DECISION_STAGE_CALIBRATION: "how often did such convictions win",
    decisions_pb2.DECISION_STAGE_SYNTHESIS: "what does a language model say",
    decisions_pb2.DECISION_STAGE_VALIDATION: "are spread, reward and size within their limits",
    decisions_pb2.DECISION_STAGE_INTENT: "which order is wanted",
}
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED


def lines(found: decision_reports_pb2.ExplainDecisionResponse) -> Iterator[str]:
    """The signal, the facts, each stage with its checks, the intent, the outcome."""
    made = found.decision.decision_made
    yield from _signal(found.signal)
    yield f"decision {found.decision.event_id.hex()}, made at {time_text(found.decision.time_ns)}"
    yield f"settings {found.decision.config_hash.hex()[:16]}"
    yield "facts"
    for fact in made.facts:
        yield f"    {fact.fact_id} is {_amount(fact.value, fact.unit)}"
    for stage in made.stages:
        yield from _stage(stage)
        if stage.stage == decisions_pb2.DECISION_STAGE_SCORE:
            yield from map(_model_score, made.model_scores)
        if stage.stage == decisions_pb2.DECISION_STAGE_CALIBRATION and made.HasField("calibration"):
            yield from _calibration(made.calibration)
        if stage.stage == decisions_pb2.DECISION_STAGE_SYNTHESIS and made.HasField("synthesis"):
            yield from _synthesis(made.synthesis)
    yield f"result: {tables.result(made.outcome)}"
    if made.HasField("intent"):
        yield from _intent(made.intent)
    if found.HasField("observed"):
        yield f"outcome: {_outcome(found.observed)}"


def _signal(event: event_pb2.Event) -> Iterator[str]:
    signal = event.signal_raised
    wanted = tables.action(signal.action, signal.side)
    place = f"{signal.symbol} at {signal.venue}/{signal.account}"
    yield f"strategy {signal.strategy} wants to {wanted} {place}"
    yield f"signal {event.event_id.hex()}, raised at {time_text(event.time_ns)}"
    regime = f", regime {signal.regime}" if signal.regime else ""
    yield f"    conviction {signal.conviction:.4f}, score {signal.score:+.4f}{regime}"
    for rule in signal.rules:
        yield f"    rule {rule.rule}: {_score(rule)}"


def _score(rule: signals_pb2.RuleScore) -> str:
    if not rule.HasField("score"):
        return "abstains"
    return f"{rule.score:+.4f}, weight {rule.weight:g}"


def _stage(stage: decisions_pb2.StageReport) -> Iterator[str]:
    name = word(decisions_pb2.DecisionStage.Name(stage.stage), "DECISION_STAGE_")
    question = QUESTIONS.get(stage.stage, "")
    yield f"stage {stage.stage} {name}: {question}? {_answer(stage)}"
    for check in stage.checks:
        yield f"    {_check(check)}"


def _answer(stage: decisions_pb2.StageReport) -> str:
    blocked = [check.name for check in stage.checks if check.result == BLOCKED]
    if blocked:
        return f"blocked by {', '.join(blocked)}"
    return f"skipped: {stage.skipped_reason}" if stage.skipped_reason else "passed"


def _check(check: checks_pb2.Check) -> str:
    result = word(checks_pb2.CheckResult.Name(check.result), "CHECK_RESULT_")
    parts: Sequence[str] = (
        f"{check.name} {result}",
        f"value {_amount(check.observed, check.unit)}" if check.observed else "",
        f"limit {_amount(check.limit, check.unit)}" if check.limit else "",
        check.detail,
    )
    return ", ".join(filter(None, parts))


def _amount(text: str, unit: str) -> str:
    """A number with its unit, a point in time as such, or a word."""
    if not text.lstrip("-").replace(".", "", 1).isdigit():
        return text
    return time_text(int(text)) if unit == "ns" and text.isdigit() else f"{text} {unit}".rstrip()


def _model_score(said: scoring_models_pb2.ScoringModelScore) -> str:
    use = word(scoring_models_pb2.ScoringModelUse.Name(said.assigned.use), "SCORING_MODEL_USE_")
    name = f"    model {said.assigned.model.model_id.hex()[:16]}, {use}"
    if not said.HasField("score"):
        return f"{name}: not used"
    return f"{name}: score {said.score:+.4f}, probability {said.probability:.4f}"


def _calibration(applied: calibrations_pb2.CalibrationApplied) -> Iterator[str]:
    found = applied.map
    change = f"from {applied.conviction:.4f} to {applied.probability:.4f}"
    yield (
        f"    map {tables.kind(found)} of {tables.regime(found)}, {found.outcomes} outcomes:"
        f" {change}, at most {found.conviction_max:g}"
    )
    if found.HasField("brier_skill"):
        yield f"    Brier skill against the base rate {found.brier_skill:+.4f}"
    if found.reason:
        yield f"    {found.reason}"


def _synthesis(made: decisions_pb2.Synthesis) -> Iterator[str]:
    name = word(decisions_pb2.SynthesisOutcome.Name(made.outcome), "SYNTHESIS_OUTCOME_")
    yield f"    model {made.model or 'none'}: {name}" + (f": {made.detail}" if made.detail else "")
    for claim in made.claims:
        yield f"    claims {claim.fact_id} is {claim.value} {claim.unit}".rstrip()
    if made.answer:
        yield f"    answer {' '.join(made.answer.split())}"


def _intent(intent: decisions_pb2.ExecutionIntent) -> Iterator[str]:
    size = intent.size or "what the position has"
    if intent.reduce_fraction:
        size = f"{intent.reduce_fraction} of the position"
    yield f"intent: {tables.action(intent.action, intent.side)} {size} of {intent.symbol}"
    for name, value in (
        ("reference price", intent.reference_price),
        ("limit price", intent.price),
        ("stop", intent.stop_price),
        ("take-profit", intent.target_price),
        ("trailing stop at a distance of", intent.trailing_offset),
        ("expires at", time_text(intent.expires_time_ns)),
        ("conviction", f"{intent.conviction:.4f}"),
    ):
        if value:
            yield f"    {name} {value}"
    for reason in intent.reasons:
        yield f"    because: {reason}"


def _outcome(outcome: decisions_pb2.OutcomeObserved) -> str:
    barrier = word(decisions_pb2.OutcomeBarrier.Name(outcome.barrier), "OUTCOME_BARRIER_")
    price = f"{barrier} at {outcome.price}" if outcome.price else ""
    return ", ".join(filter(None, (tables.won(outcome), price, outcome.reason)))
