"""The ledger in TigerBeetle: groups are booked in PostgreSQL, and their postings in both.

PostgreSQL decides: events, positions and groups are one transaction there, which TigerBeetle cannot
be part of. What is committed becomes transfers, which can be made again: after the commit, and if
the process ends before that, before the next group is booked and before totals are read.
"""

import logging
from collections.abc import Sequence

from core.ledger.postgres_store import PostgresStore
from core.ledger.postings import PostingGroup
from core.ledger.store import Booked, Head
from core.ledger.tigerbeetle_book import TigerBeetleBook
from kit.base.database import Connection, Database
from kit.base.errors import StoreUnavailable

_log = logging.getLogger(__name__)


class TigerBeetleStore:
    """Implements PostingStore."""

    def __init__(self, database: Database, book: TigerBeetleBook) -> None:
        self._database = database
        self._book = book
        self._groups = PostgresStore()

    @property
    def head(self) -> Head:
        return self._groups.head

    async def lock(self, connection: Connection) -> Head:
        head = await self._groups.lock(connection)
        # While TigerBeetle is away nothing is booked.
        await self._book.settle(connection)
        return head

    async def known(self, connection: Connection, group_ids: Sequence[str]) -> set[str]:
        return await self._groups.known(connection, group_ids)

    async def book(
        self, connection: Connection, groups: Sequence[PostingGroup], now_ns: int
    ) -> list[Booked]:
        return await self._groups.book(connection, groups, now_ns)

    async def committed(self) -> None:
        try:
            async with self._database.transaction() as connection:
                await self._book.settle(connection)
        except StoreUnavailable as error:
            # The groups stay booked.
            _log.warning("not settled", extra={"detail": str(error)})
