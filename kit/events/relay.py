"""Publishes the stored events in Redis."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.cursor import START, Cursor
from kit.base.database import POSTGRESQL, Database, PendingRead
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.redis_commands import REDIS
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.events.event_log import Connection, EventMissing, StreamState
from kit.events.logged_events import LoggedEvent
from kit.events.redis_events import RedisEvents
from kit.events.streams import EventStream, stream_name

ABOUT = "publishing events"
"""Of the reason why a process is degraded."""
LOOK_SECONDS = 1.0
"""How often it looks by itself, for what a process stored that was then killed."""
RETRY_SECONDS_MAX = 5.0
APPEND_EVENTS_MAX = 100
TRIM_ENTRIES = 256
"""Entries after which a stream is trimmed."""

StoredEvents: TypeAlias = PendingRead[Sequence[LoggedEvent]]
"""The answer of ``append`` about a transaction that has committed."""
EventParts: TypeAlias = Mapping[EventStream, Sequence[LoggedEvent]]
"""The next events of some streams."""

_log = telemetry.logger("events")


class EventRelay:
    """Publishes the events of some streams, from whatever process they are.

    It keeps nothing: what is published follows from Redis and the table. Several relays of one
    stream do no harm, because an append is refused that does not follow the newest entry.
    """

    def __init__(
        self,
        database: Database,
        redis: RedisEvents,
        streams: Collection[EventStream],
        entries_max: int,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        """``entries_max``: how many of each stream stay in Redis, roughly."""
        self._database = database
        self._redis = redis
        self._streams = sorted(streams)
        self._entries_max = entries_max
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._newest: dict[EventStream, Cursor] = {}
        """The newest entry in Redis, of streams whose newest entry is in the table."""
        self._wake = asyncio.Event()
        self._stored: list[StoredEvents] = []
        """Of transactions that have ended since the last publication."""
        self._must_read = True
        """Whether there may be other events in the table."""

    def wake(self, stored: StoredEvents | None = None) -> None:
        """Publish at once: events were stored. ``stored``: all of them, so that they are published
        without being read."""
        if stored is None:
            self._must_read = True
        else:
            self._stored.append(stored)
        self._wake.set()

    async def run(self) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            self._wake.clear()
            try:
                must_read, self._must_read = self._must_read, False
                if not await self._publish_stored() or must_read:
                    await self.publish()
            except StoreUnavailable as error:
                self._newest.clear()
                self._must_read = True
                self._degraded_reasons.report(error.metadata["store"], error.message)
                await self._clock.sleep(next(waits))
                continue
            except EventMissing as error:
                self._must_read = True
                self._degraded_reasons.report(ABOUT, str(error))
                await self._clock.sleep(next(waits))
                continue
            for about in (REDIS, POSTGRESQL, ABOUT):
                self._degraded_reasons.clear(about)
            waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
            if not await is_set_within(self._wake, LOOK_SECONDS):
                self._must_read = True

    async def publish(self) -> None:
        """Publish what Redis does not have. Raises StoreUnavailable."""
        is_behind = True
        while is_behind:
            is_behind = await self._publish_next()

    async def _publish_stored(self) -> bool:
        """Publish what ``wake`` was called with. Returns False if the table must be read."""
        pending, self._stored = self._stored, []
        parts = [part for one in pending if (part := await one())]
        for part in sorted(parts, key=lambda part: part[0].sequence):
            stream = part[0].stream
            newest = self._newest.get(stream, START)
            # The first entry of a stream has the epoch of the table.
            if newest == START or newest.sequence != part[0].sequence - 1:
                return False
            await self._append(stream, newest.epoch, part)
        return len(parts) == len(pending) and all(one in self._newest for one in self._streams)

    async def _publish_next(self) -> bool:
        """Publish the next events of each stream. Returns whether there may be more."""
        unknown = [stream for stream in self._streams if stream not in self._newest]
        states, events = await (self._compare(unknown) if unknown else self._read_next())
        if any(
            state.sequence and not unknown and state.epoch != self._newest[stream].epoch
            for stream, state in states.items()
        ):
            # Another relay has begun an epoch.
            self._newest.clear()
            return True
        for stream, part in events.items():
            await self._append(stream, states[stream].epoch, part)
        return any(
            self._newest.get(stream) != Cursor(states[stream].epoch, states[stream].sequence)
            for stream in events
        )

    async def _read_next(self) -> tuple[Mapping[EventStream, StreamState], EventParts]:
        """The state of each stream, and the events after the newest ones in Redis."""
        after = {stream: newest.sequence for stream, newest in self._newest.items()}
        async with self._database.reading() as connection:
            # At the end of the pipeline, all answers have been waited for.
            async with connection.pipeline():
                states = await event_log.send_stream_states(connection, self._streams)
                events = await event_log.send_read_each(connection, after, APPEND_EVENTS_MAX)
            return await states(), await events()

    async def _compare(
        self, unknown: Sequence[EventStream]
    ) -> tuple[Mapping[EventStream, StreamState], EventParts]:
        """The state of each stream, and the events that Redis does not have. Reads the newest
        entries of some streams."""
        # Redis is read before the table, so what Redis has must be in the table.
        found = {stream: await self._redis.newest(stream) for stream in unknown}
        async with self._database.transaction() as connection:
            states = await event_log.stream_states(connection, self._streams)
            for stream, (newest, body) in found.items():
                if not await _is_stored(connection, stream, states[stream], newest, body):
                    await self._begin_epoch(connection, stream, states[stream], newest)
            states = await event_log.stream_states(connection, self._streams)
            newest_ids = self._newest | {stream: newest for stream, (newest, _) in found.items()}
            behind = {
                stream: after
                for stream, state in states.items()
                if (after := self._published(newest_ids[stream], state)) < state.sequence
            }
            events = await event_log.read_each(connection, behind, APPEND_EVENTS_MAX)
        self._newest = newest_ids
        return states, events

    def _published(self, newest: Cursor, state: StreamState) -> int:
        """The sequence of the event after which publishing continues."""
        if newest.epoch == state.epoch:
            return newest.sequence
        return max(0, state.sequence - self._entries_max)

    async def _append(self, stream: EventStream, epoch: int, events: Sequence[LoggedEvent]) -> None:
        newest = self._newest.pop(stream)
        entries = [(Cursor(epoch, event.sequence), event.body) for event in events]
        if await self._redis.append_after(stream, newest, entries):
            self._newest[stream] = entries[-1][0]
        # Otherwise another relay has published, or Redis has lost entries.
        first, last = events[0].sequence - 1, events[-1].sequence
        if first // TRIM_ENTRIES < last // TRIM_ENTRIES:
            await self._redis.trim(stream, self._entries_max)

    async def _begin_epoch(
        self, connection: Connection, stream: EventStream, state: StreamState, newest: Cursor
    ) -> None:
        """Redis has events that the table does not have, because the database was restored from a
        backup. The ids of a new epoch come after theirs."""
        now_ms = self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        epoch = max(now_ms, state.epoch + 1, newest.epoch + 1)
        await event_log.begin_epoch(connection, stream, state.epoch, epoch)
        detail = {"stream": stream_name(stream), "newest": str(newest), "epoch": epoch}
        _log.warning("Redis has events that the database does not have", extra=detail)


async def _is_stored(
    connection: Connection,
    stream: EventStream,
    state: StreamState,
    newest: Cursor,
    body: bytes | None,
) -> bool:
    """Whether the newest entry in Redis is an event of the table."""
    if newest.epoch != state.epoch:
        return newest.epoch < state.epoch
    if body is None:
        return newest.sequence <= state.sequence
    stored = await event_log.read(connection, stream, newest.sequence - 1, 1)
    return [event.body for event in stored] == [body]
