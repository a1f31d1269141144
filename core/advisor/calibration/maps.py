"""Maps from a conviction to the probability that a decision wins."""

import math
from bisect import bisect_left
from typing import Protocol

import msgspec

PROBABILITY_MIN = 0.001
"""Where a logarithm is taken, a probability counts as at least this, and as at most 1 minus this.
So the loss of one outcome is finite."""


class CalibrationMap(Protocol):
    """A map that never falls."""

    def probability(self, conviction: float) -> float:
        """From 0 to 1. ``conviction``: from 0 to 1."""


class IdentityMap(msgspec.Struct, frozen=True, tag="identity"):
    """The conviction itself."""

    def probability(self, conviction: float) -> float:
        return conviction


class PlattMap(msgspec.Struct, frozen=True, tag="platt"):
    """A straight line in log-odds. Slope 1 and intercept 0 are the identity."""

    slope: float
    intercept: float

    def probability(self, conviction: float) -> float:
        return logistic(self.slope * log_odds(conviction) + self.intercept)


class IsotonicMap(msgspec.Struct, frozen=True, tag="isotonic"):
    """Straight lines between points, constant outside of them."""

    convictions: tuple[float, ...]
    """Rising."""
    probabilities: tuple[float, ...]

    def probability(self, conviction: float) -> float:
        after = bisect_left(self.convictions, conviction)
        if after == 0:
            return self.probabilities[0]
        if after == len(self.convictions):
            return self.probabilities[-1]
        left, right = self.convictions[after - 1], self.convictions[after]
        low, high = self.probabilities[after - 1], self.probabilities[after]
        # The part first: a product with a very small distance would be 0.
        return low + (high - low) * ((conviction - left) / (right - left))


class ShiftedMap(msgspec.Struct, frozen=True):
    """Another map, whose log-odds are shifted."""

    pooled: CalibrationMap
    shift: float

    def probability(self, conviction: float) -> float:
        return logistic(log_odds(self.pooled.probability(conviction)) + self.shift)


def clipped(probability: float) -> float:
    """The probability as it counts where a logarithm is taken."""
    return min(max(probability, PROBABILITY_MIN), 1 - PROBABILITY_MIN)


def log_odds(probability: float) -> float:
    inside = clipped(probability)
    return math.log(inside / (1 - inside))


def logistic(odds: float) -> float:
    """The probability of some log-odds."""
    # The exponent is never positive, so that it does not overflow.
    small = math.exp(-abs(odds))
    return (1.0 if odds >= 0 else small) / (1 + small)


def log_loss(probability: float, is_won: bool) -> float:
    """The loss of one outcome, in nats."""
    inside = clipped(probability)
    return -math.log(inside if is_won else 1 - inside)
