"""Ends proposals that nobody has confirmed in time."""

from collections.abc import Callable

from core.inspector import proposals
from core.inspector.transactions import exclusive_transaction
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events.leases import Lease

LOOK_SECONDS = 1.0


class ProposalExpiry:
    """Ends them while this process has the lease. One that is confirmed too late, before this has
    looked, ends there."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        degraded_reasons: DegradedReasons,
        clock: Clock,
        after_commit: Callable[[], None],
    ) -> None:
        self._database = database
        self._lease = lease
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._after_commit = after_commit

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)

    async def _look(self) -> None:
        now_ns = self._clock.time_ns()
        async with self._database.reading() as connection:
            found = await proposals.pending(connection)
        if not any(one.expires_time_ns <= now_ns for one in found):
            return
        async with exclusive_transaction(self._database, self._lease) as connection:
            await proposals.expire(connection, now_ns)
        self._after_commit()
