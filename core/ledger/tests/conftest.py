"""Fixtures for tests of the ledger."""

import pytest

from core.ledger.postgres_queries import PostgresQueries
from core.ledger.tests.books import Books
from kit.base.database import Database
from kit.base.migration import migrate


@pytest.fixture
async def books(postgres_url):
    await migrate(postgres_url)
    database = Database(postgres_url)
    yield Books.of(database, PostgresQueries(database))
    await database.close()
