"""The ledger in TigerBeetle, and what is left when it or the ledger ends at any step."""

import asyncio
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest
from tigerbeetle import Transfer

from core.ledger import tigerbeetle_book, tigerbeetle_client
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.settings import LedgerSettings
from core.ledger.tests.postings import UNIT, cash, deposit, external
from core.ledger.tests.store_suite import (
    ALL,
    END_NS,
    NOW_NS,
    WHOLE,
    Ledger,
    StoreSuite,
    balances_of,
    random_groups,
)
from core.ledger.tests.stores import tigerbeetle_process
from core.ledger.tigerbeetle_book import ID_BITS, LedgersDiffer, TigerBeetleBook
from core.ledger.tigerbeetle_client import TigerBeetleClient
from core.ledger.tigerbeetle_queries import TigerBeetleQueries
from core.ledger.tigerbeetle_store import TigerBeetleStore
from kit.base.database import Database
from kit.base.errors import SettingError, StoreUnavailable


class Killed(BaseException):
    """The process ends."""


@dataclass
class KilledClient:
    """A client whose process ends at one of its requests."""

    client: TigerBeetleClient
    requests_left: int
    is_done: bool
    """Whether the last request has an effect nevertheless."""
    requests: int = 0

    async def ask(self, request):
        self.requests += 1
        if self.requests <= self.requests_left:
            return await self.client.ask(request)
        if self.requests == self.requests_left + 1 and self.is_done:
            await self.client.ask(request)
        raise Killed


class Process(NamedTuple):
    """A ledger, and its client."""

    ledger: Ledger
    client: TigerBeetleClient

    @classmethod
    def of(cls, database, client) -> "Process":
        store = TigerBeetleStore(database, TigerBeetleBook(client))
        queries = TigerBeetleQueries(database, TigerBeetleBook(client))
        return cls(Ledger(database, store, queries), client)

    def restarted(self) -> Ledger:
        return Process.of(self.ledger.database, self.client).ledger

    def that_ends(self, requests_left: int, *, is_done: bool) -> Ledger:
        client = KilledClient(self.client, requests_left, is_done)
        return Process.of(self.ledger.database, client).ledger

    async def ledger_id(self) -> int:
        async with self.ledger.database.transaction() as connection:
            return await tigerbeetle_book._ledger_id(connection)

    async def id_of(self, number: int) -> int:
        """The id in TigerBeetle of an account or a transfer."""
        return await self.ledger_id() >> ID_BITS << ID_BITS | number

    async def change(self, *statements: str) -> None:
        """Change the tables behind the ledger's back."""
        async with self.ledger.database.transaction() as connection:
            for statement in statements:
                await connection.execute(statement.encode())

    async def transfers(self) -> list[tuple[int, int]]:
        """Group and ordinal of those that TigerBeetle has of the first groups."""
        places = [(group, ordinal) for group in range(1, 61) for ordinal in range(4)]
        ids = [await self.id_of(group << 16 | ordinal) for group, ordinal in places]
        found = await self.client.ask(lambda client: client.lookup_transfers(ids))
        return [places[ids.index(one.id)] for one in found]


@pytest.fixture
async def process(postgres_url, tigerbeetle):
    database = Database(postgres_url)
    client = TigerBeetleClient(tigerbeetle, 0)
    yield Process.of(database, client)
    await client.close()
    await database.close()


@pytest.fixture
def ledger(process):
    return process.ledger


class TestTigerBeetleStore(StoreSuite):
    """With ``ledger`` in TigerBeetle."""


async def commit_only(ledger, *groups):
    """Book groups as a process that ends right after the commit."""
    async with ledger.database.transaction() as connection:
        await ledger.store.lock(connection)
        await ledger.store.book(connection, groups, NOW_NS)


async def totals_in_both(ledger):
    """The totals of PostgreSQL and of TigerBeetle."""
    own, _ = await PostgresQueries(ledger.database).accounts(ALL, WHOLE)
    return own, (await ledger.queries.accounts(ALL, WHOLE))[0]


