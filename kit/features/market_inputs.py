"""Gives an evaluator, at the end of each bar, the market data that had arrived by then."""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.features.calculators import Value
from kit.features.expression import Expression
from kit.features.market_fields import KIND_OF, InputKind

AGE_NS_MAX = 60 * 1_000_000_000
"""Older values are not known."""
BARS_AGE_MAX = 10
"""The same for bars, in intervals."""
ROWS_MAX = 100_000
"""Most rows of a series that wait for the end of a bar. Of more the oldest are lost, and the series
is not known until the first one that is left counts."""


class InputSeries(NamedTuple):
    """What a strategy reads besides its bars."""

    instrument: str
    """"venue/symbol"."""
    kind: InputKind
    levels: int = 0
    """Of the book, per side."""


class InputRow(NamedTuple):
    """One event of a series."""

    time_ns: int
    """When it arrived: received time; of a bar its end."""
    values: Sequence[Value]
    """By the fields of the kind."""


class MarketInputs:
    """The newest row of each series at a time, and the rows that came later.

    ``own`` is the instrument that the strategy runs on. Series of trades and books are made of
    rows that sum up what had arrived at the end of a bar.
    """

    def __init__(self, inputs: Sequence[Expression], own: str, interval_ns: int) -> None:
        self._wanted = [
            (_series(one, own), KIND_OF[one.name].value.index(one.name)) for one in inputs
        ]
        self.series = tuple(dict.fromkeys(series for series, _ in self._wanted))
        """What it needs, in a fixed order."""
        self._newest: dict[InputSeries, InputRow | None] = dict.fromkeys(self.series)
        self._waiting: dict[InputSeries, deque[InputRow]] = {
            series: deque(maxlen=ROWS_MAX) for series in self.series
        }
        bars_age_ns_max = max(AGE_NS_MAX, BARS_AGE_MAX * interval_ns)
        # What sums up the trades of a bar is not that of a later one.
        self._ages_ns_max = {InputKind.BARS: bars_age_ns_max, InputKind.TRADES: 0}

    def add(self, series: InputSeries, row: InputRow) -> None:
        """Rows of a series come in the order of their times."""
        waiting = self._waiting[series]
        if len(waiting) == ROWS_MAX:
            self._newest[series] = None
        waiting.append(row)

    def at(self, time_ns: int) -> tuple[Value, ...]:
        """The inputs as of a time, which does not go back."""
        for series, waiting in self._waiting.items():
            while waiting and waiting[0].time_ns <= time_ns:
                self._newest[series] = waiting.popleft()
        return tuple(self._value(series, place, time_ns) for series, place in self._wanted)

    def save(self) -> list[Any]:
        """The rows that the next values may depend on, besides those that arrive later."""
        rows = (self._newest[series] for series in self.series)
        return [None if row is None else [row.time_ns, list(row.values)] for row in rows]

    def restore(self, saved: list[Any]) -> None:
        """Go on from where ``save`` was called."""
        for series, row in zip(self.series, saved, strict=True):
            self._newest[series] = None if row is None else InputRow(row[0], row[1])

    def _value(self, series: InputSeries, place: int, time_ns: int) -> Value:
        row = self._newest[series]
        age_ns_max = self._ages_ns_max.get(series.kind, AGE_NS_MAX)
        if row is None or time_ns - row.time_ns > age_ns_max:
            return None
        return row.values[place]


def _series(one: Expression, own: str) -> InputSeries:
    levels = int(one.parameters[0]) if one.parameters else 0
    return InputSeries(one.source or own, KIND_OF[one.name], levels)
