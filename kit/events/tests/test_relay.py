"""Stored events are published in Redis: each once, under its id, whatever Redis has lost."""

import asyncio
from contextlib import asynccontextmanager

from kit.base.cursor import Cursor
from kit.events import event_log
from kit.events.relay import APPEND_EVENTS_MAX, TRIM_ENTRIES
from kit.events.streams import redis_key
from kit.events.tests.rig import EXECUTIONS, LEDGER, STORED_NS, filled
from tests.support.waiting import until

KEY = redis_key(EXECUTIONS)


@asynccontextmanager
async def running(*relays):
    """The relays run."""
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_events_are_published_in_their_order_under_their_ids(rig):
    relay = rig.relay()
    await relay.publish()
    assert rig.published() == []
    await rig.append(*map(filled, range(2 * APPEND_EVENTS_MAX + 1)))
    await rig.append(filled(0), stream=LEDGER)
    await relay.publish()
    await rig.append(filled(-1))
    await relay.publish()
    assert rig.published() == await rig.expected()
    assert len(rig.published()) == 2 * APPEND_EVENTS_MAX + 2
    assert rig.published(LEDGER) == await rig.expected(LEDGER)


async def test_a_relay_that_begins_goes_on_after_what_another_has_published(rig):
    await rig.append(filled(1))
    await rig.relay().publish()
    await rig.append(filled(2))
    await rig.relay().publish()
    assert [sequence for _, sequence, _ in rig.published()] == [1, 2]


async def test_two_relays_at_once_publish_each_event_once(rig):
    relays = [rig.relay(), rig.relay()]

    async def store(writer: int) -> None:
        for number in range(60):
            await rig.append(filled(1000 * writer + number))
            for relay in relays:
                relay.wake()

    async with running(*relays):
        await asyncio.gather(*map(store, range(3)))
        await until(lambda: len(rig.published()) == 180)
    assert rig.published() == await rig.expected()


async def test_it_looks_by_itself_for_what_another_process_has_stored(rig):
    async with running(rig.relay()):
        await rig.append(filled(1))
        await until(rig.published)
    assert rig.published() == await rig.expected()


async def append(rig, *numbers):
    """Store events. Returns the answer of ``append``."""
    async with rig.database.transaction(pipelined=True) as connection:
        return await event_log.append(connection, EXECUTIONS, [*map(filled, numbers)], STORED_NS)


async def test_events_that_are_handed_over_are_published_without_being_read(rig, monkeypatch):
    relay = rig.relay()
    await rig.append(filled(0))
    async with running(relay):
        await until(rig.published)
        # Whoever reads from now on waits.
        monkeypatch.setattr(relay, "publish", asyncio.Event().wait)
        relay.wake(await append(rig, 1, 2))
        await until(lambda: len(rig.published()) == 3)
    assert rig.published() == await rig.expected()


async def test_the_first_event_of_a_stream_has_the_epoch_of_the_table(rig):
    relay = rig.relay()
    await rig.append(filled(9), stream=LEDGER)
    async with running(relay):
        await until(lambda: rig.published(LEDGER))
        relay.wake(await append(rig, 0))
        await until(rig.published)
        relay.wake(await append(rig, 1))
        await until(lambda: len(rig.published()) == 2)
    assert rig.published() == await rig.expected()


async def test_events_that_do_not_follow_or_were_there_are_read(rig):
    relay = rig.relay()
    await rig.append(filled(0))
    async with running(relay):
        await until(rig.published)
        stored = [await append(rig, *events) for events in ([1], [2], [2, 3])]
        for one in (stored[1], stored[0], stored[2]):
            relay.wake(one)
        await until(lambda: len(rig.published()) == 4)
    assert rig.published() == await rig.expected()


async def test_a_missing_event_is_not_passed_over(rig):
    await rig.append(*map(filled, range(3)))
    await rig.execute("DELETE FROM events WHERE sequence = 2")
    async with running(rig.relay()):
        await until(lambda: "event 2 of the stream 'executions' is missing" in rig.meter.detail)
    assert rig.published() == []


