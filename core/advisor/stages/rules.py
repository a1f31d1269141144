"""Stage 3: scores the signal by rules of its own, independently of the strategy.

Each rule says how much its facts are for the signal, from -1 to 1, or abstains. The score is the
weighted mean of those that do not abstain, and 0 if all do. The scoring model in force is one more
rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from venuemesh.events.v1 import checks_pb2, scoring_models_pb2

from core.advisor.decision_case import Assessment, DecisionCase, RuleFinding, StageOutput, note
from core.advisor.features import close_distance, is_own_bar, spread, trade_flow
from core.advisor.scoring.models import model_score
from kit.accounting.amounts import quotient

TRADE_FLOW_WEIGHT = 0.5
"""More was bought than sold by takers during the bar, for a buy."""
CLOSE_DISTANCE_WEIGHT = 0.3
"""The price has not run away from the close of the bar."""
SPREAD_WEIGHT = 0.2
"""To trade at once costs little."""
MODEL_WEIGHT = 1.0
"""The scoring model counts as much as these rules together."""
SCORING_MODEL = "scoring_model"
"""Name of the rule and of the note."""
IN_FORCE = scoring_models_pb2.SCORING_MODEL_USE_IN_FORCE


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    """Compute the score, and check that the price has not run away."""
    distance = close_distance(case)
    scores = tuple(model_score(case, one) for one in case.models)
    findings = (
        RuleFinding("trade_flow", TRADE_FLOW_WEIGHT, trade_flow(case)),
        RuleFinding(
            "close_distance",
            CLOSE_DISTANCE_WEIGHT,
            _nearness(distance, case.rules.close_distance_max),
        ),
        RuleFinding("spread", SPREAD_WEIGHT, _nearness(spread(case), case.rules.spread_max)),
        *_model_findings(scores),
    )
    score, least = mean(findings), case.rules.rules_score_min
    checks = [case.check("rules_score", score >= least, score, least)]
    if not is_own_bar(case):
        checks.append(note("close_distance", "the bar is one of another instrument"))
    else:
        most = case.rules.close_distance_max
        within = distance is not None and distance <= most
        shown = None if distance is None else float(distance)
        checks.append(case.check("close_distance", within, shown, most, "ratio"))
    checks += _model_notes(scores)
    assessed = replace(found, rules=findings, rules_score=score, model_scores=scores)
    return StageOutput(assessed, checks)


def _model_findings(
    scores: Sequence[scoring_models_pb2.ScoringModelScore],
) -> Iterator[RuleFinding]:
    for one in scores:
        if one.assigned.use == IN_FORCE:
            score = one.score if one.HasField("score") else None
            yield RuleFinding(SCORING_MODEL, MODEL_WEIGHT, score)


def _model_notes(
    scores: Sequence[scoring_models_pb2.ScoringModelScore],
) -> Iterator[checks_pb2.Check]:
    for one in scores:
        if one.unusable_reason:
            yield note(SCORING_MODEL, one.unusable_reason)


def mean(findings: Sequence[RuleFinding]) -> float:
    said = [(one.weight, one.score) for one in findings if one.score is not None]
    total = sum(weight for weight, _ in said)
    return sum(weight * score for weight, score in said) / total if total else 0.0


def _nearness(distance: Decimal | None, most: Decimal) -> float | None:
    """1 at no distance, -1 from the largest one on."""
    return (
        None if distance is None else 1.0 - 2.0 * float(min(quotient(distance, most), Decimal(1)))
    )
