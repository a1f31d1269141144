"""The price around which a simulated market trades: a pure function of seed and time.

It is a sum of smooth noises, each with a period four times longer than the one before and twice as
strong, so that it moves like a random walk at every scale from seconds to weeks. Because it is a
function of time, not a walk that starts somewhere, a restarted market goes on where the clock is,
and the past can be computed as well as the present.

The past has whole minutes only, and no noise of less than a minute. Its last half hour is bent so
that its last minute ends at the price at which the market opens.
"""

import math
import random

import numpy as np
from numpy.typing import NDArray

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.market_events import Instrument

FloatColumn = NDArray[np.float64]
SHORTEST_PERIOD_S = 1
PERIOD_COUNT = 11
PERIOD_RATIO = 4
SLOW_FROM = 3
"""Index of the first period longer than a minute."""
SECONDS_PER_DAY = 86_400
MINUTE_S = 60
BEND_S = 30 * MINUTE_S
"""How long before the opening the past is bent towards the opening price."""
MASK_64 = 0xFFFF_FFFF_FFFF_FFFF
NOISE_DEVIATION = 0.72
"""Of smoothed noise between normal values: how much of their deviation is left."""


class PriceProcess:
    """The fair price of one instrument."""

    def __init__(self, instrument: Instrument, seed: str, opening_ns: int) -> None:
        self._instrument = instrument
        periods_s = [SHORTEST_PERIOD_S * PERIOD_RATIO**step for step in range(PERIOD_COUNT)]
        per_second = instrument.volatility / math.sqrt(SECONDS_PER_DAY)
        self._noises = [
            PriceNoise(f"{seed}/{period_s}", period_s, per_second * math.sqrt(period_s))
            for period_s in periods_s
        ]
        opening_s = opening_ns / NANOSECONDS_PER_SECOND
        self._past_end_s = opening_s - opening_s % MINUTE_S
        past_end = self._slow_change(np.array([self._past_end_s]))
        self._bend = self._change(opening_s) - float(past_end[0])

    def at(self, time_ns: int) -> float:
        """The fair price at this time."""
        change = self._change(time_ns / NANOSECONDS_PER_SECOND)
        return self._instrument.start_price * math.exp(change)

    def smoothed(self, start_ns: int, step_ns: int, count: int) -> FloatColumn:
        """Like ``at`` for many times, without the noise of less than a minute: for the past, in
        minutes."""
        seconds = (start_ns + step_ns * np.arange(count)) / NANOSECONDS_PER_SECOND
        left_s = self._past_end_s - seconds
        share = np.where(left_s < 0, 0, np.maximum(1 - left_s / BEND_S, 0))
        change = self._slow_change(seconds) + share * self._bend
        prices: FloatColumn = self._instrument.start_price * np.exp(change)
        return prices

    def _change(self, seconds: float) -> float:
        """The logarithm of the price relative to the start price."""
        return sum([noise.at(seconds) for noise in self._noises])

    def _slow_change(self, seconds: FloatColumn) -> FloatColumn:
        """The same for many times, without the noise of less than a minute."""
        noises = [noise.at_all(seconds) for noise in self._noises[SLOW_FROM:]]
        change: FloatColumn = np.sum(noises, axis=0)
        return change


class PriceNoise:
    """Random values at the multiples of a period, joined by a smooth curve."""

    def __init__(self, seed: str, period_s: int, deviation: float) -> None:
        self._seed = random.Random(seed).getrandbits(64)
        self._period_s = period_s
        self._deviation = deviation * NOISE_DEVIATION
        self._index = -1
        self._from = 0.0
        self._to = 0.0

    def at(self, seconds: float) -> float:
        """The value at this time, in seconds since the epoch."""
        index, rest = divmod(seconds, self._period_s)
        if index != self._index:
            self._index = int(index)
            self._from = self._value(self._index)
            self._to = self._value(self._index + 1)
        share = rest / self._period_s
        smooth = share * share * (3 - 2 * share)
        return self._from + (self._to - self._from) * smooth

    def at_all(self, seconds: FloatColumn) -> FloatColumn:
        """The same for many times."""
        index, rest = np.divmod(seconds, self._period_s)
        first, last = int(index.min()), int(index.max())
        values = self._values(np.arange(first, last + 2).astype(np.uint64))
        before = (index - first).astype(np.int64)
        share = rest / self._period_s
        smooth = share * share * (3 - 2 * share)
        found: FloatColumn = values[before] + (values[before + 1] - values[before]) * smooth
        return found

    def _value(self, index: int) -> float:
        """Nearly normal: four uniform numbers out of one hash of the index (splitmix64)."""
        bits = (self._seed + index * 0x9E3779B97F4A7C15) & MASK_64
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK_64
        bits ^= bits >> 31
        total = sum((bits >> shift & 0xFFFF) for shift in (0, 16, 32, 48)) / 0xFFFF
        return (total - 2) * math.sqrt(3) * self._deviation

    def _values(self, index: NDArray[np.uint64]) -> FloatColumn:
        """Like ``_value`` for many indices."""
        bits = np.uint64(self._seed) + index * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        parts = [bits >> np.uint64(shift) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
        total = np.sum(parts, axis=0).astype(np.float64) / 0xFFFF
        found: FloatColumn = (total - 2) * math.sqrt(3) * self._deviation
        return found
