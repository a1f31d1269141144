"""PostgreSQL in virtual time: what a run may rely on."""

import asyncio
from types import SimpleNamespace
from unittest.mock import Mock

import psycopg
import pytest

from kit.base.errors import StoreUnavailable
from kit.execution.tests.simulated_process import run
from tests.simulation.chain.chain import ChainClock
from tests.simulation.chain.processes import NamedProcess
from tests.simulation.chain.store import SimulatedDatabase, VirtualPostgres

CLOCK = ChainClock()
ADD = "INSERT INTO event_positions VALUES (%s, 'signals', 1)"
LOCK = "SELECT FROM event_streams WHERE stream = 'risk' FOR UPDATE"
COUNT = "SELECT count(*) FROM event_positions"


class Faults:
    """No fault, but those that a test wants."""

    def __init__(self):
        self.failing = {}
        """By "before" or "after", the statement that fails."""

    async def before(self, wire, query):
        self._check("before", wire, query)

    async def after(self, wire, query):
        self._check("after", wire, query)

    def _check(self, when, wire, query):
        if self.failing.get(when) == query:
            wire.roll_back()
            raise psycopg.OperationalError("simulated")


@pytest.fixture
def store(postgres_url):
    found = VirtualPostgres(postgres_url)
    yield found
    found.close()


def begin(store):
    """A run with two processes. Returns their databases, and that of no process."""
    faults, when_deadlocked = Faults(), Mock()
    store.begin(CLOCK, faults, when_deadlocked)
    processes = [NamedProcess("first"), NamedProcess("second")]
    databases = [SimulatedDatabase(store, one) for one in processes]
    return SimpleNamespace(
        faults=faults,
        when_deadlocked=when_deadlocked,
        processes=processes,
        first=databases[0],
        second=databases[1],
        outside=SimulatedDatabase(store),
    )


async def add(database, name):
    async with database.transaction() as connection:
        await connection.execute(ADD, [name])


async def count(database):
    async with database.transaction() as connection:
        return (await (await connection.execute(COUNT)).fetchone())[0]


def test_statement_that_waits_for_a_lock_waits_in_virtual_time(store):
    async def scenario():
        given = begin(store)
        order = []

        async def hold(database, name, seconds):
            async with database.transaction() as connection:
                await connection.execute(LOCK)
                await CLOCK.sleep(seconds)
                order.append((name, asyncio.get_running_loop().time()))

        await asyncio.gather(hold(given.first, "first", 3000), hold(given.second, "second", 1))
        assert order == [("first", 3000), ("second", 3001)]

    run(scenario())


def test_what_a_dead_process_has_not_committed_is_gone_and_its_locks_are_free(store):
    async def scenario():
        given = begin(store)

        async def hang():
            async with given.first.transaction() as connection:
                await connection.execute(LOCK)
                await connection.execute(ADD, ["first"])
                await asyncio.Event().wait()

        given.processes[0].start(hang())
        await CLOCK.sleep(1)
        given.processes[0].die()
        store.kill(given.processes[0])
        await CLOCK.sleep(1)
        async with given.second.transaction() as connection:
            await connection.execute(LOCK)
        assert await count(given.outside) == 0

    run(scenario())


def test_process_that_dies_while_it_waits_for_a_lock_changes_nothing(store):
    async def scenario():
        given = begin(store)

        async def wait():
            async with given.first.transaction() as connection:
                await connection.execute(LOCK)
                await connection.execute(ADD, ["first"])

        async with given.second.transaction() as connection:
            await connection.execute(LOCK)
            given.processes[0].start(wait())
            await CLOCK.sleep(1)
            given.processes[0].die()
            store.kill(given.processes[0])
            await CLOCK.sleep(1)
        assert await count(given.outside) == 0
        await add(given.second, "second")
        assert await count(given.outside) == 1

    run(scenario())


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_commit_that_fails_may_have_been_done(store, when, stored):
    async def scenario():
        given = begin(store)
        given.faults.failing[when] = "COMMIT"
        with pytest.raises(StoreUnavailable):
            await add(given.first, "first")
        assert await count(given.outside) == stored
        given.faults.failing.clear()
        await add(given.first, "again")
        assert await count(given.outside) == stored + 1

    run(scenario())


def test_next_run_finds_empty_tables(store):
    async def scenario(expected):
        given = begin(store)
        assert await count(given.outside) == 0
        await add(given.first, "first")
        assert await count(given.outside) == expected

    for _ in range(3):
        run(scenario(1))


def test_lease_ends_by_the_clock_of_the_run(store):
    async def scenario():
        given = begin(store)
        async with given.first.transaction() as connection:
            found = await connection.execute("SELECT clock_timestamp()")
            before = (await found.fetchone())[0]
        await CLOCK.sleep(100)
        async with given.first.transaction() as connection:
            found = await connection.execute("SELECT clock_timestamp()")
            after = (await found.fetchone())[0]
        assert (after - before).total_seconds() == pytest.approx(100, abs=1e-3)

    run(scenario())
