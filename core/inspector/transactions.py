"""Transactions that change the state of the inspector, one at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.base.database import Connection, Database, PendingRead
from kit.events.leases import Lease

# One at a time: each sees the commits of the others, and no row lock waits.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('venuemesh inspector'))"


async def send_hold(connection: Connection, lease: Lease) -> PendingRead[None]:
    """Exclude all other changes of the state until this transaction ends, without waiting. The
    answer raises LeaseLost."""
    held = await lease.send_hold(connection)
    await connection.execute(_TURN)
    return held


@asynccontextmanager
async def exclusive_transaction(
    database: Database, lease: Lease, *, waits: bool = True
) -> AsyncIterator[Connection]:
    """A pipelined transaction that excludes all other changes of the state. Raises LeaseLost and
    StoreUnavailable.

    ``waits``: whether it waits for its turn at once. Otherwise it has its turn when the first rows
    are read, and a lost lease is found at the end; nothing is committed then.
    """
    async with database.transaction(pipelined=True) as connection:
        held = await send_hold(connection, lease)
        if waits:
            await held()
        yield connection
        await held()
