"""An aggregator with a real Valkey and a real PostgreSQL, and what tests ask of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

import psycopg
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.bars.aggregator import CONSUMER, Aggregator, BackendConnections
from core.bars.settings import BarsSettings
from core.bars.shards import SHARDS
from core.bars.subscribers import BarSubscribers
from core.bars.tests.market import BarKey, NaiveBar, Trade, batch
from core.bars.tests.naive_events import DAY_NS, EventKey
from core.bars.venue_bars_factory import VenueBarsFactory
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.intervals import INTERVALS
from kit.base.telemetry import Meter
from kit.events.shared_leases import SharedLeases
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from tests.support.waiting import eventually

KEY = StreamKey("binance", types_pb2.CHANNEL_TRADES)
REPAIRS = StreamKey("binance", types_pb2.CHANNEL_REPAIRS)
TIMEOUT_S = 90.0
FAST = BarsSettings(store_interval_ms=10, publish_interval_ms=10, kept_seconds=5, lease_seconds=2.0)

LEVELS = {interval.name: level for level, interval in enumerate(INTERVALS)}


class Rig:
    """One venue's stream, and the aggregator that follows it."""

    def __init__(self, valkey_url: str, postgres_url: str, settings: BarsSettings = FAST) -> None:
        self.valkey_url = valkey_url
        self.postgres_url = postgres_url
        self.settings = settings
        self.streams = RedisStreams(valkey_url)
        self.database = Database(postgres_url)
        self.subscribers = BarSubscribers(settings.subscribers_max, settings.subscriber_bars_max)
        self.newest = Cursor(1, 0)
        self.repaired = Cursor(7, 0)
        self.aggregator = self.new_aggregator()

    def new_aggregator(self, world: str = "replay", member: str = "bars") -> Aggregator:
        """An aggregator that knows nothing yet."""
        self.meter = Meter(member)
        degraded_reasons = DegradedReasons(self.meter)
        leases = SharedLeases(self.database, "bars", member, SHARDS, self.settings.lease_seconds)
        return Aggregator(
            VenueBarsFactory(self.settings, world),
            BackendConnections(self.streams, leases, self.database),
            self.subscribers,
            self.meter,
            degraded_reasons,
            SystemClock(),
        )

    async def append(self, *batches: batch_pb2.MarketDataBatch) -> None:
        """Write batches to the stream, numbered one after another."""
        await self.streams.register(KEY)
        for message in batches:
            self.newest = Cursor(self.newest.epoch, self.newest.sequence + 1)
            entry = StreamEntry(KEY, self.newest, message.SerializeToString())
            await self.streams.append([entry])

    async def repair(
        self, trades: Sequence[Trade] = (), fills: Iterable[types_pb2.HoleFill] = ()
    ) -> None:
        """Record trades that were fetched later."""
        await self.streams.register(REPAIRS)
        self.repaired = Cursor(self.repaired.epoch, self.repaired.sequence + 1)
        message = batch(trades)
        message.channel = types_pb2.CHANNEL_REPAIRS
        message.fills.extend(fills)
        await self.streams.append(
            [StreamEntry(REPAIRS, self.repaired, message.SerializeToString())]
        )

    async def record(self, trades: Iterable[Trade], scale: tuple[int, int] = (2, 3)) -> None:
        """Do as the recorder does, with trades of the stream or of a repair: it has now got as far
        as both."""
        rows = [
            (
                trade.symbol,
                trade.id,
                trade.time_ns,
                trade.side,
                Decimal(trade.price).scaleb(-scale[0]),
                Decimal(trade.size).scaleb(-scale[1]),
            )
            for trade in {(trade.symbol, trade.id): trade for trade in trades}.values()
        ]
        connection = await psycopg.AsyncConnection.connect(self.postgres_url)
        async with connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO instruments (venue, symbol) VALUES ('binance', %s)"
                " ON CONFLICT DO NOTHING",
                [row[:1] for row in rows],
            )
            await cursor.executemany(
                "INSERT INTO trade_rows (instrument_id, trade_id, venue_time_ns, received_time_ns,"
                " side, price, size) SELECT instrument_id, %s, %s, %s, %s, %s, %s FROM instruments"
                " WHERE symbol = %s",
                [(row[1], row[2], row[2], *row[3:], row[0]) for row in rows],
            )
            await cursor.executemany(
                "INSERT INTO stream_positions VALUES ('recorder', %s, %s, %s)"
                " ON CONFLICT (consumer, stream) DO UPDATE"
                " SET epoch = excluded.epoch, sequence = excluded.sequence",
                [(str(KEY), *self.newest), (str(REPAIRS), *self.repaired)],
            )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The aggregator runs for so long."""
        task = asyncio.create_task(self.aggregator.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def stored(self) -> None:
        """Wait until everything that was appended is stored."""
        await eventually(self._is_stored)

    async def stored_up_to(self, entries: int) -> None:
        """Wait until so many entries are stored."""

        async def is_there() -> bool:
            return await self._position() >= entries

        await eventually(is_there)

    async def forget_group(self) -> None:
        """Remove the aggregator's group from Redis, as a crash of Redis can."""
        await self.streams.commit(CONSUMER, {KEY: Cursor(0, 0)})

    async def empty_streams(self) -> None:
        """Lose everything that Redis holds; the next batch is written as number 1 again."""
        await self.streams._redis.flushall()
        self.newest = Cursor(self.newest.epoch, 0)

    async def bars(self) -> dict[BarKey, NaiveBar]:
        """What the database holds."""
        rows = await self.query(
            "SELECT symbol, interval, open_time_ns, open, high, low, close, volume, buy_volume,"
            " quote_volume, trade_count FROM bars WHERE interval NOT LIKE '%:%'"
        )
        return {row[:3]: NaiveBar(*map(Fraction, row[3:10]), row[10]) for row in rows}

    async def facts(self) -> dict[BarKey, tuple[int, bool, int]]:
        """Revision, final, and the coverage of what is final."""
        rows = await self.query(
            "SELECT symbol, interval, open_time_ns, revision, final,"
            " CASE WHEN final THEN covered_ns ELSE 0 END FROM bars WHERE interval NOT LIKE '%:%'"
        )
        return {row[:3]: row[3:] for row in rows}

    async def events(self, final: bool = False) -> dict[EventKey, NaiveBar]:
        """What the database holds of other kinds; only what is final, if so wanted."""
        rows = await self.query(
            "SELECT symbol, interval, open_time_ns, number, open, high, low, close, volume,"
            " buy_volume, quote_volume, trade_count FROM bars WHERE interval LIKE '%:%'"
            + (" AND final" if final else "")
        )
        return {
            (row[0], row[1], row[2] // DAY_NS * DAY_NS, row[3]): NaiveBar(
                *map(Fraction, row[4:11]), row[11]
            )
            for row in rows
        }

    async def owners(self) -> set[str]:
        """The aggregators that hold shards; with an empty text if one is free."""
        rows = await self.query(
            "SELECT CASE WHEN expires_time > now() THEN holder ELSE '' END FROM leases"
            " WHERE name LIKE 'bars/share/%'"
        )
        return {holder for (holder,) in rows}

    async def take_leases(self) -> None:
        """Take all, as another aggregator does that is gone by now."""
        await self.query(
            "UPDATE leases SET epoch = epoch + 1, holder = '', expires_time = '-infinity'"
            " WHERE name LIKE 'bars/share/%' RETURNING 1"
        )

    async def query(self, text: str) -> list[tuple]:
        """Rows of the database."""
        connection = await psycopg.AsyncConnection.connect(self.postgres_url)
        async with connection:
            rows = await connection.execute(text)
            return await rows.fetchall()

    async def close(self) -> None:
        """End the connections."""
        await self.streams.close()
        await self.database.close()

    async def repairs_stored(self) -> None:
        """Wait until every repair that was written is stored."""

        async def are_there() -> bool:
            return await self._position("repairs") == self.repaired.sequence

        await eventually(are_there)

    async def _is_stored(self) -> bool:
        return await self._position() == self.newest.sequence

    async def _position(self, channel: str = "trades") -> int:
        """Of the slowest shard."""
        rows = await self.query(
            "SELECT min(sequence), count(*) FROM bar_positions"
            f" WHERE stream = 'md:{{binance}}:{channel}'"
        )
        return rows[0][0] if rows[0][1] == SHARDS else 0


@contextlib.asynccontextmanager
async def rig_for(
    valkey_url: str, postgres_url: str, settings: BarsSettings = FAST
) -> AsyncIterator[Rig]:
    """A rig on a database that has the schema and no rows."""
    rig = Rig(valkey_url, postgres_url, settings)
    try:
        yield rig
    finally:
        await rig.close()


def in_batches(items: Iterable, lengths: Iterable[int]) -> list[list]:
    """Cut a list into parts of these lengths, again and again."""
    rest, parts = list(items), []
    for length in lengths:
        if not rest:
            break
        parts.append(rest[:length])
        del rest[:length]
    return parts
