"""Steps of many strategies in one transaction."""

import asyncio

import pytest

from core.detector import store
from core.detector.step_store import Step
from core.detector.store import InstanceKey, InstanceUpdate, StoredInstance
from core.detector.tests.rig import rig_for
from kit.base.database import ConsumerPositionConflict
from kit.strategy.instance import FLAT
from kit.strategy.tests.market import bar, instance

COUNT = 5


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def step(number, before, now, events=(), is_live=False):
    key = InstanceKey(f"one{number}", "binance", "BTCUSDT")
    move = InstanceUpdate(key, before, now)
    return Step(move, list(events), None, None, None, 1, is_live)


async def kept(rig, *steps):
    return await asyncio.gather(*map(rig.context.steps.keep, steps), return_exceptions=True)


async def test_who_is_not_where_it_was_keeps_no_other_one_back(rig):
    first, second = StoredInstance("a", 1, 0, b"1"), StoredInstance("a", 2, 0, b"2")
    assert (
        await kept(rig, *(step(number, None, first) for number in range(COUNT))) == [None] * COUNT
    )
    befores = [first, first, second, first, first]
    event = instance().update(bar(0), FLAT)
    moved = [step(number, before, second) for number, before in enumerate(befores)]
    moved[2] = step(2, second, second, [event])
    found = await kept(rig, *moved)
    assert isinstance(found.pop(2), ConsumerPositionConflict)
    assert found == [None] * (COUNT - 1)
    async with rig.database.transaction() as connection:
        stored = [await store.load(connection, one.move.key) for one in moved]
    assert stored == [second, second, first, second, second]
    assert await rig.signals() == []


async def test_a_step_with_a_signal_is_stored_before_those_without_one(rig, monkeypatch):
    may_go_on = asyncio.Event()
    monkeypatch.setattr(rig.context.steps._silent_writes, "_wait", may_go_on.wait)
    now, event = StoredInstance("a", 1, 0, b"1"), instance().update(bar(0), FLAT)
    silent = [asyncio.create_task(kept(rig, step(n, None, now, is_live=True))) for n in (0, 1)]
    await kept(rig, step(2, None, now, [event], is_live=True), step(3, None, now))
    async with rig.database.transaction() as connection:
        found = await connection.execute("SELECT strategy FROM detector_instances ORDER BY 1")
        assert await found.fetchall() == [("one2",), ("one3",)]
    assert not any(one.done() for one in silent)
    may_go_on.set()
    assert await asyncio.gather(*silent) == [[None], [None]]


async def test_each_gets_its_own_position(rig):
    keys = [InstanceKey(f"one{number}", "binance", "BTCUSDT") for number in range(COUNT)]
    async with rig.database.transaction() as connection:
        for number in (1, 3):
            await store.keep_position(connection, keys[number], number)
    found = await asyncio.gather(*map(rig.context.steps.position, keys))
    assert found == [0, 1, 0, 3, 0]
