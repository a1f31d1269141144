"""Runs work in the shares that this process holds (``shared_leases``).

An item of work, such as a stream or a strategy, belongs to a share by the hash of its name. It is
done by the process that holds the lease of the share.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from kit.base import telemetry
from kit.base.active_instance import ActiveInstance
from kit.base.clock import Clock
from kit.base.database import Connection
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.rendezvous import share_of
from kit.base.telemetry import Meter
from kit.events.shared_leases import LEASES, SharedLeases

SHARES = 16
"""Also the largest useful number of processes of a service."""


Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_log = telemetry.logger("shares")


class WorkRun:
    """One run of work on all shares of this process."""

    def __init__(self, shares: frozenset[int]) -> None:
        self.shares = shares
        self._ends = False

    @property
    def ends(self) -> bool:
        """Whether other shares are due to this process: finish, and begin again with those."""
        return self._ends

    def end(self) -> None:
        self._ends = True

    def owns(self, name: str) -> bool:
        """Whether an item belongs to this run."""
        return share_of(name, SHARES) in self.shares


class SharedWork:
    """The work of a service that this process does."""

    def __init__(
        self,
        leases: SharedLeases,
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        """``leases``: of SHARES shares."""
        self._leases = leases
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._gates: Sequence[_Gate] = [_Gate() for _ in range(SHARES)]
        self._owned: frozenset[int] = frozenset()
        self._changed = asyncio.Event()
        self._run: WorkRun | None = None
        self._gauge = meter.gauge(
            "shares", f"Shares of the service's work that this process has, of {SHARES}"
        )

    def owns(self, name: str) -> bool:
        """Whether an item is this process' work."""
        return share_of(name, SHARES) in self._owned

    @property
    def others(self) -> list[str]:
        """The names of the other processes."""
        return self._leases.others

    async def hold(self, connection: Connection, names: Collection[str]) -> None:
        """No other process takes the items before the caller's transaction has ended. Raises
        LeaseLost."""
        await self._leases.hold(connection, {share_of(name, SHARES) for name in names})

    async def holder(self, name: str) -> str | None:
        """The name of the other process that has an item, if one does. Raises StoreUnavailable."""
        return None if self.owns(name) else await self._leases.holder(share_of(name, SHARES))

    async def run_owned(self, name: str, work: Work) -> None:
        """Do an item's work while it is owned: cancel it when it is lost, and start it again when
        it is taken. Runs until cancelled."""
        await self.run_share(share_of(name, SHARES), work)

    async def run_share(self, share: int, work: Work) -> None:
        """``run_owned`` of a share."""
        await self._gates[share].run(work)

    @asynccontextmanager
    async def run_of_all(self) -> AsyncIterator[WorkRun]:
        """Wait until there are shares. No share that is due to another process is released before
        the end of the context."""
        while not self._owned:
            self._changed.clear()
            await self._changed.wait()
        self._run = WorkRun(self._owned)
        try:
            yield self._run
        finally:
            self._run = None

    async def run(self) -> None:
        """Claim the shares that are due to this process, and release the others, until
        cancelled."""
        while True:
            try:
                due = await self._leases.claim()
                await self._change(due)
                self._degraded_reasons.set(LEASES, self._leases.problem)
            except StoreUnavailable as error:
                # The leases stay until another process takes them, which needs the database too.
                self._degraded_reasons.report(LEASES, error.message)
            await self._clock.sleep(self._leases.claim_interval_seconds)

    async def leave(self) -> None:
        """Let other processes take over at once. The work has ended."""
        self._owned = frozenset()
        try:
            await self._leases.leave()
        except StoreUnavailable as error:
            _log.debug("leases not released; they expire", extra={"detail": error.message})

    async def _change(self, due: frozenset[int]) -> None:
        """Do what is held and due. Release what is not due, once its work has ended: until then its
        leases are renewed."""
        held = self._leases.held
        before, self._owned = self._owned, held & due
        for share, gate in enumerate(self._gates):
            gate.open(share in self._owned)
        if self._run is not None and self._run.shares != self._owned:
            self._run.end()
        self._changed.set()
        if before != self._owned:
            _log.info("shares changed", extra={"shares": sorted(self._owned)})
            self._gauge.set(len(self._owned))
        busy = {share for share, gate in enumerate(self._gates) if gate.is_busy}
        if self._run is not None:
            busy |= self._run.shares
        if ended := held - due - busy:
            await self._leases.release(ended)


class _Gate:
    """Lets the work of a share run. It begins as that of another process."""

    def __init__(self) -> None:
        self._active = ActiveInstance()
        self._active.change(stands_by=True)
        self._running = 0

    @property
    def is_busy(self) -> bool:
        return self._running > 0

    def open(self, is_open: bool) -> None:
        if is_open == self._active.stands_by:
            self._active.change(stands_by=not is_open)

    async def run(self, work: Work) -> None:
        await self._active.run(partial(self._counted, work))

    async def _counted(self, work: Work) -> None:
        self._running += 1
        try:
            await work()
        finally:
            self._running -= 1
