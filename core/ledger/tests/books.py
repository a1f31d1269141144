"""A ledger in a database, and what it has booked."""

from typing import NamedTuple

from venuemesh.events.v1 import event_pb2

from core.ledger.accounts import AccountCode
from core.ledger.event_postings import EventPostings
from core.ledger.posting_writer import BookingResult, PostingWriter
from core.ledger.service import ServedQueries
from core.ledger.tests.executions import INSTRUMENTS
from core.ledger.tests.independent_books import Balances, BookKey
from core.ledger.tests.store_suite import ALL, END_NS, WHOLE
from core.ledger.tests.stores import Stores
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.events import event_log
from kit.events.streams import EventStream


class Books(NamedTuple):
    """A ledger."""

    database: Database
    writer: PostingWriter
    stores: Stores

    @property
    def queries(self) -> ServedQueries:
        return self.stores.queries

    async def book(self, *events: event_pb2.Event) -> BookingResult:
        return await self.writer.book(events, INSTRUMENTS)

    async def balances(self) -> Balances:
        """As by ``expected_balances``."""
        rows, _ = await self.queries.balances(ALL, END_NS, WHOLE)
        assert len(rows) < WHOLE.limit
        return {
            BookKey(AccountCode(row.key.code).name, *row.key[3:]): row.balance
            for row in rows
            if row.balance
        }

    async def require_balanced(self) -> None:
        sums, _ = await self.queries.trial_balance("")
        assert all(one.debits == one.credits for one in sums)

    async def stored(self, stream: EventStream) -> list[event_pb2.Event]:
        async with self.database.transaction() as connection:
            return [one.event() for one in await event_log.read(connection, stream, 0)]

    @classmethod
    def of(cls, database: Database, stores: Stores, cost_method: str = "average") -> "Books":
        writer = PostingWriter(database, stores.new(), EventPostings(cost_method), SystemClock())
        return cls(database, writer, stores)

    def restarted(self, cost_method: str = "average") -> "Books":
        """The same database in a new process."""
        return Books.of(self.database, self.stores, cost_method)
