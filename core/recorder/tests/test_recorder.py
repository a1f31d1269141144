import asyncio
from dataclasses import replace

import pytest
import redis
from venuemesh.common.v1 import types_pb2

from core.recorder.store import CONSUMER
from core.recorder.tests.market import (
    BOOK,
    QUOTES,
    TRADES,
    batch,
    book_batch,
    count,
    entry,
    expected_trades,
    quote_batch,
    recorded_gaps,
    recorded_trades,
    trade_batch,
    trades,
)
from core.recorder.tests.rig import Rig, rig_for
from kit.base.clock import SystemClock
from kit.base.cursor import Cursor, StreamKey
from tests.support.waiting import WAIT_SECONDS_MAX, until

EXPIRED = types_pb2.Gap(reason=types_pb2.GAP_REASON_CURSOR_EXPIRED)


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


def trade_entries(count, rows_each=3, epoch=1):
    return [
        entry(TRADES, trade_batch(Cursor(epoch, number), trades(number * rows_each, rows_each)))
        for number in range(1, count + 1)
    ]


async def test_every_stream_is_recorded(rig: Rig, postgres_url):
    other = StreamKey("kraken", types_pb2.CHANNEL_TRADES)
    await rig.append(
        *trade_entries(3),
        entry(QUOTES, quote_batch(Cursor(1, 1), [1, 2])),
        entry(BOOK, book_batch(Cursor(1, 1))),
    )
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 3))
        await rig.append(entry(other, trade_batch(Cursor(5, 1), trades(1, 2))))
        await rig.recorded(other, Cursor(5, 1))
    assert recorded_gaps(postgres_url) == []
    assert [count(postgres_url, view) for view in ("trades", "quotes", "book_batches")] == [
        3 * 3 + 2,
        2,
        1,
    ]
    assert rig.meter.events_total == 9 + 2 + 1 + 2


async def test_the_group_follows_what_is_recorded(rig: Rig):
    await rig.append(*trade_entries(2))
    async with rig.running():
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (await rig.streams.groups(TRADES)).get(CONSUMER) != Cursor(1, 2):
                assert await rig.position(TRADES) <= Cursor(1, 2)
                await asyncio.sleep(0.01)
    assert rig.meter.lag_entries in (0, 2)


async def test_a_checkpoint_moves_the_position_alone(rig: Rig, postgres_url):
    await rig.append(entry(BOOK, batch(BOOK, Cursor(1, 1))))
    async with rig.running():
        await rig.recorded(BOOK, Cursor(1, 1))
    assert count(postgres_url, "book_batches") == 0
    assert recorded_gaps(postgres_url) == []


async def test_duplicates_of_the_venue_are_recorded_once(rig: Rig, postgres_url):
    rows = trades(1, 40)
    again = replace(rows[6], price=1)
    parts = [rows[:20], rows[10:30], rows[:5], rows[25:]]
    await rig.append(
        *(
            entry(TRADES, trade_batch(Cursor(1, number), part))
            for number, part in enumerate(parts, 1)
        )
    )
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 4))
        await rig.append(entry(TRADES, trade_batch(Cursor(1, 5), [again])))
        await rig.recorded(TRADES, Cursor(1, 5))
        # The recorder counts after it has committed.
        await until(lambda: rig.meter.counters["duplicate_rows_total"] >= 10 + 5 + 5 + 1)
    assert recorded_trades(postgres_url) == expected_trades(rows)
    assert rig.meter.counters["duplicate_rows_total"] == 10 + 5 + 5 + 1


def unreadable(cursor: Cursor) -> list[bytes]:
    """Bytes that are no batch of trades, each in its own way."""
    messages = [trade_batch(cursor, trades(1, 2)) for _ in range(5)]
    messages[0].trades.price.append(1)
    messages[1].trades.instrument[1] = 1
    messages[2].instruments[0].price_scale = 4_000_000_000
    messages[3].instruments[0].symbol = "BTC\0USDT"
    messages[4].trades.trade_id_text.extend(["1", "2", "3"])
    others = [b"\xff\xff\xff", b"", quote_batch(cursor, [1]).SerializeToString()]
    return [*others, *(message.SerializeToString() for message in messages)]


