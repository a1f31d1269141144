"""Reads market data once for all strategies that need it."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import NamedTuple

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.intervals import BarInterval
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow, InputSeries
from kit.strategy.input_feed import AHEAD_NS, InputSource

KEPT_NS = 2 * AHEAD_NS
KEPT_BARS = 10
PAUSE_NS = NANOSECONDS_PER_SECOND // 20
"""How long an answer counts for all: many strategies wait for the same row."""


class _Key(NamedTuple):
    series: InputSeries
    interval: str
    """Of bars; empty for other kinds."""


class _LastRead:
    """What was read last, and when. The lock is held by whoever reads."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._until_ns = 0
        self._ended_ns = 0

    def ended(self, until_ns: int, now_ns: int) -> None:
        self._until_ns, self._ended_ns = until_ns, now_ns

    def is_new(self, until_ns: int, now_ns: int) -> bool:
        """Whether a read up to this time has just ended."""
        return until_ns <= self._until_ns and now_ns - self._ended_ns < PAUSE_NS


class _SharedRows:
    """All rows of a series from ``first_ns`` to the newest one that was read."""

    def __init__(self, first_ns: int) -> None:
        self.read = _LastRead()
        self.begin(first_ns)

    def begin(self, first_ns: int) -> None:
        """Know no row; the next ones are those after this time."""
        self.rows: list[InputRow] = []
        self.first_ns = self.newest_ns = first_ns

    def add(self, row: InputRow) -> None:
        self.rows.append(row)
        self.newest_ns = row.time_ns

    def between(self, after_ns: int, until_ns: int) -> list[InputRow]:
        return self.rows[self._place(after_ns) : self._place(until_ns)]

    def forget(self, until_ns: int) -> None:
        """Forget rows up to this time."""
        if until_ns > self.first_ns:
            self.rows = self.rows[self._place(until_ns) :]
            self.first_ns = until_ns

    def _place(self, time_ns: int) -> int:
        return bisect_right(self.rows, time_ns, key=lambda row: row.time_ns)


class _SharedBook:
    """The newest row of a book."""

    def __init__(self) -> None:
        self.read = _LastRead()
        self.row: InputRow | None = None


class SharedInputs:
    """An InputSource. Strategies that need the same rows at the same time cause one read.

    Whoever needs older rows than are kept, as during a warm-up, reads on its own.
    """

    def __init__(self, source: InputSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._shared: dict[_Key, _SharedRows] = {}
        self._books: dict[InputSeries, _SharedBook] = {}

    async def rows(
        self, series: InputSeries, interval: BarInterval, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        is_bars = series.kind is InputKind.BARS
        key = _Key(series, interval.name if is_bars else "")
        shared = self._shared.setdefault(key, _SharedRows(after_ns))
        async with shared.read.lock:
            if after_ns > shared.newest_ns:
                # The rows between are not known.
                shared.begin(after_ns)
            is_kept = after_ns >= shared.first_ns
            if is_kept and not self._is_read(shared, until_ns):
                async for row in self._source.rows(series, interval, shared.newest_ns, until_ns):
                    shared.add(row)
                shared.read.ended(until_ns, self._clock.monotonic_ns())
            found = shared.between(after_ns, until_ns)
            shared.forget(
                shared.newest_ns - (KEPT_BARS * interval.length_ns if is_bars else KEPT_NS)
            )
        if is_kept:
            for row in found:
                yield row
            return
        async for row in self._source.rows(series, interval, after_ns, until_ns):
            yield row

    async def book(self, series: InputSeries, time_ns: int) -> InputRow | None:
        shared = self._books.setdefault(series, _SharedBook())
        async with shared.read.lock:
            if shared.row is None or shared.row.time_ns != time_ns:
                if shared.read.is_new(time_ns, self._clock.monotonic_ns()):
                    return None
                shared.row = await self._source.book(series, time_ns)
                shared.read.ended(time_ns, self._clock.monotonic_ns())
            return shared.row

    def _is_read(self, shared: _SharedRows, until_ns: int) -> bool:
        now_ns = self._clock.monotonic_ns()
        return shared.newest_ns >= until_ns or shared.read.is_new(until_ns, now_ns)
