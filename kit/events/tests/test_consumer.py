"""Consumers: each event once, in order, together with what follows from it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from venuemesh.registry.v1 import registry_pb2

from kit.base.clock import SystemClock
from kit.events import event_log
from kit.events.event_reader import replay
from kit.events.tests.copier import COPIER, booked, copier, copy
from kit.events.tests.rig import EXECUTIONS, LEDGER, filled, numbers
from tests.support.waiting import WAIT_SECONDS_MAX, until


@pytest.fixture(autouse=True)
async def _table(rig):
    await rig.execute("CREATE TABLE handled AS SELECT 0 AS number")


@asynccontextmanager
async def running(*consumers):
    """The consumers run."""
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def position(rig, stream=EXECUTIONS) -> int:
    async with rig.database.transaction() as connection:
        return (await event_log.load_positions(connection, COPIER)).get(stream, 0)


READS_OR_HOLDS = (
    "SELECT FROM pg_locks WHERE relation IN ('events'::regclass, 'event_positions'::regclass)"
)


async def rows(rig, query: str) -> list:
    async with rig.database.transaction() as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def reached(rig, sequence: int, stream=EXECUTIONS) -> None:
    """Wait until the consumer has come so far."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await position(rig, stream) < sequence:
            await asyncio.sleep(0.01)


async def check(rig) -> None:
    """Each execution has one event in the ledger, in the same order, and was handled once."""
    executions = [event.event() for event in await rig.stored()]
    made = [event.event() for event in await rig.stored(LEDGER)]
    assert made == [booked(event) for event in executions]
    async with rig.database.transaction() as connection:
        rows = await connection.execute("SELECT number FROM handled")
        assert await rows.fetchone() == (len(executions),)


async def test_each_event_is_handled_once_with_its_result(rig):
    await rig.append(*map(filled, range(5)))
    woken: list[int] = []
    async with running(copier(rig, wake=lambda: woken.append(1))):
        await reached(rig, 5)
        await rig.append(filled(5))
        await reached(rig, 6)
    await check(rig)
    assert len(woken) == 2


async def test_of_two_consumers_of_one_name_each_event_is_handled_by_one(rig):
    async with running(copier(rig), copier(rig)):
        for number in range(30):
            await rig.append(filled(number))
        await reached(rig, 30)
    await check(rig)


async def test_what_is_handled_is_prepared_before_its_transaction(rig):
    await rig.append(filled(1), filled(2))
    steps = []

    async def prepare(events) -> None:
        assert not await rows(rig, READS_OR_HOLDS)
        steps.append(("prepare", numbers(events)))

    async def handle(connection, events) -> None:
        steps.append(("handle", numbers(events)))
        await copy(connection, events)

    async with running(copier(rig, handle=handle, prepare=prepare)):
        # A look at the positions would hold them, too.
        await until(lambda: len(steps) == 2)
        await reached(rig, 2)
    await check(rig)
    names, read = zip(*steps, strict=True)
    assert names == ("prepare", "handle")
    assert read[0] == read[1] == numbers(await rig.stored())


async def test_what_another_consumer_handles_meanwhile_is_not_handled_again(rig):
    await rig.append(filled(1), filled(2))
    prepared, sent, handled = [], [], []

    async def prepare(events) -> None:
        prepared.append(numbers(events))
        if len(prepared) == 1:
            async with running(copier(rig)):
                await reached(rig, 2)
            await rig.append(filled(3))

    async def send(connection, events) -> None:
        sent.append(numbers(events))

    async def handle(connection, events) -> None:
        handled.append(numbers(events))
        await copy(connection, events)

    async with running(copier(rig, handle=handle, prepare=prepare, send=send)):
        await reached(rig, 3)
    await check(rig)
    assert prepared == sent == [[(EXECUTIONS, 1), (EXECUTIONS, 2)], [(EXECUTIONS, 3)]]
    assert handled == [[(EXECUTIONS, 3)]]


