"""Rows without a number, of two sources: the first of each is kept, by the venue's time.

Two rows of an instrument with the same time are two events where one source has brought both, and
one event where each source has brought one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kit.base.numbers import IntColumn
from kit.marketdata.model.columns import CandleRows, MarkRows, QuoteRows, TickerRows

TimedRows = QuoteRows | TickerRows | MarkRows | CandleRows
Key = tuple[str, ...] | tuple[str | int, ...]


class _Newest(NamedTuple):
    time_ns: int
    from_twin: bool


class LatestRows:
    """The time of the newest row of each kind, and who brought it."""

    def __init__(self) -> None:
        self._newest: dict[Key, _Newest] = {}
        self.dropped_total = 0

    def first_of_each(self, rows: TimedRows, from_twin: bool) -> IntColumn:
        """The rows to keep. What the venue gives no time cannot be told apart: of that only our own
        is kept."""
        kept = [
            row
            for row, key in enumerate(_keys(rows))
            if self._is_first(key, int(rows.venue_time_ns[row]), from_twin)
        ]
        self.dropped_total += len(rows) - len(kept)
        return np.array(kept, dtype=np.int64)

    def _is_first(self, key: Key, time_ns: int, from_twin: bool) -> bool:
        if not time_ns:
            return not from_twin
        newest = self._newest.get(key)
        if newest is None or time_ns > newest.time_ns:
            self._newest[key] = _Newest(time_ns, from_twin)
            return True
        return time_ns == newest.time_ns and newest.from_twin == from_twin


def _keys(rows: TimedRows) -> Iterator[Key]:
    """What a later row of the same key stands for."""
    names = rows.symbols.per_row()
    columns: Sequence[IntColumn] = ()
    if isinstance(rows, CandleRows):
        columns = rows.interval_s, rows.open_time_ns
    elif isinstance(rows, MarkRows):
        # Some venues tell each figure by itself, and at its own time.
        figures = rows.mark_price, rows.index_price, rows.funding_rate
        columns = [(figure.unscaled != 0).astype(np.int64) for figure in figures]
    yield from zip(names, *(column.tolist() for column in columns), strict=True)
