"""Bars to stored signals: restarts, bars that were missed, strategies that fail."""

import asyncio
import random
from decimal import Decimal

import pytest

from core.detector import instance_states, store
from core.detector.store import InstanceUpdate, StoredInstance
from core.detector.strategy_runner import FAILED, RUNNING, SIGNALS, WAITING
from core.detector.tests.rig import numbers, rig_for
from kit.base.database import ConsumerPositionConflict
from kit.events.event_log import encoded
from kit.features.indicators import close, previous
from kit.strategy.strategy import PositionSize, Rule
from kit.strategy.tests.market import SECOND_NS, bar, crossing, instance, strategy
from tests.support.waiting import eventually, until

FLAT = Decimal(0)
THREE_AGO = PositionSize(notional="25", stop_distance=previous(close, 3))


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def seen(runner, number):
    return until(lambda: runner.bar is not None and runner.bar == bar(number, runner_price(number)))


def runner_price(number):
    return 100.0 + number


def made(*wanted):
    return [bar(number, runner_price(number)) for number in wanted]


async def test_each_final_bar_is_evaluated_once_and_in_order(rig):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(*made(0))
        await seen(runner, 0)
        first, second, third = made(1, 2, 3)
        rig.bars.add(third, first, second)
        rig.bars.add(bar(4, final=False))
        rig.bars.send(second, bar(1, revision=1))
        rig.bars.add(*made(4))
        await seen(runner, 4)
    assert numbers(await rig.signals()) == [0, 1, 2, 3, 4]
    assert (runner.state, runner.signals) == (RUNNING, 5)


async def test_bars_that_were_not_sent_are_read_once_they_are_recorded(rig):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(*made(0))
        await seen(runner, 0)
        rig.bars.send(*made(3))
        rig.bars.record |= {one.open_time_ns: one for one in made(1)}
        await asyncio.sleep(0)
        # Not yet: the record may have what comes before only in part.
        assert numbers(await rig.signals()) == [0]
        rig.bars.record |= {one.open_time_ns: one for one in made(2, 3)}
        await seen(runner, 3)
    assert numbers(await rig.signals()) == [0, 1, 2, 3]


async def test_bars_that_were_missed_are_read_at_the_first_change_after_a_restart(rig):
    """Not only at the next final bar, which of days may be a day later."""
    async with rig.running(runner := rig.runner()):
        rig.bars.add(*made(0))
        await seen(runner, 0)
    rig.bars.add(*made(*range(1, 1200)))
    async with rig.running(runner := rig.runner()):
        await seen(runner, 1199)
    assert numbers(await rig.signals()) == list(range(1200))


async def test_a_second_without_a_trade_has_no_bar(rig):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(*made(0))
        rig.bars.add(*made(5))
        await seen(runner, 5)
    assert numbers(await rig.signals()) == [0, 5]


async def test_kills_lose_and_repeat_no_signal_and_no_byte(rig):
    """Each runner is dropped at any moment, in whatever it was doing."""
    source, count = random.Random(5), 120
    strategies = [strategy(position=THREE_AGO), crossing()]
    bars = [bar(number, 100 + source.randrange(9)) for number in range(count)]
    runners, sent = [rig.runner(one) for one in strategies], 1
    async with rig.running(*runners):
        rig.bars.add(bars[0])
        await until(lambda: all(runner.bar == bars[0] for runner in runners))
    while sent < count:
        runners = [rig.runner(one) for one in strategies]
        async with rig.running(*runners):
            for _ in range(source.randrange(1, 9)):
                rig.bars.add(*bars[sent : sent + 1])
                sent += 1
                await asyncio.sleep(source.random() * 0.01)
        # Bars that nobody receives.
        missed = source.randrange(4)
        rig.bars.add(*bars[sent : sent + missed])
        sent += missed
    runners = [rig.runner(one) for one in strategies]
    async with rig.running(*runners):
        rig.bars.add(bar(count))
        await until(lambda: all(runner.bar == bar(count) for runner in runners))

    found = await rig.signals()
    for one in strategies:
        of, expected = instance(one), []
        for each in [*bars, bar(count)]:
            event = of.update(each, FLAT)
            expected += [] if event is None else [encoded(event)]
        stored = [event for event in found if event.instance == one.name]
        assert [encoded(event) for event in stored] == expected
        assert len(expected) > 10


