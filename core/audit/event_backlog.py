"""Measures which events wait: for their relay, and for those who read them."""

from collections import defaultdict

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.redis_events import RedisEvents
from kit.events.streams import EVENT_STREAMS, stream_name

INTERVAL_SECONDS = 15.0
PART = "/"
"""In the name of a reader that may have been switched off for ever, such as a channel of the
notifier; what those have not read means nothing."""

_POSITIONS = "SELECT consumer, stream, sequence FROM event_positions"
_log = telemetry.logger("audit.backlog")


class EventBacklog:
    """Of all streams, whichever process stores and reads them."""

    def __init__(self, database: Database, redis: RedisEvents, meter: Meter) -> None:
        self._database = database
        self._redis = redis
        self._unpublished = meter.gauge(
            "events_unpublished", "Events that are stored and not in Redis yet", "stream"
        )
        self._unread = meter.gauge(
            "events_unread", "Events that a service has not handled yet", "consumer"
        )

    async def run(self, clock: Clock) -> None:
        """Measure now and then. Runs forever."""
        while True:
            try:
                await self.measure()
            except StoreUnavailable as error:
                _log.debug("not measured", extra={"detail": error.message})
            await clock.sleep(INTERVAL_SECONDS)

    async def measure(self) -> None:
        """Raises StoreUnavailable."""
        published = {stream: (await self._redis.newest(stream))[0] for stream in EVENT_STREAMS}
        async with self._database.transaction() as connection:
            states = await event_log.stream_states(connection, EVENT_STREAMS)
            positions = await (await connection.execute(_POSITIONS)).fetchall()
        ends = {stream_name(stream): state.sequence for stream, state in states.items()}
        for stream, state in states.items():
            newest = published[stream]
            reached = newest.sequence if newest.epoch == state.epoch else 0
            waiting = max(0, state.sequence - reached)
            self._unpublished.labels(stream_name(stream)).set(waiting)
        unread: defaultdict[str, int] = defaultdict(int)
        for consumer, stream, sequence in positions:
            if PART not in consumer:
                unread[consumer] += max(0, ends.get(stream, 0) - sequence)
        for consumer, count in unread.items():
            self._unread.labels(consumer).set(count)