async def test_redis_that_has_lost_entries_gets_them_again(rig):
    relay = rig.relay()
    await rig.append(*map(filled, range(3)))
    await relay.publish()
    # As after a restart that has lost the last second: newest again 1.
    epoch = await rig.epoch()
    rig.command("DEL", KEY)
    rig.command("XADD", KEY, f"{epoch}-1", "b", (await rig.stored())[0].body)
    await rig.append(filled(3))
    await relay.publish()
    assert rig.published() == await rig.expected()


async def test_empty_redis_gets_the_newest_events(rig):
    await rig.append(*map(filled, range(300)))
    relay = rig.relay(EXECUTIONS, entries_max=100)
    await relay.publish()
    assert rig.published() == (await rig.expected())[-100:]
    rig.command("FLUSHALL")
    await rig.append(filled(-1))
    await relay.publish()
    assert rig.published() == (await rig.expected())[-100:]


async def test_redis_keeps_a_bounded_number_of_events(rig):
    relay = rig.relay(EXECUTIONS, entries_max=100)
    for first in range(0, 3 * TRIM_ENTRIES, 128):
        await rig.append(*map(filled, range(first, first + 128)))
        await relay.publish()
    found = rig.published()
    # Redis removes whole nodes of 100 entries.
    assert len(found) <= 100 + 100 + TRIM_ENTRIES
    assert found == (await rig.expected())[-len(found) :]


async def forget(rig, after: int) -> None:
    """Return to what the table was, as a database that is restored from a backup."""
    await rig.execute("DELETE FROM events WHERE sequence > %s", after)
    await rig.execute("UPDATE event_streams SET sequence = %s WHERE sequence > %s", after, after)


async def test_events_of_a_restored_database_follow_in_a_new_epoch(rig):
    await rig.append(*map(filled, range(5)))
    await rig.relay().publish()
    before = await rig.epoch()
    await forget(rig, 3)
    await rig.append(filled(10))
    relays = [rig.relay(), rig.relay()]
    for relay in relays:
        await relay.publish()
    await rig.append(filled(11))
    for relay in (*relays, *relays):
        await relay.publish()
    assert await rig.epoch() > before
    lost, found = rig.published()[:5], rig.published()[5:]
    assert {epoch for epoch, _, _ in lost} == {before}
    assert found == await rig.expected()


async def test_a_restored_database_that_has_grown_past_redis_is_noticed(rig):
    await rig.append(*map(filled, range(5)))
    await rig.relay().publish()
    before = await rig.epoch()
    await forget(rig, 3)
    await rig.append(*map(filled, range(10, 20)))
    await rig.relay().publish()
    assert await rig.epoch() > before
    assert rig.published()[5:] == await rig.expected()


async def test_a_restored_database_is_noticed_by_the_number_of_an_entry_that_is_gone(rig):
    await rig.append(*map(filled, range(5)))
    await rig.relay().publish()
    rig.command("XTRIM", KEY, "MAXLEN", "0")
    before = await rig.epoch()
    await forget(rig, 3)
    await rig.relay().publish()
    assert await rig.epoch() > before
    assert rig.published() == await rig.expected()


async def test_an_epoch_that_is_not_of_the_table_is_followed_by_a_later_one(rig):
    rig.command("XADD", KEY, "99999999999999-7", "b", "other")
    await rig.append(filled(1))
    await rig.relay().publish()
    assert await rig.epoch() == 99999999999999 + 1
    assert rig.published()[1:] == await rig.expected()


async def test_a_stream_whose_entries_were_deleted_goes_on(rig):
    await rig.append(filled(1))
    await rig.relay().publish()
    rig.command("XTRIM", KEY, "MAXLEN", "0")
    await rig.append(filled(2))
    await rig.relay().publish()
    assert rig.published() == (await rig.expected())[1:]


async def test_wait_tells_the_next_entry_of_each_stream(rig):
    epoch = await rig.epoch(LEDGER)
    await rig.append(filled(1), filled(2), stream=LEDGER)
    await rig.relay().publish()
    after = {EXECUTIONS: Cursor(0, 0), LEDGER: Cursor(epoch, 1)}
    assert await rig.redis.wait(after, 10) == {LEDGER: Cursor(epoch, 2)}
