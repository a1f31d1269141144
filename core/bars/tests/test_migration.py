import shutil

import psycopg

from core.bars.shards import SHARDS
from core.bars.store import BarStore
from core.bars.tests.market import MONDAY_NS
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Database
from kit.base.migration import migrate
from kit.base.schema import SCHEMA_DIR
from kit.events.shared_leases import SharedLeases

OLD_BAR = (
    "INSERT INTO bars VALUES ('binance', 'BTCUSDT', %s, %s, 1.5, 2, 1, 1.5, 3, 1, 4.5, 2, 7, 1,"
    " true, 8, 9, 10, 11)"
)


async def test_data_of_an_earlier_version_are_migrated(empty_postgres_url, tmp_path) -> None:
    for file in SCHEMA_DIR.glob("[0-9]*.sql"):
        if file.name < "0006":
            shutil.copy(file, tmp_path)
    await migrate(empty_postgres_url, tmp_path)
    connection = await psycopg.AsyncConnection.connect(empty_postgres_url, autocommit=True)
    async with connection:
        for interval in ("1s", "15m", "1w"):
            await connection.execute(OLD_BAR, [interval, MONDAY_NS])
        await connection.execute(
            "INSERT INTO stream_positions VALUES ('bars', 'md:{binance}:trades', 5, 6),"
            " ('recorder', 'md:{binance}:trades', 5, 7)"
        )
        await connection.execute("INSERT INTO bar_venues VALUES ('binance', 99)")
        await connection.execute(
            "INSERT INTO bar_instruments VALUES"
            " ('binance', 'BTCUSDT', 2, 3, 1, 9, '[[1, 5]]', 1, '[]')"
        )
        await migrate(empty_postgres_url)
        rows = await connection.execute(
            "SELECT interval, close_time_ns - open_time_ns, number, revision, open::text,"
            " written_time_ns = close_time_ns FROM bars ORDER BY 2"
        )
        assert await rows.fetchall() == [
            ("1s", 10**9, 0, 1, "1.5", True),
            ("15m", 900 * 10**9, 0, 1, "1.5", True),
            ("1w", 604_800 * 10**9, 0, 1, "1.5", True),
        ]
        rows = await connection.execute("SELECT consumer FROM stream_positions")
        assert await rows.fetchall() == [("recorder",)]
        rows = await connection.execute(
            "SELECT count(*), min(sequence), max(newest_time_ns) FROM bar_positions"
        )
        assert await rows.fetchall() == [(SHARDS, 6, 99)]
    database = Database(empty_postgres_url)
    leases = SharedLeases(database, "bars", "bars", SHARDS, seconds=3.0)
    assert await BarStore(database, leases).done() == {
        StreamKey.parse("md:{binance}:trades"): Cursor(5, 6)
    }
    await database.close()
