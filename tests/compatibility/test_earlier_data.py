"""What the version of November 2026 wrote to Redis and PostgreSQL is read as it was meant.

``earlier_data.json`` holds, as that version left them: ``streams``, entries of Redis Streams by key
(id and batch); ``tables``, rows of PostgreSQL in COPY's text format, which its recorder and its bar
aggregator made of those entries; ``read`` and ``read_bars``, what its archive read from the tables.
"""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from core.bars.settings import BarsSettings
from core.bars.tests import rig as bars_rig
from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from core.recorder.tests.market import BTC, Trade, trade_batch
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import Database
from kit.marketdata import native
from kit.marketdata.delivery.redis_streams import RedisStreams
from kit.storage.archive.archive import Archive

DATA = json.loads(Path(__file__).with_name("earlier_data.json").read_text())
VENUE = "binance"
NOW_NS = 1_795_000_000_000_000_000
RECORDED = (
    *("instruments", "trade_rows", "quote_rows", "ticker_rows", "mark_rows", "candle_rows"),
    *("book_batch_rows", "frame_rows", "gap_rows", "instrument_terms", "stream_positions"),
)
BARS = ("bars", "bar_instruments", "bar_positions")
VARYING = {"gap_rows": ("detected_time_ns", "detail"), "bars": ("written_time_ns",)}
"""Columns that follow the clock of the process that wrote them, or hold a text for people."""
ADDED_FIELDS = {
    "size_unit": "SIZE_UNIT_UNSPECIFIED",
    "settlement_asset": "",
    "contract_kind": "CONTRACT_KIND_UNSPECIFIED",
    "contract_value": "",
    "contract_value_asset": "",
}
"""Fields of Instrument that this version did not have, and what they are in its entries."""
BAR_SETTINGS = BarsSettings(
    store_interval_ms=10, kept_seconds=5, lease_seconds=2.0, kinds=("tick:2", "range:10")
)


def load(url, tables):
    """Write the earlier rows of these tables."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table in tables:
            columns, rows = DATA["tables"][table].values()
            cursor.execute(f"TRUNCATE {table} CASCADE".encode())
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
                copy.write("".join(f"{row}\n" for row in rows))


def stored(url, table):
    """Rows of a table as lists of texts, without the varying columns."""
    columns = DATA["tables"][table]["columns"]
    query = f"COPY (SELECT {columns} FROM {table}) TO STDOUT".encode()
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(query) as copy,
    ):
        return comparable(table, b"".join(copy).decode().splitlines())


def comparable(table, rows):
    columns = DATA["tables"][table]["columns"].split(", ")
    shown = [place for place, name in enumerate(columns) if name not in VARYING.get(table, ())]
    return sorted(
        [without_added_fields(columns[place], row.split("\t")[place]) for place in shown]
        for row in rows
    )


def without_added_fields(column, text):
    """The definition of an instrument as this version wrote it; another column as it is."""
    if column != "definition":
        return text
    fields = json.loads(text)
    assert all(fields.pop(name, value) == value for name, value in ADDED_FIELDS.items())
    return json.dumps(fields, sort_keys=True)


def fill_streams(url):
    connection = redis.Redis.from_url(url)
    for key, entries in DATA["streams"].items():
        connection.sadd("md:streams", key)
        for entry_id, batch in entries:
            connection.xadd(key, {"b": bytes.fromhex(batch)}, id=entry_id)


async def test_earlier_stream_entries_become_the_same_rows(valkey_url, postgres_url):
    fill_streams(valkey_url)
    streams, database = RedisStreams(valkey_url), Database(postgres_url)
    positions = dict.fromkeys(await streams.keys(), START)
    assert sorted(map(str, positions)) == sorted(DATA["streams"])
    store = RecorderStore(database)
    chunk = Chunk(await store.positions())
    for entry in await streams.read(positions, 100, 1):
        assert chunk.add(entry, NOW_NS) is None
    await store.write(await store.prepare(chunk))
    for table in RECORDED:
        assert stored(postgres_url, table) == comparable(table, DATA["tables"][table]["rows"])
    await streams.close()
    await database.close()


@pytest.mark.skipif(native.library is None, reason="another order of fields without a C compiler")
async def test_earlier_rows_are_read_as_the_same_bytes(postgres_url):
    load(postgres_url, (*RECORDED, *BARS))
    archive = Archive(postgres_url)
    for name, batches in DATA["read"].items():
        channel = StreamKey.parse(f"md:{{{VENUE}}}:{name}").channel
        found = [batch.hex() async for batch in archive.batches(VENUE, channel)]
        assert found == batches
    bars = [
        message.hex()
        for interval in ("1s", "1m", "tick:2")
        async for message in archive.bars(VENUE, "BTCUSDT", interval)
    ]
    assert bars == DATA["read_bars"]
    await archive.close()


async def test_bars_go_on_from_earlier_rows(valkey_url, postgres_url):
    """An aggregator that finds the earlier rows makes the bars of one that has read all trades."""
    fill_streams(valkey_url)
    later = Trade(3_700_000_005, BTC, venue_time_ns=1_723_100_060_000_000_000)
    async with following(valkey_url, postgres_url, Cursor(5, 2)) as rig:
        await rig.append(trade_batch(Cursor(5, 3), [later]))
        await rig.stored()
        whole = await settled_bars(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("TRUNCATE bars, bar_revisions, bar_instruments, bar_positions")
    load(postgres_url, (*RECORDED, *BARS))
    async with following(valkey_url, postgres_url, Cursor(5, 3)):
        assert await settled_bars(postgres_url) == whole


@asynccontextmanager
async def following(valkey_url, postgres_url, newest):
    """An aggregator that has stored the trades up to this entry, and all repairs."""
    rig = bars_rig.Rig(valkey_url, postgres_url, BAR_SETTINGS)
    rig.newest, rig.repaired = newest, Cursor(5, 1)
    async with rig.running():
        await rig.stored()
        await rig.repairs_stored()
        yield rig
    await rig.close()


async def settled_bars(url):
    """The bars, once the trades before the last one are in bars that end with a trade."""

    async def are_there():
        final = [row for row in stored(url, "bars") if row[2] == "tick:2" and row[14] == "t"]
        return len(final) >= 2

    await bars_rig.eventually(are_there)
    return stored(url, "bars")
