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


REPLACED = (InputKind.QUOTES, InputKind.BARS)
"""Kinds whose newest row replaces all earlier rows."""


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


class TradeRow(NamedTuple):
    """The values of a row of TRADES."""

    size: float
    """Negative if the taker sold."""
    price: float
    venue_time_ns: int


class MarketInputs:
    """The newest row of each series at a time, and the rows that came later.

    ``own`` is the instrument that the strategy runs on. Rows of BOOK are made for the end of a bar;
    rows of TRADES are single trades, see ``TradeRow``.
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
        # Values computed for the end of one bar are invalid for a later bar.
        self._ages_ns_max = {
            InputKind.BARS: bars_age_ns_max,
            InputKind.TRADES: 0,
            InputKind.BOOK: 0,
        }

    def add(self, series: InputSeries, row: InputRow, next_time_ns: int = 0) -> None:
        """Rows of a series come in the order of their times. ``next_time_ns``: that of the next
        ``at``, if it is known, so that of the rows before it only the newest is kept."""
        waiting = self._waiting[series]
        if series.kind in REPLACED and waiting and row.time_ns <= next_time_ns:
            waiting[-1] = row
            return
        if len(waiting) == ROWS_MAX:
            self._newest[series] = None
        waiting.append(row)

    def at(self, time_ns: int, opened_ns: int = 0) -> tuple[Value, ...]:
        """The inputs as of the end of a bar, which does not go back. ``opened_ns``: its
        beginning, from which on trades count."""
        for series, waiting in self._waiting.items():
            arrived: list[InputRow] = []
            while waiting and waiting[0].time_ns <= time_ns:
                arrived.append(waiting.popleft())
            if series.kind is InputKind.TRADES:
                arrived = sum_up([row for row in arrived if row.time_ns > opened_ns], time_ns)
            for row in arrived:
                self._newest[series] = _completed(row, self._newest[series])
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


def _completed(row: InputRow, before: InputRow | None) -> InputRow:
    """A row whose missing values are filled from the row before."""
    if before is None or None not in row.values:
        return row
    pairs = zip(row.values, before.values, strict=True)
    return InputRow(row.time_ns, [old if new is None else new for new, old in pairs])


def _series(one: Expression, own: str) -> InputSeries:
    levels = int(one.parameters[0]) if one.parameters else 0
    return InputSeries(one.source or own, KIND_OF[one.name], levels)


def sum_up(trades: Sequence[InputRow], time_ns: int) -> list[InputRow]:
    """The row of all trades of a bar that ends at this time; none without trades."""
    if not trades:
        return []
    rows = [TradeRow(*row.values) for row in trades]  # type: ignore[arg-type]
    largest = max((row.size for row in rows), key=abs)
    swept, prices, taker = 0.0, set[float](), (0, False)
    for row in rows:
        # Trades of one taker have the same time and side.
        if taker != (row.venue_time_ns, row.size > 0):
            taker, prices = (row.venue_time_ns, row.size > 0), set()
        prices.add(row.price)
        if len(prices) > abs(swept):
            swept = float(len(prices) if row.size > 0 else -len(prices))
    return [InputRow(time_ns, (largest, swept))]
