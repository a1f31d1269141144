"""Leases by which several processes of a service divide numbered shares of work.

A process is a member while it renews its membership, which is a lease too. Each share is due to
one of the members (``kit/base/rendezvous``). A member takes the leases of shares that are due to it
and free, and releases those that are due to another one after it has stopped their work. Each
acquisition has an epoch of its own, which a transaction of the holder checks (``hold``).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from kit.base.database import Connection, Database
from kit.base.errors import StoreUnavailable
from kit.base.rendezvous import shares_for
from kit.events import event_log
from kit.events.leases import LeaseLost

LEASES = "leases"
"""In ``DegradedReasons``."""
_CLAIMS_PER_LEASE = 12
"""With other members: so a share that one releases is taken at once."""
_LONE_CLAIMS_PER_LEASE = 3
_WAITS_PER_LEASE = 3
"""A transaction of a former holder has this part of a lease to end."""

# Only the clock of the database decides whether a lease has ended.
_JOIN = (
    "INSERT INTO leases VALUES (%s, %s, 1, clock_timestamp() + make_interval(secs => %s))"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
    " expires_time = excluded.expires_time"
)
_MEMBERS = (
    "SELECT holder FROM leases WHERE starts_with(name, %s) AND expires_time > clock_timestamp()"
)
# Rows are locked by name, so that no two members wait for each other.
_HELD = (
    "WITH held AS (SELECT leases.name FROM leases"
    " JOIN unnest(%b::text[], %b::bigint[]) AS known (name, epoch)"
    " ON (leases.name, leases.epoch) = (known.name, known.epoch)"
    " ORDER BY leases.name FOR NO KEY UPDATE OF leases)"
)
_RENEW = (
    f"{_HELD} UPDATE leases SET"
    " expires_time = clock_timestamp() + make_interval(secs => %b::float8)"
    " FROM held WHERE leases.name = held.name RETURNING leases.name"
)
_MAKE = (
    "INSERT INTO leases SELECT name, '', 0, '-infinity' FROM unnest(%b::text[]) AS name"
    " ON CONFLICT DO NOTHING"
)
_FREE = "name = ANY(%s) AND (holder = %s OR expires_time <= clock_timestamp())"
# FOR UPDATE waits for the transactions that hold a lease.
_LOCK = f"SELECT name FROM leases WHERE {_FREE} ORDER BY name FOR UPDATE"
# No timeout of PostgreSQL ends a process that is frozen in a COPY or in the middle of a statement:
# only the end of its session frees its locks. Sessions that wait for a lock are left alone.
_END_WAITING_HOLDERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid = ANY(pg_blocking_pids(%s)) AND wait_event_type = 'Client'"
)
_TAKE = (
    "UPDATE leases SET holder = %s, epoch = epoch + 1,"
    " expires_time = clock_timestamp() + make_interval(secs => %s)"
    " WHERE name = ANY(%s) RETURNING name, epoch"
)
_RELEASE = (
    f"{_HELD} UPDATE leases SET holder = '', epoch = leases.epoch + 1, expires_time = '-infinity'"
    " FROM held WHERE leases.name = held.name"
)
_LEAVE = "UPDATE leases SET expires_time = '-infinity' WHERE (name, holder) = (%s, %s)"
_HOLD = (
    "SELECT set_config('idle_in_transaction_session_timeout', %b::text, true) FROM leases"
    " JOIN unnest(%b::text[], %b::bigint[]) AS held (name, epoch)"
    " ON (leases.name, leases.epoch) = (held.name, held.epoch) FOR KEY SHARE OF leases"
)
_NAMED = "SELECT FROM leases WHERE name = ANY(%s) AND holder = %s"
_HOLDER = "SELECT holder FROM leases WHERE name = %s AND expires_time > clock_timestamp()"


class SharedLeases:
    """The shares of one member. Methods raise StoreUnavailable."""

    def __init__(
        self, database: Database, service: str, member: str, count: int, seconds: float
    ) -> None:
        """``member``: the same after a restart, so that a killed process gets its shares back at
        once. ``count``: of shares. ``seconds``: how long a lease lasts after each renewal."""
        self.member = member
        self.members: Collection[str] = ()
        """As of the newest claim."""
        self.seconds = seconds
        self._database = database
        self._service = service
        self._count = count
        self._epochs: dict[int, int] = {}
        self._is_replaced = False
        """Whether another process with the name of this member has taken its shares."""

    @property
    def problem(self) -> str:
        """Why this member takes no shares; "" if it does."""
        if not self._is_replaced:
            return ""
        remedy = "give each its own mesh.instance_id and mesh.advertise_host"
        return f"another process has the name {self.member!r} and its shares; {remedy}"

    @property
    def others(self) -> list[str]:
        """The other members as of the newest claim, sorted."""
        return sorted(set(self.members) - {self.member})

    @property
    def claim_interval_seconds(self) -> float:
        return self.seconds / (_CLAIMS_PER_LEASE if self.others else _LONE_CLAIMS_PER_LEASE)

    @property
    def held(self) -> frozenset[int]:
        """The shares of this member. It may have lost some since its newest claim."""
        return frozenset(self._epochs)

    async def claim(self) -> frozenset[int]:
        """Renew the membership and the leases, and take those that are due and free. Returns the
        shares that are due to this member."""
        async with self._database.transaction() as connection:
            own = self._member_lease(self.member)
            await connection.execute(_JOIN, [own, self.member, self.seconds])
            rows = await connection.execute(_MEMBERS, [self._member_lease("")])
            members = {holder for (holder,) in await rows.fetchall()}
            due = shares_for(self.member, members, self._count)
            epochs = await self._renewed(connection)
            if lost := self._epochs.keys() - epochs.keys():
                self._is_replaced |= await self._have_own_name(connection, lost)
        self.members, self._epochs = members, epochs
        # In a transaction of its own: rows of both would not be locked by name.
        self._epochs |= await self._taken(due - epochs.keys())
        if due <= self._epochs.keys():
            self._is_replaced = False
        return frozenset(due)

    async def hold(self, connection: Connection, shares: Collection[int]) -> None:
        """Nobody takes these shares before the caller's transaction has ended. Raises LeaseLost."""
        wanted = sorted(set(shares))
        names = [self._lease(share) for share in wanted]
        epochs = [self._epochs.get(share, 0) for share in wanted]
        held = await connection.execute(_HOLD, [event_log.HELD, names, epochs])
        if len(await held.fetchall()) != len(names):
            raise LeaseLost(f"another process has taken one of the leases {', '.join(names)}")

    async def release(self, shares: Collection[int]) -> None:
        """Let other members take these shares at once."""
        epochs = {share: self._epochs.pop(share) for share in self.held & set(shares)}
        if epochs:
            async with self._database.transaction() as connection:
                await connection.execute(_RELEASE, self._columns(epochs))

    async def leave(self) -> None:
        """End the membership, and let other members take all shares at once."""
        epochs, self._epochs = self._epochs, {}
        async with self._database.transaction() as connection:
            await connection.execute(_LEAVE, [self._member_lease(self.member), self.member])
            await connection.execute(_RELEASE, self._columns(epochs))

    async def holder(self, share: int) -> str | None:
        """The member that holds a share; None: it is free, or its holder is gone."""
        async with self._database.reading() as connection:
            rows = await connection.execute(_HOLDER, [self._lease(share)])
            row = await rows.fetchone()
        return None if row is None else row[0]

    async def _renewed(self, connection: Connection) -> dict[int, int]:
        if not self._epochs:
            return {}
        rows = await connection.execute(_RENEW, [*self._columns(self._epochs), self.seconds])
        names = {name for (name,) in await rows.fetchall()}
        return {
            share: epoch for share, epoch in self._epochs.items() if self._lease(share) in names
        }

    async def _have_own_name(self, connection: Connection, shares: Collection[int]) -> bool:
        """Whether the holder of one of these shares has the name of this member."""
        names = [self._lease(share) for share in shares]
        return (await connection.execute(_NAMED, [names, self.member])).rowcount > 0

    async def _taken(self, shares: Collection[int]) -> dict[int, int]:
        if not shares:
            return {}
        by_name = dict(sorted((self._lease(share), share) for share in shares))
        async with self._database.transaction() as connection:
            await connection.execute(_MAKE, [list(by_name)])
            # A process that has started with this name since may have its leases.
            former = "" if self._is_replaced else self.member
            async with self._ending_holders(connection):
                rows = await connection.execute(_LOCK, [list(by_name), former])
            free = [name for (name,) in await rows.fetchall()]
            rows = await connection.execute(_TAKE, [self.member, self.seconds, free])
            return {by_name[name]: epoch for name, epoch in await rows.fetchall()}

    @asynccontextmanager
    async def _ending_holders(self, connection: Connection) -> AsyncIterator[None]:
        """While this connection waits for transactions of former holders, end the sessions of those
        that wait for their process."""
        session = await (await connection.execute("SELECT pg_backend_pid()")).fetchall()
        ending = asyncio.create_task(self._end_holders(*session))
        try:
            yield
        finally:
            ending.cancel()
            await asyncio.wait([ending])

    async def _end_holders(self, waiting: Sequence[int]) -> None:
        while True:
            await asyncio.sleep(self.seconds / _WAITS_PER_LEASE)
            try:
                async with self._database.reading() as connection:
                    await connection.execute(_END_WAITING_HOLDERS, waiting)
            except StoreUnavailable:
                # The connection that waits meets the same error, or waits on.
                continue

    def _columns(self, epochs: Mapping[int, int]) -> list[object]:
        return [[self._lease(share) for share in epochs], list(epochs.values())]

    def _lease(self, share: int) -> str:
        return f"{self._service}/share/{share}"

    def _member_lease(self, member: str) -> str:
        return f"{self._service}/member/{member}"
