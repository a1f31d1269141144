"""The state of an indicator between bars, and the computation of its next value."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from kit.features.windows import Extreme, ExtremeAge, Previous, Sum, Wma

Value = float | bool | None
"""None: not known yet."""
SavedState: TypeAlias = list[Any]
"""Numbers, None and lists of them."""


class SavedCalculator(Protocol):
    """The state of one indicator."""

    def save(self) -> SavedState:
        """What it keeps, exactly."""

    def restore(self, saved: SavedState) -> None:
        """Go on from where ``save`` was called."""


class Calculator(SavedCalculator, Protocol):
    """An indicator of one operand."""

    def next(self, value: float) -> float | None:
        """The value after one more operand value."""


class PairCalculator(SavedCalculator, Protocol):
    """An indicator of two operands."""

    def next(self, first: float, second: float) -> float | None:
        """The value after one more value of each operand."""


class Smoothed:
    """The simple average of the first values, from there on moved by a share of the distance."""

    def __init__(self, period: int, share: float) -> None:
        self._period, self._share = period, share
        self._count, self._average = 0, 0.0

    def next(self, value: float) -> float | None:
        if self._count >= self._period:
            self._average += (value - self._average) * self._share
            return self._average
        self._count += 1
        self._average += value / self._period
        return self._average if self._count == self._period else None

    def save(self) -> SavedState:
        return [self._count, self._average]

    def restore(self, saved: SavedState) -> None:
        self._count, self._average = saved


class WilderSum:
    """Wilder's running sum, as in the directional movement: the first period - 1 values are added
    up, from there on total = total - total / period + value."""

    def __init__(self, period: int) -> None:
        self._period, self._count, self._total = period, 0, 0.0

    def next(self, value: float) -> float | None:
        if self._count >= self._period - 1:
            self._total += value - self._total / self._period
            return self._total
        self._count += 1
        self._total += value
        return None

    def save(self) -> SavedState:
        return [self._count, self._total]

    def restore(self, saved: SavedState) -> None:
        self._count, self._total = saved


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


class Kama:
    """Kaufman's adaptive average: the more direct the way of the last values, the faster."""

    FAST, SLOW = 2 / (2 + 1), 2 / (30 + 1)

    def __init__(self, period: int) -> None:
        self._values: deque[float] = deque(maxlen=period + 1)
        self._average = 0.0

    def next(self, value: float) -> float | None:
        values = self._values
        values.append(value)
        if len(values) < (values.maxlen or 1):
            self._average = value
            return None
        path = math.fsum(abs(values[n] - values[n - 1]) for n in range(1, len(values)))
        efficiency = min(1.0, abs(value - values[0]) / path) if path else 1.0
        share = (efficiency * (self.FAST - self.SLOW) + self.SLOW) ** 2
        self._average += share * (value - self._average)
        return self._average

    def save(self) -> SavedState:
        return [list(self._values), self._average]

    def restore(self, saved: SavedState) -> None:
        values, self._average = saved
        self._values.clear()
        self._values.extend(values)


class Rank:
    """The part of the last values that are below the newest one, equal ones by half: 0 to 1."""

    def __init__(self, period: int) -> None:
        self._values: deque[float] = deque(maxlen=period)
        self._sorted: list[float] = []

    def next(self, value: float) -> float | None:
        values, ordered = self._values, self._sorted
        if len(values) == values.maxlen:
            del ordered[bisect_left(ordered, values[0])]
        values.append(value)
        insort(ordered, value)
        if len(values) < (values.maxlen or 1):
            return None
        below, up_to = bisect_left(ordered, value), bisect_right(ordered, value)
        return (below + up_to) / 2 / len(ordered)

    def save(self) -> SavedState:
        return list(self._values)

    def restore(self, saved: SavedState) -> None:
        self._values.clear()
        self._values.extend(saved)
        self._sorted = sorted(saved)


class MeanDeviation:
    """Mean absolute distance of the last values from their mean. Looks at each of them."""

    def __init__(self, period: int) -> None:
        self._values: deque[float] = deque(maxlen=period)

    def next(self, value: float) -> float | None:
        self._values.append(value)
        if len(self._values) < (self._values.maxlen or 1):
            return None
        mean = sum(self._values) / len(self._values)
        return sum(abs(one - mean) for one in self._values) / len(self._values)

    def save(self) -> SavedState:
        return list(self._values)

    def restore(self, saved: SavedState) -> None:
        self._values.clear()
        self._values.extend(saved)


class Total:
    """The sum of all values since the beginning, or since a change of the second operand."""

    def __init__(self, _: int) -> None:
        self._total, self._group = 0.0, math.nan

    def next(self, first: float, second: float) -> float | None:
        if second != self._group:
            self._total, self._group = 0.0, second
        self._total += first
        return self._total

    def save(self) -> SavedState:
        return [self._total, None if math.isnan(self._group) else self._group]

    def restore(self, saved: SavedState) -> None:
        self._total, group = saved
        self._group = math.nan if group is None else group


