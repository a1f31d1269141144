"""Shared leases: each share has one holder, and only the newest holder commits."""

import asyncio
import random
from contextlib import suppress

import pytest

from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.events.leases import LeaseLost
from kit.events.shared_leases import SharedLeases
from tests.support.waiting import WAIT_SECONDS_MAX

COUNT, SECONDS, COMMITS = 16, 3600.0, 60
SHORT_SECONDS = 0.3
ALL = frozenset(range(COUNT))
ACTIONS = ("kill", "time passes", "claim", "hand over", "leave", "commit")


@pytest.fixture
def member(rig):
    """Makes a member of this name."""
    return lambda name: SharedLeases(rig.database, "detector", name, COUNT, SECONDS)


async def end(rig, name="%") -> None:
    """Let the time of leases pass."""
    locked = "SELECT FROM leases WHERE holder LIKE %s ORDER BY name FOR NO KEY UPDATE"
    passed = "UPDATE leases SET expires_time = now() - interval '1 s' WHERE holder LIKE %s"
    async with rig.database.transaction() as connection:
        await connection.execute(locked, [name])
        await connection.execute(passed, [name])


async def commit(rig, member, share) -> None:
    async with rig.database.transaction() as connection:
        await member.hold(connection, [share])


async def test_a_lone_member_has_all_and_divides_them_with_the_next_one(rig, member):
    first, second = member("a"), member("b")
    assert await first.claim() == first.held == ALL
    due = await second.claim()
    assert (second.held, set(second.members)) == (frozenset(), {"a", "b"})
    assert 0 < len(due) < COUNT
    assert await first.claim() == ALL - due
    assert first.held == ALL
    await first.release(due)
    await second.claim()
    assert (first.held, second.held) == (ALL - due, due)
    assert {await first.holder(share) for share in due} == {"b"}


async def test_a_killed_member_is_followed_when_its_time_has_passed(rig, member):
    first, second = member("a"), member("b")
    await first.claim()
    await second.claim()
    assert not second.held
    await end(rig, "a")
    assert await first.holder(0) is None
    assert await second.claim() == second.held == ALL
    with pytest.raises(LeaseLost, match="detector/share/3"):
        await commit(rig, first, 3)
    await commit(rig, second, 3)
    await first.claim()
    assert not first.held


async def test_a_restarted_member_gets_its_shares_at_once_and_its_former_self_commits_no_more(
    rig, member
):
    before, after = member("a"), member("a")
    await before.claim()
    await after.claim()
    assert after.held == ALL
    with pytest.raises(LeaseLost):
        await commit(rig, before, 0)


async def test_a_member_whose_name_a_later_process_has_takes_nothing_from_it(rig, member):
    first, later = member("a"), member("a")
    await first.claim()
    await later.claim()
    for _ in range(2):
        await first.claim()
        assert (first.held, later.held) == (frozenset(), ALL)
        assert "another process has the name 'a'" in first.problem
        await later.claim()
    await commit(rig, later, 0)
    assert later.problem == ""
    await later.leave()
    await first.claim()
    assert (first.held, first.problem) == (ALL, "")


async def test_a_member_that_leaves_is_followed_at_once(rig, member):
    first, second = member("a"), member("b")
    await first.claim()
    await first.leave()
    assert (first.held, await first.holder(5)) == (frozenset(), None)
    assert await second.claim() == second.held == ALL
    assert set(second.members) == {"b"}


async def test_taking_a_share_waits_for_a_transaction_that_holds_it(rig, member):
    first, second = member("a"), member("b")
    await first.claim()
    async with rig.database.transaction() as connection:
        await first.hold(connection, [2, 7])
        await end(rig, "a")
        taking = asyncio.create_task(second.claim())
        query = "SELECT FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (await connection.execute(query)).rowcount:
                await asyncio.sleep(0.01)
        assert not taking.done()
    assert await taking == second.held == ALL


async def copy_without_end(database: Database, frozen: SharedLeases, begun: asyncio.Event):
    """As a process that is stopped in the middle of a COPY: the server waits for its data."""
    async with database.transaction() as connection:
        await frozen.hold(connection, [2])
        async with connection.cursor() as cursor, cursor.copy("COPY event_positions FROM STDIN"):
            begun.set()
            await asyncio.Event().wait()


async def test_a_holder_that_is_frozen_in_a_copy_is_ended(rig, member, postgres_url):
    database, begun = Database(postgres_url), asyncio.Event()
    frozen = SharedLeases(database, "detector", "a", COUNT, SECONDS)
    second = SharedLeases(rig.database, "detector", "b", COUNT, SHORT_SECONDS)
    await frozen.claim()
    copying = asyncio.create_task(copy_without_end(database, frozen, begun))
    await begun.wait()
    await end(rig, "a")
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        assert await second.claim() == second.held == ALL
    copying.cancel()
    with suppress(StoreUnavailable, asyncio.CancelledError):
        await copying
    await database.close()


class Member:
    """Claims, hands over and commits at random; at times it is killed, or its time has passed."""

    def __init__(self, rig, database: Database, name: str, source: random.Random) -> None:
        self._rig, self._database, self._name, self._source = rig, database, name, source
        self._mine = self._new()

    def _new(self) -> SharedLeases:
        return SharedLeases(self._database, "detector", self._name, COUNT, SECONDS)

    async def run(self, commits: list[tuple[int, int]]) -> None:
        """Until there are enough commits of all members."""
        while len(commits) < COMMITS:
            (action,) = self._source.choices(ACTIONS, (1, 2, 5, 3, 1, 8))
            match action:
                case "kill":
                    # It forgets what it held.
                    self._mine = self._new()
                case "time passes":
                    await end(self._rig, self._source.choice(("%", self._name)))
                case "claim":
                    await self._mine.claim()
                case "hand over":
                    due = await self._mine.claim()
                    await self._mine.release(self._mine.held - due)
                case "leave":
                    await self._mine.leave()
                case _:
                    await self._commit(commits)

    async def _commit(self, commits: list[tuple[int, int]]) -> None:
        if not self._mine.held:
            return
        share = self._source.choice(sorted(self._mine.held))
        # It does not ask whether its time has passed.
        with suppress(LeaseLost):
            async with self._rig.database.transaction() as connection:
                await self._mine.hold(connection, [share])
                await asyncio.sleep(self._source.uniform(0, 0.02))
                commits.append((share, self._mine._epochs.get(share, 0)))


@pytest.mark.parametrize("seed", range(3))
async def test_epochs_of_commits_of_a_share_never_go_back(rig, postgres_url, seed):
    source, commits = random.Random(seed), []
    databases = [Database(postgres_url) for _ in range(4)]
    members = [
        Member(rig, database, f"member {number}", random.Random(source.random()))
        for number, database in enumerate(databases)
    ]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await asyncio.gather(*(member.run(commits) for member in members))
    for share in ALL:
        epochs = [epoch for of, epoch in commits if of == share]
        assert epochs == sorted(epochs)
    assert len({epoch for _, epoch in commits}) > 1
    for database in databases:
        await database.close()
