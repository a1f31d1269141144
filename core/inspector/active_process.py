"""Keeps one process of the inspector active, and the others on standby."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from kit.base.clock import Clock
from kit.base.database import POSTGRESQL
from kit.base.degradation import DegradedReasons
from kit.base.errors import ServiceUnavailable, StoreUnavailable
from kit.events.leases import Lease, LeaseLost

RETRY_SECONDS = 1.0


class ActiveProcess:
    """Runs some tasks while this process has the lease."""

    def __init__(
        self,
        lease: Lease,
        begin: Callable[[], Awaitable[None]],
        tasks: Sequence[Callable[[], Awaitable[None]]],
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        """``begin`` runs before the tasks, each time this process acquires the lease. It raises
        LeaseLost and StoreUnavailable."""
        self._lease = lease
        self._begin = begin
        self._tasks = tasks
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self.is_active = False

    def require(self) -> None:
        """Raises ServiceUnavailable unless this process is active."""
        if not self.is_active:
            raise ServiceUnavailable("another process of the inspector acts, or none does yet")

    async def run(self) -> None:
        """Run the tasks whenever this process has the lease. Runs forever."""
        while True:
            try:
                if await self._lease.acquire():
                    await self._act()
            except* StoreUnavailable as failure:
                self._degraded_reasons.report(POSTGRESQL, str(failure.exceptions[0]))
            except* LeaseLost:
                pass
            await self._clock.sleep(RETRY_SECONDS)

    async def _act(self) -> None:
        await self._begin()
        self.is_active = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lease.keep(self._clock))
                for task in self._tasks:
                    group.create_task(_run(task))
        finally:
            self.is_active = False


async def _run(task: Callable[[], Awaitable[None]]) -> None:
    await task()
