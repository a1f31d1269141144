"""The ledger in PostgreSQL."""

import pytest

from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.tests.postings import cash, deposit, external
from core.ledger.tests.store_suite import Ledger, StoreSuite
from kit.base.database import Database


@pytest.fixture
async def ledger(postgres_url):
    database = Database(postgres_url)
    yield Ledger(database, PostgresStore(), PostgresQueries(database))
    await database.close()


class TestPostgresStore(StoreSuite):
    """With ``ledger`` in PostgreSQL."""


async def test_two_processes_book_one_after_the_other(ledger):
    other = ledger._replace(store=PostgresStore())
    for number in range(6):
        writer = (ledger, other)[number % 2]
        (booked,) = await writer.book(deposit(f"g{number}", 1))
        assert booked.group_number == number + 1
    # One of them is rolled back while the other books the same number.
    await ledger.book_and_roll_back(deposit("lost", 1_000))
    await other.book(deposit("kept", 10))
    await ledger.book(deposit("last", 100))
    assert await ledger.balances() == {cash(): 116, external(): -116}
