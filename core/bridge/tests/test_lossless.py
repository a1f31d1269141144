import asyncio

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2
from venuemesh.registry.v1 import registry_pb2

from conftest import free_port
from core.bridge.tests.fakes import (
    EPOCH,
    QUOTES,
    TRADES,
    VENUE,
    FakeVenue,
    bridging,
    gap,
    quotes,
    trades,
)
from kit.base.cursor import Cursor
from kit.base.errors import error_info
from kit.marketdata.delivery.redis_streams import StreamEntry
from tests.support.valkey_process import ValkeyProcess
from tests.support.waiting import WAIT_SECONDS_MAX, until


def request(*channels, symbols=(), after: Cursor | None = None, buffer_bytes_max=0):
    """A lossless subscription; ``after`` is a cursor of the first channel."""
    selector = live_pb2.Selector(
        venue=VENUE, channels=channels or [types_pb2.CHANNEL_TRADES], symbols=symbols
    )
    if after is not None:
        selector.resume_after.add(channel=selector.channels[0], cursor=after.message())
    lossless = types_pb2.Lossless(buffer_bytes_max=buffer_bytes_max)
    return live_pb2.SubscribeRequest(
        selectors=[selector], delivery=types_pb2.Delivery(lossless=lossless)
    )


def after(sequence: int) -> Cursor:
    return Cursor(EPOCH, sequence)


@pytest.fixture
async def bridge(valkey_url):
    async with bridging(valkey_url, FakeVenue()) as bridge:
        yield bridge


async def joined(bridge, count: int = 1) -> None:
    """Until so many subscribers are served by the tailer."""
    await until(lambda: len(bridge.subscribers) >= count)
    # Joining follows admission without waiting for anything but the answer of Redis.
    await until(lambda: bridge.subscribers.joined(TRADES) >= count)


async def test_whole_channels_travel_as_the_bytes_that_were_written(bridge):
    await bridge.write_and_read(trades(1))
    channels = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES)
    reader = bridge.subscribe(request(*channels))
    await joined(bridge)
    await bridge.write(trades(2), quotes(1, 5), trades(3))
    found = [await reader.batch() for _ in range(3)]
    found.sort(key=lambda batch: (batch.channel, batch.cursor.sequence))
    written = [trades(2), trades(3), quotes(1, 5)]
    assert [batch.SerializeToString() for batch in found] == [entry.batch for entry in written]


async def test_only_the_wanted_symbols_come(bridge):
    await bridge.write_and_read(trades(1))
    reader = bridge.subscribe(request(symbols=["ETHUSDT"]))
    await joined(bridge)
    await bridge.write(trades(2), trades(3, ("BTCUSDT", "ETHUSDT")), trades(4, ("ETHUSDT",)))
    found = [await reader.batch() for _ in range(2)]
    assert [list(batch.trades.trade_id) for batch in found] == [[3], [4]]


async def test_a_stream_that_appears_later_is_read_from_its_beginning(bridge):
    reader = bridge.subscribe(request())
    await joined(bridge)
    await bridge.write(*(trades(number) for number in range(1, 6)))
    assert await reader.sequences(5) == [1, 2, 3, 4, 5]


async def test_a_reader_resumes_after_its_cursor(bridge):
    await bridge.write_and_read(*(trades(number) for number in range(1, 301)))
    reader = bridge.subscribe(request(after=after(17)))
    assert await reader.sequences(300) == list(range(18, 301))
    await bridge.write(trades(301))
    assert await reader.sequences(301) == [301]


async def test_readers_who_resume_while_more_comes_get_no_hole_and_no_double(bridge):
    last = 1500
    await bridge.write_and_read(*(trades(number) for number in range(1, 101)))

    async def write() -> None:
        for number in range(101, last + 1):
            await bridge.write(trades(number))

    async def resume(start: int) -> list[int]:
        reader = bridge.subscribe(request(after=after(start)))
        return await reader.sequences(last)

    writing = asyncio.create_task(write())
    found = []
    for start in (1, 50, 100):
        await until(lambda start=start: bridge.tailer.position(TRADES).sequence > 100 + 3 * start)
        found.append(asyncio.create_task(resume(start)))
    assert [await each for each in found] == [
        list(range(start + 1, last + 1)) for start in (1, 50, 100)
    ]
    await writing


async def test_channels_with_and_without_a_cursor_start_each_at_their_place(bridge):
    await bridge.write_and_read(*(trades(number) for number in range(1, 101)), quotes(1, 1))
    channels = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES)
    reader = bridge.subscribe(request(*channels, after=after(90)))
    await joined(bridge)
    await bridge.write(quotes(2, 2), trades(101))
    found = [await reader.batch() for _ in range(12)]
    by_channel = {TRADES.channel: [], QUOTES.channel: []}
    for batch in found:
        by_channel[batch.channel].append(batch.cursor.sequence)
    assert by_channel == {TRADES.channel: list(range(91, 102)), QUOTES.channel: [2]}


