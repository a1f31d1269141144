"""Reads one channel of the record, window by window."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

import numpy as np

from kit.base.cursor import Channel
from kit.marketdata.codec.encode import BatchDraft
from kit.storage.archive.book_events import BookEvents
from kit.storage.archive.events import ChannelEvents
from kit.storage.archive.gaps_and_listings import TimedGap

NEVER_NS = 1 << 63


class RecordedChannelReader:
    """Events and gaps of one channel, with as little read-ahead as needed."""

    def __init__(
        self, channel: Channel, slices: AsyncIterator[ChannelEvents], gaps: Iterable[TimedGap]
    ) -> None:
        self.channel = channel
        self._slices = slices
        self._gaps = deque(gaps)
        self._held: ChannelEvents | None = None
        self._ended = False

    async def next_ns(self) -> int:
        """Return the time of the next event or gap, NEVER_NS at the end."""
        await self._hold(1, 0)
        events_ns = NEVER_NS if self._held is None else int(self._held.times_ns[0])
        return min(events_ns, self._gaps[0].time_ns if self._gaps else NEVER_NS)

    async def limit_ns(self, end_ns: int, rows_max: int) -> int:
        """Return an end with at most ``rows_max`` rows before it, where possible."""
        await self._hold(rows_max + 1, end_ns)
        if self._held is None or len(self._held) <= rows_max:
            return end_ns
        times_ns = self._held.times_ns
        # Rows of one received time stay together.
        return min(end_ns, max(int(times_ns[rows_max]), int(times_ns[0]) + 1))

    async def take(self, end_ns: int) -> "ChannelWindow":
        """Return everything before a time."""
        await self._hold_until(end_ns)
        events = self._held
        if events is not None:
            count = int(np.searchsorted(events.times_ns, end_ns))
            rest = len(events) - count
            self._held = events.part(count, len(events)) if rest else None
            events = events.part(0, count) if count else None
        gaps = []
        while self._gaps and self._gaps[0].time_ns < end_ns:
            gaps.append(self._gaps.popleft())
        return ChannelWindow(events, gaps)

    async def _hold(self, rows: int, until_ns: int) -> None:
        """Read on until so many rows are held, or one that is not before a time."""
        while not self._ended:
            held = self._held
            if held is not None and (len(held) >= rows or held.times_ns[-1] >= until_ns > 0):
                return
            await self._read_on()

    async def _hold_until(self, end_ns: int) -> None:
        while not self._ended and (self._held is None or self._held.times_ns[-1] < end_ns):
            await self._read_on()

    async def _read_on(self) -> None:
        events = await anext(self._slices, None)
        if events is None:
            self._ended = True
        else:
            self._held = events if self._held is None else self._held.and_then([events])


class ChannelWindow:
    """The events and gaps of one channel in a window."""

    def __init__(self, events: ChannelEvents | None, gaps: list[TimedGap]) -> None:
        self._events = events
        self._gaps = gaps

    def drafts(self) -> Iterator[BatchDraft]:
        """Yield batches without cursors; each gap precedes the first row after it."""
        start = 0
        waiting: list[TimedGap] = []
        for gap in self._gaps:
            stop = self._before(gap.time_ns)
            if stop > start:
                yield from self._part(start, stop, waiting)
                start, waiting = stop, []
            waiting.append(gap)
        yield from self._part(start, self._before(NEVER_NS - 1), waiting)

    @property
    def events(self) -> int:
        return 0 if self._events is None else len(self._events)

    @property
    def doubted(self) -> Iterator[str]:
        """Symbols of the gaps; "" for all symbols."""
        return (placed.gap.symbol for placed in self._gaps)

    @property
    def book_events(self) -> BookEvents | None:
        """The rows, if they are book updates."""
        return self._events if isinstance(self._events, BookEvents) else None

    @property
    def whole_books(self) -> set[str]:
        """Symbols with a snapshot after the last gap."""
        events = self.book_events
        if events is None:
            return set()
        start = self._before(self._gaps[-1].time_ns) if self._gaps else 0
        places = events.updates.instrument[start:][events.updates.snapshot[start:] != 0]
        return {events.instruments[place].symbol for place in set(places.tolist())}

    def _before(self, time_ns: int) -> int:
        return 0 if self._events is None else int(np.searchsorted(self._events.times_ns, time_ns))

    def _part(self, start: int, stop: int, gaps: list[TimedGap]) -> Iterator[BatchDraft]:
        before = [placed.gap for placed in gaps]
        if self._events is not None and stop > start:
            for draft in self._events.part(start, stop).drafts():
                yield draft.after(before)
                before = []
        elif before:
            yield replace(BatchDraft(), gaps=before)