async def test_unreadable_batches_are_gaps(rig: Rig, postgres_url):
    bad = unreadable(Cursor(1, 1))
    for number, message in enumerate(bad):
        await rig.append(
            entry(TRADES, message, Cursor(1, 2 * number + 1)),
            entry(TRADES, trade_batch(Cursor(1, 2 * number + 2), trades(number * 3, 3))),
        )
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 2 * len(bad)))
    assert recorded_gaps(postgres_url) == [
        ("trades", None, "malformed", 1, 2 * number + 1) for number in range(len(bad))
    ]
    assert recorded_trades(postgres_url) == expected_trades(trades(0, 3 * len(bad)))
    assert not rig.is_degraded


@pytest.mark.parametrize("rows", [2, 100])
async def test_number_beyond_63_bits_is_malformed(rig: Rig, postgres_url, rows):
    message = quote_batch(Cursor(1, 1), range(rows))
    message.quotes.sequence[-1] = 2**64 - 1
    await rig.append(entry(QUOTES, message), entry(QUOTES, quote_batch(Cursor(1, 2), range(rows))))
    async with rig.running():
        await rig.recorded(QUOTES, Cursor(1, 2))
    assert recorded_gaps(postgres_url) == [("quotes", None, "malformed", 1, 1)]
    assert count(postgres_url, "quotes") == rows


async def test_inconsistent_book_batches_are_gaps(rig: Rig, postgres_url):
    columns = ("snapshot", "bid_count", "price", "instrument", "received_time_ns")
    for number, column in enumerate(columns, 1):
        message = book_batch(Cursor(1, number))
        getattr(message.book, column).append(1)
        await rig.append(entry(BOOK, message))
    message = book_batch(Cursor(1, 6))
    message.book.instrument[0] = 1
    await rig.append(entry(BOOK, message), entry(BOOK, book_batch(Cursor(1, 7))))
    async with rig.running():
        await rig.recorded(BOOK, Cursor(1, 7))
    assert recorded_gaps(postgres_url) == [
        ("book", None, "malformed", 1, number) for number in range(1, 7)
    ]
    assert count(postgres_url, "book_batches") == 1


async def test_an_entry_without_a_batch_is_a_gap(rig: Rig, valkey_url, postgres_url):
    with redis.Redis.from_url(valkey_url) as client:
        client.xadd(str(TRADES), {"other": "field"}, id="1-1")
    await rig.append(*trade_entries(2)[1:])
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 2))
    assert recorded_gaps(postgres_url) == [("trades", None, "malformed", 1, 1)]


async def test_missing_entries_leave_a_gap(rig: Rig, valkey_url, postgres_url):
    entries = trade_entries(6)
    await rig.append(*entries[:2])
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 2))
        await rig.append(entries[4])
        await rig.recorded(TRADES, Cursor(1, 5))
    with redis.Redis.from_url(valkey_url) as client:
        client.delete(str(TRADES))
    await rig.append(entry(TRADES, trade_batch(Cursor(2, 7), trades(100, 1))))
    async with rig.running():
        await rig.recorded(TRADES, Cursor(2, 7))
    assert recorded_gaps(postgres_url) == [
        ("trades", None, "cursor_expired", 1, 5),
        ("trades", None, "cursor_expired", 2, 7),
    ]
    async with rig.database.transaction() as connection:
        row = await connection.execute(
            "SELECT last_time_ns, first_time_ns, detail FROM gaps WHERE epoch = 1"
        )
        assert await row.fetchone() == (
            trades(8, 1)[0].venue_time_ns,
            trades(15, 1)[0].venue_time_ns,
            "the stream no longer held the entries between 1-2 and 1-5",
        )
    assert rig.meter.gaps_total == 2


async def test_stream_with_a_late_start_has_a_gap(rig: Rig, postgres_url):
    await rig.append(*trade_entries(4)[2:])
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 4))
    assert recorded_gaps(postgres_url) == [("trades", None, "cursor_expired", 1, 3)]


