"""Trains a scoring model on the outcomes of recorded decisions.

The model is a logistic regression with a penalty of the squared weights. Walk-forward folds tell
how well it predicts: each fold is predicted by a model that was trained on the decisions before it
whose outcomes were known before its first decision, less an embargo.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from venuemesh.events.v1 import scoring_models_pb2

from core.advisor.features import FEATURE_SET, FEATURES
from core.advisor.scoring.models import DEVIATIONS_MAX, LOG_ODDS_MAX, model_hash
from kit.base.clock import NANOSECONDS_PER_SECOND

OUTCOMES_MIN = 200
FOLDS = 5
"""Parts that are predicted; one more comes before them."""
PENALTY = 1.0
EMBARGO_NS = 60 * NANOSECONDS_PER_SECOND
STEPS_MAX = 50
STEP_MIN = 1e-10
PROBABILITY_MIN = 1e-6

Floats = NDArray[np.float64]


class TrainingImpossible(Exception):
    """There are too few outcomes, or their times contradict each other."""


class LabelledEntry(NamedTuple):
    """A decision to enter with its outcome."""

    decided_time_ns: int
    known_time_ns: int
    """When its outcome was known: the label depends on prices up to this time."""
    features: tuple[float | None, ...]
    is_won: bool


class FoldParameters(NamedTuple):
    """How the folds are made."""

    folds: int = FOLDS
    embargo_ns: int = EMBARGO_NS
    is_purged: bool = True
    """If not, a fold is trained on all decisions before it, whenever their outcomes were known."""


DEFAULT_FOLDS = FoldParameters()


class Fold(NamedTuple):
    """What is predicted, and what the predicting model is trained on."""

    training: list[LabelledEntry]
    predicted: list[LabelledEntry]
    purged: int
    """Earlier decisions that are left out."""


class Scale(NamedTuple):
    """Mean and standard deviation of each feature."""

    means: Floats
    scales: Floats

    def deviations(self, entries: Sequence[LabelledEntry]) -> Floats:
        values = _values(entries)
        distances = np.clip((values - self.means) / self.scales, -DEVIATIONS_MAX, DEVIATIONS_MAX)
        return np.where(np.isnan(values), 0.0, distances)


class Regression(NamedTuple):
    """A fitted logistic regression."""

    scale: Scale
    weights: Floats
    intercept: float

    def probabilities(self, entries: Sequence[LabelledEntry]) -> Floats:
        return _sigmoid(self.scale.deviations(entries) @ self.weights + self.intercept)


def train(
    strategy: str, entries: Sequence[LabelledEntry], parameters: FoldParameters = DEFAULT_FOLDS
) -> scoring_models_pb2.ScoringModel:
    """The model of all entries, with a report of the folds. Raises TrainingImpossible."""
    ordered = sorted(entries, key=lambda one: (one.decided_time_ns, one.known_time_ns))
    for one in ordered:
        if one.known_time_ns < one.decided_time_ns:
            raise TrainingImpossible(
                f"an outcome is known at {one.known_time_ns}, before its decision at"
                f" {one.decided_time_ns}; allowed is a later time"
            )
    wins = sum(one.is_won for one in ordered)
    if len(ordered) < OUTCOMES_MIN or not 0 < wins < len(ordered):
        raise TrainingImpossible(
            f"{strategy} has {len(ordered)} outcomes, {wins} of them won; allowed is"
            f" {OUTCOMES_MIN} or more, won and lost ones"
        )
    fitted = fit(ordered)
    model = scoring_models_pb2.ScoringModel(
        strategy=strategy,
        feature_set=FEATURE_SET,
        intercept=fitted.intercept,
        report=report(ordered, parameters),
    )
    columns = zip(FEATURES, *fitted.scale, fitted.weights, strict=True)
    for name, mean, scale, weight in columns:
        model.features.add(name=name, mean=float(mean), scale=float(scale), weight=float(weight))
    model.model_id = model_hash(model)
    return model


def fit(entries: Sequence[LabelledEntry]) -> Regression:
    """The weights of least log-loss with half the penalty times their squares, by Newton's method.
    The intercept has no penalty."""
    scale = _scale(entries)
    inputs = np.column_stack([scale.deviations(entries), np.ones(len(entries))])
    won = np.array([one.is_won for one in entries], dtype=float)
    penalties = np.full(inputs.shape[1], PENALTY)
    penalties[-1] = 0.0
    weights = np.zeros(inputs.shape[1])
    loss = _loss(inputs, won, weights, penalties)
    for _ in range(STEPS_MAX):
        predicted = _sigmoid(inputs @ weights)
        slope = inputs.T @ (predicted - won) + penalties * weights
        curvature = (inputs.T * (predicted * (1 - predicted))) @ inputs + np.diag(penalties)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while size > STEP_MIN:
            new_loss = _loss(inputs, won, weights - size * step, penalties)
            if new_loss <= loss:
                break
            size /= 2
        else:
            break
        weights, loss = weights - size * step, new_loss
        if float(np.abs(step).max()) < STEP_MIN:
            break
    return Regression(scale, weights[:-1], float(weights[-1]))


def folds(entries: Sequence[LabelledEntry], parameters: FoldParameters) -> list[Fold]:
    """The folds of entries in the order of their decisions."""
    bounds = np.linspace(0, len(entries), parameters.folds + 2).astype(int).tolist()
    found = []
    for start, end in pairwise(bounds[1:]):
        before, predicted = list(entries[:start]), list(entries[start:end])
        latest_ns = predicted[0].decided_time_ns - parameters.embargo_ns
        known = [one for one in before if one.known_time_ns < latest_ns]
        training = known if parameters.is_purged else before
        found.append(Fold(training, predicted, len(before) - len(training)))
    return found


def report(
    entries: Sequence[LabelledEntry], parameters: FoldParameters
) -> scoring_models_pb2.TrainingReport:
    """How well the folds are predicted. Raises TrainingImpossible."""
    made = folds(entries, parameters)
    predicted, base, won = [], [], []
    for number, fold in enumerate(made, 1):
        wins = sum(one.is_won for one in fold.training)
        if not 0 < wins < len(fold.training):
            raise TrainingImpossible(
                f"fold {number} has {len(fold.training)} outcomes that were known before it, {wins}"
                " of them won; allowed are won and lost ones"
            )
        predicted += fit(fold.training).probabilities(fold.predicted).tolist()
        base += [wins / len(fold.training)] * len(fold.predicted)
        won += [one.is_won for one in fold.predicted]
    error, base_error = _squared_error(predicted, won), _squared_error(base, won)
    return scoring_models_pb2.TrainingReport(
        outcomes=len(entries),
        first_decision_time_ns=entries[0].decided_time_ns,
        last_outcome_time_ns=max(one.known_time_ns for one in entries),
        penalty=PENALTY,
        embargo_ns=parameters.embargo_ns,
        purged_outcomes=sum(one.purged for one in made),
        predicted_outcomes=len(won),
        log_loss=_log_loss(predicted, won),
        base_log_loss=_log_loss(base, won),
        brier_score=error,
        brier_skill=1 - error / base_error,
    )


def _values(entries: Sequence[LabelledEntry]) -> Floats:
    """A row for each entry; NaN is unknown."""
    rows = [[np.nan if value is None else value for value in one.features] for one in entries]
    return np.array(rows, dtype=float)


def _scale(entries: Sequence[LabelledEntry]) -> Scale:
    values = _values(entries)
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, values, 0.0).sum(axis=0) / counts
    squares = np.where(known, values - means, 0.0) ** 2
    scales = np.sqrt(squares.sum(axis=0) / counts)
    # A feature that never changes says nothing, and its rounding errors must not.
    return Scale(means, np.where(scales > 1e-12 * np.maximum(np.abs(means), 1e-6), scales, 1.0))


def _sigmoid(log_odds: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(log_odds, -LOG_ODDS_MAX, LOG_ODDS_MAX)))
    return found


def _loss(inputs: Floats, won: Floats, weights: Floats, penalties: Floats) -> float:
    lines = inputs @ weights
    penalty = 0.5 * (penalties * weights * weights).sum()
    return float((np.logaddexp(0, lines) - won * lines).sum() + penalty)


def _squared_error(predicted: Sequence[float], won: Sequence[bool]) -> float:
    return float(((np.array(predicted) - np.array(won, dtype=float)) ** 2).mean())


def _log_loss(predicted: Sequence[float], won: Sequence[bool]) -> float:
    inside = np.clip(np.array(predicted), PROBABILITY_MIN, 1 - PROBABILITY_MIN)
    return float(-np.log(np.where(np.array(won), inside, 1 - inside)).mean())
