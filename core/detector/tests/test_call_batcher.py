"""Calls that come together: one call, and nobody gets the error of another."""

import asyncio

import pytest

from core.detector.call_batcher import BATCH_ITEMS_MAX, BatchAbandoned, CallBatcher


class Refused(Exception):
    """Nothing was done."""


class Calls:
    """Doubles numbers; refuses calls with a 13, and fails with a 0."""

    def __init__(self):
        self.made = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def call(self, items):
        self.made.append(list(items))
        await self.may_end.wait()
        if 13 in items:
            raise Refused("13")
        if 0 in items:
            raise OSError("away")
        return [2 * item for item in items]


@pytest.fixture
def calls():
    return Calls()


def together(calls, *items):
    grouped = CallBatcher(calls.call, (Refused,))
    return asyncio.gather(*map(grouped.of, items), return_exceptions=True)


async def test_calls_of_one_turn_are_one(calls):
    assert await together(calls, 1, 2, 3) == [2, 4, 6]
    assert calls.made == [[1, 2, 3]]


async def test_a_group_is_bounded(calls):
    items = range(1, BATCH_ITEMS_MAX + 3)
    found = await together(calls, *(item + 100 for item in items))
    assert found == [2 * (item + 100) for item in items]
    assert [len(made) for made in calls.made] == [BATCH_ITEMS_MAX, 2]


async def test_calls_that_come_later_are_another_one(calls):
    grouped = CallBatcher(calls.call)
    calls.may_end.clear()
    first = asyncio.create_task(grouped.of(1))
    while not calls.made:
        await asyncio.sleep(0)
    second = asyncio.create_task(grouped.of(2))
    while len(calls.made) < 2:
        await asyncio.sleep(0)
    calls.may_end.set()
    assert await asyncio.gather(first, second) == [2, 4]


async def test_items_that_wait_for_a_call_are_one(calls):
    grouped = CallBatcher(calls.call, calls_max=1)
    calls.may_end.clear()
    waiting = [asyncio.create_task(grouped.of(1))]
    while not calls.made:
        await asyncio.sleep(0)
    for item in (2, 3, 4):
        waiting.append(asyncio.create_task(grouped.of(item)))
        for _ in range(9):
            await asyncio.sleep(0)
    assert calls.made == [[1]]
    calls.may_end.set()
    assert await asyncio.gather(*waiting) == [2, 4, 6, 8]
    assert calls.made == [[1], [2, 3, 4]]


@pytest.mark.parametrize("items", [(13, 1, 2), (1, 13, 2)])
async def test_a_refused_item_refuses_no_other_one(calls, items):
    found = dict(zip(items, await together(calls, *items), strict=True))
    assert isinstance(found.pop(13), Refused)
    assert found == {1: 2, 2: 4}
    assert sorted(calls.made[1:]) == [[1], [2], [13]]


async def test_an_unknown_outcome_is_unknown_to_all(calls):
    first, *others = await together(calls, 0, 1, 2)
    assert isinstance(first, OSError)
    assert [type(one) for one in others] == [BatchAbandoned] * 2
    assert len(calls.made) == 1


async def test_the_end_of_the_first_caller_is_told_to_the_others(calls):
    grouped = CallBatcher(calls.call)
    calls.may_end.clear()
    first, second = (asyncio.create_task(grouped.of(item)) for item in (1, 2))
    while not calls.made:
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(BatchAbandoned):
        await second
    calls.may_end.set()
    assert await grouped.of(3) == 6


async def test_the_end_of_another_caller_changes_nothing(calls):
    grouped = CallBatcher(calls.call)
    calls.may_end.clear()
    first, second = (asyncio.create_task(grouped.of(item)) for item in (1, 2))
    while not calls.made:
        await asyncio.sleep(0)
    second.cancel()
    calls.may_end.set()
    assert await first == 2