@pytest.mark.parametrize(
    ("cursor", "why"),
    [(after(5), "too_old"), (Cursor(500, 5), "other_epoch"), (after(2000), "ahead")],
)
async def test_a_cursor_that_is_not_held_is_refused(bridge, cursor, why):
    await bridge.write_and_read(*(trades(number) for number in range(1, 1001)))
    await bridge.streams.trim_before(TRADES, after(900))
    error = await bridge.subscribe(request(after=cursor)).error()
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    info = error_info(error)
    assert info.reason == "CURSOR_EXPIRED"
    earliest = await bridge.streams.first(TRADES)
    assert earliest.sequence > 700
    assert info.metadata.pop("request_id")
    assert dict(info.metadata) == {
        "venue": VENUE,
        "channel": "trades",
        "cursor": str(cursor),
        "earliest": str(earliest),
        "why": why,
    }


@pytest.mark.parametrize("cursor", [Cursor(500, 1), Cursor(EPOCH, 3)])
async def test_a_cursor_of_an_epoch_whose_end_is_not_held_is_refused(bridge, cursor):
    await bridge.write_and_read(trades(1), trades(2), trades(1, epoch=EPOCH + 1))
    error = await bridge.subscribe(request(after=cursor)).error()
    info = error_info(error)
    assert (info.reason, info.metadata["why"]) == ("CURSOR_EXPIRED", "other_epoch")


async def test_a_reader_resumes_over_the_restart_of_a_venue(bridge):
    await bridge.write_and_read(trades(1), trades(2), trades(1, epoch=EPOCH + 1))
    reader = bridge.subscribe(request(after=after(2)))
    assert (await reader.batch()).cursor == Cursor(EPOCH + 1, 1).message()


async def test_a_reader_may_begin_before_the_first_entry(bridge):
    await bridge.write_and_read(trades(1), trades(2))
    reader = bridge.subscribe(request(after=Cursor(0, 0)))
    assert await reader.sequences(2) == [1, 2]


async def test_a_hole_that_a_gap_explains_can_be_resumed_over(bridge):
    explained = gap(TRADES, 9, symbol="")
    await bridge.write_and_read(trades(1), trades(2), explained, trades(10))
    reader = bridge.subscribe(request(after=after(1)))
    assert await reader.sequences(10) == [2, 9, 10]


async def test_a_slow_reader_ends_with_its_cursor_and_resumes_without_loss(bridge):
    await bridge.write_and_read(trades(1))
    slow = bridge.subscribe(request(after=after(0), buffer_bytes_max=50_000))
    quick = bridge.subscribe(request(after=after(0)))
    await joined(bridge, 2)
    last = 3_000
    symbols = tuple(f"SYMBOL{number}" for number in range(100))
    quick_reads = asyncio.create_task(quick.sequences(last))
    for start in range(2, last, 250):
        numbers = range(start, min(start + 250, last + 1))
        await bridge.write_and_read(*(trades(number, symbols) for number in numbers))
    assert await quick_reads == list(range(1, last + 1))
    seen, error = await slow.to_the_end()
    info = error_info(error)
    assert info.reason == "SUBSCRIBER_TOO_SLOW"
    assert seen == list(range(1, seen[-1] + 1))
    assert seen[-1] < last
    assert info.metadata["cursor"] == str(after(seen[-1]))
    again = bridge.subscribe(request(after=Cursor.parse(info.metadata["cursor"])))
    assert await again.sequences(last) == list(range(seen[-1] + 1, last + 1))


async def test_entries_that_were_trimmed_unread_are_a_gap(bridge):
    await bridge.write_and_read(trades(1))
    reader = bridge.subscribe(request())
    await joined(bridge)
    await bridge.write(trades(10))
    found = [await reader.batch() for _ in range(2)]
    assert [batch.cursor.sequence for batch in found] == [9, 10]
    assert [each.reason for each in found[0].gaps] == [types_pb2.GAP_REASON_CURSOR_EXPIRED]
    assert bridge.meter.gaps_total == 1


@pytest.mark.parametrize(
    "batch",
    [b"\xff\xff garbage", b"", quotes(1, 1).batch],
    ids=["garbage", "empty", "of another channel"],
)
async def test_a_batch_that_cannot_be_read_is_a_gap(bridge, batch):
    await bridge.write_and_read(trades(1))
    live = bridge.subscribe(request())
    await joined(bridge)
    await bridge.write_and_read(StreamEntry(TRADES, after(2), batch), trades(3))
    late = bridge.subscribe(request(after=after(1)))
    for reader in (live, late):
        found = await reader.batch()
        assert found.cursor == after(2).message()
        assert [each.reason for each in found.gaps] == [types_pb2.GAP_REASON_MALFORMED]
        assert (await reader.batch()).cursor == after(3).message()


async def test_the_restart_of_a_venue_is_not_a_hole(bridge):
    await bridge.write_and_read(trades(1))
    reader = bridge.subscribe(request())
    await joined(bridge)
    await bridge.write(trades(1, epoch=EPOCH + 1))
    assert (await reader.batch()).cursor == Cursor(EPOCH + 1, 1).message()
    assert bridge.meter.gaps_total == 0


