import asyncio

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor, StreamKey
from kit.base.errors import StoreUnavailable
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamAppendConflict, StreamEntry
from tests.support.valkey_process import cluster_node

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
BOOK = StreamKey("binance", types_pb2.CHANNEL_BOOK)


def entry(key: StreamKey, sequence: int, size: int = 10) -> StreamEntry:
    return StreamEntry(key, Cursor(5, sequence), bytes([sequence % 256]) * size)


@pytest.fixture
async def streams(valkey_url):
    streams = RedisStreams(valkey_url)
    yield streams
    await streams.close()


async def test_entries_follow_the_newest_of_their_stream(streams):
    await streams.append_after({TRADES: START}, [entry(TRADES, 1), entry(TRADES, 2)])
    await streams.append_after(
        {TRADES: Cursor(5, 2), BOOK: START}, [entry(TRADES, 3), entry(BOOK, 1), entry(TRADES, 4)]
    )
    found = await streams.read({TRADES: START, BOOK: START}, count=10)
    assert found == [*(entry(TRADES, number) for number in (1, 2, 3, 4)), entry(BOOK, 1)]


async def test_nothing_is_written_when_one_stream_has_moved(streams):
    await streams.append([entry(BOOK, 7)])
    with pytest.raises(StreamAppendConflict) as caught:
        await streams.append_after({TRADES: START, BOOK: START}, [entry(TRADES, 1), entry(BOOK, 8)])
    assert (caught.value.key, caught.value.newest) == (BOOK, Cursor(5, 7))
    assert await streams.last(TRADES) is None


async def test_a_stream_that_has_lost_its_end_is_noticed(streams):
    await streams.append([entry(TRADES, 1)])
    with pytest.raises(StreamAppendConflict) as caught:
        await streams.append_after({TRADES: Cursor(5, 2)}, [entry(TRADES, 3)])
    assert caught.value.newest == Cursor(5, 1)


async def test_a_stream_that_was_trimmed_to_nothing_keeps_its_newest_id(streams):
    await streams.append([entry(TRADES, number) for number in range(1, 200)])
    await streams.trim_to_length(TRADES, 0)
    await streams.append_after({TRADES: Cursor(5, 199)}, [entry(TRADES, 200)])
    assert await streams.last(TRADES) == Cursor(5, 200)


async def test_reading_does_not_wait_unless_told_to(streams):
    assert await streams.read({TRADES: START}, count=1) == []


async def test_sizes_are_reported_per_stream(streams):
    await streams.append([entry(TRADES, number, size=1000) for number in range(100)])
    await streams.append([entry(BOOK, 1)])
    assert await streams.stream_bytes(TRADES) > 100_000 > await streams.stream_bytes(BOOK)
    assert await streams.stream_bytes(StreamKey("kraken", types_pb2.CHANNEL_BOOK)) == 0


async def test_trimming_to_a_length_takes_the_oldest(streams):
    await streams.append([entry(TRADES, number, size=1000) for number in range(1, 301)])
    gone = await streams.trim_to_length(TRADES, 100)
    assert 100 < gone <= 200
    assert await streams.first(TRADES) == Cursor(5, gone + 1)


async def test_a_redis_that_is_away_is_one_typed_error():
    streams = RedisStreams("redis://127.0.0.1:1/0")
    with pytest.raises(StoreUnavailable):
        await streams.append_after({TRADES: START}, [entry(TRADES, 1)])
    await streams.close()


async def test_a_cancelled_reader_ends_wherever_it_was(streams):
    for yields in range(40):
        reading = asyncio.create_task(_read_for_ever(streams))
        for _ in range(yields % 8):
            await asyncio.sleep(0)
        reading.cancel()
        _, still_running = await asyncio.wait([reading], timeout=2)
        assert not still_running


async def _read_for_ever(streams):
    while True:
        await streams.read({TRADES: START}, count=1, block_ms=1)


async def test_a_server_that_refuses_is_no_empty_stream(tmp_path):
    node = cluster_node(tmp_path)
    await node.start()
    streams = RedisStreams(node.url)
    for asked in (streams.last, streams.groups, streams.first):
        with pytest.raises(StoreUnavailable, match="Redis refuses: Hash slot"):
            await asked(TRADES)
    node.kill()
    await streams.close()
