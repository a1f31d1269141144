import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from core.recorder.tests.market import (
    BTC,
    ETH,
    QUOTES,
    START_NS,
    TRADES,
    Instrument,
    Trade,
    count,
    entry,
    exact,
    expected_trades,
    quote_batch,
    recorded_gaps,
    recorded_trades,
    trade_batch,
    trades,
)
from kit.base.cursor import Cursor
from kit.base.database import ConsumerPositionConflict, Database

NOW_NS = START_NS + 10**12


@pytest.fixture
async def store(postgres_url):
    database = Database(postgres_url)
    yield RecorderStore(database)
    await database.close()


async def write(store, *entries, before=None):
    chunk = Chunk(await store.positions() if before is None else before)
    for each in entries:
        chunk.add(each, NOW_NS)
    return await store.write(await store.prepare(chunk))


async def test_trades_of_many_instruments_are_stored_exactly(store, postgres_url):
    rows = [
        *trades(1, 5),
        *trades(1, 5, ETH),
        Trade(9, Instrument("DUST", 18, 0), price=-(2**63), size=2**63 - 1, side=0),
        Trade(10, Instrument("DUST", 0, 18), price=0, size=1, side=77),
    ]
    await write(store, entry(TRADES, trade_batch(Cursor(1, 1), rows)))
    assert recorded_trades(postgres_url) == expected_trades(rows)


async def test_plain_sql_in_human_units_works(store, postgres_url):
    await write(store, entry(TRADES, trade_batch(Cursor(1, 1), [Trade(5, venue_time_ns=1_500)])))
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute(
            "SELECT price::text, size::text, side, trade_id, venue_time_ns,"
            " extract(microsecond FROM venue_time)::int, received_time_ns"
            " FROM trades WHERE venue = 'binance' AND symbol = 'BTCUSDT'"
        ).fetchone()
    assert row == ("61837.63", "0.12345", "buy", 5, 1_500, 1, 5_001_500)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.builds(
            Trade,
            trade_id=st.integers(1, 60),
            instrument=st.sampled_from([BTC, ETH, BTC._replace(price_scale=7), Instrument("X", 0)]),
            price=st.integers(-(2**63), 2**63 - 1),
            size=st.integers(0, 10**12),
            side=st.integers(0, 2),
        ),
        max_size=120,
    ),
    cut=st.integers(0, 120),
)
async def test_first_of_equal_ids_is_kept(postgres_url, rows, cut):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("TRUNCATE trade_rows, stream_positions, gap_rows")
    database = Database(postgres_url)
    store = RecorderStore(database)
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    duplicates = [
        await write(store, entry(TRADES, trade_batch(Cursor(1, number), part)))
        for number, part in enumerate(parts, 1)
    ]
    await database.close()
    expected = expected_trades(rows)
    assert recorded_trades(postgres_url) == expected
    assert sum(duplicates) == len(rows) - len(expected)


async def test_trades_with_text_ids_are_stored_once(store, postgres_url):
    rows = [Trade("a-1"), Trade("b ü"), Trade("a-1", price=1), Trade("a-1", ETH)]
    await write(store, entry(TRADES, trade_batch(Cursor(1, 1), rows)))
    await write(store, entry(TRADES, trade_batch(Cursor(1, 2), [*rows, Trade("c")])))
    assert recorded_trades(postgres_url) == expected_trades([*rows, Trade("c")])


async def test_trades_without_ids_are_all_stored(store, postgres_url):
    message = trade_batch(Cursor(7, 1), [Trade(0), Trade(0), Trade(0, ETH)])
    await write(store, entry(TRADES, message))
    assert [row[1] for row in recorded_trades(postgres_url)] == ["7-1:0", "7-1:1", "7-1:2"]


async def test_trades_with_numbers_and_texts_share_a_transaction(store, postgres_url):
    numbers, texts = trades(1, 3), [Trade("x"), Trade("y")]
    both = (
        entry(TRADES, trade_batch(Cursor(1, 1), numbers)),
        entry(TRADES, trade_batch(Cursor(1, 2), texts)),
    )
    assert await write(store, *both) == 0
    again = [each._replace(cursor=Cursor(1, each.cursor.sequence + 2)) for each in both]
    assert await write(store, *again) == 5
    assert len(recorded_trades(postgres_url)) == 5


async def test_large_batches_are_stored_like_small_ones(store, postgres_url):
    rows = [*trades(1, 200), *trades(1, 200, ETH), *trades(201, 200)]
    await write(store, entry(TRADES, trade_batch(Cursor(1, 1), rows)))
    assert recorded_trades(postgres_url) == expected_trades(rows)


async def test_quotes_are_stored_exactly(store, postgres_url):
    await write(
        store,
        entry(QUOTES, quote_batch(Cursor(1, 1), [100, 7])),
        entry(QUOTES, quote_batch(Cursor(1, 2), [5], ETH)),
    )
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT symbol, bid_price, bid_size, ask_price, ask_size, received_time_ns, sequence"
            " FROM quotes ORDER BY symbol, received_time_ns"
        ).fetchall()
    assert rows == [
        (symbol, exact(n, p), exact(n + 1, s), exact(n + 2, p), exact(n + 3, s), START_NS + n, n)
        for symbol, p, s, n in [("BTCUSDT", 2, 5, 7), ("BTCUSDT", 2, 5, 100), ("ETHUSDT", 4, 8, 5)]
    ]


async def test_gaps_are_stored_with_all_their_fields(store, postgres_url):
    gap = types_pb2.Gap(
        symbol="BTCUSDT",
        reason=types_pb2.GAP_REASON_SEQUENCE,
        last_id_before=5,
        first_id_after=9,
        last_time_ns=1_000,
        first_time_ns=2_000,
        detected_time_ns=3_000,
        detail="four\0 are missing",
    )
    whole = types_pb2.Gap(reason=types_pb2.GAP_REASON_RESTART)
    message = trade_batch(Cursor(4, 1), trades(9, 1), [gap, whole])
    await write(store, entry(TRADES, message))
    assert recorded_gaps(postgres_url) == [
        ("trades", None, "restart", 4, 1),
        ("trades", "BTCUSDT", "sequence", 4, 1),
    ]
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT last_id_before, first_id_after, last_time_ns, first_time_ns, detected_time_ns,"
            " detail FROM gaps ORDER BY reason DESC"
        ).fetchall()
    assert rows == [(5, 9, 1_000, 2_000, 3_000, "four are missing"), (0, 0, 0, 0, NOW_NS, "")]


async def test_rows_and_positions_are_written_together_or_not_at_all(store, postgres_url):
    first = entry(TRADES, trade_batch(Cursor(1, 1), trades(1, 3)))
    second = entry(TRADES, trade_batch(Cursor(1, 2), trades(4, 3)))
    await write(store, first)
    with pytest.raises(ConsumerPositionConflict):
        await write(store, first, second, before={})
    assert count(postgres_url, "trades") == 3
    await write(store, second)
    assert await store.positions() == {TRADES: Cursor(1, 2)}
    assert count(postgres_url, "trades") == 6
