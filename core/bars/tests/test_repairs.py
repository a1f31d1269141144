import random
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from core.bars.settings import BarsSettings
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch, naive_bars
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.naive_events import DAY_NS, naive_events
from core.bars.tests.rig import FAST, REPAIRS, Rig, in_batches, rig_for
from core.bars.trade_ids import TradeIds
from kit.base.cursor import Cursor
from tests.support.waiting import eventually

T = MONDAY_NS + 3600 * SECOND_NS
KINDS = ("tick:7", "volume:300", "imbalance:10", "renko:0.05")
WITH_KINDS = BarsSettings(
    kinds=KINDS, store_interval_ms=10, publish_interval_ms=10, kept_seconds=5, lease_seconds=2.0
)


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url, WITH_KINDS) as rig:
        yield rig


def trades_of(count: int, start_ns: int = T, step_ns: int = SECOND_NS, first: int = 1):
    source, price, trades = random.Random(count), 1000, []
    for number in range(count):
        price += source.choice([-2, -1, 0, 1, 2])
        side, size = source.randint(1, 2), source.randint(1, 90_000)
        time_ns = start_ns + number * step_ns
        trades.append(Trade(first + number, time_ns, price=price, size=size, side=side))
    return trades


def fill(start_ns: int, end_ns: int, outcome: str = "COMPLETE") -> types_pb2.HoleFill:
    return types_pb2.HoleFill(
        symbol="BTCUSDT",
        outcome=types_pb2.FillOutcome.Value(f"FILL_OUTCOME_{outcome}"),
        start_time_ns=start_ns,
        end_time_ns=end_ns,
    )


async def test_a_fetched_trade_amends_an_old_bar_and_what_it_was_is_kept(rig: Rig) -> None:
    trades = trades_of(300)
    missing = trades[50]
    async with rig.running():
        await rig.append(batch([trade for trade in trades if trade is not missing]))
        await rig.stored()
        (before,) = await rig.query(
            f"SELECT * FROM bars WHERE interval = '1m' AND open_time_ns = {T}"
        )
        await rig.repair([missing])
        await rig.repairs_stored()
        await rig.repair([missing])
        await rig.repairs_stored()
    assert await rig.bars() == naive_bars(trades)
    (now,) = await rig.query(
        "SELECT revision, trade_count, written_time_ns FROM bars"
        f" WHERE interval = '1m' AND open_time_ns = {T}"
    )
    assert now[:2] == (1, 60)
    (kept,) = await rig.query(
        f"SELECT * FROM bar_revisions WHERE interval = '1m' AND open_time_ns = {T}"
    )
    assert kept == (*before, now[2])


async def test_repair_restores_coverage(rig: Rig) -> None:
    reconnect = types_pb2.Gap(symbol="BTCUSDT", reason=types_pb2.GAP_REASON_RECONNECT)
    async with rig.running():
        await rig.append(batch([Trade(0, T), Trade(0, T + 2 * SECOND_NS)]))
        await rig.append(batch([Trade(0, T + 9 * SECOND_NS)], [reconnect]))
        await rig.append(batch([Trade(0, T + 600 * SECOND_NS)]))
        await rig.stored()
        assert (await rig.facts())["BTCUSDT", "1m", T] == (0, True, 53 * SECOND_NS)
        await rig.repair(fills=[fill(T, T + 5 * SECOND_NS, "UNAVAILABLE")])
        await rig.repair(fills=[fill(T + 2 * SECOND_NS, T + 6 * SECOND_NS)])
        await rig.repairs_stored()
    assert (await rig.facts())["BTCUSDT", "1m", T] == (0, True, 57 * SECOND_NS)


def test_a_fill_before_the_first_trade_counts_for_itself_only() -> None:
    memory = MemoryVenue().take(batch([Trade(1, T + 60 * SECOND_NS), Trade(2, T + 90 * SECOND_NS)]))
    memory.roll_up()
    message = batch([Trade(9, T + 3 * SECOND_NS)])
    message.fills.append(fill(T + 2 * SECOND_NS, T + 8 * SECOND_NS))
    memory.venue.take_repairs(Cursor(1, 1), message)
    memory.roll_up()
    assert memory.covered_ns("1m", T) == 6 * SECOND_NS
    assert memory.covered_ns("1m", T + 60 * SECOND_NS) == 28 * SECOND_NS


def test_fetched_ids_below_the_floor_count_once() -> None:
    seen = TradeIds(ranges_max=2)
    seen.add(np.array([10, 20, 30]))
    assert seen.add(np.array([5])) == [False]
    assert seen.add_fetched(np.array([5, 6, 20, 21])) == [True, True, False, True]
    assert seen.add_fetched(np.array([5, 6])) == [False, False]
    kept = TradeIds(seen.ranges(), seen.floor, fetched=TradeIds(seen.fetched.ranges()))
    assert kept.add_fetched(np.array([6, 7])) == [False, True]


