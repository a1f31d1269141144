"""Follows streams of events: an entry in Redis wakes the reader, which reads the table."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from kit.base.clock import Clock
from kit.base.cursor import Cursor
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.redis_commands import REDIS
from kit.events import event_log
from kit.events.event_log import READ_MAX
from kit.events.logged_events import LoggedEvent, positions_of
from kit.events.redis_events import RedisEvents
from kit.events.streams import EventStream

LOOK_SECONDS = 1.0
"""Longest delay of an event without an entry in Redis."""


class EventReader:
    """Reads events from positions on, for one follower.

    Events are read from the table only: it alone has each event once, without holes, and none that
    a restored database does not have.
    """

    def __init__(
        self,
        database: Database,
        redis: RedisEvents,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._redis = redis
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._seen: dict[EventStream, Cursor] = {}
        """The newest entry in Redis that is known of."""

    async def follow(
        self, positions: Mapping[EventStream, int], limit: int = READ_MAX
    ) -> AsyncGenerator[Sequence[LoggedEvent], None]:
        """The events after these positions, in the defined order as far as they are stored, for
        ever; nothing when there is none for a second. Raises StoreUnavailable and EventMissing."""
        reached = dict(positions)
        while True:
            async with self._database.reading() as connection:
                events = await event_log.read_in_order(connection, reached, limit)
            yield events
            reached |= positions_of(events)
            if not events:
                await self.wait(reached)

    async def wait(self, positions: Mapping[EventStream, int]) -> None:
        """Wait until there may be an event after these positions, at most a second."""
        try:
            after = {stream: await self._after(stream, positions[stream]) for stream in positions}
            self._seen |= await self._redis.wait(after, LOOK_SECONDS)
        except StoreUnavailable as error:
            self._seen.clear()
            self._degraded_reasons.report(REDIS, error.message)
            await self._clock.sleep(LOOK_SECONDS)
        else:
            self._degraded_reasons.clear(REDIS)

    async def _after(self, stream: EventStream, position: int) -> Cursor:
        """The id after which an entry in Redis is news."""
        if stream not in self._seen:
            newest, _ = await self._redis.newest(stream)
            self._seen[stream] = Cursor(newest.epoch, 0)
        seen = self._seen[stream]
        return max(seen, Cursor(seen.epoch, position))


async def replay(
    database: Database, positions: Mapping[EventStream, int], limit: int = READ_MAX
) -> AsyncGenerator[LoggedEvent, None]:
    """The stored events after these positions, up to those that are the newest now, in the defined
    order. It does not depend on ``limit``, the events of a stream that are read at once."""
    reached = dict(positions)
    async with database.transaction() as connection:
        states = await event_log.stream_states(connection, positions)
    while True:
        async with database.transaction() as connection:
            events = await event_log.read_in_order(connection, reached, limit)
        for event in events:
            if event.sequence <= states[event.stream].sequence:
                yield event
        reached |= positions_of(events)
        if all(reached[stream] >= states[stream].sequence for stream in reached):
            return
