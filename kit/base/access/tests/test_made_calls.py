"""The calls of a process, as the audit log reads them."""

import asyncio

from venuemesh.events.v1.system_pb2 import CallMade

from kit.base.access.made_calls import PART_CALLS_MAX, MadeCalls
from kit.base.clock import SystemClock


def made(count: int, calls_max: int = 10_000) -> MadeCalls:
    calls = MadeCalls(SystemClock(), calls_max)
    for number in range(1, count + 1):
        calls.add(CallMade(request_id=f"r-{number}"))
    return calls


async def read(calls: MadeCalls, number: int = 0) -> list[int]:
    """The numbers that a reader gets until the end."""
    calls.end()
    return [call.number async for part in calls.after(number) for call in part]


async def test_a_reader_gets_each_call_once_in_parts():
    calls = made(2 * PART_CALLS_MAX + 1)
    assert len(await anext(calls.after(0))) == PART_CALLS_MAX
    assert await read(calls) == list(range(1, 2 * PART_CALLS_MAX + 2))
    assert await read(calls, 2 * PART_CALLS_MAX) == [2 * PART_CALLS_MAX + 1]
    assert await read(calls, 2 * PART_CALLS_MAX + 1) == []


async def test_the_oldest_are_dropped_and_their_numbers_are_missing():
    calls = made(5, calls_max=3)
    assert await read(calls) == [3, 4, 5]
    assert await read(calls, 1) == [3, 4, 5]


async def test_a_reader_waits_for_the_next_call():
    calls = made(1)
    reader = calls.after(1)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    calls.add(CallMade(request_id="next"))
    (found,) = await waiting
    assert (found.number, found.call.request_id) == (2, "next")
