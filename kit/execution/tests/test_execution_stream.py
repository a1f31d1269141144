"""Whoever reads goes on where it was, or begins with what is true."""

import asyncio

from venuemesh.tradeflow.v1 import orders_pb2, trade_flow_pb2

from kit.base.cursor import Cursor
from kit.execution.execution_stream import Event, ExecutionStream


def executions(events_max=10):
    return ExecutionStream(5, events_max, trade_flow_pb2.ExecutionSnapshot)


def happen(ring, *numbers):
    for number in numbers:
        ring.publish(Event(order=orders_pb2.Order(detail=str(number))))


async def take(events, count):
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


def details(events):
    return [one.order.detail if one.HasField("order") else "snapshot" for one in events]


async def test_a_snapshot_comes_first_and_then_everything():
    ring = executions()
    happen(ring, 1, 2)
    events = ring.read(None)
    (first,) = await take(events, 1)
    assert first.HasField("snapshot")
    assert Cursor.of(first.cursor) == Cursor(5, 2)
    happen(ring, 3, 4)
    rest = await take(events, 2)
    assert details(rest) == ["3", "4"]
    assert [one.cursor.sequence for one in rest] == [3, 4]


async def test_it_goes_on_after_a_cursor():
    ring = executions()
    happen(ring, 1, 2, 3)
    assert details(await take(ring.read(Cursor(5, 1)), 2)) == ["2", "3"]
    waiting = asyncio.ensure_future(take(ring.read(Cursor(5, 3)), 1))
    await asyncio.sleep(0)
    happen(ring, 4)
    assert details(await waiting) == ["4"]


async def test_a_cursor_that_is_not_held_begins_anew():
    ring = executions(events_max=2)
    happen(ring, 1, 2, 3, 4)
    for after in (Cursor(5, 1), Cursor(4, 3), Cursor(5, 9), Cursor(6, 1)):
        assert details(await take(ring.read(after), 1)) == ["snapshot"]
    assert details(await take(ring.read(Cursor(5, 2)), 2)) == ["3", "4"]


async def test_a_slow_reader_gets_a_new_snapshot():
    ring = executions(events_max=3)
    happen(ring, 1)
    events = ring.read(None)
    await take(events, 1)
    happen(ring, *range(2, 20))
    assert details(await take(events, 1)) == ["snapshot"]
    happen(ring, 20)
    assert details(await take(events, 1)) == ["20"]


async def test_many_readers_wait_at_once_and_end_together():
    ring = executions()
    happen(ring, 1)

    async def read_all():
        return details([one async for one in ring.read(Cursor(5, 1))])

    readers = [asyncio.ensure_future(read_all()) for _ in range(5)]
    await asyncio.sleep(0)
    readers[0].cancel()
    happen(ring, 2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ring.close()
    assert await asyncio.gather(*readers[1:]) == [["2"]] * 4
