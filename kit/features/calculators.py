"""What an evaluator keeps of an indicator from bar to bar, and how it computes the next value."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Value = float | bool | None
"""None: not known yet."""
SavedState: TypeAlias = list[Any]
"""Numbers, None and lists of them."""


class Calculator(Protocol):
    """The state of one indicator."""

    def next(self, value: float) -> float | None:
        """The value after one more operand value."""

    def save(self) -> SavedState:
        """What it keeps, exactly."""

    def restore(self, saved: SavedState) -> None:
        """Go on from where ``save`` was called."""


class Sma:
    """Adds all values up again at times, because a sum that is only changed drifts."""

    RENEW_AFTER = 1_000

    def __init__(self, period: int) -> None:
        self._values: deque[float] = deque(maxlen=period)
        self._total, self._until_renewal = 0.0, self.RENEW_AFTER

    def next(self, value: float) -> float | None:
        period = self._values.maxlen or 1
        if len(self._values) == period:
            self._total -= self._values[0]
        self._values.append(value)
        self._total += value
        self._until_renewal -= 1
        if not self._until_renewal:
            self._total, self._until_renewal = sum(self._values), self.RENEW_AFTER
        return self._total / period if len(self._values) == period else None

    def save(self) -> SavedState:
        return [list(self._values), self._total, self._until_renewal]

    def restore(self, saved: SavedState) -> None:
        values, self._total, self._until_renewal = saved
        self._values.clear()
        self._values.extend(values)


class Smoothed:
    """The simple average of the first values, from there on moved by a share of the distance."""

    def __init__(self, period: int, share: float) -> None:
        self._period, self._share = period, share
        self._count, self._average = 0, 0.0

    def next(self, value: float) -> float | None:
        self._count += 1
        if self._count <= self._period:
            self._average += value / self._period
        else:
            self._average += (value - self._average) * self._share
        return self._average if self._count >= self._period else None

    def save(self) -> SavedState:
        return [self._count, self._average]

    def restore(self, saved: SavedState) -> None:
        self._count, self._average = saved


class Extreme:
    """The largest of the last values, in constant time per value on average."""

    def __init__(self, period: int, sign: float) -> None:
        self._period, self._sign, self._count = period, sign, 0
        self._candidates: deque[tuple[int, float]] = deque()

    def next(self, value: float) -> float | None:
        candidates, signed = self._candidates, value * self._sign
        while candidates and candidates[-1][1] <= signed:
            candidates.pop()
        self._count += 1
        candidates.append((self._count, signed))
        if candidates[0][0] <= self._count - self._period:
            candidates.popleft()
        return candidates[0][1] * self._sign if self._count >= self._period else None

    def save(self) -> SavedState:
        return [self._count, *map(list, self._candidates)]

    def restore(self, saved: SavedState) -> None:
        self._count, *candidates = saved
        self._candidates = deque((count, signed) for count, signed in candidates)


class Previous:
    """The value some bars ago."""

    def __init__(self, bars: int) -> None:
        self._values: deque[float] = deque(maxlen=bars + 1)

    def next(self, value: float) -> float | None:
        self._values.append(value)
        return self._values[0] if len(self._values) == self._values.maxlen else None

    def save(self) -> SavedState:
        return list(self._values)

    def restore(self, saved: SavedState) -> None:
        self._values.clear()
        self._values.extend(saved)


class Rsi:
    """Wilder's averages of gains and losses, from 0 to 100."""

    def __init__(self, period: int) -> None:
        self._gains, self._losses = Smoothed(period, 1 / period), Smoothed(period, 1 / period)
        self._before: float | None = None

    def next(self, value: float) -> float | None:
        before, self._before = self._before, value
        if before is None:
            return None
        gain = self._gains.next(max(value - before, 0.0))
        loss = self._losses.next(max(before - value, 0.0))
        if gain is None or loss is None:
            return None
        return 100 * gain / (gain + loss) if gain + loss else 50.0

    def save(self) -> SavedState:
        return [self._gains.save(), self._losses.save(), self._before]

    def restore(self, saved: SavedState) -> None:
        gains, losses, self._before = saved
        self._gains.restore(gains)
        self._losses.restore(losses)


CALCULATORS: dict[str, Callable[[int], Calculator]] = {
    "sma": Sma,
    "ema": lambda period: Smoothed(period, 2 / (period + 1)),
    "highest": lambda period: Extreme(period, 1.0),
    "lowest": lambda period: Extreme(period, -1.0),
    "previous": Previous,
    "rsi": Rsi,
    "atr": lambda period: Smoothed(period, 1 / period),
}
"""By name of an indicator: makes its state from the period."""
