"""Transactions that change the state of the inspector, one at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.base.database import Connection, Database
from kit.events.leases import Lease

# One at a time: each sees the commits of the others, and no row lock waits.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('venuemesh inspector'))"


async def hold(connection: Connection, lease: Lease) -> None:
    """Exclude all other changes of the state until this transaction ends. Raises LeaseLost."""
    await lease.hold(connection)
    await connection.execute(_TURN)


@asynccontextmanager
async def exclusive_transaction(database: Database, lease: Lease) -> AsyncIterator[Connection]:
    """A transaction that excludes all other changes of the state. Raises LeaseLost and
    StoreUnavailable."""
    async with database.transaction() as connection:
        await hold(connection, lease)
        yield connection