class Covariance:
    """Covariance of the last pairs, with their number as divisor.

    The sums are those of distances from a pair nearby, which keeps their digits; all values are
    added up again at times, because a sum that is only changed drifts."""

    RENEW_AFTER = 1_000

    def __init__(self, period: int) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=period)
        self._near, self._until_renewal = (0.0, 0.0), 1
        self._first, self._second, self._product = 0.0, 0.0, 0.0

    def next(self, first: float, second: float) -> float | None:
        pairs = self._pairs
        is_full = len(pairs) == pairs.maxlen
        oldest = pairs[0] if is_full else self._near
        pairs.append((first, second))
        self._until_renewal -= 1
        if self._until_renewal <= 0:
            self._renew()
        else:
            near_first, near_second = self._near
            new_first, new_second = first - near_first, second - near_second
            old_first, old_second = oldest[0] - near_first, oldest[1] - near_second
            self._first += new_first - old_first
            self._second += new_second - old_second
            self._product += new_first * new_second - old_first * old_second
        count = len(pairs)
        if count < (pairs.maxlen or 1):
            return None
        return (self._product - self._first * self._second / count) / count

    def _renew(self) -> None:
        count = len(self._pairs)
        near_first = sum(first for first, _ in self._pairs) / count
        near_second = sum(second for _, second in self._pairs) / count
        moved = [(first - near_first, second - near_second) for first, second in self._pairs]
        self._near = near_first, near_second
        self._first = sum(first for first, _ in moved)
        self._second = sum(second for _, second in moved)
        self._product = sum(first * second for first, second in moved)
        self._until_renewal = min(self.RENEW_AFTER, 4 * count)

    def save(self) -> SavedState:
        sums = [self._first, self._second, self._product]
        return [[list(pair) for pair in self._pairs], list(self._near), sums, self._until_renewal]

    def restore(self, saved: SavedState) -> None:
        pairs, near, sums, self._until_renewal = saved
        self._pairs.clear()
        self._pairs.extend((first, second) for first, second in pairs)
        self._near = near[0], near[1]
        self._first, self._second, self._product = sums


class Variance:
    """Variance of the last values, with their number as divisor; computed as ``Covariance`` is, and
    added up again as soon as the values lie closer together than the digits of the sums reach."""

    DIGITS_LOST = 1e-6
    """Least part of the squares that may be left of them."""

    def __init__(self, period: int) -> None:
        self._values: deque[float] = deque(maxlen=period)
        self._near, self._until_renewal = 0.0, 1
        self._total, self._squares = 0.0, 0.0

    def next(self, value: float) -> float | None:
        values = self._values
        oldest = values[0] if len(values) == values.maxlen else self._near
        values.append(value)
        self._until_renewal -= 1
        if self._until_renewal <= 0:
            self._renew()
        else:
            new, old = value - self._near, oldest - self._near
            self._total += new - old
            self._squares += new * new - old * old
        count = len(values)
        if count < (values.maxlen or 1):
            return None
        spread = self._squares - self._total * self._total / count
        if spread < self._squares * self.DIGITS_LOST:
            self._renew()
            spread = self._squares - self._total * self._total / count
        return max(0.0, spread / count)

    def _renew(self) -> None:
        count = len(self._values)
        near = self._near = sum(self._values) / count
        self._total = sum(value - near for value in self._values)
        self._squares = sum((value - near) * (value - near) for value in self._values)
        self._until_renewal = min(Covariance.RENEW_AFTER, 4 * count)

    def save(self) -> SavedState:
        return [list(self._values), self._near, self._total, self._squares, self._until_renewal]

    def restore(self, saved: SavedState) -> None:
        values, self._near, self._total, self._squares, self._until_renewal = saved
        self._values.clear()
        self._values.extend(values)


class Since:
    """How many bars ago the value was last not 0, and never yet: not known."""

    def __init__(self, _: int) -> None:
        self._bars: int | None = None

    def next(self, value: float) -> float | None:
        if value:
            self._bars = 0
        elif self._bars is not None:
            self._bars += 1
        return self._bars

    def save(self) -> SavedState:
        return [self._bars]

    def restore(self, saved: SavedState) -> None:
        (self._bars,) = saved


CALCULATORS: dict[str, Callable[[int], Calculator]] = {
    "sma": lambda period: Sum(period, period),
    "sum_over": lambda period: Sum(period, 1.0),
    "ema": lambda period: Smoothed(period, 2 / (period + 1)),
    "wilder": lambda period: Smoothed(period, 1 / period),
    "wilder_sum": WilderSum,
    "wma": Wma,
    "kama": Kama,
    "highest": lambda period: Extreme(period, 1.0),
    "lowest": lambda period: Extreme(period, -1.0),
    "bars_since_highest": lambda period: ExtremeAge(period, 1.0),
    "bars_since_lowest": lambda period: ExtremeAge(period, -1.0),
    "previous": Previous,
    "rsi": Rsi,
    "rank": Rank,
    "mean_deviation": MeanDeviation,
    "variance": Variance,
    "bars_since": Since,
}
"""By name of an indicator: makes its state from the period."""
PAIR_CALCULATORS: dict[str, Callable[[int], PairCalculator]] = {
    "covariance": Covariance,
    "total_since_change": Total,
}
"""The same for indicators of two operands."""
