"""Buffers market data besides bars until the next bar."""

from collections import deque
from collections.abc import Sequence

from core.detector.evaluation import InputStep
from kit.features.market_inputs import REPLACED, ROWS_MAX, InputRow, InputSeries


class InputBuffer:
    """Buffers the rows of an InputFeed, without rows that a newer one replaces before the next
    bar."""

    def __init__(self, series: Sequence[InputSeries]) -> None:
        self.series = tuple(series)
        self._places = {one: place for place, one in enumerate(self.series)}
        # One row more than a strategy keeps, so that it detects a lost row.
        self._rows = [deque[InputStep](maxlen=ROWS_MAX + 1) for _ in self.series]

    def add(self, series: InputSeries, row: InputRow, next_time_ns: int = 0) -> None:
        place = self._places[series]
        rows, step = self._rows[place], InputStep(place, row.time_ns, row.values, next_time_ns)
        if series.kind in REPLACED and rows and row.time_ns <= next_time_ns:
            rows[-1] = step
        else:
            rows.append(step)

    def take(self) -> Sequence[InputStep]:
        """The rows since the last call, for each series in the order of time."""
        found = [step for rows in self._rows for step in rows]
        for rows in self._rows:
            rows.clear()
        return found
