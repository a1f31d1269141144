"""Fits maps to outcomes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.advisor.calibration.maps import (
    PROBABILITY_MIN,
    CalibrationMap,
    IsotonicMap,
    PlattMap,
    ShiftedMap,
    log_odds,
)

STEPS_MAX = 50
STEP_MIN = 1e-10
CURVATURE_MIN = 1e-9
"""Determinant of the second derivatives below which the convictions count as equal."""

Floats = NDArray[np.float64]


class OutcomeSeries(NamedTuple):
    """Outcomes of decisions, in the order in which they became known."""

    convictions: Sequence[float]
    wins: Sequence[bool]

    def before(self, end: int) -> "OutcomeSeries":
        """The first ``end`` outcomes, which were known before the others."""
        return OutcomeSeries(self.convictions[:end], self.wins[:end])


def fit_platt(outcomes: OutcomeSeries) -> PlattMap:
    """The line of least log-loss, by Newton's method. Targets are smoothed as by Platt (1999): with
    w wins and l losses, a win counts as (w + 1) / (w + 2), a loss as 1 / (l + 2).

    A line that falls would contradict the strategy; the result is then constant.
    """
    inside = np.clip(np.asarray(outcomes.convictions), PROBABILITY_MIN, 1 - PROBABILITY_MIN)
    odds = np.log(inside / (1 - inside))
    won = np.asarray(outcomes.wins, dtype=bool)
    wins = int(won.sum())
    targets = np.where(won, (wins + 1) / (wins + 2), 1 / (len(won) - wins + 2))
    constant = PlattMap(0.0, log_odds(float(targets.mean())))
    slope, intercept = 1.0, 0.0
    loss = _loss(slope, intercept, odds, targets)
    for _ in range(STEPS_MAX):
        predicted = 1 / (1 + np.exp(-(slope * odds + intercept)))
        errors, weights = predicted - targets, predicted * (1 - predicted)
        xx, x, one = (weights * odds * odds).sum(), (weights * odds).sum(), weights.sum()
        determinant = xx * one - x * x
        if determinant < CURVATURE_MIN:
            return constant
        by_slope, by_intercept = (errors * odds).sum(), errors.sum()
        steps = (
            float((one * by_slope - x * by_intercept) / determinant),
            float((xx * by_intercept - x * by_slope) / determinant),
        )
        size = 1.0
        while size > STEP_MIN:
            new = slope - size * steps[0], intercept - size * steps[1]
            new_loss = _loss(*new, odds, targets)
            if new_loss <= loss:
                break
            size /= 2
        else:
            break
        (slope, intercept), loss = new, new_loss
        if max(map(abs, steps)) < STEP_MIN:
            break
    return PlattMap(slope, intercept) if slope > 0 else constant


def _loss(slope: float, intercept: float, odds: Floats, targets: Floats) -> float:
    lines = slope * odds + intercept
    return float((np.logaddexp(0, lines) - targets * lines).sum())


def fit_isotonic(outcomes: OutcomeSeries) -> IsotonicMap:
    """The rising map of least squared error, by pool adjacent violators."""
    points, places = np.unique(np.asarray(outcomes.convictions), return_inverse=True)
    counts = np.bincount(places).tolist()
    wins = np.bincount(places, weights=np.asarray(outcomes.wins, dtype=float)).tolist()
    blocks: list[tuple[float, float, float, int]] = []
    for point, won, count in zip(points.tolist(), wins, counts, strict=True):
        left = point
        # Multiplied out, so that equal shares are equal whatever the rounding.
        while blocks and blocks[-1][2] * count >= won * blocks[-1][3]:
            left, _, more_won, more = blocks.pop()
            won, count = won + more_won, count + more
        blocks.append((left, point, won, count))
    convictions, probabilities = [], []
    for left, right, won, count in blocks:
        for conviction in (left,) if left == right else (left, right):
            convictions.append(conviction)
            probabilities.append(won / count)
    return IsotonicMap(tuple(convictions), tuple(probabilities))


def fit_shift(
    pooled: CalibrationMap, outcomes: OutcomeSeries, outcomes_of_half_weight: int
) -> ShiftedMap:
    """The pooled map, drawn towards the base rate of these outcomes: its log-odds move by a part of
    the difference between the log-odds of the base rate and of the mean that the map predicts. With
    ``outcomes_of_half_weight`` outcomes, by a half."""
    count = len(outcomes.wins)
    if not count:
        return ShiftedMap(pooled, 0.0)
    predicted = sum(map(pooled.probability, outcomes.convictions)) / count
    rate = (sum(outcomes.wins) + 1) / (count + 2)
    weight = count / (count + outcomes_of_half_weight)
    return ShiftedMap(pooled, weight * (log_odds(rate) - log_odds(predicted)))
