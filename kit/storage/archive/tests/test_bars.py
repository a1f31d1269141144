"""Bars are read as columns, exact, as they are or as they were."""

import psycopg
import pytest
from venuemesh.history.v1 import columns_pb2

from kit.base.errors import NotSupported
from kit.storage.archive.archive import Archive

MINUTE_NS = 60_000_000_000
NAMES = (
    "venue, symbol, interval, open_time_ns, number, close_time_ns, open, high, low, close, volume,"
    " buy_volume, quote_volume, trade_count, covered_ns, revision, final, first_time_ns,"
    " first_trade_id, last_time_ns, last_trade_id, written_time_ns"
)


@pytest.fixture
async def store(postgres_url):
    archive = Archive(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("INSERT INTO instruments (venue, symbol) VALUES ('binance', 'BTCUSDT')")
        yield archive, connection
    await archive.close()


def add_bar(
    connection, minute, close, *, written_ns=1, revision=0, superseded_ns=0, interval="1m", number=0
):
    """One with prices and sizes that need different places."""
    row = [
        *("binance", "BTCUSDT", interval, minute * MINUTE_NS, number, (minute + 1) * MINUTE_NS),
        *("1.5", "61837.25", "1", close, "0.001", "0", "1.85001", 7, MINUTE_NS, revision, True),
        *(0, 0, 0, 0, written_ns),
    ]
    table, names = "bars", NAMES
    if superseded_ns:
        table, names = "bar_revisions", f"{NAMES}, superseded_time_ns"
        row.append(superseded_ns)
    marks = ", ".join(["%s"] * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)


async def read(archive, *rest, interval="1m", **options):
    parts = archive.bars("binance", "BTCUSDT", interval, *rest, **options)
    return [columns_pb2.BarColumns.FromString(part) async for part in parts]


def closes(messages):
    return [value / 10**one.price_scale for one in messages for value in one.close]


async def test_bars_come_by_open_time_exact(store):
    archive, connection = store
    for minute in (2, 1, 3):
        add_bar(connection, minute, f"{minute}.25")
    first, second = await read(archive, rows_max=2)
    assert list(first.open_time_ns) == [MINUTE_NS, 2 * MINUTE_NS]
    assert (first.price_scale, first.size_scale) == (2, 3)
    assert list(first.close_time_ns) == [2 * MINUTE_NS, 3 * MINUTE_NS]
    assert list(first.number) == [0, 0]
    assert list(first.high) == [6183725] * 2
    assert list(first.volume) == [1, 1]
    assert list(first.quote_volume) == [185001] * 2
    assert list(first.close) == [125, 225]
    assert list(first.final) == [True, True]
    assert list(second.close) == [325]
    assert closes(await read(archive, 2 * MINUTE_NS, 3 * MINUTE_NS)) == [2.25]


async def test_bars_of_other_kinds_end_when_they_end_and_have_numbers(store):
    archive, connection = store
    for number in (1, 0):
        add_bar(connection, 5, f"{number}.5", interval="tick:10", number=number)
    (found,) = await read(archive, interval="tick:10")
    assert list(found.number) == [0, 1]
    assert list(found.close_time_ns) == [6 * MINUTE_NS] * 2
    assert closes([found]) == [0.5, 1.5]


async def test_bars_as_they_stood_at_a_time(store):
    archive, connection = store
    add_bar(connection, 1, "3", written_ns=30, revision=2)
    add_bar(connection, 1, "2", written_ns=20, revision=1, superseded_ns=30)
    add_bar(connection, 1, "1", written_ns=10, superseded_ns=20)
    assert closes(await read(archive)) == [3]
    found = {at: closes(await read(archive, as_of_ns=at)) for at in (9, 10, 19, 20, 29, 30)}
    assert found == {9: [], 10: [1], 19: [1], 20: [2], 29: [2], 30: [3]}


async def test_number_that_does_not_fit_is_an_error(store):
    archive, connection = store
    add_bar(connection, 1, "12345678901234567.25")
    with pytest.raises(NotSupported, match="64 bits"):
        await read(archive)
