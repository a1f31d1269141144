"""Gives the final bars of a series, each once and in order, after any outage too."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import takewhile

from venuemesh.bars.v1 import bars_pb2

from core.detector.bar_clients import BarSeries, BarSource
from kit.base import backoff
from kit.base.clock import Clock
from kit.base.intervals import BY_NAME

END_NS = (1 << 63) - 1
PART_BARS_MAX = 500
"""Most bars of one transaction while older ones are read."""
LOOK_SECONDS_MAX = 1.0
STORED_SECONDS = 1.0
"""A final bar is usually recorded within this time. A later one is read with the next bar."""


@dataclass(frozen=True, slots=True)
class BarPart:
    """The next bars."""

    bars: Sequence[bars_pb2.Bar]
    warms_up: bool = False
    """Whether they are too old for a signal."""


class BarFeed:
    """Follows live bars, and reads missed bars from the record: at the start, and before a live bar
    that does not follow the last one, once the record has it. A record with a final bar has all
    bars before it, because changes of bars are stored together."""

    def __init__(
        self, source: BarSource, series: BarSeries, warm_up_bars: int, clock: Clock
    ) -> None:
        self._source = source
        self._series = series
        self._length_ns = BY_NAME[series.interval].length_ns
        self._warm_up_bars = warm_up_bars
        self._clock = clock

    async def follow(self, after_ns: int | None) -> AsyncGenerator[BarPart, None]:
        """The bars that open after a time; None: from the next bar on, after a warm-up. Raises
        BarsUnavailable."""
        has_looked = after_ns is None
        async with aclosing(self._source.live(self._series)) as changes:
            async for changed in changes:
                if after_ns is not None and not has_looked:
                    open_ns = min((b.open_time_ns for b in changed if not b.final), default=END_NS)
                    async for part in self._missed(after_ns, open_ns):
                        yield part
                        after_ns = part.bars[-1].open_time_ns
                    has_looked = True
                final = [bar for bar in changed if bar.final]
                for bar in sorted(final, key=lambda bar: bar.open_time_ns):
                    if after_ns is None:
                        yield BarPart(await self._before(bar), warms_up=True)
                        after_ns = bar.open_time_ns - self._length_ns
                    async for part in self._up_to(bar, after_ns):
                        yield part
                        after_ns = part.bars[-1].open_time_ns

    async def _missed(self, after_ns: int, open_ns: int) -> AsyncIterator[BarPart]:
        """The bars after a time that were final before the subscription, so they do not arrive
        live. ``open_ns``: of the first bar that is not final."""
        waited_seconds, delays = 0.0, backoff.delays(most_seconds=STORED_SECONDS)
        while after_ns + self._length_ns < open_ns:
            async for part in self._recorded(after_ns, END_NS):
                yield part
                after_ns = part.bars[-1].open_time_ns
            if waited_seconds >= STORED_SECONDS:
                return
            delay_seconds = next(delays)
            await self._clock.sleep(delay_seconds)
            waited_seconds += delay_seconds

    async def _up_to(self, bar: bars_pb2.Bar, after_ns: int) -> AsyncIterator[BarPart]:
        """The bars after a time up to this one; none if a late trade only amended an old bar."""
        if bar.open_time_ns == after_ns + self._length_ns:
            yield BarPart([bar])
        elif bar.open_time_ns > after_ns:
            await self._is_recorded(bar)
            async for part in self._recorded(after_ns, bar.open_time_ns + 1):
                yield part

    async def _recorded(self, after_ns: int, end_ns: int) -> AsyncIterator[BarPart]:
        """The final bars that open after one time and before another."""
        while True:
            times_ns = range(after_ns + 1, end_ns)
            found = await self._source.recorded(self._series, times_ns, PART_BARS_MAX)
            final = list(takewhile(lambda bar: bar.final, found))
            if final:
                yield BarPart(final)
                after_ns = final[-1].open_time_ns
            if len(final) < PART_BARS_MAX:
                return

    async def _before(self, bar: bars_pb2.Bar) -> Sequence[bars_pb2.Bar]:
        """The newest bars before this one, oldest first."""
        if not self._warm_up_bars:
            return []
        await self._is_recorded(bar)
        times_ns = range(1, bar.open_time_ns)
        count = self._warm_up_bars
        found = await self._source.recorded(self._series, times_ns, count, newest_first=True)
        return [one for one in reversed(found) if one.final]

    async def _is_recorded(self, bar: bars_pb2.Bar) -> None:
        """Wait until the record has this bar as a final one."""
        times_ns = range(bar.open_time_ns, bar.open_time_ns + 1)
        for delay_seconds in backoff.delays(most_seconds=LOOK_SECONDS_MAX):
            found = await self._source.recorded(self._series, times_ns, 1)
            if found and found[0].final:
                return
            await self._clock.sleep(delay_seconds)
