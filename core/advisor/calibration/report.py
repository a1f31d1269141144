"""Measures how well probabilities agree with outcomes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.advisor.calibration.maps import log_loss

BINS = 10


class ReliabilityBin(NamedTuple):
    """The outcomes whose probability is in a tenth of the range from 0 to 1."""

    outcomes: int
    mean_probability: float
    win_rate: float


class CalibrationReport(NamedTuple):
    """The agreement of probabilities with outcomes."""

    outcomes: int
    log_loss: float
    """Mean, in nats."""
    brier_score: float
    """Mean squared error."""
    brier_skill: float | None
    """1 minus the Brier score as a part of the score of the base rate: above 0 is better than the
    base rate. None: all outcomes are equal, so that the base rate has no error."""
    bins: tuple[ReliabilityBin, ...]
    """The bins that have outcomes, by rising probability."""
    calibration_error: float
    """ECE: mean distance of win rate and mean probability of the bins, weighted by their counts."""
    calibration_error_floor: float
    """The expected ECE if the probabilities were true: a perfect map shows this much."""
    calibration_error_deviation: float
    """Standard deviation of the ECE if the probabilities were true."""


def calibration_report(probabilities: Sequence[float], wins: Sequence[bool]) -> CalibrationReport:
    """Raises ValueError if there are no outcomes, or the lengths differ."""
    if not wins or len(probabilities) != len(wins):
        raise ValueError(
            f"{len(probabilities)} probabilities for {len(wins)} outcomes; allowed is one for each"
        )
    predicted, won = np.array(probabilities), np.array(wins, dtype=float)
    count, rate = len(won), float(won.mean())
    brier = float(((predicted - won) ** 2).mean())
    by_rate = rate * (1 - rate)
    numbers = np.minimum((predicted * BINS).astype(int), BINS - 1)
    bins, error, floor, variance = [], 0.0, 0.0, 0.0
    for number in range(BINS):
        inside = numbers == number
        size = int(inside.sum())
        if not size:
            continue
        part, part_won = predicted[inside], won[inside]
        bins.append(ReliabilityBin(size, float(part.mean()), float(part_won.mean())))
        error += abs(float((part_won - part).sum())) / count
        chance = mean_distance(part.tolist())
        floor += chance / count
        variance += (float((part * (1 - part)).sum()) - chance * chance) / count**2
    return CalibrationReport(
        count,
        sum(map(log_loss, probabilities, wins)) / count,
        brier,
        1 - brier / by_rate if by_rate else None,
        tuple(bins),
        error,
        floor,
        math.sqrt(max(variance, 0.0)),
    )


def mean_distance(probabilities: Sequence[float]) -> float:
    """The expected distance of the number of wins from its mean, if the probabilities are true.
    Exact: the distribution of the number of wins is computed, not a normal one assumed."""
    distribution = np.zeros(len(probabilities) + 1)
    distribution[0] = 1.0
    for number, probability in enumerate(probabilities, 1):
        shifted = distribution[:number] * probability
        distribution[: number + 1] *= 1 - probability
        distribution[1 : number + 1] += shifted
    wins = np.arange(len(probabilities) + 1)
    return float((distribution * np.abs(wins - sum(probabilities))).sum())
