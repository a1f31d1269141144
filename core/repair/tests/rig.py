"""Repair with a real Valkey and a real PostgreSQL, a venue whose answers are set by the test, and a
recorder and bars that do what they must do with repairs, and no more."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import psycopg
from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.repair.v1 import repair_pb2

from core.repair.candle_comparison import CandleComparer
from core.repair.context import RepairContext
from core.repair.hole_finder import HoleFinder
from core.repair.hole_repairer import HoleRepairer
from core.repair.hole_store import HoleStore
from core.repair.holes import Hole, RepairJob
from core.repair.job_runner import JobRunner
from core.repair.job_watchers import JobWatchers
from core.repair.metrics import RepairMetrics
from core.repair.publisher import RepairPublisher
from core.repair.quality import QualityScorer
from core.repair.record_reader import MINUTE_NS, MinuteCandle, RecordReader, TradedInstrument
from core.repair.settings import RepairSettings
from core.repair.trade_merge import ExactTrade
from core.repair.venue_clients import RetryableVenueError
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.cursor import CHANNEL_REPAIRS, START, Cursor, StreamKey
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.numbers import to_decimal
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams
from kit.marketdata.model.batches import Batch

VENUE, SYMBOL = "binance", "BTCUSDT"
BEGIN_NS = 1_723_100_040 * NANOSECONDS_PER_SECOND
"""A whole minute."""
WAIT_S = 90.0
REPAIRS = StreamKey(VENUE, CHANNEL_REPAIRS)
TRADES = StreamKey(VENUE, types_pb2.CHANNEL_TRADES)
SETTINGS = RepairSettings(settle_s=0, find_interval_s=0.05, retry_s=0.1)

CONSECUTIVE = catalog_pb2.Features(
    trade_numbering=catalog_pb2.TRADE_NUMBERING_CONSECUTIVE,
    trade_history=[catalog_pb2.TRADE_HISTORY_BY_ID, catalog_pb2.TRADE_HISTORY_BY_TIME],
    candles_sum_trades=True,
)
SKIPPING = catalog_pb2.Features(
    trade_numbering=catalog_pb2.TRADE_NUMBERING_SKIPPING,
    trade_history=[catalog_pb2.TRADE_HISTORY_BY_ID, catalog_pb2.TRADE_HISTORY_BY_TIME],
    candles_sum_trades=True,
)
UNNUMBERED = catalog_pb2.Features(candles_sum_trades=True)

_CANDLES = """
SELECT open_time_ns, (array_agg(price ORDER BY venue_time_ns, trade_id))[1], max(price), min(price),
    (array_agg(price ORDER BY venue_time_ns DESC, trade_id DESC))[1], sum(size), count(*),
    min(venue_time_ns), max(venue_time_ns)
