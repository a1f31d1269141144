"""Keeps the first of each row without a number that comes from two sources, by the venue's time.

Two rows of an instrument with the same time are two events if one source brought both, and one
event if each source brought one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import CandleRows, MarkRows, QuoteRows, TickerRows

TimedRows = QuoteRows | TickerRows | MarkRows | CandleRows
Key = tuple[str, ...] | tuple[str | int, ...]


class _Newest(NamedTuple):
    time_ns: int
    from_peer: bool


class TimestampDeduplicator:
    """The time of the newest row of each key, and which source brought it."""

    def __init__(self) -> None:
        self._newest: dict[Key, _Newest] = {}
        self.dropped_total = 0

    def first_of_each(self, rows: TimedRows, from_peer: bool) -> IntColumn:
        """Positions of the rows to keep. Rows without a venue time cannot be compared: only our own
        are kept."""
        kept = [
            row
            for row, key in enumerate(_keys(rows))
            if self._is_first(key, int(rows.venue_time_ns[row]), from_peer)
        ]
        self.dropped_total += len(rows) - len(kept)
        return np.array(kept, dtype=np.int64)

    def _is_first(self, key: Key, time_ns: int, from_peer: bool) -> bool:
        if not time_ns:
            return not from_peer
        newest = self._newest.get(key)
        if newest is None or time_ns > newest.time_ns:
            self._newest[key] = _Newest(time_ns, from_peer)
            return True
        return time_ns == newest.time_ns and newest.from_peer == from_peer


def _keys(rows: TimedRows) -> Iterator[Key]:
    """The key of each row: a later row with the same key replaces an earlier one."""
    names = rows.symbols.per_row()
    columns: Sequence[IntColumn] = ()
    if isinstance(rows, CandleRows):
        columns = rows.interval_s, rows.open_time_ns
    elif isinstance(rows, MarkRows):
        # Some venues send each figure by itself, with its own time.
        figures = rows.mark_price, rows.index_price, rows.funding_rate
        columns = [(figure.unscaled != 0).astype(np.int64) for figure in figures]
    yield from zip(names, *(column.tolist() for column in columns), strict=True)