async def test_a_hole_that_the_stream_explains_is_one_gap(rig: Rig, postgres_url):
    explained = batch(TRADES, Cursor(1, 6), [EXPIRED])
    restart = types_pb2.Gap(reason=types_pb2.GAP_REASON_RESTART)
    await rig.append(
        *trade_entries(2),
        entry(TRADES, explained),
        entry(TRADES, trade_batch(Cursor(1, 7), trades(21, 1))),
        entry(TRADES, trade_batch(Cursor(9, 1), trades(22, 1), [restart])),
    )
    async with rig.running():
        await rig.recorded(TRADES, Cursor(9, 1))
    assert recorded_gaps(postgres_url) == [
        ("trades", None, "cursor_expired", 1, 6),
        ("trades", None, "restart", 9, 1),
    ]


async def test_a_gap_of_one_instrument_does_not_explain_a_hole(rig: Rig, postgres_url):
    gap = types_pb2.Gap(symbol="BTCUSDT", reason=types_pb2.GAP_REASON_SEQUENCE)
    await rig.append(
        *trade_entries(1), entry(TRADES, trade_batch(Cursor(1, 4), trades(30, 1), [gap]))
    )
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 4))
    assert recorded_gaps(postgres_url) == [
        ("trades", None, "cursor_expired", 1, 4),
        ("trades", "BTCUSDT", "sequence", 1, 4),
    ]


async def test_two_recorders_write_each_row_once(rig: Rig, valkey_url, postgres_url):
    entries = trade_entries(400)
    quotes = [entry(QUOTES, quote_batch(Cursor(1, n), [n, n])) for n in range(1, 401)]
    async with rig_for(valkey_url, postgres_url) as second, second.running():
        async with rig.running():
            for start in range(0, 300, 10):
                await rig.append(*entries[start : start + 10], *quotes[start : start + 10])
            await rig.recorded(TRADES, Cursor(1, 300))
        await rig.append(*entries[300:], *quotes[300:])
        await rig.recorded(TRADES, Cursor(1, 400))
        await rig.recorded(QUOTES, Cursor(1, 400))
    assert recorded_trades(postgres_url) == expected_trades(trades(3, 1200))
    assert count(postgres_url, "quotes") == 800
    assert recorded_gaps(postgres_url) == []


async def test_stream_ending_before_the_recorded_position_degrades_the_recorder(
    rig: Rig, valkey_url
):
    await rig.append(*trade_entries(5))
    async with rig.running():
        await rig.recorded(TRADES, Cursor(1, 5))
    with redis.Redis.from_url(valkey_url) as client:
        client.delete(str(TRADES))
    await rig.append(*trade_entries(2))
    async with rig.running():
        await until(lambda: rig.is_degraded)
        assert "ends at 1-2, before what is recorded: 1-5" in rig.meter.detail
        await rig.append(*trade_entries(6)[2:])
        await rig.recorded(TRADES, Cursor(1, 6))
        await until(lambda: not rig.is_degraded)


async def test_remaining_rows_are_recorded_at_shutdown(rig: Rig, postgres_url):
    await rig.append(*trade_entries(200))
    await rig.recorder.finish()
    assert recorded_trades(postgres_url) == expected_trades(trades(3, 600))
    assert await rig.streams.groups(TRADES) == {CONSUMER: Cursor(1, 200)}


async def test_waiting_entries_are_counted(rig: Rig):
    for each in trade_entries(7):
        await rig.append(each)
    await rig.recorder.finish()
    await rig.append(*trade_entries(9)[7:], entry(BOOK, book_batch(Cursor(3, 1))))
    keys = await rig.streams.keys()
    assert [await rig.recorder.progress.waiting(key) for key in keys] == [1, 2]


async def test_the_age_of_what_was_written_is_measured(rig: Rig):
    now_ns = SystemClock().time_ns()
    message = batch(BOOK, Cursor(1, 1), published_ns=now_ns - 10**9)
    await rig.append(entry(BOOK, message))
    await rig.recorder.finish()
    assert 1_000 <= rig.meter.lag_ms < 60_000
