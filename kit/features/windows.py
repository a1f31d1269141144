"""Indicators over the last values, in constant time per value on average."""

from collections import deque
from typing import Any


class Sum:
    """The sum of the last values, over a divisor.

    Adds all values up again at times, because a sum that is only changed drifts, and when a value
    leaves beside which the others are so small that the sum has lost their digits.
    """

    RENEW_AFTER = 1_000
    DIGITS_LOST = 1e-6
    """Least part of a value that leaves that may be left."""

    def __init__(self, period: int, divisor: float) -> None:
        self._period, self._divisor = period, divisor
        self._values: deque[float] = deque(maxlen=period)
        self._total, self._until_renewal = 0.0, self.RENEW_AFTER

    def next(self, value: float) -> float | None:
        values = self._values
        is_full = len(values) == self._period
        oldest = values[0] if is_full else 0.0
        values.append(value)
        self._total += value - oldest
        self._until_renewal -= 1
        if not self._until_renewal or abs(self._total) < abs(oldest) * self.DIGITS_LOST:
            self._total, self._until_renewal = sum(values), self.RENEW_AFTER
        return self._total / self._divisor if is_full or len(values) == self._period else None

    def save(self) -> list[Any]:
        return [list(self._values), self._total, self._until_renewal]

    def restore(self, saved: list[Any]) -> None:
        values, self._total, self._until_renewal = saved
        self._values.clear()
        self._values.extend(values)


class Wma:
    """The average of the last values, the newest with the weight ``period``, the oldest with 1."""

    RENEW_AFTER = 1_000

    def __init__(self, period: int) -> None:
        self._period, self._divisor = period, period * (period + 1) / 2
        self._values: deque[float] = deque(maxlen=period)
        self._total, self._weighted, self._until_renewal = 0.0, 0.0, self.RENEW_AFTER

    def next(self, value: float) -> float | None:
        values = self._values
        if len(values) == self._period:
            self._weighted += self._period * value - self._total
            self._total += value - values[0]
        else:
            self._weighted += (len(values) + 1) * value
            self._total += value
        values.append(value)
        self._until_renewal -= 1
        if not self._until_renewal:
            self._until_renewal, self._total = self.RENEW_AFTER, sum(values)
            self._weighted = sum(weight * one for weight, one in enumerate(values, 1))
        return self._weighted / self._divisor if len(values) == self._period else None

    def save(self) -> list[Any]:
        return [list(self._values), self._total, self._weighted, self._until_renewal]

    def restore(self, saved: list[Any]) -> None:
        values, self._total, self._weighted, self._until_renewal = saved
        self._values.clear()
        self._values.extend(values)


class Extremes:
    """The candidates for the largest of the last values, the largest first."""

    def __init__(self, period: int, sign: float) -> None:
        self.period, self.sign, self.count = period, sign, 0
        self.candidates: deque[tuple[int, float]] = deque()

    def add(self, value: float) -> bool:
        """Returns whether there are enough values."""
        candidates, signed = self.candidates, value * self.sign
        while candidates and candidates[-1][1] <= signed:
            candidates.pop()
        self.count += 1
        candidates.append((self.count, signed))
        if candidates[0][0] <= self.count - self.period:
            candidates.popleft()
        return self.count >= self.period

    def save(self) -> list[Any]:
        return [self.count, *map(list, self.candidates)]

    def restore(self, saved: list[Any]) -> None:
        self.count, *candidates = saved
        self.candidates = deque((count, signed) for count, signed in candidates)


class Extreme:
    """The largest of the last values; the smallest, if the sign is negative."""

    def __init__(self, period: int, sign: float) -> None:
        self._extremes = Extremes(period, sign)
        self.save, self.restore = self._extremes.save, self._extremes.restore

    def next(self, value: float) -> float | None:
        found = self._extremes
        return found.candidates[0][1] * found.sign if found.add(value) else None


class ExtremeAge:
    """How many bars ago the largest of the last values was; of equal ones the newest."""

    def __init__(self, period: int, sign: float) -> None:
        self._extremes = Extremes(period, sign)
        self.save, self.restore = self._extremes.save, self._extremes.restore

    def next(self, value: float) -> float | None:
        found = self._extremes
        return float(found.count - found.candidates[0][0]) if found.add(value) else None


class Previous:
    """The value some bars ago."""

    def __init__(self, bars: int) -> None:
        self._values: deque[float] = deque(maxlen=bars + 1)

    def next(self, value: float) -> float | None:
        self._values.append(value)
        return self._values[0] if len(self._values) == self._values.maxlen else None

    def save(self) -> list[Any]:
        return list(self._values)

    def restore(self, saved: list[Any]) -> None:
        self._values.clear()
        self._values.extend(saved)
