"""Leases: one holder, and only the newest holder commits."""

import asyncio
import random
import time
from contextlib import suppress

import pytest

from kit.base.database import Database
from kit.events.leases import Lease, LeaseLost
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX

NAME = "account binance/main"
SECONDS = 3600.0
ACTIONS = ("kill", "time passes", "acquire", "release", "commit")
COMMITS = 40


@pytest.fixture
def lease(rig):
    """Makes the lease of a holder."""
    return lambda holder: Lease(rig.database, NAME, holder, SECONDS)


async def end(rig) -> None:
    """Let the time of the lease pass."""
    await rig.execute("UPDATE leases SET expires_time = now() - interval '1 s'")


async def commit(rig, lease: Lease) -> None:
    async with rig.database.transaction() as connection:
        await lease.hold(connection)
        await connection.execute("INSERT INTO done VALUES (%s)", [lease.epoch])


async def test_one_of_two_holds_it_until_it_ends(rig, lease):
    first, second = lease("a"), lease("b")
    assert await first.acquire()
    assert not await second.acquire()
    await end(rig)
    await first.renew()
    assert not await second.acquire()
    await end(rig)
    assert await second.acquire()
    assert second.epoch > first.epoch
    with pytest.raises(LeaseLost, match=NAME):
        await first.renew()


async def test_a_holder_whose_lease_was_taken_cannot_commit(rig, lease):
    await rig.execute("CREATE TABLE done (epoch bigint)")
    first, second = lease("a"), lease("b")
    await first.acquire()
    await commit(rig, first)
    await end(rig)
    # Nobody has taken it yet.
    await commit(rig, first)
    await second.acquire()
    with pytest.raises(LeaseLost):
        await commit(rig, first)
    await commit(rig, second)


async def test_a_restarted_holder_gets_it_back_and_its_former_self_commits_no_more(rig, lease):
    await rig.execute("CREATE TABLE done (epoch bigint)")
    before, after = lease("a"), lease("a")
    await before.acquire()
    assert await after.acquire()
    with pytest.raises(LeaseLost):
        await commit(rig, before)


async def test_a_released_lease_is_free_and_no_longer_held(rig, lease):
    first, second = lease("a"), lease("b")
    await first.acquire()
    epoch = first.epoch
    await first.release()
    first.epoch = epoch
    with pytest.raises(LeaseLost):
        await first.renew()
    assert await second.acquire()
    assert second.epoch > epoch
    await first.release()
    await second.renew()


async def test_taking_it_waits_for_a_transaction_that_holds_it_and_renewing_does_not(rig, lease):
    first, second = lease("a"), lease("b")
    await first.acquire()
    async with rig.database.transaction() as connection:
        await first.hold(connection)
        await first.renew()
        await end(rig)
        taking = asyncio.create_task(second.acquire())
        query = "SELECT FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (await connection.execute(query)).rowcount:
                await asyncio.sleep(0.01)
        assert not taking.done()
    assert await taking


async def test_it_is_renewed_in_time(rig, lease):
    clock, first, second = ManualClock(), lease("a"), lease("b")
    await first.acquire()
    keeping = asyncio.create_task(first.keep(clock))
    await end(rig)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await is_valid(rig):
            await clock.advance(SECONDS / 3)
    await end(rig)
    await second.acquire()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not keeping.done():
            await clock.advance(SECONDS / 3)
            await asyncio.sleep(0.01)
    with pytest.raises(LeaseLost):
        await keeping


async def is_valid(rig) -> bool:
    async with rig.database.transaction() as connection:
        rows = await connection.execute("SELECT FROM leases WHERE expires_time > now()")
        return rows.rowcount == 1


class Holder:
    """Takes the lease and commits at random; at times it is killed, or its time has passed."""

    def __init__(self, rig, database: Database, name: str, source: random.Random) -> None:
        self._rig, self._database, self._name, self._source = rig, database, name, source
        self._mine = self._lease()

    def _lease(self) -> Lease:
        return Lease(self._database, NAME, self._name, SECONDS)

    async def run(self, commits: list[int]) -> None:
        """Until there are enough commits of all holders."""
        while len(commits) < COMMITS:
            (action,) = self._source.choices(ACTIONS, (1, 3, 3, 1, 6))
            match action:
                case "kill":
                    # It forgets that it held the lease.
                    self._mine = self._lease()
                case "time passes":
                    await end(self._rig)
                case "acquire":
                    await self._mine.acquire()
                case "release":
                    await self._mine.release()
                case _:
                    await self._commit(commits)

    async def _commit(self, commits: list[int]) -> None:
        # It does not ask whether its time has passed.
        with suppress(LeaseLost):
            async with self._rig.database.transaction() as connection:
                await self._mine.hold(connection)
                await asyncio.sleep(self._source.uniform(0, 0.02))
                commits.append(self._mine.epoch)


@pytest.mark.parametrize("seed", range(3))
async def test_epochs_of_commits_never_go_back(rig, postgres_url, seed):
    source, commits = random.Random(seed), []
    databases = [Database(postgres_url) for _ in range(4)]
    holders = [
        Holder(rig, database, f"holder {number}", random.Random(source.random()))
        for number, database in enumerate(databases)
    ]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await asyncio.gather(*(holder.run(commits) for holder in holders))
    assert commits == sorted(commits)
    assert len(set(commits)) > 1
    for database in databases:
        await database.close()


@pytest.mark.parametrize("jump_s", [1e8, -1e8])
async def test_the_clock_of_a_process_does_not_matter(rig, lease, monkeypatch, jump_s):
    first, second = lease("a"), lease("b")
    await first.acquire()
    monkeypatch.setattr(time, "time", lambda: jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: int(jump_s * 1e9))
    assert not await second.acquire()
    await first.renew()