async def test_readers_are_bounded_in_number(valkey_url):
    async with bridging(valkey_url, FakeVenue(), subscribers_max=1) as bridge:
        first = bridge.subscribe(request())
        await joined(bridge)
        error = await bridge.subscribe(request()).error()
        assert error_info(error).reason == "TOO_MANY_SUBSCRIBERS"
        first.call.cancel()
        await until(lambda: len(bridge.subscribers) == 0)
        assert bridge.subscribers.joined(TRADES) == 0


async def test_the_position_is_committed_for_trimming(bridge):
    await bridge.write_and_read(*(trades(number) for number in range(1, 6)))

    positions: list[Cursor | None] = []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while after(5) not in positions:
            positions.append((await bridge.streams.groups(TRADES)).get("bridge"))
    assert set(positions) <= {None, after(0), after(5), Cursor(0, 0)}


def selectors(*given: live_pb2.Selector, **delivery) -> live_pb2.SubscribeRequest:
    return live_pb2.SubscribeRequest(selectors=given, delivery=types_pb2.Delivery(**delivery))


TRADES_OF_BINANCE = live_pb2.Selector(venue=VENUE, channels=[types_pb2.CHANNEL_TRADES])
CURSOR = types_pb2.ChannelCursor(
    channel=types_pb2.CHANNEL_QUOTES, cursor=types_pb2.Cursor(epoch=1, sequence=1)
)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (selectors(), "selectors"),
        (selectors(live_pb2.Selector(channels=[1])), "selectors"),
        (selectors(TRADES_OF_BINANCE, TRADES_OF_BINANCE), "selectors"),
        (selectors(live_pb2.Selector(venue=VENUE)), "channels"),
        (selectors(live_pb2.Selector(venue=VENUE, channels=[0])), "channels"),
        (selectors(live_pb2.Selector(venue=VENUE, channels=[1], symbols=[""])), "symbols"),
        (
            selectors(live_pb2.Selector(venue=VENUE, channels=[1], resume_after=[CURSOR])),
            "resume_after",
        ),
        (
            selectors(live_pb2.Selector(venue=VENUE, channels=[2], resume_after=[CURSOR, CURSOR])),
            "resume_after",
        ),
        (
            selectors(
                live_pb2.Selector(venue=VENUE, channels=[2], resume_after=[CURSOR]),
                conflated=types_pb2.Conflated(),
            ),
            "resume_after",
        ),
        (
            selectors(
                live_pb2.Selector(venue=VENUE, channels=[9]),
                conflated=types_pb2.Conflated(),
            ),
            "channels",
        ),
        (selectors(TRADES_OF_BINANCE, conflated=types_pb2.Conflated(interval_ms=1)), "interval_ms"),
        (
            selectors(TRADES_OF_BINANCE, conflated=types_pb2.Conflated(book_depth=100_000)),
            "book_depth",
        ),
    ],
)
async def test_a_wrong_request_is_refused_with_the_field(bridge, given, field):
    error = await bridge.subscribe(given).error()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(error)
    assert (info.reason, info.metadata["field"]) == ("BAD_REQUEST", field)


async def test_what_is_not_known_is_refused_by_name(bridge):
    error = await bridge.subscribe(request(symbols=["BTCUSDT", "NOPE"])).error()
    assert error_info(error).reason == "UNKNOWN_INSTRUMENT"
    assert error_info(error).metadata["symbol"] == "NOPE"
    unknown = live_pb2.Selector(venue="mtgox", channels=[types_pb2.CHANNEL_TRADES])
    error = await bridge.subscribe(selectors(unknown)).error()
    assert error_info(error).reason == "UNKNOWN_SERVICE"
    assert error_info(error).metadata["name"] == "mtgox"


async def test_subscribers_stay_while_redis_is_away(tmp_path):
    valkey = ValkeyProcess(tmp_path, free_port())
    await valkey.start()
    async with bridging(valkey.url, FakeVenue()) as bridge:
        await bridge.write_and_read(trades(1))
        reader = bridge.subscribe(request())
        await joined(bridge)
        await bridge.write(trades(2))
        assert await reader.sequences(2) == [2]
        valkey.remember()
        await bridge.write(trades(3), trades(4))
        assert await reader.sequences(4) == [3, 4]
        valkey.kill()
        await until(lambda: bridge.meter.state == registry_pb2.SERVICE_STATE_DEGRADED)
        valkey.forget()
        await valkey.start()
        await until(lambda: bridge.meter.state == registry_pb2.SERVICE_STATE_SERVING)
        # Redis has forgotten 3 and 4, and ingest writes them again.
        await bridge.write(*(trades(number) for number in (3, 4, 5)))
        assert await reader.sequences(5) == [5]
        assert bridge.meter.gaps_total == 0
    valkey.kill()
