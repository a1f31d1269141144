"""Regimes: in which of a few states a market is, by a hidden Markov model.

The model is filtered, never smoothed: the value at a bar depends on this bar and earlier ones. The
states are given, not fitted, so the same bars give the same regimes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from kit.features.expression import Expression
from kit.features.indicators import absolute, deviation, log_return, previous

STATES_MAX = 4


class RegimeState(NamedTuple):
    """Mean and standard deviation of the source in a state. The distribution is Student's t with
    four degrees of freedom, so that one outlier is not a new regime."""

    mean: float
    deviation: float


class Regime(NamedTuple):
    """The state after each bar."""

    state: Expression
    """Number of the state, from 0. It changes when the probability of another state reaches the
    certainty. Not known until the first state has reached it."""
    probabilities: tuple[Expression, ...]
    """Of each state, given this bar and the earlier ones."""

    def is_in(self, number: int) -> Expression:
        """Whether the state has this number. Raises ValueError."""
        if number not in range(len(self.probabilities)):
            most = len(self.probabilities) - 1
            raise ValueError(f"regime: no state {number}; allowed are 0 to {most}")
        return absolute(self.state - number) < 0.5


def regime(
    source: Expression,
    states: Sequence[RegimeState],
    stays: float = 0.998,
    certainty: float = 0.95,
) -> Regime:
    """The regime of a source. Raises ValueError.

    ``stays``: the probability that the state at the next bar is the same; 0.998 is one change in
    500 bars. ``certainty``: the least probability at which the state changes.
    """
    if not 2 <= len(states) <= STATES_MAX:
        raise ValueError(f"regime: {len(states)} states; allowed are 2 to {STATES_MAX}")
    if len(set(states)) < len(states):
        raise ValueError("regime: two states are equal")
    for mean, spread in states:
        if not math.isfinite(mean):
            raise ValueError(f"regime: a mean of {mean}; allowed are finite numbers")
        if not 1e-50 <= spread <= 1e50:
            raise ValueError(f"regime: a deviation of {spread}; allowed are 1e-50 to 1e50")
    for name, value in (("stays", stays), ("certainty", certainty)):
        if not 0.5 < value < 1:
            raise ValueError(f"regime: {name} is {value}; allowed: above 0.5, below 1")
    model = (stays, certainty, *(float(number) for state in states for number in state))
    probabilities = (
        Expression("regime_probability", (float(number), *model), (source,))
        for number in range(len(states))
    )
    return Regime(Expression("regime", model, (source,)), tuple(probabilities))


def volatility_regime(
    period: int = 1_000,
    ratios: Sequence[float] = (0.5, 1.5),
    stays: float = 0.998,
    certainty: float = 0.95,
) -> Regime:
    """The regime of log returns, in units of their standard deviation over the ``period`` bars
    before. ``ratios``: the standard deviation of each state in this unit. Raises ValueError."""
    change = log_return()
    states = [RegimeState(0.0, ratio) for ratio in ratios]
    return regime(change / previous(deviation(period, change)), states, stays, certainty)
