"""A recorded past comes back through MarketData: all of it, in order, the same each time."""

import asyncio
import subprocess
from contextlib import asynccontextmanager
from decimal import Decimal

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from core.playback.tests import recorded
from core.playback.tests.process import playback_process, refusal
from core.playback.tests.recorded import HOLE, QUOTES, SECOND_NS, START_NS, TRADES, UPDATES, VENUE
from kit.base import errors, rpc
from kit.marketdata.model.batches import columns_of, row_count
from tests.support.waiting import WAIT_SECONDS_MAX

CHANNELS = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
    types_pb2.CHANNEL_STATUS,
)
ROWS = TRADES + QUOTES + UPDATES + len(recorded.SYMBOLS)


@pytest.fixture
async def store(postgres_url):
    recorded.record(postgres_url)
    return postgres_url


@asynccontextmanager
async def playing(store, data, **settings):
    process = playback_process(store, data, **{"speed": "max", **settings})
    process.start()
    try:
        async with rpc.channel(process.address) as channel:
            yield channel
    finally:
        process.kill()


async def read(channel, rows=ROWS, resume_after=()):
    """The batches up to so many rows, in the order in which they came."""
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.SubscribeRequest(
        venue=VENUE,
        channels=CHANNELS,
        start_at=market_data_pb2.START_AT_EARLIEST,
        resume_after=resume_after,
    )
    call = stub.Subscribe(request, wait_for_ready=True, timeout=WAIT_SECONDS_MAX)
    found, count = [], 0
    async for response in call:
        for batch in response.batches:
            found.append(batch)
            count += row_count(batch)
        if count >= rows:
            break
    call.cancel()
    return found


def of_channel(batches, channel):
    return [batch for batch in batches if batch.channel == channel and row_count(batch)]


def times_of(batches):
    return [time_ns for batch in batches for time_ns in columns_of(batch).received_time_ns]


async def test_everything_comes_in_the_order_of_receipt(store, tmp_path):
    async with playing(store, tmp_path, window_rows_max="20") as channel:
        batches = await read(channel)
    assert sum(map(row_count, batches)) == ROWS
    trades = of_channel(batches, types_pb2.CHANNEL_TRADES)
    ids = [trade_id for batch in trades for trade_id in batch.trades.trade_id]
    assert ids == list(range(1, TRADES + 1))
    for name in CHANNELS[:3]:
        some = of_channel(batches, name)
        assert times_of(some) == sorted(times_of(some))
        cursors = [batch.cursor for batch in batches if batch.channel == name]
        assert [cursor.sequence for cursor in cursors] == list(range(1, len(cursors) + 1))
        assert all(batch.published_time_ns == times_of([batch])[-1] for batch in some)
    # No channel runs ahead of another by more than a window, which has twenty rows at most.
    newest_ns = 0
    for batch in batches:
        if row_count(batch) and batch.channel != types_pb2.CHANNEL_STATUS:
            assert times_of([batch])[0] > newest_ns - 20 * 5 * recorded.MILLISECOND_NS
            newest_ns = max(newest_ns, *times_of([batch]))


async def test_a_hole_stands_before_the_trade_behind_it(store, tmp_path):
    async with playing(store, tmp_path) as channel:
        batches = await read(channel)
    (gapped,) = [batch for batch in batches if batch.gaps]
    assert gapped.trades.trade_id[0] == HOLE
    assert gapped.gaps[0].detail == "a hole"
    assert gapped.gaps[0].detected_time_ns == recorded.hole_ns() + 3 * recorded.MILLISECOND_NS


async def test_two_plays_give_the_same_bytes(store, tmp_path):
    plays = []
    for name in ("one", "two"):
        async with playing(store, tmp_path / name) as channel:
            batches = await read(channel)
            plays.append([batch.SerializeToString(deterministic=True) for batch in batches])
    assert plays[0] == plays[1]