async def test_two_processes_book_one_after_the_other(process, ledger):
    other = process.restarted()
    for number in range(6):
        writer = (ledger, other)[number % 2]
        (booked,) = await writer.book(deposit(f"g{number}", 1))
        assert booked.group_number == number + 1
    # One of them is rolled back while the other books the same number.
    await ledger.book_and_roll_back(deposit("lost", 1_000))
    await other.book(deposit("kept", 10))
    await ledger.book(deposit("last", 100))
    assert await ledger.balances() == {cash(): 116, external(): -116}
    assert (await ledger.queries.verify()).texts == []


async def test_two_processes_make_the_same_transfers_at_once(process, ledger):
    await ledger.book(deposit("first"))
    groups = random_groups(seed=6, count=50)
    await commit_only(ledger, *groups)
    readers = [process.restarted() for _ in range(4)]
    for found in await asyncio.gather(*(one.balances() for one in readers)):
        assert found == balances_of([deposit("first"), *groups])
    assert (await ledger.queries.verify()).texts == []


async def test_what_is_rolled_back_never_reaches_tigerbeetle(process, ledger):
    await ledger.book_and_roll_back(deposit("a"))
    assert await ledger.balances() == {}
    assert await process.transfers() == []
    await ledger.book(deposit("b", 2))
    assert await process.transfers() == [(1, 0)]


async def test_what_was_committed_last_is_read_and_booked_on_after_a_kill(process, ledger):
    await ledger.book(deposit("a", 1))
    await commit_only(ledger, deposit("b", 10))
    assert await process.transfers() == [(1, 0)]
    assert await process.restarted().balances() == {cash(): 11, external(): -11}
    await commit_only(ledger, deposit("c", 100))
    assert await process.transfers() == [(1, 0), (2, 0)]
    (booked,) = await process.restarted().book(deposit("c", 100))
    assert booked.is_repeated
    assert await process.transfers() == [(1, 0), (2, 0), (3, 0)]
    assert (await ledger.queries.verify()).texts == []


@pytest.mark.parametrize("is_done", [False, True])
async def test_a_kill_at_any_request_leaves_both_alike(process, ledger, is_done, monkeypatch):
    # Groups that do not fit into one request, too.
    monkeypatch.setattr(tigerbeetle_book, "REQUEST_EVENTS_MAX", 3)
    await ledger.book(deposit("first"))
    groups = [deposit("first")]
    for requests_left in range(100):
        new = [
            deposit(f"{requests_left}-{number}", number, asset=("BTC", "USDT")[number % 2])
            for number in range(1, 5)
        ]
        new[2] = replace(new[2], postings=new[2].postings * 5)
        killed = process.that_ends(requests_left, is_done=is_done)
        is_killed = False
        try:
            await killed.book(*new)
        except Killed:
            is_killed = True
        after = process.restarted()
        # All of them were booked, or none.
        assert len({one.is_repeated for one in await after.book(*new)}) == 1
        groups += new
        assert await after.balances() == balances_of(groups)
        own, other = await totals_in_both(after)
        assert own == other
        if not is_killed:
            break
    assert requests_left > 4
    assert (await ledger.queries.verify()).texts == []


async def test_a_reader_that_is_killed_leaves_nothing_half(process, ledger, monkeypatch):
    monkeypatch.setattr(tigerbeetle_book, "REQUEST_EVENTS_MAX", 3)
    groups = random_groups(seed=8, count=12)
    await commit_only(ledger, *groups)
    for requests_left in range(12):
        with pytest.raises(Killed):
            await process.that_ends(requests_left % 5, is_done=True).balances()
    assert await process.restarted().balances() == balances_of(groups)


