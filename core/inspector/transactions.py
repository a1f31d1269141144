"""The transactions in which the inspector changes its state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.base.database import Connection, Database
from kit.events.leases import Lease

# One at a time, so that each sees what the others have committed, and none waits for another.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('venuemesh inspector'))"


async def hold(connection: Connection, lease: Lease) -> None:
    """Until the transaction ends, nobody else changes the state. Raises LeaseLost."""
    await lease.hold(connection)
    await connection.execute(_TURN)


@asynccontextmanager
async def exclusive_transaction(database: Database, lease: Lease) -> AsyncIterator[Connection]:
    """A transaction that changes the state. Raises LeaseLost and StoreUnavailable."""
    async with database.transaction() as connection:
        await hold(connection, lease)
        yield connection
