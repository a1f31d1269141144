"""Publishes the windows of the record: at the recorded pace, N times faster, or as fast as read."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from core.playback.books import PlaybackBooks
from core.playback.record_windows import RecordWindow
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Channel, Cursor
from kit.base.telemetry import Meter
from kit.connector.publishing.hub import Hub, HubReader

_log = telemetry.logger("playback.player")


class _Awaited(NamedTuple):
    """A callback for a position of the playback."""

    epoch: int
    reached: Mapping[Channel, Cursor]
    there: Callable[[], None]

    def is_before(self, hub: Hub) -> bool:
        """Whether the hub is before the position."""
        return any(
            at.epoch == hub.epoch and at.sequence > hub.cursor(channel).sequence
            for channel, at in self.reached.items()
        )


class PlaybackPublisher:
    """Plays the windows once, starting with the first reader."""

    def __init__(
        self, hub: Hub, books: PlaybackBooks, speed: float | None, meter: Meter, clock: Clock
    ) -> None:
        self.played_until_ns = 0
        """Everything before this received time has been published."""
        self.finished = False
        self.speed = speed
        """Times the recorded pace; None: as fast as it is read."""
        self._hub = hub
        self._books = books
        self._meter = meter
        self._clock = clock
        self._audience = asyncio.Event()
        self._going = asyncio.Event()
        self._going.set()
        self._hurry: dict[Channel, int] = {}
        self._anchor: tuple[int, int] | None = None
        self._skip_repeated: list[HubReader] = []
        self._awaited: list[_Awaited] = []

    @property
    def started(self) -> bool:
        """Whether a reader has subscribed."""
        return self._audience.is_set()

    def start(self, resume_after: Mapping[Channel, Cursor]) -> None:
        """Start for a reader. What lies before all resume cursors of the same playback is repeated
        at full speed, as no reader needs it."""
        for channel, cursor in resume_after.items():
            if cursor.sequence > self._hub.cursor(channel).sequence:
                self._hurry[channel] = max(cursor.sequence, self._hurry.get(channel, 0))
        self._audience.set()

    def skip_repeated(self, follower: HubReader) -> None:
        """Hide batches from a follower that are repeated for readers who have them."""
        self._skip_repeated.append(follower)

    def when_at(self, reached: Mapping[Channel, Cursor], there: Callable[[], None]) -> None:
        """Call ``there`` between two windows, once the playback has reached these cursors of its
        epoch. Never called if it has reached them already, or if another epoch starts."""
        awaited = _Awaited(self._hub.epoch, reached, there)
        if awaited.is_before(self._hub):
            self._awaited.append(awaited)

    def pause(self) -> None:
        self._going.clear()

    def resume(self) -> None:
        self._anchor = None
        self._going.set()

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    async def run(
        self, windows: AsyncGenerator[RecordWindow, None], symbols: Iterable[str]
    ) -> None:
        """Play to the end. Readers stay connected afterwards."""
        await self._audience.wait()
        async with aclosing(windows):
            async for window in windows:
                await self._wait_for_time(window)
                await self._hub.wait_until_read()
                self._publish(window, symbols)
        self.finished = True
        self._meter.counters["finished"] = 1
        _log.info("played to the end", extra={"events": self._meter.events_total})

    async def _wait_for_time(self, window: RecordWindow) -> None:
        """Wait until it may be published. A pause holds back a window that waits already."""
        is_due = False
        while not is_due:
            await self._going.wait()
            await self._pace(window)
            is_due = not self.paused

    async def _pace(self, window: RecordWindow) -> None:
        if self.speed is None or self._hurries():
            return
        now_ns = self._clock.monotonic_ns()
        if self._anchor is None:
            self._anchor = now_ns, window.start_ns
        started_ns, tape_ns = self._anchor
        wait_ns = (window.end_ns - tape_ns) / self.speed - (now_ns - started_ns)
        if wait_ns > 0:
            await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)

    def _hurries(self) -> bool:
        """Whether all channels are behind the resume cursors."""
        return bool(self._hurry) and all(
            self._hub.cursor(channel).sequence < sequence
            for channel, sequence in self._hurry.items()
        )

    def _publish(self, window: RecordWindow, symbols: Iterable[str]) -> None:
        """Publish a window without an await, so that books match the published batches."""
        again = self._hurries()
        for channel, draft in window.batches:
            time_ns = draft.received_time_ns if draft.events else window.end_ns
            cursor = self._hub.publish(channel, draft, time_ns)
            for follower in self._skip_repeated if again else ():
                follower.skip(channel, cursor)
        self.played_until_ns = window.end_ns
        if window.book is not None:
            self._books.play(window.book, symbols)
        self._call_awaited()
        self._meter.counters["played_until_s"] = window.end_ns // NANOSECONDS_PER_SECOND

    def _call_awaited(self) -> None:
        hub, awaited = self._hub, self._awaited
        self._awaited = [one for one in awaited if one.is_before(hub)]
        for one in awaited:
            if one.epoch == hub.epoch and not one.is_before(hub):
                one.there()
