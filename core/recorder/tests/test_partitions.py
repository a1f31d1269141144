import asyncio
from dataclasses import replace

import psycopg
import pytest

from core.recorder.chunk import Chunk
from core.recorder.partitions import DAY_NS, PartitionManager
from core.recorder.settings import StorageSettings
from core.recorder.store import RecorderStore
from core.recorder.tests.market import TRADES, Trade, entry, trade_batch
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import SettingError
from kit.base.migration import migrate
from kit.base.telemetry import Meter

NOW_NS = SystemClock().time_ns()
TODAY_NS = NOW_NS - NOW_NS % DAY_NS


class Stage:
    """A database with trades of many days, and a manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.meter = Meter("recorder")
        self._number = 0

    async def record(self, *times_ns: int) -> None:
        store = RecorderStore(self.database)
        self._number += 1
        rows = [
            replace(Trade(self._number * 100 + row), venue_time_ns=time_ns)
            for row, time_ns in enumerate(times_ns)
        ]
        chunk = Chunk(await store.positions())
        chunk.add(entry(TRADES, trade_batch(Cursor(1, self._number), rows)), NOW_NS)
        await store.write(await store.prepare(chunk))

    async def keep(self, **settings: int) -> None:
        self.meter = Meter("recorder")
        manager = PartitionManager(
            self.database,
            StorageSettings(**settings),
            self.meter,
            DegradedReasons(self.meter),
            SystemClock(),
        )
        await manager.round()

    def ask(self, query: str) -> list[tuple]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def days(self) -> list[int]:
        """Days of the trades that are there, relative to today."""
        rows = self.ask("SELECT venue_time_ns FROM trades ORDER BY venue_time_ns")
        return [(time_ns - TODAY_NS) // DAY_NS for (time_ns,) in rows]

    def places(self) -> dict[str, int]:
        """Number of trades by the partition that they are in."""
        rows = self.ask("SELECT tableoid::regclass::text, count(*) FROM trade_rows GROUP BY 1")
        return {name.removeprefix("trade_rows_"): count for name, count in rows}


@pytest.fixture
async def stage(any_database_url):
    await migrate(any_database_url)
    stage = Stage(any_database_url)
    yield stage
    await stage.database.close()


@pytest.fixture
async def native(postgres_url):
    stage = Stage(postgres_url)
    yield stage
    await stage.database.close()


async def test_by_default_everything_is_kept(stage):
    await stage.record(TODAY_NS - 900 * DAY_NS, TODAY_NS, NOW_NS)
    await stage.keep()
    await stage.keep()
    assert stage.days() == [-900, 0, 0]
    assert stage.meter.counters["storage_bytes"] > 0


async def test_expired_days_are_dropped_as_a_whole(native):
    await native.record(*(TODAY_NS - days * DAY_NS for days in (400, 8, 7, 6, 0)))
    # The last of its day: that day has ended less than seven days ago.
    await native.record(TODAY_NS - 6 * DAY_NS - 1, TODAY_NS - 7 * DAY_NS - 1)
    await native.keep(keep_trades_days=7)
    assert native.days() == [-7, -7, -6, 0]
    await native.keep(keep_quotes_days=1)
    assert native.days() == [-7, -7, -6, 0]


async def test_timescale_drops_old_days_by_policy(timescale_url):
    await migrate(timescale_url)
    stage = Stage(timescale_url)
    await stage.record(*(TODAY_NS - days * DAY_NS for days in (400, 8, 6, 0)))
    policies = (
        "SELECT config ->> 'drop_after' FROM timescaledb_information.jobs"
        " WHERE proc_name = 'policy_retention' AND hypertable_name = 'trade_rows'"
    )
    await stage.keep(keep_trades_days=9)
    await stage.keep(keep_trades_days=7)
    assert stage.ask(policies) == [(str(7 * DAY_NS),)]
    ((job_id,),) = stage.ask(policies.replace("config ->> 'drop_after'", "job_id"))
    with psycopg.connect(timescale_url, autocommit=True) as connection:
        connection.execute(f"CALL run_job({job_id})".encode())
    assert stage.days() == [-6, 0]
    await stage.keep()
    assert stage.ask(policies) == []
    await stage.database.close()


async def test_a_day_is_made_before_rows_come(native):
    await native.record(TODAY_NS - 1000 * DAY_NS, TODAY_NS - 1, TODAY_NS)
    assert "other" not in native.places()
    await native.keep()
    assert native.ask(
        f"SELECT to_regclass(day_table('frame_rows', {TODAY_NS + DAY_NS})) IS NOT NULL"
    ) == [(True,)]


async def test_rows_with_impossible_times_are_kept_apart(native):
    wrong = (0, 1_500, -5, NOW_NS + 400 * DAY_NS, 2**62)
    await native.record(*wrong)
    with psycopg.connect(native.url) as connection:
        connection.execute("UPDATE trade_rows SET received_time_ns = %s", [NOW_NS])
    await native.keep(keep_trades_days=7)
    assert native.places() == {"other": len(wrong)}
    size = native.meter.registry.get_sample_value(
        "venuemesh_storage_other_bytes", {"table": "trade_rows"}
    )
    assert size is not None
    assert size > 0
    assert native.days() == sorted((time_ns - TODAY_NS) // DAY_NS for time_ns in wrong)


async def test_old_rows_kept_apart_are_dropped_by_received_time(native):
    await native.record(1_500)
    with psycopg.connect(native.url) as connection:
        connection.execute("UPDATE trade_rows SET received_time_ns = 1600")
    await native.keep(keep_trades_days=7)
    assert native.places() == {}


async def test_rows_without_a_partition_are_moved_into_it(native):
    await native.record(TODAY_NS - 3 * DAY_NS)
    # As with a writer that makes no days, or one that had to wait too long for it.
    with psycopg.connect(native.url) as connection:
        connection.execute(
            "INSERT INTO trade_rows (instrument_id, side, venue_time_ns, received_time_ns, price,"
            " size, trade_id) SELECT 1, 0, %s + n, 0, 1, 1, n FROM generate_series(1, 50) AS n",
            [TODAY_NS - 20 * DAY_NS],
        )
    assert native.places()["other"] == 50
    await native.keep()
    assert sorted(native.places().values()) == [1, 50]
    assert "other" not in native.places()


async def test_a_long_reader_delays_a_day_but_no_row(native):
    await native.record(TODAY_NS)
    with psycopg.connect(native.url) as reader:
        reader.execute("SELECT count(*) FROM trade_rows")
        await native.record(TODAY_NS - 5 * DAY_NS)
        await native.keep()
        assert native.places()["other"] == 1
        assert native.days() == [-5, 0]
    await native.keep()
    assert "other" not in native.places()
    await native.keep(keep_trades_days=3)
    assert native.days() == [0]


async def test_many_make_the_same_days(native):
    times_ns = [TODAY_NS - days * DAY_NS for days in range(20)]

    async def make() -> None:
        async with native.database.transaction() as connection:
            await connection.execute("SELECT make_days('trade_rows', %s)", [times_ns])

    await asyncio.gather(*(make() for _ in range(4)))
    assert native.ask(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'trade_rows'::regclass"
    ) == [(21,)]


@pytest.mark.parametrize("days", [-1, 36_501])
def test_invalid_days_are_rejected(days):
    with pytest.raises(SettingError, match=r"storage\.keep_book_days"):
        StorageSettings(keep_book_days=days)
