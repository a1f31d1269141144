"""The market data of a strategy besides its bars, at the end of each bar."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from venuemesh.bars.v1 import bars_pb2

from kit.base import backoff
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.intervals import BarInterval
from kit.features.evaluator import FeatureBar
from kit.features.market_fields import InputKind
from kit.features.market_inputs import (
    AGE_NS_MAX,
    BARS_AGE_MAX,
    InputRow,
    InputSeries,
)

WAIT_SECONDS = 2.0
DELAY_DECAY = 0.8
"""How long the record of a series may be behind the end of a bar. A series of which it is not known
by then that nothing is missing counts as it is recorded."""
LATE_SECONDS = 2 * WAIT_SECONDS
"""So long after its end no bar waits any more. Otherwise, a series that has a row every ten seconds
would delay bars of one second by two seconds each."""
LOOK_SECONDS_MAX = 0.1
AHEAD_NS = 20 * NANOSECONDS_PER_SECOND
"""How far after the end of a bar rows are read: one of them shows that none before is missing, and
the next bars need no read if they are late."""


class InputSource(Protocol):
    """Where market data come from."""

    def rows(
        self, series: InputSeries, interval: BarInterval, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        """Rows with after_ns < time <= until_ns, oldest first. Not of books."""

    async def book(self, series: InputSeries, time_ns: int) -> InputRow | None:
        """The row of a book at a time; None: it is not known, or not yet."""


class NoInputs:
    """There are none."""

    async def rows(
        self, series: InputSeries, interval: BarInterval, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        for row in list[InputRow]():
            yield row

    async def book(self, series: InputSeries, time_ns: int) -> InputRow | None:
        return None


class InputTarget(Protocol):
    """Where rows are added: MarketInputs, or what hands them on."""

    @property
    def series(self) -> Sequence[InputSeries]: ...

    def add(self, series: InputSeries, row: InputRow, next_time_ns: int = 0) -> None: ...


class InputFeed:
    """Reads each series on as the bars come."""

    def __init__(
        self,
        source: InputSource,
        inputs: InputTarget,
        interval: BarInterval,
        clock: Clock,
    ) -> None:
        self._source = source
        self._inputs = inputs
        self._interval = interval
        self._clock = clock
        self._read_to_ns: dict[InputSeries, int] = {}
        self._delay_seconds = 0.0
        """How far the record is behind the ends of bars. Earlier reads would find too little."""

    def resume(self, end_ns: int) -> None:
        """Go on after the bar that ended at this time, whose inputs were restored."""
        self._read_to_ns = dict.fromkeys(self._inputs.series, end_ns)

    async def fill(self, bar: bars_pb2.Bar | FeatureBar, *, waits: bool) -> None:
        """Read what had arrived by the end of the next bar. ``waits``: until nothing can be
        missing. Raises what the source raises."""
        end_ns, asked_ns = bar.close_time_ns, self._clock.monotonic_ns()
        if waits and self._inputs.series:
            early_seconds = self._delay_seconds - self._seconds_after(end_ns)
            await self._clock.sleep(max(0.0, min(early_seconds, WAIT_SECONDS)))
        missing = await self._missing(self._inputs.series, end_ns)
        if not missing:
            self._delay_seconds *= DELAY_DECAY
            return
        for delay_seconds in backoff.delays(most_seconds=LOOK_SECONDS_MAX):
            waited_ns = self._clock.monotonic_ns() - asked_ns
            may_wait = (
                waits
                and waited_ns < WAIT_SECONDS * NANOSECONDS_PER_SECOND
                and self._seconds_after(end_ns) < LATE_SECONDS
            )
            if not missing or not may_wait:
                break
            await self._clock.sleep(delay_seconds)
            missing = await self._missing(missing, end_ns)
        self._delay_seconds = min(self._seconds_after(end_ns), WAIT_SECONDS)

    def _seconds_after(self, end_ns: int) -> float:
        return (self._clock.time_ns() - end_ns) / NANOSECONDS_PER_SECOND

    async def _missing(self, wanted: Sequence[InputSeries], end_ns: int) -> list[InputSeries]:
        """Read series on. Returns those of which something before this time may be missing."""
        found = await asyncio.gather(*(self._read(one, end_ns) for one in wanted))
        return [one for one, is_whole in zip(wanted, found, strict=True) if not is_whole]

    async def _read(self, series: InputSeries, end_ns: int) -> bool:
        """Read a series on. Returns whether nothing before this time can be missing any more."""
        if series.kind is InputKind.BOOK:
            book = await self._source.book(series, end_ns)
            if book is not None:
                self._inputs.add(series, book)
            return book is not None
        age_ns = max(AGE_NS_MAX, BARS_AGE_MAX * self._interval.length_ns)
        read_to_ns = self._read_to_ns.get(series, max(0, end_ns - age_ns))
        whole_ns = end_ns if series.kind is InputKind.BARS else end_ns + 1
        if read_to_ns < whole_ns:
            rows = self._source.rows(series, self._interval, read_to_ns, end_ns + AHEAD_NS)
            async for row in rows:
                self._inputs.add(series, row, end_ns)
                read_to_ns = row.time_ns
        self._read_to_ns[series] = read_to_ns
        return read_to_ns >= whole_ns
