"""The stores of the ledger, for tests of what is the same with each of them."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import free_port
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.service import ServedQueries
from core.ledger.store import PostingStore
from kit.base.database import Database
from tests.support.tigerbeetle_process import PROGRAM, TigerBeetleProcess

POSTGRESQL, TIGERBEETLE = "PostgreSQL", "TigerBeetle"
STORES = (POSTGRESQL, TIGERBEETLE) if PROGRAM else (POSTGRESQL,)


class Stores(NamedTuple):
    """The stores of one process."""

    new: Callable[[], PostingStore]
    """As another process has it."""
    queries: ServedQueries


def in_postgres(database: Database) -> Stores:
    return Stores(PostgresStore, PostgresQueries(database))


@asynccontextmanager
async def stores_of(database: Database, tigerbeetle: str) -> AsyncIterator[Stores]:
    """With the address of a TigerBeetle, or "" for PostgreSQL alone."""
    if not tigerbeetle:
        yield in_postgres(database)
        return
    from core.ledger.tigerbeetle_book import TigerBeetleBook
    from core.ledger.tigerbeetle_client import TigerBeetleClient
    from core.ledger.tigerbeetle_queries import TigerBeetleQueries
    from core.ledger.tigerbeetle_store import TigerBeetleStore

    client = TigerBeetleClient(tigerbeetle, 0)
    yield Stores(
        lambda: TigerBeetleStore(database, TigerBeetleBook(client)),
        TigerBeetleQueries(database, TigerBeetleBook(client)),
    )
    await client.close()


@contextmanager
def tigerbeetle_process(folder: str | None = None) -> Iterator[TigerBeetleProcess]:
    """With an empty data file; it is not started yet. Without its program, the test is skipped."""
    if not PROGRAM:
        pytest.skip("no TigerBeetle: set VENUEMESH_TIGERBEETLE to the path of its program")
    own = Path(tempfile.mkdtemp(prefix="venuemesh-tigerbeetle-", dir=folder))
    process = TigerBeetleProcess(own, free_port())
    process.format()
    try:
        yield process
    finally:
        process.kill()
        shutil.rmtree(own)
