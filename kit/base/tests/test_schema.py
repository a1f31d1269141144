"""The numbered files of the schema: from empty, and from each earlier version with data in it."""

from pathlib import Path
from shutil import copy

import psycopg
import pytest
from psycopg import sql

from kit.base.migration import migrate
from kit.base.schema import SCHEMA_DIR

FILES = sorted(SCHEMA_DIR.glob("[0-9]*.sql"))
VERSIONS = [int(file.name[:4]) for file in FILES]
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 20_000 * DAY_NS
"""Of 2024-10-04, UTC."""
TIMES_NS = [
    *(MIDNIGHT_NS - 1, MIDNIGHT_NS, MIDNIGHT_NS + 1, MIDNIGHT_NS + DAY_NS - 1),
    # Times that cannot be right: not known, long before there was a venue, and in a far future.
    *(0, 1_500, 90 * 365 * DAY_NS),
]

# What every version takes.
INSTRUMENT = "INSERT INTO instruments (venue, symbol) VALUES ('v', 'A'), ('v', 'B')"
TRADE = (
    "INSERT INTO trade_rows (instrument_id, side, venue_time_ns, received_time_ns, trade_id, price,"
    " size, trade_id_text) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
QUOTE = (
    "INSERT INTO quote_rows (instrument_id, venue_time_ns, received_time_ns, sequence, bid_price,"
    " bid_size, ask_price, ask_size) VALUES (%s, %s, %s, 5, 1.10, 0.000000000000000001, %s, 7)"
)
BOOK = (
    "INSERT INTO book_batch_rows (venue, epoch, sequence, first_received_time_ns,"
    " last_received_time_ns, update_count, instrument_ids, snapshot_instrument_ids, batch)"
    " VALUES ('v', 1, %s, %s, %s, 2, '{1,2}', '{2}', '\\x00ff')"
)
GAP = "INSERT INTO gap_rows VALUES ('v', 1, 1, 9, 0, 'A', 3, 5, 8, 1000, 2000, 3000, 'words')"
POSITION = "INSERT INTO stream_positions VALUES ('recorder', 'md:{v}:trades', 7, 8)"
BAR = (
    "INSERT INTO bars (venue, symbol, interval, open_time_ns, open, high, low, close, volume,"
    " buy_volume, quote_volume, trade_count, covered_ns, revision, final, first_time_ns,"
    " first_trade_id, last_time_ns, last_trade_id)"
    " VALUES ('v', 'A', '1m', 60000000000, 1.0, 2, 1, 2, 5, 3, 7.50, 2, 1, 0, true, 1, 1, 2, 2)"
)

SHOWN = {
    "trades": "venue, symbol, trade_id, trade_id_text, price, size, side, venue_time,"
    " received_time, venue_time_ns, received_time_ns",
    "quotes": "venue, symbol, bid_price, bid_size, ask_price, ask_size, venue_time,"
    " received_time, venue_time_ns, received_time_ns, sequence",
    "book_batches": "venue, symbols, snapshot_symbols, update_count, first_received_time,"
    " last_received_time, first_received_time_ns, last_received_time_ns, epoch, sequence, batch",
    "gaps": "venue, channel, symbol, reason, last_id_before, first_id_after, last_time, first_time,"
    " detected_time, last_time_ns, first_time_ns, detected_time_ns, detail, epoch, sequence",
    "stream_positions": "consumer, stream, epoch, sequence",
    "bars": "venue, symbol, interval, open_time_ns, open, high, low, close, volume, buy_volume,"
    " quote_volume, trade_count, covered_ns, revision, final, first_time_ns, first_trade_id,"
    " last_time_ns, last_trade_id",
}


def schema_of(version: int, folder: Path) -> Path:
    """The files up to this number."""
    for file, number in zip(FILES, VERSIONS, strict=True):
        if number <= version:
            copy(file, folder)
    return folder


def fill(url: str, version: int) -> None:
    """Rows of all kinds that the version has."""
    with psycopg.connect(url) as connection:
        connection.execute(INSTRUMENT)
        connection.execute(GAP)
        connection.execute(POSITION)
        for number, time_ns in enumerate(TIMES_NS, 1):
            received_ns = time_ns + 9
            for instrument_id in (1, 2):
                price = f"{number}.{instrument_id}00"
                row = [instrument_id, number % 3, time_ns, received_ns]
                connection.execute(TRADE, [*row, number, price, "0.5", None])
                connection.execute(TRADE, [*row, None, price, "1E-18", f"text {number}"])
                connection.execute(QUOTE, [instrument_id, time_ns, received_ns, price])
            connection.execute(BOOK, [number, time_ns, received_ns])
        if version >= 6:
            later = " first_trade_id, last_time_ns, last_trade_id"
            more = f"{later}, close_time_ns, written_time_ns"
            connection.execute(BAR.replace(later, more).replace("2, 2)", "2, 2, 3, 4)"))
        elif version >= 2:
            connection.execute(BAR)


def shown(url: str, version: int) -> dict[str, list[tuple[object, ...]]]:
    """All that people read, exactly as it is written."""
    with psycopg.connect(url) as connection:
        return {
            name: connection.execute(
                sql.SQL("SELECT shown::text FROM (SELECT {} FROM {}) AS shown ORDER BY 1").format(
                    sql.SQL(columns), sql.Identifier(name)
                )
            ).fetchall()
            for name, columns in SHOWN.items()
            if version >= 2 or name != "bars"
        }


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_was_recorded_is_the_same_after_a_change_of_schema(
    any_database_url: str, tmp_path: Path, version: int
) -> None:
    await migrate(any_database_url, schema_of(version, tmp_path))
    fill(any_database_url, version)
    before = shown(any_database_url, version)
    assert [len(before[name]) for name in ("trades", "quotes", "book_batches")] == [28, 14, 7]
    await migrate(any_database_url)
    assert shown(any_database_url, version) == before
    with psycopg.connect(any_database_url) as connection:
        applied = connection.execute("SELECT number FROM schema_migrations ORDER BY 1").fetchall()
    assert [number for (number,) in applied] == VERSIONS


async def test_what_was_recorded_before_lies_in_its_day(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    await migrate(empty_postgres_url, schema_of(3, tmp_path))
    fill(empty_postgres_url, 3)
    await migrate(empty_postgres_url)
    with psycopg.connect(empty_postgres_url) as connection:
        rows = connection.execute(
            "SELECT tableoid::regclass::text, count(*) FROM trade_rows GROUP BY 1 ORDER BY 1"
        ).fetchall()
        expected = [
            ("trade_rows_20241003", 4),
            ("trade_rows_20241004", 12),
            ("trade_rows_other", 12),
        ]
        assert rows == expected
        again = connection.execute(
            "INSERT INTO trade_rows SELECT * FROM trade_rows ON CONFLICT DO NOTHING"
        )
    assert again.rowcount == 0


async def test_each_table_is_cut_by_its_time(any_database_url: str) -> None:
    await migrate(any_database_url)
    with psycopg.connect(any_database_url) as connection:
        tables = connection.execute("SELECT table_name FROM storage_tables").fetchall()
        cut = connection.execute(
            "SELECT count(*) FROM pg_partitioned_table JOIN storage_tables"
            " ON partrelid = to_regclass(table_name)"
        ).fetchone()
        if cut == (0,):
            cut = connection.execute(
                "SELECT count(*) FROM timescaledb_information.hypertables JOIN storage_tables"
                " ON hypertable_name = table_name"
            ).fetchone()
    assert cut == (len(tables),) == (7,)