FROM (SELECT *, venue_time_ns - venue_time_ns %% 60000000000 AS open_time_ns FROM trade_rows) AS t
GROUP BY open_time_ns
"""


def trade(number: int | str, offset_s: float | None = None, size: str = "0.5") -> ExactTrade:
    """Trade n is n seconds after BEGIN_NS."""
    digits = int("".join(filter(str.isdigit, str(number))))
    seconds = digits if offset_s is None else offset_s
    price = Decimal(100 + digits % 7)
    time_ns = BEGIN_NS + int(seconds * NANOSECONDS_PER_SECOND)
    return ExactTrade(str(number), price, Decimal(size), 1 + digits % 2, time_ns)


def trades(*numbers: int | str) -> list[ExactTrade]:
    """Several."""
    return [trade(number) for number in numbers]


def gap(before: int, after: int, **fields) -> types_pb2.Gap:
    """A gap between two of these trades, without their ids."""
    usual = {
        "symbol": SYMBOL,
        "reason": types_pb2.GAP_REASON_RECONNECT,
        "last_time_ns": BEGIN_NS + before * NANOSECONDS_PER_SECOND,
        "first_time_ns": BEGIN_NS + after * NANOSECONDS_PER_SECOND,
        "detected_time_ns": BEGIN_NS + after * NANOSECONDS_PER_SECOND,
    }
    return types_pb2.Gap(**{**usual, **fields})


class FakeVenue:
    """Returns the trades and candles that a test sets."""

    def __init__(self, history: Iterable[ExactTrade], features: catalog_pb2.Features) -> None:
        self.history = list(history)
        self.about = features
        self.call_counts: dict[str, int] = {}
        self.page_size = 1_000
        self.asked: list[tuple[int, int]] = []
        """First id and time of each question for trades."""
        self.refusals: list[Exception] = []
        """Raised by the next questions."""
        self.newest_only = 0
        """It knows only so many of the newest trades."""
        self.minutes: dict[int, MinuteCandle] | None = None
        self.is_there = True
        self.asking = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def runs(self, venue: str) -> bool:
        return self.is_there

    async def features(self, venue: str) -> catalog_pb2.Features:
        return self.about

    async def trades(
        self, venue: str, symbol: str, first_id: int, start_time_ns: int
    ) -> Sequence[ExactTrade]:
        self.call_counts[venue] = self.call_counts.get(venue, 0) + 1
        self.asked.append((first_id, start_time_ns))
        self.asking.set()
        await self.may_answer.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        known = self.history[-self.newest_only :] if self.newest_only else self.history
        if first_id:
            found = [one for one in known if one.number >= first_id]
        else:
            found = [one for one in known if one.time_ns >= start_time_ns]
        return found[: self.page_size]

    async def candles(
        self, venue: str, symbol: str, start_time_ns: int, interval: str = "1m"
    ) -> dict[int, MinuteCandle]:
        self.call_counts[venue] = self.call_counts.get(venue, 0) + 1
        found = self.minutes if self.minutes is not None else candles_of(self.history)
        return {at: one for at, one in found.items() if at >= start_time_ns}


def candles_of(history: Iterable[ExactTrade]) -> dict[int, MinuteCandle]:
    """Minutes of these trades, which are in order."""
    parts: dict[int, list[ExactTrade]] = {}
    for one in history:
        parts.setdefault(one.time_ns - one.time_ns % MINUTE_NS, []).append(one)
    return {
        at: MinuteCandle(
            part[0].price,
            max(one.price for one in part),
            min(one.price for one in part),
            part[-1].price,
            sum((one.size for one in part), Decimal()),
        )
        for at, part in parts.items()
    }


class Rig:
    """Everything of the process but its server."""

    def __init__(
        self, valkey_url: str, postgres_url: str, venue: FakeVenue, settings: RepairSettings
    ) -> None:
        self.postgres_url = postgres_url
        self.venue = venue
        self.settings = settings
        self.clock = SystemClock()
        self.streams = RedisStreams(valkey_url)
        self.database = Database(postgres_url)
        self.fills: list[types_pb2.HoleFill] = []
        self.published: list[str] = []
        """Ids of all trades that came over the stream of repairs."""
        self.cursors: list[Cursor] = []
        self.make()

    def make(self) -> None:
        """A process that knows nothing yet."""
        settings, clock, database = self.settings, self.clock, self.database
        self.meter = Meter("repair")
        metrics, degraded_reasons = RepairMetrics(self.meter), DegradedReasons(self.meter)
        self.record, self.store = RecordReader(database), HoleStore(database)
        self.watchers = JobWatchers(settings.watchers_max)
        self.publisher = RepairPublisher(self.streams, clock)
        context = RepairContext(
            *(database, self.record, self.store, self.venue, self.publisher),
            *(settings, metrics, degraded_reasons, clock),
        )
        self.candles = CandleComparer(context)
        self.finder = HoleFinder(context, self.candles)
        self.repairer = HoleRepairer(context)
        self.jobs = JobRunner(context, self.finder, self.repairer, self.candles, self.watchers)
        self.quality = QualityScorer(context, "replay")

    @asynccontextmanager
    async def running(self, consumers: bool = True) -> AsyncIterator[None]:
        """Jobs are run, and their trades recorded."""
        tasks = [asyncio.create_task(self.jobs.run())]
        if consumers:
            tasks.append(asyncio.create_task(self.consume()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def consume(self) -> None:
        """What recorder and bars do with repairs. Endless."""
        position = self.cursors[-1] if self.cursors else START
        while True:
            for entry in await self.streams.read({REPAIRS: position}, 10, 50):
                position = entry.cursor
                self.cursors.append(position)
                batch = Batch.FromString(entry.batch)
                assert Cursor.of(batch.cursor) == entry.cursor
                self.fills += batch.fills
                found = trades_of(batch)
                self.published += [one.trade_id for one in found]
                await self.recorded(found)
                done = {REPAIRS: position}
                await self.streams.commit("recorder", done)
                await self.streams.commit("bars", done)

    async def recorded(
        self, found: Iterable[ExactTrade], symbol: str = SYMBOL
    ) -> TradedInstrument | None:
        """The record has these trades, too, and the bars of all its trades."""
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO instruments (venue, symbol) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [VENUE, symbol],
            )
            for one in found:
                number = one.number if one.trade_id.isdecimal() else None
                await connection.execute(
                    "INSERT INTO trade_rows (instrument_id, side, venue_time_ns, received_time_ns,"
                    " trade_id, trade_id_text, price, size) SELECT instrument_id, %s, %s, %s, %s,"
                    " %s, %s, %s FROM instruments WHERE venue = %s AND symbol = %s"
                    " ON CONFLICT DO NOTHING",
                    [one.side, one.time_ns, one.time_ns + 1, number,
                     None if number is not None else one.trade_id, one.price, one.size,
                     VENUE, symbol],
                )  # fmt: skip
            await connection.execute("DELETE FROM bars")
            await connection.execute(
                "INSERT INTO bars (venue, symbol, interval, open_time_ns, open, high, low, close,"
                " volume, trade_count, first_time_ns, last_time_ns, buy_volume, quote_volume,"
                " covered_ns, revision, final, first_trade_id, last_trade_id, close_time_ns,"
                " written_time_ns) SELECT %s, %s, '1m', *, 0, 0, 0, 0, true, 0, 0, 0, 0"
                f" FROM ({_CANDLES}) AS m",
                [VENUE, symbol],
            )
            await connection.execute(
                "INSERT INTO bar_positions SELECT 0, %s, 1, 1, max(venue_time_ns) FROM trade_rows"
                " ON CONFLICT (shard, stream)"
                " DO UPDATE SET newest_time_ns = excluded.newest_time_ns",
                [str(TRADES)],
            )
        return await self.record.instrument(VENUE, symbol)

    async def gap(self, gap: types_pb2.Gap, sequence: int = 1) -> None:
        """A gap of trades was recorded."""
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO gap_rows (venue, channel, epoch, sequence, ordinal, symbol, reason,"
                " last_id_before, first_id_after, last_time_ns, first_time_ns, detected_time_ns,"
                " detail) VALUES (%s, 1, 1, %s, 0, %s, %s, %s, %s, %s, %s, %s, '')",
                [VENUE, sequence, gap.symbol or None, gap.reason, gap.last_id_before,
                 gap.first_id_after, gap.last_time_ns, gap.first_time_ns, gap.detected_time_ns],
            )  # fmt: skip

    async def holes(self) -> list[Hole]:
        """All that are known, newest first."""
        return (await self.store.list_holes(repair_pb2.ListHolesRequest(venue=VENUE), 1000))[0]

    async def ids(self) -> list[str]:
        """Of the recorded trades, by time."""
        rows = await self.query(
            "SELECT coalesce(trade_id_text, trade_id::text) FROM trade_rows"
            " ORDER BY venue_time_ns, trade_id"
        )
        return [row[0] for row in rows]

    async def ended(self, repair_id: str) -> RepairJob:
        """Wait until a job has ended."""
        async with asyncio.timeout(WAIT_S):
            while True:
                job = await self.store.job(repair_id)
                if job is not None and not job.is_live:
                    return job
                await asyncio.sleep(0.01)

    async def mended(self, start_ns: int = 0, end_ns: int = 0) -> RepairJob:
        """Ask for a repair, and wait for its end."""
        job = await self.jobs.start(VENUE, SYMBOL, start_ns, end_ns, "")
        return await self.ended(job.repair_id)

    async def query(self, text: str) -> list[tuple]:
        """Rows of the database."""
        connection = await psycopg.AsyncConnection.connect(self.postgres_url)
        async with connection:
            return await (await connection.execute(text)).fetchall()

    async def do(self, text: str) -> None:
        """Change the database."""
        async with self.database.transaction() as connection:
            await connection.execute(text)

    async def close(self) -> None:
        await self.database.close()
        await self.streams.close()


def trades_of(batch: Batch) -> list[ExactTrade]:
    """The trades of a batch."""
    rows, found = batch.trades, []
    for row, instrument in enumerate(rows.instrument):
        scale = batch.instruments[instrument]
        found.append(
            ExactTrade(
                rows.trade_id_text[row] if rows.trade_id_text else str(rows.trade_id[row]),
                to_decimal(rows.price[row], scale.price_scale),
                to_decimal(rows.size[row], scale.size_scale),
                rows.side[row],
                rows.venue_time_ns[row],
            )
        )
    return found


@asynccontextmanager
async def rig_of(
    valkey_url: str,
    postgres_url: str,
    history: Iterable[ExactTrade],
    features: catalog_pb2.Features = CONSECUTIVE,
    settings: RepairSettings = SETTINGS,
) -> AsyncIterator[Rig]:
    """One of a venue with this history."""
    rig = Rig(valkey_url, postgres_url, FakeVenue(history, features), settings)
    try:
        yield rig
    finally:
        await rig.close()


def busy(seconds: float = 0.0) -> RetryableVenueError:
    """The error of a venue at its rate limit."""
    return RetryableVenueError("left alone", seconds, is_limit=True)
