"""The state of a regime between bars, and its next value."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class _State(NamedTuple):
    """The density of a state at x: height * (1 + narrowness * (x - mean) ** 2) ** -2.5."""

    mean: float
    narrowness: float
    height: float


class RegimeFilter:
    """The probability of each state of a hidden Markov model, given the values so far."""

    def __init__(self, model: Sequence[float]) -> None:
        """``model``: the probability that the state stays, the certainty at which it changes, then
        mean and deviation of each state."""
        stays, self._certainty, *numbers = model
        self._states = [
            _State(mean, 0.5 / (deviation * deviation), 1 / deviation)
            for mean, deviation in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        self._enters = (1 - stays) / (len(self._states) - 1)
        self._remains = stays - self._enters
        self.probabilities = [1 / len(self._states)] * len(self._states)
        self.state: int | None = None
        """None before one has reached the certainty."""

    def add(self, value: float) -> None:
        factors = [
            1 + narrowness * (value - mean) * (value - mean) for mean, narrowness, _ in self._states
        ]
        # Divided by the largest density, so that not all are 0. The square root is rounded in the
        # same way everywhere, a power is not.
        least = min(factors)
        weights: list[float] = []
        for state, factor, before in zip(self._states, factors, self.probabilities, strict=True):
            ratio = least / factor
            density = state.height * ratio * ratio * math.sqrt(ratio)
            weights.append((self._enters + self._remains * before) * density)
        total = sum(weights)
        self.probabilities = [weight / total for weight in weights]
        most = max(self.probabilities)
        if most >= self._certainty:
            self.state = self.probabilities.index(most)

    def save(self) -> list[Any]:
        """The probabilities and the state."""
        return [list(self.probabilities), self.state]

    def restore(self, saved: list[Any]) -> None:
        """Go on from where ``save`` was called."""
        probabilities, self.state = saved
        self.probabilities = list(probabilities)


class RegimeNumber:
    """The number of the state."""

    def __init__(self, model: Sequence[float]) -> None:
        self._filter = RegimeFilter(model)
        self.save, self.restore = self._filter.save, self._filter.restore

    def next(self, value: float) -> float | None:
        self._filter.add(value)
        return self._filter.state


class RegimeProbability:
    """The probability of one state."""

    def __init__(self, parameters: Sequence[float]) -> None:
        """``parameters``: the number of the state, then the model."""
        number, *model = parameters
        self._number, self._filter = int(number), RegimeFilter(model)
        self.save, self.restore = self._filter.save, self._filter.restore

    def next(self, value: float) -> float | None:
        self._filter.add(value)
        return self._filter.probabilities[self._number]


REGIME_CALCULATORS: dict[str, Callable[[Sequence[float]], RegimeNumber | RegimeProbability]] = {
    "regime": RegimeNumber,
    "regime_probability": RegimeProbability,
}
"""By name: makes its state from all parameters of the expression."""
