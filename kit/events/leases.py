"""Leases in PostgreSQL: a right that one process has at a time.

Only the clock of the database decides whether a lease has ended. Each acquisition has an epoch of
its own, which a transaction of the holder checks (``Lease.hold``): a holder whose lease another one
has taken cannot commit any more, whatever it believes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kit.base.clock import Clock
from kit.base.database import Connection, Database, PendingRead, send
from kit.base.errors import StoreUnavailable
from kit.events import event_log

RENEWALS = 3
"""Times that a lease is renewed before it would end."""
_WAITS_PER_LEASE = 3
"""A transaction of a former holder has this part of a lease to end."""

_MAKE = "INSERT INTO leases VALUES (%s, '', 0, '-infinity') ON CONFLICT DO NOTHING"
# FOR UPDATE waits for the transactions that hold the lease, which a renewal does not.
_LOCK = "SELECT FROM leases WHERE name = %s FOR UPDATE"
# No timeout of PostgreSQL ends a process that is frozen in a COPY, a pipeline or a statement: only
# the end of its session frees its locks. Sessions that wait for a lock are left alone.
_END_WAITING_HOLDERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid = ANY(pg_blocking_pids(%s)) AND wait_event_type = 'Client'"
    " AND EXISTS (SELECT FROM leases WHERE name = ANY(%s)"
    " AND (holder = %s OR expires_time <= clock_timestamp()))"
)
_TAKE = (
    "UPDATE leases SET holder = %s, epoch = epoch + 1,"
    " expires_time = clock_timestamp() + make_interval(secs => %s)"
    " WHERE name = %s AND (holder = %s OR expires_time <= clock_timestamp()) RETURNING epoch"
)
_RENEW = (
    "UPDATE leases SET expires_time = clock_timestamp() + make_interval(secs => %s)"
    " WHERE name = %s AND epoch = %s"
)
_RELEASE = (
    "UPDATE leases SET holder = '', epoch = epoch + 1, expires_time = '-infinity'"
    " WHERE name = %s AND epoch = %s"
)
_HOLD = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
    " FROM leases WHERE name = %s AND epoch = %s FOR KEY SHARE"
)


class LeaseLost(Exception):
    """Another process has taken the lease. Discard the state and acquire it again."""


@asynccontextmanager
async def former_holders_ended(
    database: Database, waiting: Connection, names: Sequence[str], holder: str, seconds: float
) -> AsyncIterator[None]:
    """While a connection of the next holder waits for the transactions of former ones, end the
    sessions of those that wait for their process. ``seconds``: of a lease."""
    arguments = [waiting.info.backend_pid, list(names), holder]
    ending: list[asyncio.Task[None]] = []

    def begin() -> None:
        ending.append(asyncio.create_task(_end_holders(database, arguments, seconds)))

    timer = asyncio.get_running_loop().call_later(seconds / _WAITS_PER_LEASE, begin)
    try:
        yield
    finally:
        timer.cancel()
        for task in ending:
            task.cancel()
            await asyncio.wait([task])


async def _end_holders(database: Database, arguments: Sequence[object], seconds: float) -> None:
    while True:
        try:
            async with database.reading() as connection:
                await connection.execute(_END_WAITING_HOLDERS, arguments)
        except StoreUnavailable:
            # The connection that waits meets the same error, or waits on.
            pass
        await asyncio.sleep(seconds / _WAITS_PER_LEASE)


class Lease:
    """One lease, seen by one process. Methods raise StoreUnavailable."""

    def __init__(self, database: Database, name: str, holder: str, seconds: float) -> None:
        """``holder``: the same after a restart, so that a killed process gets its lease back at
        once. ``seconds``: how long it lasts after each renewal."""
        self._database = database
        self.name = name
        self._holder = holder
        self._seconds = seconds
        self.epoch = 0
        """The epoch of this acquisition, larger than all earlier ones; 0 without the lease."""

    async def acquire(self) -> bool:
        """Take the lease if it is free, has ended, or is this holder's. Returns whether it did.

        Waits for a transaction of the holder before that is about to commit, and ends one whose
        process hangs.
        """
        self.epoch = 0
        async with self._database.transaction() as connection:
            await connection.execute(_MAKE, [self.name])
            ending = former_holders_ended(
                self._database, connection, [self.name], self._holder, self._seconds
            )
            async with ending:
                await connection.execute(_LOCK, [self.name])
            arguments = [self._holder, self._seconds, self.name, self._holder]
            taken = await (await connection.execute(_TAKE, arguments)).fetchone()
        if taken is not None:
            self.epoch = taken[0]
        return taken is not None

    async def renew(self) -> None:
        """Let it last for its time from now on. Raises LeaseLost."""
        async with self._database.transaction() as connection:
            arguments = [self._seconds, self.name, self.epoch]
            held = await connection.execute(_RENEW, arguments)
            self._require(held.rowcount == 1)

    async def keep(self, clock: Clock) -> None:
        """Renew it in time, until cancelled. Raises LeaseLost."""
        while True:
            await clock.sleep(self._seconds / RENEWALS)
            try:
                await self.renew()
            except StoreUnavailable:
                # It stays this holder's until another one takes it, which needs the database too.
                continue

    async def hold(self, connection: Connection) -> None:
        """Nobody takes the lease before the caller's transaction has ended. Raises LeaseLost."""
        held = await self.send_hold(connection)
        await held()

    async def send_hold(self, connection: Connection) -> PendingRead[None]:
        """``hold`` without waiting. Read the answer before anything but the transaction depends on
        the lease: it raises LeaseLost."""
        arguments = [event_log.HELD, self.name, self.epoch]
        return await send(connection, _HOLD, arguments, lambda held: self._require(bool(held)))

    async def release(self) -> None:
        """Let another process take it at once."""
        epoch, self.epoch = self.epoch, 0
        async with self._database.transaction() as connection:
            await connection.execute(_RELEASE, [self.name, epoch])

    def _require(self, held: bool) -> None:
        if not held:
            raise LeaseLost(f"another process has taken the lease {self.name!r}")