async def test_event_bars_are_rebuilt_after_the_recorder(rig: Rig) -> None:
    trades = trades_of(400)
    missing = trades[100:130]
    known = [trade for trade in trades if trade not in missing]
    later = Trade(10_000, T + 2 * DAY_NS)
    async with rig.running():
        for part in in_batches([*known, later], cycle([20])):
            await rig.append(batch(part))
        await rig.stored()
        assert await rig.events(final=True) == naive_events(known, KINDS)
        before = dict(
            await rig.query(
                "SELECT number, open_time_ns FROM bars WHERE interval = 'tick:7' AND final"
            )
        )
        await rig.record([*known, later])
        await rig.repair(missing)
        await rig.repairs_stored()
        assert await rig.events(final=True) == naive_events(known, KINDS)
        await rig.record(missing)

        async def is_rebuilt() -> bool:
            return await rig.events(final=True) == naive_events(trades, KINDS)

        await eventually(is_rebuilt)
    rows = await rig.query(
        "SELECT number, revision FROM bars WHERE interval = 'tick:7' AND final ORDER BY number"
    )
    assert [row[1] for row in rows] == [0] * 14 + [1] * (len(before) - 14) + [0] * 5
    kept = await rig.query(
        "SELECT number, open_time_ns, revision FROM bar_revisions WHERE interval = 'tick:7'"
    )
    assert sorted(kept) == [(n, before[n], 0) for n in range(14, len(before))]


async def test_current_day_continues_during_its_rebuild(rig: Rig) -> None:
    trades = trades_of(600)
    late, rest = trades[100:103], [*trades[:100], *trades[103:]]
    async with rig.running():
        await rig.append(batch(rest[:200]), batch(late))
        await rig.stored()
        for part in in_batches(rest[200:400], cycle([10])):
            await rig.append(batch(part))
        await rig.stored()
        await rig.record([*late, *rest[:400]])

        async def is_rebuilt() -> bool:
            (row,) = await rig.query("SELECT events -> 'wanted' FROM bar_instruments")
            return row[0] == {}

        for part in in_batches(rest[400:], cycle([10])):
            await rig.append(batch(part))
        await rig.record(())
        await eventually(is_rebuilt)
        await rig.append(batch([Trade(10_000, T + 2 * DAY_NS)]))
        await rig.stored()
    assert await rig.events(final=True) == naive_events(trades, KINDS)


async def test_removed_bars_are_kept_as_revisions(rig: Rig) -> None:
    trades = [replace(trade, price=1000 + 5 * (trade.id % 2)) for trade in trades_of(40)]
    # With this one the price does not come back to where a brick ends.
    missing = Trade(100, T - 1, price=1003)
    async with rig.running():
        await rig.append(batch([*trades, Trade(10_000, T + 2 * DAY_NS)]))
        await rig.stored()
        before = await rig.events(final=True)
        await rig.record([*trades, Trade(10_000, T + 2 * DAY_NS)])
        await rig.repair([missing])
        await rig.record([missing])

        async def is_rebuilt() -> bool:
            return await rig.events(final=True) == naive_events([*trades, missing], KINDS)

        await eventually(is_rebuilt)
    gone = set(before) - set(await rig.events(final=True))
    assert gone
    kept = await rig.query(
        "SELECT symbol, interval, number FROM bar_revisions WHERE superseded_time_ns > 0"
    )
    assert {(key[0], key[1], key[3]) for key in gone} <= set(kept)


async def test_trades_lost_from_the_record_stay_in_bars(rig: Rig) -> None:
    trades = trades_of(100)
    async with rig.running():
        await rig.append(batch([*trades, Trade(10_000, T + 2 * DAY_NS)]))
        await rig.stored()
        await rig.repair([Trade(500, T + 5)])
        await rig.repairs_stored()
        await rig.record([Trade(500, T + 5)])

        async def refused() -> bool:
            (row,) = await rig.query("SELECT events -> 'wanted' FROM bar_instruments")
            return row[0] == {}

        await eventually(refused)
    assert await rig.events(final=True) == naive_events(trades, KINDS)


async def test_the_group_of_repairs_follows(valkey_url, postgres_url) -> None:
    async with rig_for(valkey_url, postgres_url, FAST) as rig, rig.running():
        await rig.append(batch([Trade(1, T)]))
        await rig.repair([Trade(5, T + 1)])

        async def committed() -> bool:
            return await rig.streams.groups(REPAIRS) == {"bars": rig.repaired}

        await eventually(committed)
        assert await rig.bars() == naive_bars([Trade(1, T), Trade(5, T + 1)])
