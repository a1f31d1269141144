"""Outcomes whose true probability is known."""

from collections.abc import Callable

import numpy as np

from core.advisor.calibration.fitting import OutcomeSeries
from core.advisor.calibration.maps import CalibrationMap, log_odds, logistic

Truth = Callable[[float], float]
GRID = [(place + 0.5) / 400 for place in range(400)]
"""Convictions of equal probability: those of the planted outcomes are uniform."""


def line(slope: float, intercept: float) -> Truth:
    return lambda conviction: logistic(slope * log_odds(conviction) + intercept)


FAMILIES: dict[str, Truth] = {
    "overconfident": line(0.5, 0.0),
    "underconfident": line(2.0, 0.0),
    "too high": line(1.0, -0.7),
    "too high and overconfident": line(0.6, -0.5),
    "a step": lambda conviction: 0.25 if conviction < 0.6 else 0.7,
    "flat in the middle": lambda conviction: min(max(conviction, 0.35), 0.5),
}


def planted(truth: Truth, count: int, seed: int) -> OutcomeSeries:
    random = np.random.default_rng(seed)
    convictions = random.uniform(0, 1, count).tolist()
    chances = random.uniform(0, 1, count).tolist()
    wins = [chance < truth(one) for chance, one in zip(chances, convictions, strict=True)]
    return OutcomeSeries(convictions, wins)


def expected_loss(found: CalibrationMap, truth: Truth) -> float:
    """The mean log-loss over endless further outcomes, so that no sample adds noise."""
    total = 0.0
    for conviction in GRID:
        likely, predicted = truth(conviction), found.probability(conviction)
        inside = min(max(predicted, 0.001), 0.999)
        total -= likely * np.log(inside) + (1 - likely) * np.log(1 - inside)
    return total / len(GRID)


def joined(*parts: OutcomeSeries) -> OutcomeSeries:
    return OutcomeSeries(
        [one for part in parts for one in part.convictions],
        [one for part in parts for one in part.wins],
    )
