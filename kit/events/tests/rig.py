"""Events of tests, and a database and a Redis that hold them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis
from venuemesh.events.v1 import event_pb2

from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.event_reader import EventReader
from kit.events.logged_events import LoggedEvent
from kit.events.redis_events import RedisEvents
from kit.events.relay import EventRelay
from kit.events.streams import EventStream, redis_key

EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
LEDGER = event_pb2.EVENT_STREAM_LEDGER
STORED_NS = 1_700_000_000_000_000_000
ENTRIES_MAX = 10_000


def filled(number: int, price: str = "100", time_ns: int | None = None) -> event_pb2.Event:
    """An event of a fill; the number is its time."""
    name = f"fill {number}"
    event = event_pb2.Event(
        event_id=event_id("ledger", "binance/main", [name.encode()]),
        source="ledger",
        instance="binance/main",
        time_ns=number if time_ns is None else time_ns,
    )
    fill = event.order_filled.fill
    fill.venue, fill.account, fill.symbol = "binance", "main", "BTCUSDT"
    fill.fill_id, fill.price = str(number), price
    return event


@dataclass(frozen=True)
class Rig:
    """One database and one Redis."""

    database: Database
    redis: RedisEvents
    redis_url: str
    meter: Meter
    reasons: DegradedReasons

    def relay(self, *streams: EventStream, entries_max: int = ENTRIES_MAX) -> EventRelay:
        wanted = streams or (EXECUTIONS, LEDGER)
        clock = SystemClock()
        return EventRelay(self.database, self.redis, wanted, entries_max, self.reasons, clock)

    def reader(self) -> EventReader:
        return EventReader(self.database, self.redis, self.reasons, SystemClock())

    async def append(self, *events: event_pb2.Event, stream: EventStream = EXECUTIONS) -> None:
        async with self.database.transaction() as connection:
            await event_log.append(connection, stream, events, STORED_NS)

    async def stored(self, stream: EventStream = EXECUTIONS, after: int = 0) -> list[LoggedEvent]:
        async with self.database.transaction() as connection:
            return await event_log.read(connection, stream, after)

    async def epoch(self, stream: EventStream = EXECUTIONS) -> int:
        async with self.database.transaction() as connection:
            return (await event_log.stream_states(connection, [stream]))[stream].epoch

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(statement.encode(), arguments)

    def published(self, stream: EventStream = EXECUTIONS) -> list[tuple[int, int, bytes]]:
        """Epoch, sequence and bytes of the entries in Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            entries = client.xrange(redis_key(stream))
        return [(*map(int, name.split(b"-")), fields[b"b"]) for name, fields in entries]

    async def expected(self, stream: EventStream = EXECUTIONS) -> list[tuple[int, int, bytes]]:
        """What Redis must have of a stream that was published whole."""
        epoch = await self.epoch(stream)
        return [(epoch, event.sequence, event.body) for event in await self.stored(stream)]

    def command(self, *command: str) -> object:
        """Execute a command of Redis as its owner."""
        with redis.Redis.from_url(self.redis_url) as client:
            return client.execute_command(*command)


@asynccontextmanager
async def rig_for(redis_url: str, database_url: str) -> AsyncIterator[Rig]:
    """A rig on these stores; the database has the schema."""
    database, redis_events = Database(database_url), RedisEvents(redis_url)
    meter = Meter("test")
    yield Rig(database, redis_events, redis_url, meter, DegradedReasons(meter))
    await redis_events.close()
    await database.close()


def numbers(events: Iterable[LoggedEvent]) -> list[tuple[EventStream, int]]:
    return [(event.stream, event.sequence) for event in events]
