"""A reader resumes after its cursor, or starts with a snapshot."""

import asyncio

from venuemesh.tradeflow.v1 import orders_pb2, snapshots_pb2

from kit.base.cursor import Cursor
from kit.execution.execution_stream import Event, ExecutionStream
from tests.support.waiting import WAIT_SECONDS_MAX


def executions(events_max=10):
    return ExecutionStream(5, events_max, snapshots_pb2.ExecutionSnapshot)


def happen(ring, *numbers):
    for number in numbers:
        ring.publish(Event(order=orders_pb2.Order(detail=str(number))))


async def take(events, count):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        return [await anext(events) for _ in range(count)]


def details(events):
    return [one.order.detail if one.HasField("order") else "snapshot" for one in events]


async def test_reader_gets_a_snapshot_and_then_every_event():
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


async def test_reader_resumes_after_a_cursor():
    ring = executions()
    happen(ring, 1, 2, 3)
    assert details(await take(ring.read(Cursor(5, 1)), 2)) == ["2", "3"]
    waiting = asyncio.ensure_future(take(ring.read(Cursor(5, 3)), 1))
    await asyncio.sleep(0)
    happen(ring, 4)
    assert details(await waiting) == ["4"]


async def test_expired_cursor_starts_with_a_snapshot():
    ring = executions(events_max=2)
    happen(ring, 1, 2, 3, 4)
    for after in (Cursor(5, 1), Cursor(4, 3), Cursor(5, 9), Cursor(6, 1)):
        assert details(await take(ring.read(after), 1)) == ["snapshot"]
    assert details(await take(ring.read(Cursor(5, 2)), 2)) == ["3", "4"]


async def test_slow_reader_gets_a_new_snapshot():
    ring = executions(events_max=3)
    happen(ring, 1)
    events = ring.read(None)
    await take(events, 1)
    happen(ring, *range(2, 20))
    assert details(await take(events, 1)) == ["snapshot"]
    happen(ring, 20)
    assert details(await take(events, 1)) == ["20"]


async def test_all_readers_end_with_the_stream():
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


async def test_reader_that_came_before_the_run_gets_a_new_snapshot():
    ring = executions()
    events = ring.read(None)
    await take(events, 1)
    waiting = asyncio.ensure_future(take(events, 1))
    await asyncio.sleep(0)
    ring.begin(6)
    (snapshot,) = await waiting
    assert (details([snapshot]), Cursor.of(snapshot.cursor)) == (["snapshot"], Cursor(6, 0))
    happen(ring, 1)
    assert details(await take(events, 1)) == ["1"]
