"""Where bars are shown to subscribers, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from venuemesh.bars.v1 import bars_pb2

from core.bars.instrument import Bar
from core.bars.intervals import INTERVALS
from core.bars.record import message, record
from kit.clock import Clock
from kit.errors import SubscriberTooSlow, TooManySubscribers, VenuemeshError

InstrumentKey = tuple[str, str]
"""Venue id and symbol."""

Standing = Callable[[str, str], Iterable[Bar]]
"""The bars of a venue's instrument that are not final."""


class Reader:
    """One subscriber: the newest form of each bar that has changed since it was last served.

    No more than ``bars_max`` bars wait for it. One that falls further behind is ended with
    SubscriberTooSlow rather than left to guess which bars it never got; what it missed is in
    History.
    """

    def __init__(self, intervals: Collection[str], bars_max: int) -> None:
        self._intervals = intervals
        self._bars_max = bars_max
        self._waiting: dict[tuple[str, int], bars_pb2.Bar] = {}
        self._wake = asyncio.Event()
        self._error: VenuemeshError | None = None

    def offer(self, bar: bars_pb2.Bar) -> None:
        """Show a bar, in place of an older form of it. Never waits."""
        if self._error is not None or bar.interval not in self._intervals:
            return
        self._waiting[bar.interval, bar.open_time_ns] = bar
        self._wake.set()
        if len(self._waiting) > self._bars_max:
            detail = f"the reader did not keep up: more than {self._bars_max} bars wait"
            self.end(SubscriberTooSlow(detail, channel="bars", cursor=""))

    def end(self, error: VenuemeshError) -> None:
        """Show nothing further; the reader gets this error. The first one stays."""
        if self._error is None:
            self._error = error
            self._waiting.clear()
            self._wake.set()

    async def updates(self, interval_ms: int, clock: Clock) -> AsyncIterator[list[bars_pb2.Bar]]:
        """What has changed, at most once per interval; endless. Raises what it is ended with."""
        while True:
            await self._wake.wait()
            if self._error is not None:
                raise self._error
            bars, self._waiting = list(self._waiting.values()), {}
            self._wake.clear()
            yield bars
            await clock.sleep(interval_ms / 1000)


class Board:
    """The subscribers of every instrument."""

    def __init__(self, readers_max: int, reader_bars_max: int) -> None:
        self._readers_max = readers_max
        self._reader_bars_max = reader_bars_max
        self._readers: dict[InstrumentKey, set[Reader]] = {}
        self._admitted = 0
        self.standing: Standing = lambda venue_id, symbol: ()
        """Who knows the open bars."""

    @property
    def is_watched(self) -> bool:
        """Whether anyone reads."""
        return bool(self._readers)

    @contextmanager
    def admit(self, venue_id: str, symbol: str, intervals: Collection[str]) -> Iterator[Reader]:
        """A reader for as long as it is used, which begins with the bars that are open now.

        No intervals means all. An instrument that has not traded yet, or that nobody has heard of,
        is waited for: it may trade any moment. Raises TooManySubscribers.
        """
        if self._admitted >= self._readers_max:
            raise TooManySubscribers(
                f"{self._readers_max} readers are being served", limit=self._readers_max
            )
        wanted = frozenset(intervals or (interval.name for interval in INTERVALS))
        reader = Reader(wanted, self._reader_bars_max)
        for bar in self.standing(venue_id, symbol):
            reader.offer(message(record(venue_id, bar)))
        key = venue_id, symbol
        self._readers.setdefault(key, set()).add(reader)
        self._admitted += 1
        try:
            yield reader
        finally:
            self._admitted -= 1
            self._readers[key].discard(reader)
            if not self._readers[key]:
                del self._readers[key]

    def end(self, error: VenuemeshError) -> None:
        """End every reader with this."""
        for readers in self._readers.values():
            for reader in readers:
                reader.end(error)

    def show(self, venue_id: str, bars: Iterable[Bar]) -> None:
        """Leave changed bars with those who read them."""
        if not self._readers:
            return
        for bar in bars:
            readers = self._readers.get((venue_id, bar.instrument.symbol))
            if readers:
                shown = message(record(venue_id, bar))
                for reader in readers:
                    reader.offer(shown)
