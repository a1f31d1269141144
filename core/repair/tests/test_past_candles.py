"""Candles of the time before the first start: bounded, resumable, never over what is recorded."""

import asyncio
from decimal import Decimal

import pytest

from core.repair.candle_backfill import DEPTHS, CandleBackfill
from core.repair.context import RepairContext
from core.repair.hole_store import HoleStore
from core.repair.metrics import RepairMetrics
from core.repair.record_reader import MINUTE_NS, MinuteCandle, RecordReader
from core.repair.settings import RepairSettings
from core.repair.tests.rig import busy
from core.repair.venue_clients import PermanentVenueError, RetryableVenueError
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.intervals import BY_NAME
from kit.base.telemetry import Meter
from tests.support.waiting import WAIT_SECONDS_MAX

NOW_NS = 1_723_100_040 * NANOSECONDS_PER_SECOND + 30 * NANOSECONDS_PER_SECOND
END_NS = NOW_NS - NOW_NS % MINUTE_NS
MINUTES_NS = range(END_NS - 1440 * MINUTE_NS, END_NS, MINUTE_NS)
VENUE = "kraken"
CALLS = sum(-(-depth.count // 1000) for depth in DEPTHS)
"""For one instrument of which nothing is there."""


class StillClock:
    """Time passes only where someone sleeps."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NANOSECONDS_PER_SECOND)
        await asyncio.sleep(0)


class History:
    """A venue that has a candle of every interval but those it does not know."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, str, int]] = []
        self.unknown: set[str] = set()
        self.refusals: list[RetryableVenueError] = []
        self.since_ns = 0

    def runs(self, venue: str) -> bool:
        return True

    async def candles(
        self, venue: str, symbol: str, start_time_ns: int, interval: str = "1m"
    ) -> dict[int, MinuteCandle]:
        self.calls.append((symbol, interval, start_time_ns))
        if self.refusals:
            raise self.refusals.pop(0)
        if interval in self.unknown:
            raise PermanentVenueError("no such interval")
        length_ns = BY_NAME[interval].length_ns
        start_ns = -(-max(start_time_ns, self.since_ns) // length_ns) * length_ns
        open_times = range(start_ns, self.clock.time_ns(), length_ns)[:1000]
        return {at: MinuteCandle(*[Decimal(at // MINUTE_NS % 1000 + 1)] * 5) for at in open_times}


class Rig:
    def __init__(self, database: Database, settings: RepairSettings) -> None:
        self.database = database
        self.clock = StillClock()
        self.venue = History(self.clock)
        self.settings = settings
        self.restart()

    def restart(self) -> None:
        """A process that remembers nothing."""
        meter, database = Meter("repair"), self.database
        context = RepairContext(
            *(database, RecordReader(database), HoleStore(database), self.venue, None),
            *(self.settings, RepairMetrics(meter), DegradedReasons(meter), self.clock),
        )
        self.past = CandleBackfill(context)

    async def execute(self, text: str) -> list[tuple]:
        async with self.database.transaction() as connection:
            found = await connection.execute(text.encode())
            return await found.fetchall() if found.description else []

    async def minutes(self, symbol: str = "BTC/USD") -> dict[int, Decimal]:
        """Closes of the recorded candles of one minute."""
        rows = await self.execute(
            "SELECT open_time_ns, close FROM candle_rows JOIN instruments USING (instrument_id)"
            f" WHERE interval_s = 60 AND symbol = '{symbol}' AND closed ORDER BY open_time_ns"
        )
        return dict(rows)


@pytest.fixture
async def rig(postgres_url):
    database = Database(postgres_url)
    made = Rig(database, RepairSettings())
    await made.execute(f"INSERT INTO instruments (venue, symbol) VALUES ('{VENUE}', 'BTC/USD')")
    yield made
    await database.close()


async def test_a_day_of_minutes_and_longer_candles_are_recorded_in_a_few_calls(rig):
    await rig.past.fetch(VENUE)
    assert list(await rig.minutes()) == list(MINUTES_NS)
    found = await rig.execute("SELECT interval_s, count(*) FROM candle_rows GROUP BY 1")
    expected = [(depth.interval.length_ns // 10**9, depth.count) for depth in DEPTHS]
    assert sorted(found) == sorted(expected)
    assert len(rig.venue.calls) == CALLS
    await rig.past.fetch(VENUE)
    rig.restart()
    await rig.past.fetch(VENUE)
    assert len(rig.venue.calls) == CALLS


async def test_what_is_recorded_is_neither_replaced_nor_asked_for(rig):
    kept_ns, open_ns = MINUTES_NS[3], MINUTES_NS[4]
    await rig.execute(
        "INSERT INTO candle_rows SELECT at, at, at, instrument_id, 60, closed, 7, 7, 7, 7, 7"
        f" FROM instruments, (VALUES ({kept_ns}, true), ({open_ns}, false)) AS t (at, closed)"
    )
    await rig.past.fetch(VENUE)
    minutes = await rig.minutes()
    assert minutes[kept_ns] == 7
    assert minutes[open_ns] == open_ns // MINUTE_NS % 1000 + 1
    assert len(minutes) == 1440


async def test_a_fetch_that_was_cut_short_goes_on_where_it_was(rig):
    first = rig.past.fetch(VENUE)
    done = rig.venue.candles

    async def candles(*args) -> dict[int, MinuteCandle]:
        if len(rig.venue.calls) == 1:
            raise busy(5)
        return await done(*args)

    rig.venue.candles = candles
    with pytest.raises(RetryableVenueError):
        await first
    assert len(await rig.minutes()) == 1000
    rig.venue.candles = done
    rig.restart()
    await rig.past.fetch(VENUE)
    assert rig.venue.calls[1] == ("BTC/USD", "1m", MINUTES_NS[0] + 1000 * MINUTE_NS)
    assert len(await rig.minutes()) == 1440
    assert len(rig.venue.calls) == CALLS


async def test_minutes_of_all_instruments_come_first_and_calls_are_bounded(rig):
    rig.settings = RepairSettings(past_candle_calls_max=4)
    rig.restart()
    await rig.execute(f"INSERT INTO instruments (venue, symbol) VALUES ('{VENUE}', 'ETH/USD')")
    await rig.past.fetch(VENUE)
    asked = [interval for _, interval, _ in rig.venue.calls]
    assert asked[:4] == ["1m"] * 4
    assert len(asked) == 2 * CALLS
    assert rig.clock.now_ns - NOW_NS >= (2 * CALLS // 4 - 1) * 60 * NANOSECONDS_PER_SECOND


async def test_what_a_venue_does_not_have_is_asked_for_once(rig):
    rig.venue.unknown = {"4h"}
    rig.venue.since_ns = MINUTES_NS[700]
    await rig.past.fetch(VENUE)
    assert list(await rig.minutes()) == list(MINUTES_NS[700:])
    count = len(rig.venue.calls)
    await rig.past.fetch(VENUE)
    assert len(rig.venue.calls) == count


async def test_a_minute_that_has_just_ended_is_waited_for(rig):
    rig.clock.now_ns = END_NS + NANOSECONDS_PER_SECOND
    await rig.past.fetch(VENUE)
    assert max(await rig.minutes()) == END_NS - MINUTE_NS
    assert rig.clock.now_ns > END_NS + 2 * NANOSECONDS_PER_SECOND


async def test_run_fetches_for_instruments_that_are_recorded_later(rig):
    task = asyncio.create_task(rig.past.run())
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(await rig.minutes()) < 1440:
            await asyncio.sleep(0.01)
        rig.venue.refusals = [busy(1.0)]
        await rig.execute(f"INSERT INTO instruments (venue, symbol) VALUES ('{VENUE}', 'ETH/USD')")
        while len(await rig.minutes("ETH/USD")) < 1440:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await rig.minutes("ETH/USD")) == 1440
