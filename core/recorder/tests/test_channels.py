"""Tickers, marks, candles, status and repairs in the database."""

from decimal import Decimal

import psycopg
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from core.recorder.tests.market import (
    START_NS,
    TRADES,
    VENUE,
    Trade,
    batch,
    entry,
    recorded_gaps,
    recorded_trades,
    trade_batch,
    trades,
)
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Database

NOW_NS = START_NS + 10**12
KEYS = {
    name: StreamKey(VENUE, types_pb2.Channel.Value(f"CHANNEL_{name.upper()}"))
    for name in ("tickers", "marks", "candles", "status", "repairs")
}


@pytest.fixture
async def store(postgres_url):
    database = Database(postgres_url)
    yield RecorderStore(database)
    await database.close()


async def write(store, *messages):
    chunk = Chunk(await store.positions())
    for message in messages:
        chunk.add(entry(StreamKey(VENUE, message.channel), message), NOW_NS)
    return await store.write(await store.prepare(chunk))


def selected(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def made(name, sequence, columns, **rows):
    """A batch of BTCUSDT with these columns."""
    message = batch(KEYS[name], Cursor(1, sequence))
    message.instruments.add(symbol="BTCUSDT", price_scale=2, size_scale=5, rate_scale=8)
    count = len(next(iter(rows.values())))
    times = [START_NS + 1_000 * sequence + row for row in range(count)]
    defaults = {"instrument": [0] * count, "venue_time_ns": times, "received_time_ns": times}
    getattr(message, columns).CopyFrom(
        type(getattr(message, columns))(**{**defaults, **rows}),
    )
    return message


@pytest.mark.parametrize("count", [1, 100])
async def test_unknown_ticker_values_are_null(store, postgres_url, count):
    message = made(
        "tickers",
        1,
        "tickers",
        last_price=[6_183_763] * count,
        open_price=[0] * count,
        high_price=[7_000_000 + row * (row % 2) for row in range(count)],
        low_price=[row % 2 for row in range(count)],
        volume=[12_345] * count,
    )
    await write(store, message)
    found = selected(
        postgres_url,
        "SELECT last_price, open_price, high_price, low_price, volume FROM tickers"
        " ORDER BY received_time_ns",
    )
    assert found == [
        (
            Decimal("61837.63"),
            None,
            Decimal(7_000_000 + row * (row % 2)).scaleb(-2),
            Decimal("0.01") if row % 2 else None,
            Decimal("0.12345"),
        )
        for row in range(count)
    ]


async def test_marks_are_stored_exactly(store, postgres_url):
    message = made(
        "marks",
        1,
        "marks",
        mark_price=[6_183_763, 0],
        index_price=[0, 6_180_000],
        funding_rate=[-12_500, 0],
        next_funding_time_ns=[START_NS + 5, 0],
    )
    await write(store, message)
    assert selected(
        postgres_url,
        "SELECT mark_price, index_price, funding_rate, next_funding_time_ns FROM marks"
        " ORDER BY received_time_ns",
    ) == [
        (Decimal("61837.63"), None, Decimal("-0.00012500"), START_NS + 5),
        (None, Decimal("61800.00"), None, None),
    ]


def candles(sequence, *states):
    """Candles as (minute, close, closed)."""
    return made(
        "candles",
        sequence,
        "candles",
        interval_s=[60] * len(states),
        open_time_ns=[START_NS + minute * 60 * 10**9 for minute, _, _ in states],
        open=[100] * len(states),
        high=[900] * len(states),
        low=[50] * len(states),
        close=[close for _, close, _ in states],
        volume=[close * 10 for _, close, _ in states],
        closed=[closed for _, _, closed in states],
    )


def stored_candles(url):
    return selected(
        url,
        f"SELECT (open_time_ns - {START_NS}) / 60000000000, close, closed FROM candles"
        " ORDER BY open_time_ns",
    )


async def test_newest_state_of_a_candle_is_kept(store, postgres_url):
    await write(store, candles(1, (0, 100, False), (1, 5, False), (0, 150, True)))
    assert stored_candles(postgres_url) == [
        (0, Decimal("1.50"), True),
        (1, Decimal("0.05"), False),
    ]
    await write(store, candles(2, (1, 7, False), (2, 1, False)), candles(3, (1, 9, True)))
    assert stored_candles(postgres_url) == [
        (0, Decimal("1.50"), True),
        (1, Decimal("0.09"), True),
        (2, Decimal("0.01"), False),
    ]


def status(sequence, *reported):
    """Changes as (symbol, change, tick, time in s)."""
    message = batch(KEYS["status"], Cursor(1, sequence))
    for place, (symbol, change, tick, seconds) in enumerate(reported):
        message.instruments.add(symbol=symbol)
        message.status.instrument.append(place)
        message.status.change.append(change)
        message.status.definition.add(venue=VENUE, symbol=symbol, price_tick=tick)
        message.status.received_time_ns.append(START_NS + seconds * 10**9)
    return message


def stored_terms(url):
    return selected(
        url,
        f"SELECT symbol, (valid_from_ns - {START_NS}) / 1e9, (valid_to_ns - {START_NS}) / 1e9,"
        " change, definition->>'price_tick' FROM terms ORDER BY symbol, valid_from_ns",
    )


LISTED, DELISTED = batch_pb2.STATUS_CHANGE_LISTED, batch_pb2.STATUS_CHANGE_DELISTED
TERMS = batch_pb2.STATUS_CHANGE_TERMS


async def test_terms_are_valid_from_one_change_to_the_next(store, postgres_url):
    await write(store, status(1, ("BTC", LISTED, "0.01", 0), ("ETH", LISTED, "0.1", 0)))
    await write(
        store,
        # The process was restarted: everything is published again.
        status(2, ("BTC", LISTED, "0.01", 5), ("ETH", LISTED, "0.1", 5)),
        status(3, ("BTC", TERMS, "0.02", 7), ("BTC", TERMS, "0.05", 9)),
    )
    assert stored_terms(postgres_url) == [
        ("BTC", 0, 7, "listed", "0.01"),
        ("BTC", 7, 9, "terms", "0.02"),
        ("BTC", 9, None, "terms", "0.05"),
        ("ETH", 0, None, "listed", "0.1"),
    ]


async def test_terms_do_not_overlap_when_the_clock_steps_back(store, postgres_url):
    await write(store, status(1, ("BTC", LISTED, "0.01", 100)))
    await write(store, status(2, ("BTC", TERMS, "0.02", 50)))
    rows = selected(
        postgres_url, "SELECT valid_from_ns, valid_to_ns FROM terms ORDER BY valid_from_ns"
    )
    (first, ended), (second, still) = rows
    assert first < ended == second
    assert still is None


async def test_invalid_definition_is_a_gap(store, postgres_url):
    message = status(1, ("BTC", LISTED, "0.01\0", 0))
    short = status(2, ("BTC", LISTED, "0.01", 0))
    short.status.change.append(LISTED)
    await write(store, message, short)
    assert recorded_gaps(postgres_url) == [
        ("status", None, "malformed", 1, 1),
        ("status", None, "malformed", 1, 2),
    ]


def repair(sequence, rows, *fills):
    message = trade_batch(Cursor(1, sequence), rows)
    message.channel = types_pb2.CHANNEL_REPAIRS
    message.fills.extend(fills)
    return message


def fill(before, after, outcome=types_pb2.FILL_OUTCOME_COMPLETE, **fields):
    return types_pb2.HoleFill(
        symbol="BTCUSDT",
        outcome=outcome,
        last_id_before=before,
        first_id_after=after,
        repair_id="r1",
        **fields,
    )


async def test_repairs_add_missing_trades_and_close_the_gap(store, postgres_url):
    rows = trades(1, 20)
    gap = types_pb2.Gap(
        symbol="BTCUSDT",
        reason=types_pb2.GAP_REASON_SEQUENCE,
        last_id_before=5,
        first_id_after=11,
    )
    other = types_pb2.Gap(
        symbol="BTCUSDT",
        reason=types_pb2.GAP_REASON_SEQUENCE,
        last_id_before=15,
        first_id_after=18,
    )
    await write(store, trade_batch(Cursor(1, 1), rows[:5]))
    await write(store, trade_batch(Cursor(1, 2), [*rows[10:15], *rows[17:]], [gap, other]))
    # The venue's history rounds its times, and tells trades on both sides again.
    rounded = [
        Trade(row.trade_id, row.instrument, row.price, row.size, row.side, row.venue_time_ns + 400)
        for row in rows[3:12]
    ]
    duplicates = await write(store, repair(1, rounded, fill(5, 11)))
    assert duplicates == 4
    found = selected(postgres_url, "SELECT trade_id, repair_id FROM trades ORDER BY trade_id")
    assert found == [
        (number, "r1" if 5 < number < 11 else None) for number in [*range(1, 16), 18, 19, 20]
    ]
    assert selected(
        postgres_url,
        "SELECT last_id_before, fill_outcome, filled_time_ns, repair_id FROM gaps"
        " ORDER BY last_id_before",
    ) == [(5, "complete", START_NS, "r1"), (15, None, None, None)]


async def test_a_gap_without_ids_is_closed_by_its_times(store, postgres_url):
    gap = types_pb2.Gap(
        symbol="BTCUSDT",
        reason=types_pb2.GAP_REASON_RECONNECT,
        last_time_ns=START_NS + 10,
        first_time_ns=START_NS + 20,
    )
    await write(store, trade_batch(Cursor(1, 1), trades(1, 1), [gap]))
    around = {"start_time_ns": START_NS + 11, "end_time_ns": START_NS + 30}
    await write(store, repair(1, [], fill(0, 0, **around)))
    assert selected(postgres_url, "SELECT fill_outcome FROM gaps") == [(None,)]
    around["start_time_ns"] = START_NS + 10
    unavailable = types_pb2.FILL_OUTCOME_UNAVAILABLE
    await write(store, repair(2, [], fill(0, 0, unavailable, **around)))
    assert selected(postgres_url, "SELECT fill_outcome FROM gaps") == [("unavailable",)]
    await write(store, repair(3, [], fill(0, 0, **around)))
    await write(store, repair(4, [], fill(0, 0, unavailable, **around)))
    assert selected(postgres_url, "SELECT fill_outcome FROM gaps") == [("complete",)]


async def test_a_repair_is_written_once(store, postgres_url):
    message = repair(1, trades(1, 5), fill(0, 6))
    await write(store, message)
    message.cursor.sequence = 2
    assert await write(store, message) == 5
    assert len(recorded_trades(postgres_url)) == 5
    assert recorded_gaps(postgres_url) == []
    assert (await store.positions())[KEYS["repairs"]] == Cursor(1, 2)
    assert TRADES not in await store.positions()


async def test_inconsistent_repairs_are_a_gap(store, postgres_url):
    bad = repair(1, trades(1, 2))
    bad.trades.price.append(1)
    other = repair(2, trades(1, 2), fill(2**63, 2**63 + 1))
    await write(store, bad, other)
    assert recorded_gaps(postgres_url) == [
        ("repairs", None, "malformed", 1, 1),
        ("repairs", None, "malformed", 1, 2),
    ]
    assert recorded_trades(postgres_url) == []


async def test_rows_go_into_the_partition_of_their_day(store, postgres_url):
    days = [START_NS, START_NS + 3 * 86_400 * 10**9]
    wrong = 2**62
    rows = [Trade(number, venue_time_ns=at) for number, at in enumerate([*days, wrong], 1)]
    await write(store, trade_batch(Cursor(1, 1), rows))
    found = selected(
        postgres_url, "SELECT tableoid::regclass::text FROM trade_rows ORDER BY venue_time_ns"
    )
    assert [name for (name,) in found] == [
        "trade_rows_20240808",
        "trade_rows_20240811",
        "trade_rows_other",
    ]