async def test_totals_have_a_bound_before_anything_is_posted(process, ledger):
    most = 10**36 - 1
    await ledger.book(*(deposit(f"g{number}", most) for number in range(50)))
    with pytest.raises(Exception, match="too large"):
        await ledger.book(*(deposit(f"h{number}", most) for number in range(51)))
    assert len(await process.transfers()) == 50


@pytest.fixture
async def own_server(monkeypatch):
    """A TigerBeetle that a test may kill."""
    monkeypatch.setattr(tigerbeetle_client, "ANSWER_SECONDS_MAX", 1.0)
    with tigerbeetle_process() as server:
        await server.start()
        yield server


@pytest.fixture
async def killable(postgres_url, own_server):
    """A ledger with this server."""
    database = Database(postgres_url)
    client = TigerBeetleClient(own_server.address, 0)
    yield Process.of(database, client)
    await client.close()
    await database.close()


async def when_back(ledger):
    """The balances, once the server answers."""
    while True:
        try:
            return await ledger.balances()
        except StoreUnavailable:
            await asyncio.sleep(0.01)


async def test_nothing_is_booked_while_tigerbeetle_is_away(killable, own_server):
    ledger = killable.ledger
    await ledger.book(deposit("a", 1))
    own_server.kill()
    with pytest.raises(StoreUnavailable, match="TigerBeetle is away"):
        await ledger.book(deposit("b", 10))
    with pytest.raises(StoreUnavailable):
        await ledger.balances()
    assert [one.group.group_id for one in await ledger.queries.groups(0, 10)] == ["a"]
    await own_server.start()
    assert await when_back(ledger) == {cash(): 1, external(): -1}
    (booked,) = await ledger.book(deposit("b", 10))
    assert not booked.is_repeated
    assert await ledger.balances() == {cash(): 11, external(): -11}


async def test_what_was_committed_as_tigerbeetle_went_away_is_booked(killable, own_server):
    ledger = killable.ledger
    await ledger.book(deposit("a", 1))
    async with ledger.database.transaction() as connection:
        await ledger.store.lock(connection)
        await ledger.store.book(connection, [deposit("b", 10)], NOW_NS)
        own_server.kill()
    await ledger.store.committed()
    with pytest.raises(StoreUnavailable):
        await ledger.balances()
    await own_server.start()
    assert await when_back(ledger) == {cash(): 11, external(): -11}
    assert (await ledger.book(deposit("b", 10)))[0].is_repeated
    assert (await ledger.queries.verify()).texts == []


async def test_an_empty_tigerbeetle_gets_all_groups_again(killable, own_server):
    ledger = killable.ledger
    groups = random_groups(seed=9, count=30)
    await ledger.book(*groups[:20])
    own_server.kill()
    own_server.format()
    await own_server.start()
    await when_back(ledger)
    await ledger.book(*groups[20:])
    assert await ledger.balances() == balances_of(groups)
    assert (await ledger.queries.verify()).texts == []


async def test_a_ledger_of_postgresql_moves_to_tigerbeetle_and_back(process, ledger):
    groups = random_groups(seed=10, count=60)
    in_postgres = Ledger(ledger.database, PostgresStore(), PostgresQueries(ledger.database))
    await in_postgres.book(*groups[:40])
    assert await ledger.balances() == balances_of(groups[:40])
    await ledger.book(*groups[40:50])
    await in_postgres.book(*groups[50:])
    assert await in_postgres.balances() == await ledger.balances() == balances_of(groups)
    assert await ledger.balances(1_300) == balances_of(groups, 1_300)


async def test_reads_while_others_book_are_of_one_group(process, ledger):
    reader = process.restarted()

    async def book():
        for number in range(40):
            await ledger.book(deposit(f"g{number}", 1))

    booking = asyncio.create_task(book())
    heads = set()
    while not booking.done():
        totals, head = await reader.queries.accounts(ALL, WHOLE)
        heads.add(head.group_number)
        assert sum(row.debits for row in totals) == head.group_number
    await booking
    assert len(heads) > 2


