"""Subscribers of bars, each served at its own pace."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import contextmanager

from venuemesh.bars.v1 import bars_pb2

from core.bars.bar_record import BarKey, BarRecord, message
from core.bars.shards import shard_of
from kit.base.access.call_guard import streams_for_caller
from kit.base.clock import Clock
from kit.base.errors import SubscriberTooSlow, TooManySubscribers, VenuemeshError
from kit.base.intervals import INTERVALS

InstrumentKey = tuple[str, str]
"""Venue id and symbol."""


class AggregatorChanged(Exception):
    """Another aggregator now makes the bars of this instrument."""


class BarSubscriber:
    """One subscriber, with the newest state of each bar that changed since its last response.

    At most ``bars_max`` bars wait. A subscriber that falls further behind is ended with
    SubscriberTooSlow; it can read what it missed from History.
    """

    def __init__(self, intervals: Collection[str], bars_max: int) -> None:
        self._intervals = intervals
        self._bars_max = bars_max
        self._waiting: dict[BarKey, bars_pb2.Bar] = {}
        self._wake = asyncio.Event()
        self._error: VenuemeshError | AggregatorChanged | None = None

    @property
    def wants_events(self) -> bool:
        """Whether it subscribes to bars of other kinds than time."""
        return any(":" in interval for interval in self._intervals)

    def offer(self, found: BarRecord) -> None:
        """Queue a bar, replacing an older state of it. Never waits."""
        if self._error is not None or found.interval not in self._intervals:
            return
        self._waiting[found.key] = message(found)
        self._wake.set()
        if len(self._waiting) > self._bars_max:
            detail = f"the subscriber is too slow: more than {self._bars_max} bars wait for it"
            self.end(SubscriberTooSlow(detail, channel="bars", cursor=""))

    def end(self, error: VenuemeshError | AggregatorChanged) -> None:
        """End the subscription with an error. The first error wins."""
        if self._error is None:
            self._error = error
            self._waiting.clear()
            self._wake.set()

    async def updates(self, interval_ms: int, clock: Clock) -> AsyncIterator[list[bars_pb2.Bar]]:
        """Changed bars, at most once per interval. Raises the error it was ended with."""
        while True:
            await self._wake.wait()
            if self._error is not None:
                raise self._error
            bars, self._waiting = list(self._waiting.values()), {}
            self._wake.clear()
            yield bars
            await clock.sleep(interval_ms / 1000)


class BarSubscribers:
    """All subscribers, by instrument."""

    def __init__(self, subscribers_max: int, bars_max: int) -> None:
        self._subscribers_max = subscribers_max
        self._bars_max = bars_max
        self._subscribers: dict[InstrumentKey, set[BarSubscriber]] = {}
        self._shown_open: dict[InstrumentKey, frozenset[BarRecord]] = {}
        self._admitted = 0
        self._end: VenuemeshError | None = None

    @property
    def is_watched(self) -> bool:
        """Whether there is any subscriber."""
        return bool(self._subscribers)

    @contextmanager
    def admit(
        self,
        venue_id: str,
        symbol: str,
        intervals: Collection[str],
        open_bars: Iterable[BarRecord] = (),
    ) -> Iterator[BarSubscriber]:
        """A subscriber for the time of the context, which starts with the open bars.

        No intervals means all time intervals. The instrument need not have traded yet. Raises
        TooManySubscribers, and the error given to ``end``.
        """
        if self._end is not None:
            raise self._end
        if self._admitted >= streams_for_caller(self._subscribers_max):
            raise TooManySubscribers(
                f"the limit of {self._subscribers_max} subscribers is reached",
                limit=self._subscribers_max,
            )
        wanted = frozenset(intervals or (interval.name for interval in INTERVALS))
        subscriber = BarSubscriber(wanted, self._bars_max)
        for bar in open_bars:
            subscriber.offer(bar)
        key = venue_id, symbol
        self._subscribers.setdefault(key, set()).add(subscriber)
        self._admitted += 1
        try:
            yield subscriber
        finally:
            self._admitted -= 1
            self._subscribers[key].discard(subscriber)
            if not self._subscribers[key]:
                del self._subscribers[key]
                self._shown_open.pop(key, None)

    def end(self, error: VenuemeshError) -> None:
        """End all present and future subscribers with an error."""
        self._end = error
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.end(error)

    def owner_changed(self, shards: Collection[int]) -> None:
        """End the subscribers of instruments in these shards."""
        for key, subscribers in self._subscribers.items():
            if shard_of(*key) in shards:
                for subscriber in subscribers:
                    subscriber.end(AggregatorChanged())

    def watched_events(self) -> list[InstrumentKey]:
        """The instruments with subscribers of bars of other kinds than time."""
        return [
            key
            for key, subscribers in self._subscribers.items()
            if any(subscriber.wants_events for subscriber in subscribers)
        ]

    def show(self, bars: Iterable[BarRecord]) -> None:
        """Queue changed bars for their subscribers."""
        if not self._subscribers:
            return
        for bar in bars:
            for subscriber in self._subscribers.get((bar.venue, bar.symbol), ()):
                subscriber.offer(bar)

    def show_open(self, venue_id: str, symbol: str, bars: Iterable[BarRecord]) -> None:
        """Queue those open bars of an instrument that differ from the last call."""
        now, before = frozenset(bars), self._shown_open.get((venue_id, symbol), frozenset())
        if (venue_id, symbol) in self._subscribers:
            self._shown_open[venue_id, symbol] = now
        self.show(bar for bar in now if bar not in before)