async def test_a_reader_goes_on_where_it_was_when_the_process_was_killed(store, tmp_path):
    options = {"window_rows_max": "20"}
    async with playing(store, tmp_path, **options) as channel:
        whole = await read(channel)
    newest = {batch.channel: batch.cursor for batch in whole[: len(whole) // 2]}
    resume = [
        types_pb2.ChannelCursor(channel=name, cursor=cursor) for name, cursor in newest.items()
    ]
    had = sum(map(row_count, whole[: len(whole) // 2]))
    async with playing(store, tmp_path, **options) as channel:
        rest = await read(channel, ROWS - had, resume)
    assert rest == whole[len(whole) // 2 :][: len(rest)]
    assert sum(map(row_count, rest)) == ROWS - had


async def test_only_a_part_is_played_and_its_book_is_whole(store, tmp_path):
    options = {
        "from_time": "2023-11-14T22:13:21Z",
        "to_time": str(START_NS + 2 * SECOND_NS),
        "symbols": "BTCUSDT",
    }
    async with playing(store, tmp_path, **options) as channel:
        # Of trades every second one; of quotes 200; of updates ten and the book before them.
        batches = await read(channel, 1 + 50 + 200 + 11)
    assert {entry.symbol for batch in batches for entry in batch.instruments} == {"BTCUSDT"}
    first, *others = of_channel(batches, types_pb2.CHANNEL_BOOK)
    assert list(first.book.snapshot)[:1] == [True]
    assert list(first.book.price)[:1] == [recorded.best_bid(9)]
    assert first.book.last_sequence[0] == 9
    updates = [number for batch in (first, *others) for number in batch.book.last_sequence]
    assert updates == list(range(9, 20))
    assert min(times_of(of_channel(batches, types_pb2.CHANNEL_QUOTES))) == START_NS + SECOND_NS


async def test_questions_are_answered_as_of_the_played_time(store, tmp_path):
    async with playing(store, tmp_path) as channel:
        batches = await read(channel)
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        book = await stub.GetOrderBook(
            market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol="BTCUSDT", depth=2)
        )
        listed = await stub.ListInstruments(market_data_pb2.ListInstrumentsRequest(venue=VENUE))
        trades = await stub.ListTrades(
            market_data_pb2.ListTradesRequest(
                venue=VENUE, symbol="BTCUSDT", first_trade_id=10, page_size=3
            )
        )
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.GetOrderBook(
                market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol="XRPUSDT")
            )
        admin = admin_pb2_grpc.AdminStub(channel)
        subscriptions = await admin.ListSubscriptions(admin_pb2.ListSubscriptionsRequest())
    assert book.state == market_data_pb2.BOOK_STATE_PROVEN
    assert book.last_sequence == UPDATES
    assert [level.price for level in book.bids] == ["129", "128"]
    assert [(level.price, level.size) for level in book.asks] == [("1000", "0.7")]
    newest = of_channel(batches, types_pb2.CHANNEL_BOOK)[-1]
    assert book.cursor == newest.cursor
    assert [one.symbol for one in listed.instruments] == list(recorded.SYMBOLS)
    assert listed.instruments[0].base == "BTC"
    assert [trade.trade_id for trade in trades.trades] == ["10", "12", "14"]
    assert Decimal(trades.trades[0].price) == Decimal("61000.1")
    assert trades.next_page_token
    assert errors.reason_of(unknown.value) == "UNKNOWN_INSTRUMENT"
    assert len(subscriptions.subscriptions) == len(recorded.SYMBOLS) * 3


async def test_a_play_stands_still_and_goes_on(store, tmp_path):
    async with playing(store, tmp_path, speed="1", window_ms="10") as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        await admin.Pause(admin_pb2.PauseRequest(), wait_for_ready=True, timeout=WAIT_SECONDS_MAX)
        reading = asyncio.create_task(read(channel, 1))
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        await stub.ListInstruments(market_data_pb2.ListInstrumentsRequest(venue=VENUE))
        assert not reading.done()
        await admin.Resume(admin_pb2.ResumeRequest())
        assert sum(map(row_count, await reading)) >= 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"venue": "kraken"}, "no data of the venue 'kraken' are recorded"),
        ({"symbols": "XRPUSDT"}, "XRPUSDT"),
        ({"from_time": "2024-08-08T12:00:00Z"}, "nothing of binance was recorded then"),
        ({"from_time": "yesterday"}, "2024-08-08T12:00:00Z"),
        ({"speed": "0"}, "above 0"),
    ],
)
async def test_what_cannot_be_played_is_said_in_one_line(store, tmp_path, settings, words):
    process = playback_process(store, tmp_path, **settings)
    process.start(stderr=subprocess.PIPE)
    code, said = refusal(process)
    assert code == 2
    assert words in said
    assert len(said.splitlines()) == 1


async def test_a_database_without_a_record_is_said_in_one_line(empty_postgres_url, tmp_path):
    process = playback_process(empty_postgres_url, tmp_path)
    process.start(stderr=subprocess.PIPE)
    code, said = refusal(process)
    assert code == 2
    assert "has no record" in said
