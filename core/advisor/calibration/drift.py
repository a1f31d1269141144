"""Finds the place at which the mean of a sequence has changed."""

import math
from typing import NamedTuple

import msgspec
import numpy as np

FALSE_ALARM_PROBABILITY = 0.002
VALUES_MAX = 2_000
PART_MIN = 30
"""Values that each side of a change has at least."""


class MeanChange(NamedTuple):
    """The mean of the window has changed."""

    before: float
    after: float
    values: int
    """Values since the change."""


class AdaptiveWindow(msgspec.Struct):
    """ADWIN by Bifet and Gavalda (2007): the longest window of the newest values of which no two
    parts differ in their mean by more than chance allows. Every place in the window is tried (the
    authors' first version), because outcomes are few."""

    value_max: float
    """Larger values count as this. The least value is 0."""
    values: list[float] = []

    def add(self, value: float) -> MeanChange | None:
        """Add the newest value; the change that it reveals. The values before the change leave the
        window."""
        self.values.append(min(value, self.value_max))
        del self.values[:-VALUES_MAX]
        count = len(self.values)
        if count < 2 * PART_MIN:
            return None
        values = np.array(self.values)
        sums = np.cumsum(values)
        earlier = np.arange(PART_MIN, count - PART_MIN + 1)
        later = count - earlier
        means_before = sums[earlier - 1] / earlier
        means_after = (sums[-1] - sums[earlier - 1]) / later
        # Twice the inverse of the paper's m, which is half the harmonic mean of both counts.
        twice = 2 * (1 / earlier + 1 / later)
        confidence = math.log(2 * math.log(count) / FALSE_ALARM_PROBABILITY)
        limits = np.sqrt(twice * values.var() * confidence)
        limits += twice / 3 * confidence * self.value_max
        excess = np.abs(means_after - means_before) - limits
        place = int(excess.argmax())
        if excess[place] <= 0:
            return None
        del self.values[: int(earlier[place])]
        return MeanChange(float(means_before[place]), float(means_after[place]), int(later[place]))
