"""What the database itself makes of the days: packed by columns, and minutes to check bars by."""

import psycopg
import pytest

from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from core.recorder.tests.market import (
    BTC,
    ETH,
    START_NS,
    TRADES,
    Trade,
    entry,
    expected_trades,
    recorded_trades,
    trade_batch,
    trades,
)
from kit.base.cursor import Cursor
from kit.base.database import Database
from kit.base.migration import migrate

MINUTE_NS = 60_000_000_000
OPEN_NS = START_NS - START_NS % MINUTE_NS
BAR = (
    "INSERT INTO bars (venue, symbol, interval, open_time_ns, open, high, low, close, volume,"
    " buy_volume, quote_volume, trade_count, covered_ns, revision, final, first_time_ns,"
    " first_trade_id, last_time_ns, last_trade_id, close_time_ns, written_time_ns)"
    " SELECT venue, symbol, '1m', open_time_ns, open, high, low, close, volume, buy_volume,"
    " quote_volume, trade_count, 0, 0, true, 0, 0, 0, 0, 0, 0 FROM trade_minutes"
)


async def record(url: str, number: int, rows: list[Trade]) -> int:
    """Returns how many were there already."""
    database = Database(url)
    store = RecorderStore(database)
    chunk = Chunk(await store.positions())
    chunk.add(entry(TRADES, trade_batch(Cursor(1, number), rows)), START_NS)
    duplicates = await store.write(await store.prepare(chunk))
    await database.close()
    return duplicates


def ask(url: str, *statements: str) -> list[tuple]:
    """Rows of the last statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def expected(numbered: list[Trade], texts: list[Trade]) -> list[tuple]:
    """Both kinds of trades, each once."""
    return sorted([*expected_trades(numbered), *expected_trades(texts)])


async def test_compressed_day_keeps_rows_and_accepts_late_trades_once(timescale_url):
    await migrate(timescale_url)
    rows, texts = [*trades(1, 500), *trades(1, 500, ETH)], [Trade("one"), Trade("two", ETH)]
    await record(timescale_url, 1, rows)
    await record(timescale_url, 2, texts)
    ((chunk,),) = ask(timescale_url, "SELECT show_chunks('trade_rows')::text")
    pack = f"CALL convert_to_columnstore('{chunk}')"
    ask(timescale_url, pack)
    assert ask(timescale_url, "SELECT packed FROM storage_days") == [(True,)]
    assert sorted(recorded_trades(timescale_url)) == expected(rows, texts)
    late, late_texts = [*trades(490, 20), *trades(700, 5, ETH)], [Trade("one"), Trade("three")]
    assert await record(timescale_url, 3, late) == 11
    assert await record(timescale_url, 4, late_texts) == 1
    ask(timescale_url, pack)
    assert await record(timescale_url, 5, [*late, *rows]) == len(late) + len(rows)
    everything = expected([*rows, *late], [*texts, *late_texts])
    assert sorted(recorded_trades(timescale_url)) == everything


async def test_minutes_equal_the_bars_of_the_trades(any_database_url):
    await migrate(any_database_url)
    # Of three trades at one time the ids tell the order.
    rows = [
        Trade(8, price=700, size=1, venue_time_ns=OPEN_NS + 5, side=2),
        Trade(7, price=900, size=10, venue_time_ns=OPEN_NS + 5),
        Trade(9, price=800, size=100, venue_time_ns=OPEN_NS + 5, side=0),
        Trade(10, price=500, size=7, venue_time_ns=OPEN_NS + MINUTE_NS),
    ]
    await record(any_database_url, 1, rows)
    assert ask(
        any_database_url,
        "SELECT open_time_ns, concat_ws(' ', open, high, low, close, volume, buy_volume,"
        " quote_volume), trade_count, numbered_count FROM trade_minutes ORDER BY 1",
    ) == [
        (OPEN_NS, "9.00 9.00 7.00 8.00 0.00111 0.00010 0.0089700", 3, 3),
        (OPEN_NS + MINUTE_NS, "5.00 5.00 5.00 5.00 0.00007 0.00007 0.0003500", 1, 1),
    ]


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ("SELECT 1", 0),
        ("UPDATE bars SET open = open + 0.00000001 WHERE symbol = 'BTCUSDT'", 1),
        ("UPDATE bars SET buy_volume = 0", 2),
        ("DELETE FROM bars", 2),
        ("DELETE FROM trade_rows", 2),
    ],
)
async def test_bars_that_trades_do_not_make_are_shown(any_database_url, change, differences):
    await migrate(any_database_url)
    late = Trade(3, ETH, venue_time_ns=OPEN_NS + MINUTE_NS)
    await record(any_database_url, 1, [Trade(1, BTC), Trade(2, BTC, price=5), late])
    ask(any_database_url, BAR)
    ask(any_database_url, change)
    assert len(ask(any_database_url, "SELECT * FROM bar_differences")) == differences


async def test_minutes_that_are_kept_follow_late_trades(timescale_url):
    await migrate(timescale_url)
    refresh = f"CALL refresh_continuous_aggregate('trade_minute_rows', 0, {OPEN_NS + MINUTE_NS})"
    count = "SELECT trade_count, high::text FROM trade_minutes"
    await record(timescale_url, 1, [Trade(1, price=500, venue_time_ns=OPEN_NS + 1)])
    ask(timescale_url, refresh)
    await record(timescale_url, 2, [Trade(2, price=900, venue_time_ns=OPEN_NS)])
    ask(timescale_url, refresh)
    assert ask(timescale_url, count) == [(2, "9.00")]
