"""Fixtures for tests of the ledger."""

import asyncio

import pytest

from core.ledger.tests.books import Books
from core.ledger.tests.stores import STORES, TIGERBEETLE, stores_of, tigerbeetle_process
from kit.base.database import Database
from kit.base.migration import migrate


@pytest.fixture(scope="session")
def tigerbeetle():
    """The address of a TigerBeetle, which the ledgers of all tests share."""
    with tigerbeetle_process() as process:
        asyncio.run(process.start())
        yield process.address


@pytest.fixture(params=STORES)
def store_address(request):
    """The address of a TigerBeetle, or ""; the test is run with each store."""
    return request.getfixturevalue("tigerbeetle") if request.param == TIGERBEETLE else ""


@pytest.fixture
async def books(postgres_url, store_address):
    await migrate(postgres_url)
    database = Database(postgres_url)
    async with stores_of(database, store_address) as stores:
        yield Books.of(database, stores)
    await database.close()
