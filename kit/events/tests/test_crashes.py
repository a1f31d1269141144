"""Killed at any step, nothing is lost and nothing is done twice."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from unittest.mock import patch

import psycopg
import pytest

from conftest import free_port
from kit.base.redis_commands import RedisCommands
from kit.events.relay import EventRelay
from kit.events.tests.copier import copier_for, run
from kit.events.tests.rig import EXECUTIONS, LEDGER, Rig, filled, rig_for
from kit.events.tests.test_consumer import check, reached
from tests.support.valkey_process import TIED_TO_PARENT, ValkeyProcess
from tests.support.waiting import WAIT_SECONDS_MAX, until

LOCKS = (
    "LOCK TABLE event_positions IN EXCLUSIVE MODE",
    "LOCK TABLE handled IN EXCLUSIVE MODE",
    "SELECT FROM event_streams WHERE stream = 'ledger' FOR UPDATE",
)
"""What the transaction of the consumer waits for, one after the other."""


class Killed(BaseException):
    """As kill -9: nothing catches it, and the stores see their connections end."""


@contextmanager
def killed_at(step: int, after: bool) -> Iterator[Callable[[], bool]]:
    """Every statement and command is a step; the process ends before or after one of them.

    Yields whether it did.
    """
    steps = 0

    def interrupted(call):
        async def one(*arguments, **options):
            nonlocal steps
            steps += 1
            if steps > step or (steps == step and not after):
                raise Killed
            result = await call(*arguments, **options)
            if steps == step:
                raise Killed
            return result

        return one

    execute, command = psycopg.AsyncConnection.execute, RedisCommands.call
    with (
        patch.object(psycopg.AsyncConnection, "execute", interrupted(execute)),
        patch.object(RedisCommands, "call", interrupted(command)),
    ):
        yield lambda: steps >= step


async def once(rig: Rig) -> None:
    """Store an execution, consume it, publish both: each as a process of its own does."""
    number = len(await rig.stored())
    await rig.append(filled(number))
    relay: EventRelay = rig.relay()
    await relay.publish()
    consumer = copier_for(rig, relay)
    positions = await consumer._load()
    while (await rig.stored())[-1].sequence > positions[EXECUTIONS]:
        positions = await consumer._step(positions)
    await relay._publish_stored()
    await rig.relay().publish()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_it_may_be_killed_at_every_step(valkey_url, postgres_url, after):
    async with rig_for(valkey_url, postgres_url) as rig:
        await rig.execute("CREATE TABLE handled AS SELECT 0 AS number")
        step, is_over = 0, False
        while not is_over:
            step += 1
            # Another process each time: nothing is in memory.
            async with rig_for(valkey_url, postgres_url) as other:
                with killed_at(step, after) as was_killed:
                    with suppress(Killed):
                        await once(other)
                    is_over = not was_killed()
        assert step > 10
        await once(rig)
        await check(rig)
        for stream in (EXECUTIONS, LEDGER):
            assert rig.published(stream) == await rig.expected(stream)


def process(*urls: str) -> subprocess.Popen[bytes]:
    """The consumer and the relay in a process of their own."""
    command = [sys.executable, "-m", "kit.events.tests.copier", *urls]
    return subprocess.Popen([sys.executable, "-c", TIED_TO_PARENT, *command])


async def someone_waits(connection: psycopg.AsyncConnection) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not (await connection.execute("SELECT FROM pg_locks WHERE NOT granted")).rowcount:
            await asyncio.sleep(0.01)


async def test_a_process_may_be_killed_at_each_step_of_its_transaction(
    rig, valkey_url, postgres_url
):
    await rig.execute("CREATE TABLE handled AS SELECT 0 AS number")
    killed = process(valkey_url, postgres_url)
    try:
        for place, lock in enumerate(LOCKS):
            async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
                await connection.execute(lock.encode())
                await rig.append(*map(filled, range(10 * place, 10 * place + 10)))
                await someone_waits(connection)
                killed.kill()
                killed.wait()
            killed = process(valkey_url, postgres_url)
        await reached(rig, 10 * len(LOCKS))
        await check(rig)
        for stream in (EXECUTIONS, LEDGER):
            expected = await rig.expected(stream)
            await until(lambda stream=stream, expected=expected: rig.published(stream) == expected)
    finally:
        killed.kill()
        killed.wait()


async def test_redis_may_be_killed_and_forget_its_newest_entries(postgres_url, tmp_path):
    valkey = ValkeyProcess(tmp_path, free_port())
    await valkey.start()
    async with rig_for(valkey.url, postgres_url) as rig:
        await rig.execute("CREATE TABLE handled AS SELECT 0 AS number")
        running = asyncio.create_task(run(rig))
        try:
            await rig.append(filled(0))
            await until(lambda: len(rig.published(LEDGER)) == 1)
            valkey.remember()
            await rig.append(filled(1))
            await until(lambda: len(rig.published(LEDGER)) == 2)
            valkey.kill()
            # The table has everything: the consumer goes on.
            await rig.append(filled(2))
            await reached(rig, 3)
            valkey.forget()
            await valkey.start()
            await rig.append(filled(3))
            await until(lambda: len(rig.published(LEDGER)) == 4)
            for stream in (EXECUTIONS, LEDGER):
                assert rig.published(stream) == await rig.expected(stream)
            await check(rig)
        finally:
            running.cancel()
            await asyncio.wait([running])
            valkey.kill()
