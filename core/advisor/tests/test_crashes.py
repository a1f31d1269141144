"""Killed at any moment, each signal has one decision, and a stored one stays."""

import random

import psycopg
import pytest
from venuemesh.events.v1 import event_pb2

from core.advisor.tests.examples import CLOSE, signal, signal_event
from core.advisor.tests.process import advisor_process
from kit.events.tests.rig import rig_for
from tests.support.waiting import eventually

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
ROUNDS, SIGNALS_OF_ROUND = 4, 25

LOCKS = {
    "LOCK TABLE event_positions IN EXCLUSIVE MODE": {0},
    "SELECT FROM event_streams WHERE stream = 'decisions' FOR UPDATE": {0, 3},
}
"""What the transaction of the consumer waits for, one after the other, and how many of its three
decisions may be stored if the process is killed meanwhile."""


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def append(rig, first: int, count: int) -> None:
    made = [signal_event(number, signal(CLOSE)) for number in range(first, first + count)]
    await rig.append(*made, stream=SIGNALS)


async def check(rig, count: int) -> None:
    """Each signal has one decision, in the same order."""
    causes = [one.event().cause_ids for one in await rig.stored(DECISIONS)]
    assert causes == [[one.event().event_id] for one in await rig.stored(SIGNALS)]
    assert len(causes) == count
    expected = await rig.expected(DECISIONS)

    async def is_published() -> bool:
        return rig.published(DECISIONS) == expected

    await eventually(is_published)


async def test_it_is_killed_again_and_again(rig, valkey_url, postgres_url):
    process = advisor_process(postgres_url, valkey_url)
    stored_before: list[bytes] = []
    for number in range(ROUNDS):
        process.start()
        await append(rig, number * SIGNALS_OF_ROUND, SIGNALS_OF_ROUND)
        least = number * SIGNALS_OF_ROUND + random.randrange(SIGNALS_OF_ROUND)

        async def is_reached(least=least) -> bool:
            return len(await rig.stored(DECISIONS)) > least

        await eventually(is_reached)
        process.kill()
        stored = [one.body for one in await rig.stored(DECISIONS)]
        assert stored[: len(stored_before)] == stored_before
        stored_before = stored
    process.start()
    count = ROUNDS * SIGNALS_OF_ROUND

    async def is_done() -> bool:
        return len(await rig.stored(DECISIONS)) >= count

    await eventually(is_done)
    await check(rig, count)
    process.kill()


@pytest.mark.parametrize(("lock", "allowed"), LOCKS.items(), ids=["position", "decision"])
async def test_it_is_killed_within_its_transaction(rig, valkey_url, postgres_url, lock, allowed):
    process = advisor_process(postgres_url, valkey_url)
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute(lock.encode())
        await append(rig, 0, 3)
        process.start()

        async def someone_waits() -> bool:
            query = "SELECT FROM pg_locks WHERE NOT granted"
            return bool((await connection.execute(query)).rowcount)

        await eventually(someone_waits)
        process.kill()
    # A transaction that waits for the stream was sent whole, with its commit.
    assert len(await rig.stored(DECISIONS)) in allowed
    process.start()

    async def is_done() -> bool:
        return len(await rig.stored(DECISIONS)) >= 3

    await eventually(is_done)
    await check(rig, 3)
    process.kill()


async def test_a_decision_that_is_stored_is_not_made_again(rig, valkey_url, postgres_url):
    process = advisor_process(postgres_url, valkey_url)
    process.start()
    await append(rig, 0, 2)

    async def is_done() -> bool:
        return len(await rig.stored(DECISIONS)) == 2

    await eventually(is_done)
    process.kill()
    before = [one.body for one in await rig.stored(DECISIONS)]
    # As after a restore of a part of the tables.
    await rig.execute("UPDATE event_positions SET sequence = 0 WHERE consumer = 'advisor'")
    process.start()
    await append(rig, 2, 1)

    async def goes_on() -> bool:
        return len(await rig.stored(DECISIONS)) == 3

    await eventually(goes_on)
    assert [one.body for one in await rig.stored(DECISIONS)][:2] == before
    process.kill()
