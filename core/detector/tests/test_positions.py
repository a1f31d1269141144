"""The positions of strategies, as the inspector tells them."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2

from core.detector import store
from core.detector.positions import keep_positions
from core.detector.tests.rig import numbers, rig_for
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.features.indicators import close
from kit.strategy.strategy import Exit
from kit.strategy.tests.market import bar, strategy
from tests.support.waiting import until

RISK = event_pb2.EVENT_STREAM_RISK


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def told(number, runner, size, is_flat=False, **fields):
    """What the inspector tells of the strategy."""
    event = event_pb2.Event(
        event_id=event_id("inspector", "a", [str(number).encode()]), source="inspector"
    )
    strategy_name, venue, symbol = runner.key
    names = {"strategy": strategy_name, "venue": venue, "symbol": symbol} | fields
    changed = event.position_changed
    changed.size, changed.is_flat = size, is_flat
    for name, value in names.items():
        setattr(changed, name, value)
    return event


async def tell(rig, *events):
    """Store events, and let the detector see them."""
    async with rig.database.transaction() as connection:
        before = (await event_log.stream_states(connection, [RISK]))[RISK].sequence
        await event_log.append(connection, RISK, events, 1)
        await keep_positions(connection, await event_log.read(connection, RISK, before))


async def position(rig, runner):
    async with rig.database.transaction() as connection:
        return await store.position(connection, runner.key)


async def test_strategy_closes_what_the_inspector_says_that_it_has(rig):
    exits = (Exit(name="high", condition=close > 105),)
    runner = rig.runner(strategy(exits=exits))
    async with rig.running(runner):
        rig.bars.add(bar(0))
        await until(lambda: runner.signals == 1)
        await tell(rig, told(1, runner, "0.3"), told(2, runner, "0.4995"))
        rig.bars.add(bar(1), bar(2, 106.0))
        await until(lambda: runner.signals == 2)
        closing = (await rig.signals())[1].signal_raised
        assert (closing.side, closing.position_size) == (types_pb2.SIDE_SELL, "0.4995")
        await tell(rig, told(3, runner, "0.00005", is_flat=True))
        assert await position(rig, runner) == 0
        rig.bars.add(bar(3))
        await until(lambda: runner.signals == 3)
    assert numbers(await rig.signals()) == [0, 2, 3]


@pytest.mark.parametrize("size", ["0.025", "-0.025", "0.00000001"])
async def test_small_part_that_is_left_of_a_position_is_a_position(rig, size):
    """However small it is beside what was opened: the inspector has it, and it has exits."""
    runner = rig.runner()
    await tell(rig, told(1, runner, "0.5"), told(2, runner, size))
    assert await position(rig, runner) == Decimal(size)


@pytest.mark.parametrize("other", ["strategy", "venue", "symbol"])
async def test_positions_of_others_change_nothing(rig, other):
    runner = rig.runner()
    await tell(rig, told(1, runner, "0.5", **{other: "another"}))
    assert await position(rig, runner) == 0
