"""Readers follow the table, and Redis tells them when to look."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.clock import SystemClock
from kit.events.event_log import EventMissing
from kit.events.event_reader import EventReader, replay
from kit.events.logged_events import LoggedEvent, merged
from kit.events.redis_events import RedisEvents
from kit.events.tests.rig import EXECUTIONS, LEDGER, filled, numbers
from tests.support.waiting import WAIT_SECONDS_MAX, until


async def read(reader, positions, count: int) -> list[LoggedEvent]:
    """The next events of a follower."""
    found: list[LoggedEvent] = []
    async with asyncio.timeout(WAIT_SECONDS_MAX), aclosing(reader.follow(positions)) as parts:
        async for events in parts:
            found += events
            if len(found) >= count:
                return found
    raise AssertionError("it follows for ever")


async def test_a_follower_gets_what_was_stored_and_what_is_stored_later(rig):
    await rig.append(*map(filled, range(3)))
    following = asyncio.create_task(read(rig.reader(), {EXECUTIONS: 1, LEDGER: 0}, 4))
    relay = rig.relay()
    await relay.publish()
    await rig.append(filled(3))
    await rig.append(filled(4), stream=LEDGER)
    await relay.publish()
    found = await following
    assert sorted(numbers(found)) == [
        (EXECUTIONS, 2),
        (EXECUTIONS, 3),
        (EXECUTIONS, 4),
        (LEDGER, 1),
    ]


async def test_an_event_that_redis_does_not_have_is_read_all_the_same(rig):
    following = asyncio.create_task(read(rig.reader(), {EXECUTIONS: 0}, 2))
    await rig.append(filled(1))
    await rig.relay().publish()
    await rig.append(filled(2))
    assert numbers(await following) == [(EXECUTIONS, 1), (EXECUTIONS, 2)]


async def test_an_event_that_only_redis_has_is_never_read(rig):
    await rig.append(*map(filled, range(3)))
    await rig.relay().publish()
    await rig.execute("DELETE FROM events WHERE sequence > 1")
    await rig.execute("UPDATE event_streams SET sequence = 1 WHERE stream = 'executions'")
    following = asyncio.create_task(read(rig.reader(), {EXECUTIONS: 0}, 2))
    await rig.append(filled(10))
    await rig.relay().publish()
    found = await following
    assert [event.event() for event in found] == [filled(0), filled(10)]


async def test_without_redis_it_reads_the_table(rig):
    nobody = RedisEvents("redis://127.0.0.1:1/0")
    reader = EventReader(rig.database, nobody, rig.reasons, SystemClock())
    following = asyncio.create_task(read(reader, {EXECUTIONS: 0}, 1))
    await until(lambda: "redis: Redis is away" in rig.meter.detail)
    await rig.append(filled(1))
    assert numbers(await following) == [(EXECUTIONS, 1)]


async def test_a_hole_in_the_table_is_an_error_that_names_the_event(rig):
    await rig.append(*map(filled, range(3)))
    await rig.execute("DELETE FROM events WHERE sequence = 2")
    with pytest.raises(EventMissing, match="event 2 of the stream 'executions' is missing"):
        await read(rig.reader(), {EXECUTIONS: 0}, 3)


def logged(stream, times) -> list[LoggedEvent]:
    return [
        LoggedEvent(stream, sequence, 0, filled(sequence, time_ns=time_ns).SerializeToString())
        for sequence, time_ns in enumerate(times, 1)
    ]


TIMES = st.lists(st.integers(0, 5), max_size=12)


@given(TIMES, TIMES)
def test_events_of_a_stream_stay_in_order_and_the_earliest_next_one_comes_first(first, second):
    parts = {EXECUTIONS: logged(EXECUTIONS, first), LEDGER: logged(LEDGER, second)}
    rest = {stream: list(part) for stream, part in parts.items()}
    for event in merged(parts, 1000):
        heads = [part[0] for part in rest.values() if part]
        assert event == min(heads, key=lambda one: (one.event().time_ns, one.stream))
        rest[event.stream].pop(0)
    assert not any(rest.values())


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_a_replay_is_the_same_whatever_is_read_at_once(rig, limit):
    times = {EXECUTIONS: [5, 1, 2, 9, 9, 3], LEDGER: [2, 2, 8, 1, 1, 1, 1, 9]}
    parts = {}
    for stream, found in times.items():
        events = [filled(100 * stream + n, time_ns=time) for n, time in enumerate(found)]
        await rig.append(*events, stream=stream)
        parts[stream] = await rig.stored(stream)
    expected = numbers(merged(parts, 1000))
    found = [event async for event in replay(rig.database, {EXECUTIONS: 0, LEDGER: 0}, limit)]
    assert numbers(found) == expected
    assert len(found) == 14