async def test_the_first_bars_warm_up_from_the_record(rig):
    rig.bars.add(*made(*range(10)))
    runner = rig.runner(strategy(position=THREE_AGO, warm_up_bars=4))
    async with rig.running(runner):
        rig.bars.add(*made(10))
        await seen(runner, 10)
    (event,) = await rig.signals()
    assert event.signal_raised.request.stop_distance == "107"
    assert await rig.states("always") == [
        (instance_states.WARMING, "4 recorded bars"),
        (instance_states.RUNNING, ""),
    ]


async def test_a_changed_file_warms_up_again_and_goes_on(rig):
    rules = (Rule(name="other", condition=close > 0),)
    for version, first in (("ab" * 32, 0), ("cd" * 32, 3)):
        runner = rig.runner(strategy(rules=rules), version)
        async with rig.running(runner):
            rig.bars.add(*made(first))
            rig.bars.add(*made(first + 1))
            await seen(runner, first + 1)
    found = await rig.signals()
    assert numbers(found) == [0, 1, 3, 4]
    versions = [event.signal_raised.strategy_version[:2] for event in found]
    assert versions == ["ab", "ab", "cd", "cd"]


async def test_a_strategy_that_raises_is_stopped_and_the_others_go_on(rig):
    def fails(seen_bar):
        return 1 / (102 - seen_bar.close)

    rules = (Rule(name="up", condition=close > 0), Rule(name="fails", condition=fails))
    failing, good = rig.runner(strategy(name="failing", rules=rules)), rig.runner()
    async with rig.running(failing, good):
        for number in range(5):
            rig.bars.add(*made(number))
        await seen(good, 4)
        await until(lambda: failing.state == FAILED)
    assert "ZeroDivisionError: float division by zero" in failing.detail
    assert str(made(2)[0].open_time_ns) in failing.detail
    assert "strategy failing/binance/BTCUSDT" in rig.meter.status().detail
    assert await rig.states("always") == [(instance_states.RUNNING, "")]
    assert await rig.states("failing") == [
        (instance_states.RUNNING, ""),
        (instance_states.FAILED, failing.detail),
    ]
    found = await rig.signals()
    assert numbers([one for one in found if one.instance == "failing"]) == [0, 1]
    assert numbers([one for one in found if one.instance == "always"]) == [0, 1, 2, 3, 4]


async def test_a_strategy_waits_while_bars_are_away(rig):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(*made(0))
        await seen(runner, 0)
        rig.bars.is_away = True
        rig.bars.add(*made(1))
        await until(lambda: runner.state == WAITING)
        assert runner.detail == "bars does not run"
        rig.bars.is_away = False
        await until(lambda: rig.bars.followers)
        rig.bars.add(*made(2))
        await seen(runner, 2)
    assert numbers(await rig.signals()) == [0, 1, 2]


async def test_two_detectors_raise_each_signal_once(rig):
    first, second = rig.runner(), rig.runner()
    async with rig.running(first, second):
        for number in range(20):
            await until(lambda: rig.bars.followers)
            rig.bars.add(*made(number))
            await asyncio.sleep(0.002)

        async def all_are_there() -> bool:
            rig.bars.send(*made(19))
            return len(await rig.signals()) == 20

        await eventually(all_are_there)
    assert numbers(await rig.signals()) == list(range(20))


async def test_a_strategy_moves_only_from_where_it_was_seen(rig):
    key, at = rig.runner().key, StoredInstance("a", 1, 0, b"")
    later = StoredInstance("a", 1 + SECOND_NS, 0, b"")
    async with rig.database.transaction() as connection:
        await store.save(connection, [InstanceUpdate(key, None, at)])
    for before in (None, later):
        with pytest.raises(ConsumerPositionConflict):
            async with rig.database.transaction() as connection:
                await store.save(connection, [InstanceUpdate(key, before, later)])


async def test_a_signal_and_the_state_behind_it_are_one_transaction(rig):
    """Where the signal cannot be stored, the bar does not count as seen."""
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(*made(0))
        await seen(runner, 0)
        other = instance().update(made(1)[0], FLAT)
        other.time_ns += 1
        await rig.store(SIGNALS, other)
        rig.bars.add(*made(1))
        await until(lambda: runner.state == FAILED)
    assert "is stored with other content" in runner.detail
    async with rig.database.transaction() as connection:
        stored = await store.load(connection, runner.key)
    assert stored.open_time_ns == made(0)[0].open_time_ns
