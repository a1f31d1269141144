import asyncio
import random
from collections import Counter
from itertools import cycle

import pytest

from core.bars.aggregator import Aggregator
from core.bars.settings import BarsSettings
from core.bars.shards import SHARDS, shard_of
from core.bars.store import BarChangeSet, BarStore
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch, naive_bars
from core.bars.tests.naive_events import DAY_NS, naive_events
from core.bars.tests.rig import Rig, in_batches, rig_for
from kit.base.cursor import Cursor
from kit.events.leases import LeaseLost
from kit.events.shared_leases import SharedLeases
from tests.support.waiting import eventually

T = MONDAY_NS + 3600 * SECOND_NS
KINDS = ("tick:7", "runs:10")
SETTINGS = BarsSettings(
    kinds=KINDS, store_interval_ms=10, publish_interval_ms=10, kept_seconds=5, lease_seconds=2.0
)
SYMBOLS = [f"COIN{number}USDT" for number in range(24)]


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url, SETTINGS) as rig:
        yield rig


def market(count: int) -> list[Trade]:
    """Trades of many instruments, each numbered for itself; at the end one of a later day, which
    ends every bar of the day."""
    source, ids, trades = random.Random(count), Counter(), []
    for number in range(count):
        symbol = source.choice(SYMBOLS)
        ids[symbol] += 1
        trades.append(
            Trade(
                ids[symbol],
                T + number * SECOND_NS // 20,
                price=source.randint(900, 1100),
                size=source.randint(1, 10**6),
                side=source.randint(1, 2),
                symbol=symbol,
            )
        )
    return trades


def end() -> Trade:
    return Trade(1, T + 2 * DAY_NS, symbol="LATER")


def test_the_shard_of_an_instrument_is_part_of_the_schema() -> None:
    assert [shard_of("binance", name) for name in ("BTCUSDT", "ETHUSDT")] == [9, 7]
    assert len({shard_of("binance", symbol) for symbol in SYMBOLS}) > 8


async def test_previous_owner_cannot_write(rig: Rig) -> None:
    leases = SharedLeases(rig.database, "bars", "paused", SHARDS, seconds=3.0)
    store = BarStore(rig.database, leases)
    nothing = BarChangeSet(shards=[3, 4], positions=[], instruments=[], bars=[])
    await leases.claim()
    await store.save(nothing, 1)
    await rig.take_leases()
    with pytest.raises(LeaseLost, match="bars/share/3"):
        await store.save(nothing, 2)


async def test_joining_and_leaving_members_lose_and_double_nothing(rig: Rig) -> None:
    trades = market(2400)
    batches = [batch(part) for part in in_batches(trades, cycle([7, 1, 13]))]
    aggregators = {name: rig.new_aggregator("replay", name) for name in ("one", "two", "three")}
    running: dict[str, asyncio.Task] = {}

    async def shared(*names: str) -> None:
        async def are_shared() -> bool:
            held = [aggregators[name]._venues.shards for name in names]
            return all(held) and sum(map(len, held)) == SHARDS

        await eventually(are_shared)

    def start(name: str) -> None:
        running[name] = asyncio.create_task(aggregators[name].run())

    async def stop(name: str) -> None:
        running[name].cancel()
        await asyncio.gather(running.pop(name), return_exceptions=True)

    start("one")
    fifth = len(batches) // 5
    await rig.append(*batches[:fifth])
    await shared("one")
    start("two")
    await rig.append(*batches[fifth : 2 * fifth])
    await shared("one", "two")
    start("three")
    await rig.append(*batches[2 * fifth : 3 * fifth])
    await shared("one", "two", "three")
    # Without a word, as when it is killed: its leases have to run out.
    await stop("one")
    await rig.append(*batches[3 * fifth : 4 * fifth])
    await shared("two", "three")
    await aggregators["two"].leave()
    await stop("two")
    await rig.append(*batches[4 * fifth :], batch([end()]))
    await shared("three")
    await rig.stored()
    await stop("three")
    expected = naive_bars([*trades, end()])
    assert await rig.bars() == expected
    assert await rig.events(final=True) == naive_events(trades, KINDS)
    rows = await rig.query("SELECT DISTINCT revision FROM bars")
    assert rows == [(0,)]


async def test_paused_aggregator_starts_again(rig: Rig) -> None:
    paused: Aggregator = rig.aggregator
    trades = market(300)
    async with rig.running():
        await rig.append(batch(trades[:100]))
        await rig.stored()
        # It holds the lock of its own saving, so that it cannot tell.
        async with paused._saving:
            await rig.append(batch(trades[100:200]))
            venues = paused._venues.venues

            async def has_read() -> bool:
                return all(venue.position == rig.newest for venue in venues)

            await eventually(has_read)
            await rig.take_leases()
        await rig.append(batch(trades[200:]), batch([end()]))
        await rig.stored()
    assert await rig.bars() == naive_bars([*trades, end()])
    assert await rig.events(final=True) == naive_events(trades, KINDS)


async def test_streams_may_be_trimmed_up_to_the_slowest_shard(rig: Rig) -> None:
    async with rig.running():
        await rig.append(batch([Trade(1, T)]), batch([Trade(2, T)]))
        await rig.stored()
    store = rig.aggregator._store
    (key,) = await store.done()
    assert await store.done() == {key: Cursor(1, 2)}
    await rig.query("UPDATE bar_positions SET sequence = 1 WHERE shard = 5 RETURNING 1")
    assert await store.done() == {key: Cursor(1, 1)}
    await rig.query("DELETE FROM bar_positions WHERE shard = 5 RETURNING 1")
    assert await store.done() == {}
