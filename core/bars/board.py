"""Where bars are shown to subscribers, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from venuemesh.bars.v1 import bars_pb2

from core.bars.record import BarKey, BarRecord, message
from core.bars.shards import shard_of
from kit.base.clock import Clock
from kit.base.errors import SubscriberTooSlow, TooManySubscribers, VenuemeshError
from kit.base.intervals import INTERVALS

InstrumentKey = tuple[str, str]
"""Venue id and symbol."""

Standing = Callable[[str, str], Iterable[BarRecord]]
"""The bars of a venue's instrument that are not final."""


class OwnerChanged(Exception):
    """Another aggregator makes the bars of this instrument now."""


class Reader:
    """One subscriber: the newest form of each bar that has changed since it was last served.

    No more than ``bars_max`` bars wait for it. One that falls further behind is ended with
    SubscriberTooSlow rather than left to guess which bars it never got; what it missed is in
    History.
    """

    def __init__(self, intervals: Collection[str], bars_max: int) -> None:
        self._intervals = intervals
        self._bars_max = bars_max
        self._waiting: dict[BarKey, bars_pb2.Bar] = {}
        self._wake = asyncio.Event()
        self._error: VenuemeshError | OwnerChanged | None = None

    @property
    def wants_events(self) -> bool:
        """Whether it reads bars of other kinds than time."""
        return any(":" in interval for interval in self._intervals)

    def offer(self, found: BarRecord) -> None:
        """Show a bar, in place of an older form of it. Never waits."""
        if self._error is not None or found.interval not in self._intervals:
            return
        self._waiting[found.key] = message(found)
        self._wake.set()
        if len(self._waiting) > self._bars_max:
            detail = f"the reader did not keep up: more than {self._bars_max} bars wait"
            self.end(SubscriberTooSlow(detail, channel="bars", cursor=""))

    def end(self, error: VenuemeshError | OwnerChanged) -> None:
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
        self._stood: dict[InstrumentKey, frozenset[BarRecord]] = {}
        self._admitted = 0
        self._end: VenuemeshError | None = None
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
        is waited for: it may trade any moment. Raises TooManySubscribers, and what the board was
        ended with.
        """
        if self._end is not None:
            raise self._end
        if self._admitted >= self._readers_max:
            raise TooManySubscribers(
                f"{self._readers_max} readers are being served", limit=self._readers_max
            )
        wanted = frozenset(intervals or (interval.name for interval in INTERVALS))
        reader = Reader(wanted, self._reader_bars_max)
        for bar in self.standing(venue_id, symbol):
            reader.offer(bar)
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
                self._stood.pop(key, None)

    def end(self, error: VenuemeshError) -> None:
        """End every reader with this, those too who are about to come."""
        self._end = error
        for readers in self._readers.values():
            for reader in readers:
                reader.end(error)

    def owner_changed(self, shards: Collection[int]) -> None:
        """End every reader of an instrument in these shards: another makes its bars now."""
        for key, readers in self._readers.items():
            if shard_of(*key) in shards:
                for reader in readers:
                    reader.end(OwnerChanged())

    def watched_events(self) -> list[InstrumentKey]:
        """The instruments of which someone reads bars of other kinds than time."""
        return [
            key
            for key, readers in self._readers.items()
            if any(reader.wants_events for reader in readers)
        ]

    def show(self, bars: Iterable[BarRecord]) -> None:
        """Leave changed bars with those who read them."""
        if not self._readers:
            return
        for bar in bars:
            for reader in self._readers.get((bar.venue, bar.symbol), ()):
                reader.offer(bar)

    def show_standing(self, venue_id: str, symbol: str, bars: Iterable[BarRecord]) -> None:
        """As show, of all bars of an instrument that are not final: of those, what is new."""
        now, before = frozenset(bars), self._stood.get((venue_id, symbol), frozenset())
        if (venue_id, symbol) in self._readers:
            self._stood[venue_id, symbol] = now
        self.show(bar for bar in now if bar not in before)