DIFFERENCES = {
    "account 1: TigerBeetle has other totals": (
        "UPDATE ledger_accounts SET debits = debits + 1 WHERE account_id = 1"
    ),
    "posting 0 of group 2: TigerBeetle has": (
        "UPDATE ledger_entries SET amount = amount * 2 WHERE group_number = 2"
    ),
    "posting 1 of group 2: TigerBeetle does not have it": (
        "INSERT INTO ledger_entries SELECT account_id, number + 100, group_number, 1,"
        " other_account_id, amount, balance, time_ns, newest_time_ns FROM ledger_entries"
        " WHERE group_number = 2"
    ),
    "posting 0 of group 3: PostgreSQL does not have what TigerBeetle has": (
        "UPDATE ledger_entries SET time_ns = time_ns + 1 WHERE group_number = 3"
    ),
}


@pytest.mark.parametrize("text", DIFFERENCES)
async def test_a_difference_is_found(process, ledger, text):
    await ledger.book(*(deposit(f"g{number}") for number in range(3)))
    assert (await ledger.queries.verify()).texts == []
    await process.change(DIFFERENCES[text])
    found = (await ledger.queries.verify()).texts
    assert [one for one in found if text in one], found


async def test_a_transfer_that_the_ledger_did_not_make_is_found(process, ledger):
    await ledger.book(deposit("a"), deposit("b"))
    ids = [await process.id_of(number) for number in (1, 2)]
    forged = Transfer(
        id=7, debit_account_id=ids[0], credit_account_id=ids[1], amount=5, ledger=1, code=1
    )
    (made,) = await process.client.ask(lambda client: client.create_transfers([forged]))
    assert made.status.name == "CREATED"
    assert [one for one in (await ledger.queries.verify()).texts if "other totals" in one]
    assert (await ledger.balances())[cash()] == 2 * UNIT + 5


async def test_a_database_that_is_older_than_tigerbeetle_books_nothing(process, ledger):
    await ledger.book(deposit("a"), deposit("b"))
    chain = "(SELECT content_hash FROM ledger_groups WHERE group_number = 1)"
    await process.change(
        "DELETE FROM ledger_entries WHERE group_number = 2",
        "DELETE FROM ledger_groups WHERE group_number = 2",
        f"UPDATE ledger_head SET group_number = 1, chain_hash = sha256({chain})",
        f"UPDATE ledger_accounts SET debits = {UNIT}, entries = 1 WHERE account_id = 1",
        f"UPDATE ledger_accounts SET credits = {UNIT}, entries = 1 WHERE account_id = 2",
    )
    restored = process.restarted()
    with pytest.raises(LedgersDiffer, match="group 2: PostgreSQL does not have"):
        await restored.book(deposit("c"))
    # Under another id TigerBeetle does not know it.
    await process.change("UPDATE ledger_head SET ledger_id = gen_random_uuid()")
    restored = process.restarted()
    await restored.book(deposit("c"))
    assert await restored.balances(END_NS) == {cash(): 2 * UNIT, external(): -2 * UNIT}
    assert (await restored.queries.verify()).texts == []


async def test_a_name_that_is_not_known_is_no_address(postgres_url):
    database = Database(postgres_url)
    ledger = Process.of(database, TigerBeetleClient("no-such-host.invalid:3000", 0)).ledger
    with pytest.raises(StoreUnavailable, match="cannot be asked"):
        await ledger.book(deposit("a"))
    await database.close()


@pytest.mark.parametrize("addresses", ["3000", "host:", ":3000", "a:1,b", "a:1,"])
def test_an_address_has_a_host_and_a_port(addresses):
    with pytest.raises(SettingError, match="tigerbeetle_addresses"):
        LedgerSettings(tigerbeetle_addresses=addresses)
    assert LedgerSettings(tigerbeetle_addresses="a:1,[::1]:2").tigerbeetle_cluster == 0
