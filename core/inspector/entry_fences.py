"""Makes approvals of entries void when a mode changes.

Each approval of an entry has a number. A mode that allows no entries fences the accounts with
approved entries of unknown outcome: the venue's process then refuses lower numbers, even after a
restart. Orders that reduce, protect or cancel have no number.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import modes, positions, submissions
from core.inspector.approvals import Approver
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL, Connection, Database, PendingRead, send
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable

VALID_NS = 10 * NANOSECONDS_PER_SECOND
LAPSE_MARGIN_NS = 5 * NANOSECONDS_PER_SECOND
"""The largest allowed delay of the clock of a venue's process behind ours."""
LOOK_SECONDS = 1.0

_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM inspector_fences"
_INSERT = (
    "INSERT INTO inspector_fences (venue, account, lapse_time_ns) VALUES (%s, %s, %s)"
    " RETURNING number"
)
_OPEN = (
    "SELECT number, venue, account, lapse_time_ns FROM inspector_fences WHERE NOT is_over"
    " ORDER BY number"
)
_OVER = "UPDATE inspector_fences SET is_over = true WHERE number = %s"

_log = telemetry.logger("inspector.fences")


class EntryFence(NamedTuple):
    """Makes earlier approvals of entries of an account void."""

    number: int
    """Approvals of entries with this number, or a smaller one, are void."""
    venue: str
    account: str
    lapse_time_ns: int
    """The time when all these approvals have expired."""

    @property
    def name(self) -> str:
        return f"{self.venue}/{self.account}"


async def send_next_number(connection: Connection) -> PendingRead[int]:
    """Read the number for approvals of entries in this transaction."""
    return await send(connection, _NEXT, [], lambda rows: int(rows[0][0]))


async def create(connection: Connection, scope: str) -> list[EntryFence]:
    """Fence the accounts with approved entries of unknown outcome in this scope, in the transaction
    that sets the mode."""
    expires_ns: dict[tuple[str, str], int] = {}
    for submission in await submissions.pending(connection):
        position = await positions.lock(connection, submission.position_id)
        strategy = position.strategy if position is not None else ""
        scopes = modes.scopes_of(submission.venue, submission.account, strategy)
        if submission.is_entry and scope in scopes:
            key = (submission.venue, submission.account)
            expires_ns[key] = max(expires_ns.get(key, 0), submission.expires_time_ns)
    made = []
    for (venue, account), newest_ns in sorted(expires_ns.items()):
        ends_ns = newest_ns + LAPSE_MARGIN_NS
        row = await (await connection.execute(_INSERT, [venue, account, ends_ns])).fetchone()
        assert row is not None
        made.append(EntryFence(row[0], venue, account, ends_ns))
    return made


async def unconfirmed(connection: Connection) -> list[EntryFence]:
    """The fences without a confirmation of the venue's process."""
    rows = await (await connection.execute(_OPEN)).fetchall()
    return [EntryFence(*row) for row in rows]


class EntryFences:
    """Sends fences to the venues' processes while this process has the lease."""

    def __init__(
        self,
        database: Database,
        approver: Approver,
        venues: VenueOrders,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._approver = approver
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._clock = clock

    async def run(self) -> None:
        """Send unconfirmed fences until cancelled. Raises LeaseLost."""
        while True:
            try:
                async with self._database.transaction() as connection:
                    found = await unconfirmed(connection)
                await self.send_all(found)
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)
            await self._clock.sleep(LOOK_SECONDS)

    async def send_all(self, fences: Sequence[EntryFence]) -> list[str]:
        """Make the venues' processes refuse earlier approvals of entries. Returns the accounts
        whose process has not confirmed. Raises LeaseLost, StoreUnavailable."""
        confirmed = await asyncio.gather(*(self._send(fence) for fence in fences))
        pairs = zip(fences, confirmed, strict=True)
        return sorted({fence.name for fence, is_confirmed in pairs if not is_confirmed})

    async def _send(self, fence: EntryFence) -> bool:
        """Returns whether every earlier approval of an entry is void."""
        about = f"fence of {fence.name}"
        if self._clock.time_ns() < fence.lapse_time_ns:
            try:
                await self._venues.fence(self._approved(fence))
            except (NoAnswer, CallRefused) as error:
                text = f"entries that were approved before may still be taken: {error}"
                self._degraded_reasons.report(about, text)
                _log.warning("not fenced", extra={"account": fence.name, "detail": str(error)})
                return False
        async with exclusive_transaction(self._database, self._approver.lease) as connection:
            await connection.execute(_OVER, [fence.number])
        self._degraded_reasons.clear(about)
        return True

    def _approved(self, fence: EntryFence) -> signed_pb2.ApprovedOrder:
        content = orders_pb2.OrderContent(venue=fence.venue, account=fence.account)
        (approved,) = self._approver.approve(
            [content],
            [f"fence-{fence.number}"],
            self._clock.time_ns() + VALID_NS,
            signed_pb2.OPERATION_FENCE,
            entry_fence=fence.number + 1,
        )
        return approved
