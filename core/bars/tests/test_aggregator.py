import asyncio
import random
from itertools import cycle

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.bars.settings import BarsSettings
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch, naive_bars
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.rig import KEY, Rig, in_batches, rig_for
from kit.base.cursor import Cursor
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from tests.support.waiting import eventually, until

T = MONDAY_NS + 3600 * SECOND_NS


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


def market(count: int, seed: int = 1, span_s: int = 120) -> list[Trade]:
    """Trades of two instruments over some time, a few of them late and a few twice."""
    source = random.Random(seed)
    times = sorted(T + source.randint(0, span_s * 1000) * 1_000_000 for _ in range(count))
    trades = [
        Trade(
            id=number,
            time_ns=time_ns,
            price=source.randint(1, 10**7),
            size=source.randint(1, 10**15),
            side=source.randint(1, 2),
            symbol=source.choice(["BTCUSDT", "SHIBUSDT"]),
        )
        for number, time_ns in enumerate(times, start=1)
    ]
    trades.sort(key=lambda trade: trade.id + source.choice([0, 0, 0, 0, count // 4]))
    for _ in range(count // 20):
        place = source.randrange(count)
        trades.insert(place + source.randrange(20), trades[place])
    return trades


def as_batch(trades: list[Trade]) -> batch_pb2.MarketDataBatch:
    """A batch with the gaps that a venue reports which counts on from the batch before."""
    first, gaps = trades[0], []
    if first.id % 10 == 3:
        gaps.append(
            types_pb2.Gap(
                symbol=first.symbol,
                reason=types_pb2.GAP_REASON_RECONNECT,
                first_id_after=first.id,
                first_time_ns=first.time_ns,
            )
        )
    return batch(trades, gaps)


async def test_stored_bars_equal_the_obvious_computation(rig: Rig) -> None:
    trades = market(2000)
    async with rig.running():
        for part in in_batches(trades, cycle([1, 3, 50])):
            await rig.append(batch(part))
        await rig.stored()
    assert await rig.bars() == naive_bars(trades)


async def test_restart_resumes_at_its_position(rig: Rig) -> None:
    trades = market(600)
    expected = MemoryVenue()
    for part in in_batches(trades, cycle([20])):
        async with rig.running():
            await rig.append(as_batch(part))
            await rig.stored()
        rig.aggregator = rig.new_aggregator()
        expected.take(as_batch(part))
    expected.roll_up()
    assert await rig.bars() == naive_bars(trades)
    assert await rig.facts() == {key: stored[2:] for key, stored in expected.settled().items()}


async def test_lost_lease_restarts_without_counting_twice(rig: Rig) -> None:
    trades = market(400)
    rival = rig.new_aggregator(member="rival")
    async with rig.running():
        rig.aggregator = rival
        async with rig.running():
            for part in in_batches(trades, cycle([5])):
                await rig.append(batch(part))
            await rig.stored()
    assert await rig.bars() == naive_bars(trades)


async def test_broken_connections_lose_and_double_nothing(rig: Rig) -> None:
    batches = [as_batch(part) for part in in_batches(market(1500), cycle([5]))]
    source = random.Random(3)
    async with rig.running():
        writing = asyncio.create_task(rig.append(*batches))
        for entries in sorted(source.sample(range(len(batches)), 8)):
            await rig.stored_up_to(entries)
            await rig.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
        await writing
        await rig.stored()
    expected = MemoryVenue().take(*batches)
    expected.roll_up()
    assert await rig.bars() == naive_bars(market(1500))
    assert await rig.facts() == {key: stored[2:] for key, stored in expected.settled().items()}


async def test_a_stream_that_was_lost_and_written_again_counts_once(rig: Rig) -> None:
    trades = market(300)
    batches = [batch(part) for part in in_batches(trades, cycle([5]))]
    async with rig.running():
        await rig.append(*batches[:30])
        await rig.stored()
        await rig.empty_streams()
        await rig.append(*batches)
        await rig.stored()
    assert await rig.bars() == naive_bars(trades)


async def test_the_group_follows_so_that_the_stream_can_be_trimmed(rig: Rig) -> None:
    async with rig.running():
        await rig.append(batch([Trade(1, T)]), batch([Trade(2, T)]))

        async def committed() -> bool:
            return await rig.streams.groups(KEY) == {"bars": rig.newest}

        await eventually(committed)
    assert rig.newest == Cursor(1, 2)


async def test_missing_entries_lower_the_coverage(rig: Rig) -> None:
    await rig.append(batch([Trade(1, T)]))
    async with rig.running():
        await rig.stored()
    rig.aggregator = rig.new_aggregator()
    rig.newest = Cursor(1, 5)
    await rig.append(batch([Trade(9, T + 4 * SECOND_NS)]))
    await rig.append(batch([Trade(10, T + 60 * SECOND_NS)]))
    async with rig.running():
        await rig.stored()
    facts = await rig.facts()
    assert facts["BTCUSDT", "15s", T] == (0, True, 11 * SECOND_NS)
    assert rig.meter.gaps_total == 1


async def test_a_hole_that_is_open_at_a_restart_ends_after_it(rig: Rig) -> None:
    reconnect = types_pb2.Gap(reason=types_pb2.GAP_REASON_RECONNECT)
    await rig.append(batch([Trade(1, T)]), batch(gaps=[reconnect]))
    async with rig.running():
        await rig.stored()
    rig.aggregator = rig.new_aggregator()
    await rig.append(
        batch([Trade(1, T + 4 * SECOND_NS, symbol="ETHUSDT")]),
        batch([Trade(9, T + 60 * SECOND_NS)]),
    )
    async with rig.running():
        await rig.stored()
    assert (await rig.facts())["BTCUSDT", "15s", T] == (0, True, 11 * SECOND_NS)


async def test_unreadable_entry_is_skipped(rig: Rig) -> None:
    broken = batch([Trade(1, T)])
    del broken.trades.price[0]
    async with rig.running():
        await rig.append(broken)
        rig.newest = Cursor(1, 2)
        await rig.streams.append([StreamEntry(KEY, rig.newest, b"\xff\xff")])
        await rig.append(batch([Trade(2, T)]))
        await rig.stored()
    assert (await rig.bars())["BTCUSDT", "1s", T].trade_count == 1
    assert rig.meter.counters["malformed_batches_total"] == 2


async def test_a_late_trade_amends_a_bar_of_an_hour_ago(rig: Rig) -> None:
    async with rig.running():
        await rig.append(batch([Trade(1, T), Trade(3, T + 3600 * SECOND_NS)]))
        await rig.stored()
        await rig.append(batch([Trade(2, T + 1)]))
        await rig.stored()
    assert (await rig.bars())["BTCUSDT", "5s", T].trade_count == 2
    assert (await rig.facts())["BTCUSDT", "5s", T][0] == 1


async def test_memory_is_bounded_while_the_database_is_away(valkey_url, postgres_url) -> None:
    small = BarsSettings(store_interval_ms=10, waiting_bars_max=100, read_entries_max=1)
    async with rig_for(valkey_url, postgres_url, small) as rig:
        away, url = rig.aggregator, rig.database._url
        async with rig.running():
            await rig.append(batch([Trade(1, T)]))
            await rig.stored()
            rig.database._url = "postgresql://nobody@127.0.0.1:1/none"
            await rig.database.close()
            for number in range(2, 200):
                await rig.append(batch([Trade(number, T + number * SECOND_NS)]))

            await until(lambda: "PostgreSQL" in rig.meter.detail)
            positions = []

            async def reading_has_stopped() -> bool:
                positions.append(away._venues.venues[0].position)
                newest = positions[-20:]
                return away._is_full() and len(newest) == 20 and len(set(newest)) == 1

            await eventually(reading_has_stopped)
            assert positions[-1] < rig.newest
            rig.database._url = url
            await rig.stored()
            await until(lambda: rig.meter.detail == "")
        assert (await rig.bars())["BTCUSDT", "1h", T].trade_count == 199


async def test_redis_that_is_away_at_the_start_is_waited_for(rig: Rig) -> None:
    there, rig.streams = rig.streams, RedisStreams("redis://127.0.0.1:1/0")
    rig.aggregator = rig.new_aggregator()
    async with rig.running():
        await until(lambda: "Redis is away" in rig.meter.detail)
        rig.aggregator._streams, away = there, rig.streams
        rig.streams = there
        await rig.append(batch([Trade(1, T)]))
        await rig.stored()
        await until(lambda: not rig.meter.detail)
    assert (await rig.bars())["BTCUSDT", "1s", T].trade_count == 1
    await away.close()


async def test_checkpoints_make_bars_final_in_a_live_world(rig: Rig) -> None:
    rig.aggregator = rig.new_aggregator("simulate")
    async with rig.running():
        await rig.append(batch([Trade(1, T)]), batch(published_ns=T + 10 * SECOND_NS))
        await rig.stored()
    facts = await rig.facts()
    assert facts["BTCUSDT", "5s", T] == (0, True, 5 * SECOND_NS)
    assert not facts["BTCUSDT", "15s", T][1]
    assert KEY.channel == types_pb2.CHANNEL_TRADES
