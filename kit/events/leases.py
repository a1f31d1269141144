"""Leases in PostgreSQL: a right that one process has at a time.

Only the clock of the database decides whether a lease has ended. Each acquisition has an epoch of
its own, which a transaction of the holder checks (``Lease.hold``): a holder whose lease another one
has taken cannot commit any more, whatever it believes.
"""

from kit.base.clock import Clock
from kit.base.database import Connection, Database, PendingRead, send
from kit.base.errors import StoreUnavailable
from kit.events import event_log

RENEWALS = 3
"""Times that a lease is renewed before it would end."""

_MAKE = "INSERT INTO leases VALUES (%s, '', 0, '-infinity') ON CONFLICT DO NOTHING"
# FOR UPDATE waits for the transactions that hold the lease, which a renewal does not.
_LOCK = "SELECT FROM leases WHERE name = %s FOR UPDATE"
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

        Waits for a transaction of the holder before that is about to commit.
        """
        self.epoch = 0
        async with self._database.transaction() as connection:
            await connection.execute(_MAKE, [self.name])
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
