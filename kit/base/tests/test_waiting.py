"""Waiting for an event ends when it is set, or after its bound."""

import asyncio

import pytest

from kit.base.waiting import is_set_within

NEVER_S = 3_600.0


@pytest.fixture
def event():
    return asyncio.Event()


@pytest.mark.parametrize("seconds", [NEVER_S, None])
async def test_a_wait_ends_when_the_event_is_set(event, seconds):
    waiting = asyncio.create_task(is_set_within(event, seconds))
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    assert await waiting is True


async def test_an_event_that_is_set_is_not_waited_for(event):
    event.set()
    assert await is_set_within(event, 0.0) is True


async def test_a_wait_ends_after_its_bound(event):
    assert await is_set_within(event, 0.01) is False


async def test_who_is_cancelled_does_not_wait_on(event):
    waiting = asyncio.create_task(is_set_within(event, NEVER_S))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_timeout_around_the_wait_is_not_taken_for_its_own(event):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await is_set_within(event, NEVER_S)
