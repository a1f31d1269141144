"""A scoring model as plain numbers: whether it can be used, and what it says about an entry."""

import hashlib
import math
from collections.abc import Sequence

from venuemesh.events.v1 import scoring_models_pb2

from core.advisor.decision_case import DecisionCase
from core.advisor.features import FEATURE_SET, FEATURES, feature_values

ScoringModel = scoring_models_pb2.ScoringModel

DIGITS = 6
"""Scores are rounded, so that programs with another exponential function give the same."""
DEVIATIONS_MAX = 4.0
"""A value further from the mean counts as this many standard deviations, so that one absurd value
does not decide."""
LOG_ODDS_MAX = 30.0


def model_hash(model: ScoringModel) -> bytes:
    """SHA-256 of the model without its id."""
    content = ScoringModel()
    content.CopyFrom(model)
    content.ClearField("model_id")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def unusable_reason(model: ScoringModel) -> str:
    """Why the model cannot be used. Empty: it can."""
    name = f"model {model.model_id.hex()[:8]}"
    if model.feature_set != FEATURE_SET:
        shown = model.feature_set[:40]
        return f"{name} has the feature set {shown!r}; allowed is {FEATURE_SET!r}"
    if model.model_id != model_hash(model):
        return f"{name} was changed: its content has the hash {model_hash(model).hex()[:8]}"
    names = [one.name for one in model.features]
    if names != list(FEATURES):
        return f"{name} has the features {' '.join(names)[:200]}; allowed is {' '.join(FEATURES)}"
    numbers = [model.intercept]
    for one in model.features:
        numbers += [one.mean, one.scale, one.weight]
    if not all(map(math.isfinite, numbers)) or min(one.scale for one in model.features) <= 0:
        return f"{name} has a number that is not finite, or a scale that is not above 0"
    return ""


def deviations(model: ScoringModel, values: Sequence[float | None]) -> list[float]:
    """The distance of each value from its mean, in standard deviations. 0 if it is unknown."""
    return [
        0.0
        if value is None
        else max(-DEVIATIONS_MAX, min((value - one.mean) / one.scale, DEVIATIONS_MAX))
        for one, value in zip(model.features, values, strict=True)
    ]


def model_score(
    case: DecisionCase, assigned: scoring_models_pb2.AssignedScoringModel
) -> scoring_models_pb2.ScoringModelScore:
    """What the model says about an entry."""
    model = assigned.model
    found = scoring_models_pb2.ScoringModelScore(
        assigned=assigned, unusable_reason=unusable_reason(model)
    )
    if found.unusable_reason:
        return found
    distances = deviations(model, feature_values(case))
    pairs = zip(model.features, distances, strict=True)
    lift = sum(one.weight * distance for one, distance in pairs)
    found.score = round(2.0 * probability_of(lift) - 1.0, DIGITS)
    found.probability = round(probability_of(model.intercept + lift), DIGITS)
    return found


def probability_of(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-LOG_ODDS_MAX, min(log_odds, LOG_ODDS_MAX))))
