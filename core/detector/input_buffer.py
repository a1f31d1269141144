"""Keeps what is read of other market data until it is handed to a strategy."""

from collections import deque
from collections.abc import Sequence

from core.detector.evaluation import InputStep
from kit.features.market_inputs import REPLACED, ROWS_MAX, InputRow, InputSeries


class InputBuffer:
    """Takes rows from an InputFeed. A row that the next one replaces before anybody sees it is not
    kept."""

    def __init__(self, series: Sequence[InputSeries]) -> None:
        self.series = tuple(series)
        self._places = {one: place for place, one in enumerate(self.series)}
        # One more than a strategy keeps: so it knows that it has lost some.
        self._rows = [deque[InputStep](maxlen=ROWS_MAX + 1) for _ in self.series]

    def add(self, series: InputSeries, row: InputRow, next_time_ns: int = 0) -> None:
        place = self._places[series]
        rows, step = self._rows[place], InputStep(place, row.time_ns, row.values, next_time_ns)
        if series.kind in REPLACED and rows and row.time_ns <= next_time_ns:
            rows[-1] = step
        else:
            rows.append(step)

    def take(self) -> Sequence[InputStep]:
        """What came since the last call, of each series in the order of its times."""
        found = [step for rows in self._rows for step in rows]
        for rows in self._rows:
            rows.clear()
        return found
