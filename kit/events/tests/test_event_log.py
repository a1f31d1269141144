"""Events in PostgreSQL: stored once, numbered without holes, refused with other content."""

import asyncio

import psycopg
import pytest

from kit.base.database import ConsumerPositionConflict
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_ids import EVENT_ID_BYTES, event_id
from kit.events.event_log import EventConflict
from kit.events.tests.rig import EXECUTIONS, LEDGER, STORED_NS, filled


async def test_an_event_is_stored_once_and_read_as_it_was(rig):
    events = [filled(number) for number in range(3)]
    await rig.append(*events, events[0])
    await rig.append(events[1], filled(3))
    await rig.append(events[1])
    found = await rig.stored()
    assert [one.event() for one in found] == [*events, filled(3)]
    assert [one.sequence for one in found] == [1, 2, 3, 4]
    assert {one.stored_time_ns for one in found} == {STORED_NS}
    assert [one.sequence for one in await rig.stored(after=3)] == [4]
    assert await rig.stored(LEDGER) == []
    async with rig.database.transaction() as connection:
        states = await event_log.stream_states(connection, [EXECUTIONS, LEDGER])
    assert [states[one].sequence for one in (EXECUTIONS, LEDGER)] == [4, 0]


async def test_other_content_under_the_same_id_is_refused_whole(rig):
    await rig.append(filled(1))
    for events in ([filled(2), filled(1, price="101")], [filled(3), filled(3, price="101")]):
        with pytest.raises(EventConflict):
            await rig.append(*events)
    assert [one.event() for one in await rig.stored()] == [filled(1)]


async def test_other_content_in_a_pipeline_stores_nothing(rig):
    await rig.append(filled(1))

    async def handle() -> None:
        async with rig.database.transaction(pipelined=True) as connection:
            await event_log.save_positions(connection, "ledger", {EXECUTIONS: 1}, {})
            events = [filled(2), filled(1, price="101")]
            await event_log.append(connection, EXECUTIONS, events, STORED_NS)

    with pytest.raises(EventConflict):
        await handle()
    assert [one.event() for one in await rig.stored()] == [filled(1)]
    async with rig.database.transaction() as connection:
        assert await event_log.load_positions(connection, "ledger") == {}


async def test_a_stream_that_the_database_does_not_have_loses_no_event(rig):
    async def append() -> None:
        async with rig.database.transaction() as connection:
            await connection.execute("DELETE FROM event_streams WHERE stream = 'executions'")
            await event_log.append(connection, EXECUTIONS, [filled(1)], STORED_NS)

    with pytest.raises(psycopg.errors.NotNullViolation):
        await append()


async def test_numbers_of_writers_at_the_same_time_have_no_holes(rig):
    async def write(writer: int) -> None:
        for number in range(10):
            await rig.append(filled(100 * writer + number), filled(0))

    await asyncio.gather(*map(write, range(4)))
    sequences = [one.sequence for one in await rig.stored()]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) == 40


async def hold(connection, *, by: str) -> None:
    """Keep others from going on until the transaction ends."""
    if by == "append":
        await event_log.append(connection, EXECUTIONS, [filled(1)], STORED_NS)
    else:
        await event_log.save_positions(connection, "ledger", {EXECUTIONS: 1}, {})


@pytest.mark.parametrize("by", ["append", "positions"])
async def test_a_process_that_hangs_in_its_transaction_does_not_hold_others(rig, monkeypatch, by):
    # Longer than the second one may wait for the processor between two statements of its own.
    monkeypatch.setattr(event_log, "HELD", "500ms")

    async def hang() -> None:
        async with rig.database.transaction() as connection:
            await hold(connection, by=by)
            # Waits until the server has ended the first transaction.
            async with rig.database.transaction() as other:
                await hold(other, by=by)

    with pytest.raises(StoreUnavailable, match="idle-in-transaction"):
        await hang()
    assert len(await rig.stored()) == (by == "append")


async def test_positions_are_moved_by_one_of_two(rig):
    async def move(positions, before) -> None:
        async with rig.database.transaction() as connection:
            await event_log.save_positions(connection, "ledger", positions, before)

    await move({EXECUTIONS: 3, LEDGER: 1}, {})
    await move({EXECUTIONS: 5}, {EXECUTIONS: 3})
    with pytest.raises(ConsumerPositionConflict):
        await move({EXECUTIONS: 4}, {EXECUTIONS: 3})
    async with rig.database.transaction() as connection:
        assert await event_log.load_positions(connection, "ledger") == {EXECUTIONS: 5, LEDGER: 1}


def test_an_id_depends_on_every_part_and_their_borders():
    ids = {
        event_id("a", "b", [b"c"]),
        event_id("ab", "", [b"c"]),
        event_id("a", "b", [b"c"], 1),
        event_id("a", "b", [b"c", b"c"]),
        event_id("a", "b", [b"cc"]),
        event_id("a", "b", []),
    }
    assert len(ids) == 6
    assert {len(one) for one in ids} == {EVENT_ID_BYTES}