async def test_events_that_are_stored_while_it_gathers_are_handled_together(rig, monkeypatch):
    handled = []

    async def store_two(clock, seconds) -> None:
        if not await rig.stored():
            await rig.append(filled(1))
            await rig.append(filled(2))

    async def handle(connection, events) -> None:
        handled.append(numbers(events))
        await copy(connection, events)

    monkeypatch.setattr(SystemClock, "sleep", store_two)
    async with running(copier(rig, handle=handle, gather_seconds=0.2)):
        await reached(rig, 2)
    assert handled == [[(EXECUTIONS, 1), (EXECUTIONS, 2)]]


async def test_several_streams_are_read_in_the_defined_order(rig):
    await rig.append(*(filled(n, time_ns=n) for n in (1, 4, 5)))
    await rig.append(*(filled(100 + n, time_ns=n) for n in (2, 4, 6)), stream=LEDGER)
    found: list[tuple[int, int]] = []

    async def note(_connection, events) -> None:
        found.extend(numbers(events))

    async with running(copier(rig, LEDGER, EXECUTIONS, handle=note)):
        await reached(rig, 3)
        await reached(rig, 3, LEDGER)
    replayed = [event async for event in replay(rig.database, {EXECUTIONS: 0, LEDGER: 0})]
    assert found == numbers(replayed)
    assert [stream for stream, _ in found] == [4, 5, 4, 5, 4, 5]


async def status(rig, state, text: str) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (rig.meter.state, text in rig.meter.detail) != (state, True):
            await asyncio.sleep(0.01)


async def unknown(rig):
    """Store an event whose content this version does not know."""
    event = filled(3)
    event.ClearField("payload")
    await rig.append(event)


async def test_it_stops_at_an_event_that_it_does_not_know_and_names_it(rig):
    await rig.append(filled(1), filled(2))
    await unknown(rig)
    await rig.append(filled(4))
    async with running(copier(rig)):
        reason = "event 3 of the stream 'executions' is not known to this version: update"
        await status(rig, registry_pb2.SERVICE_STATE_DEGRADED, reason)
        assert await position(rig) == 2
        body = filled(3).SerializeToString(deterministic=True)
        await rig.execute("UPDATE events SET body = %s WHERE sequence = 3", body)
        await status(rig, registry_pb2.SERVICE_STATE_SERVING, "")
        await reached(rig, 4)
    await check(rig)


async def test_one_that_does_not_look_at_the_content_goes_on(rig):
    await unknown(rig)
    await rig.append(filled(4))
    async with running(copier(rig, reads_unknown=True)):
        await reached(rig, 2)
    assert len(await rig.stored(LEDGER)) == 2


async def test_a_missing_event_stops_it(rig):
    await rig.append(*map(filled, range(3)))
    await rig.execute("DELETE FROM events WHERE sequence = 2")
    async with running(copier(rig)):
        reason = "event 2 of the stream 'executions' is missing"
        await status(rig, registry_pb2.SERVICE_STATE_DEGRADED, reason)
    assert await position(rig) == 0


async def test_a_result_that_differs_from_the_stored_one_stops_it(rig):
    await rig.append(filled(1))
    other = booked(filled(1))
    other.postings_booked.group_id = "other"
    await rig.append(other, stream=LEDGER)
    async with running(copier(rig)):
        await status(rig, registry_pb2.SERVICE_STATE_DEGRADED, other.event_id.hex())
    assert await position(rig) == 0


async def test_a_handler_that_fails_leaves_nothing(rig):
    async def fail(connection, events) -> None:
        await copy(connection, events)
        raise ZeroDivisionError

    await rig.append(filled(1))
    with pytest.raises(ZeroDivisionError):
        await copier(rig, handle=fail).run()
    assert await position(rig) == 0
    assert await rig.stored(LEDGER) == []
