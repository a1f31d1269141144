"""Which strategies this detector runs: it shares them with other detectors by leases."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from core.detector.store import InstanceKey
from kit.base import telemetry
from kit.base.active_instance import ActiveInstance
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.rendezvous import share_of
from kit.base.telemetry import Meter
from kit.events.shared_leases import SharedLeases

SHARES = 16
"""Also the largest useful number of detectors."""
POSITIONS_SHARE = 0
"""Its holder stores the positions of all strategies."""

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_log = telemetry.logger("detector")


class InstanceOwnership(Protocol):
    """Says which strategies on which instruments run here."""

    def owns(self, key: InstanceKey) -> bool:
        """Whether it runs here."""

    async def run_owned(self, key: InstanceKey, work: Work) -> None:
        """Do work while the instance is owned: cancel it when it is lost, and start it again when
        it is taken. Runs until cancelled."""

    async def hold(self, connection: Connection, keys: Collection[InstanceKey]) -> None:
        """No other detector takes the instances before the caller's transaction has ended. Raises
        LeaseLost."""


class AllInstances:
    """The ownership of a process that is alone."""

    def owns(self, key: InstanceKey) -> bool:
        return True

    async def run_owned(self, key: InstanceKey, work: Work) -> None:
        await work()

    async def hold(self, connection: Connection, keys: Collection[InstanceKey]) -> None:
        pass


class _Share:
    """The work of a share. It begins as that of another detector."""

    def __init__(self) -> None:
        self.gate = ActiveInstance()
        self.gate.change(stands_by=True)
        self._running = 0
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self, work: Work) -> None:
        await self.gate.run(partial(self._counted, work))

    async def stop(self) -> None:
        """Wait until no work of it runs."""
        self.gate.change(stands_by=True)
        # The tasks of works that have not begun yet end without a call.
        await asyncio.sleep(0)
        await self._ended.wait()

    async def _counted(self, work: Work) -> None:
        self._running += 1
        self._ended.clear()
        try:
            await work()
        finally:
            self._running -= 1
            if not self._running:
                self._ended.set()


class InstanceShares:
    """Runs the strategies of the shares that this detector holds."""

    def __init__(
        self,
        leases: SharedLeases,
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._leases = leases
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._shares: Sequence[_Share] = [_Share() for _ in range(SHARES)]
        self._held: frozenset[int] = frozenset()
        self._gauge = meter.gauge(
            "detector_shares", f"Shares of all strategies that this detector runs, of {SHARES}"
        )

    def owns(self, key: InstanceKey) -> bool:
        return _share(key) in self._held

    async def run_owned(self, key: InstanceKey, work: Work) -> None:
        await self._shares[_share(key)].run(work)

    async def run_one(self, work: Work) -> None:
        """Do work that only one detector does: the holder of POSITIONS_SHARE."""
        await self._shares[POSITIONS_SHARE].run(work)

    async def hold(self, connection: Connection, keys: Collection[InstanceKey]) -> None:
        await self._leases.hold(connection, set(map(_share, keys)))

    async def holder(self, key: InstanceKey) -> str | None:
        """The name of the other detector that runs an instance, if one does. Raises
        StoreUnavailable."""
        return None if self.owns(key) else await self._leases.holder(_share(key))

    @property
    def others(self) -> list[str]:
        """The names of the other detectors."""
        return self._leases.others

    async def run(self) -> None:
        """Run the work of the shares that are due to this detector, and of no other, until
        cancelled."""
        while True:
            try:
                due = await self._leases.claim()
                await self._change(due)
                self._degraded_reasons.clear(POSTGRESQL)
            except StoreUnavailable as error:
                # The leases stay until another detector takes them, which needs the database too.
                self._degraded_reasons.report(POSTGRESQL, error.message)
            await self._clock.sleep(self._leases.claim_interval_seconds)

    async def leave(self) -> None:
        """Let other detectors take over at once. The work has ended."""
        self._held = frozenset()
        try:
            await self._leases.leave()
        except StoreUnavailable as error:
            _log.debug("leases not released; they expire", extra={"detail": error.message})

    async def _change(self, due: frozenset[int]) -> None:
        """Run what is held and due. Release what is not due, after its work has ended."""
        held = self._leases.held
        before, self._held = self._held, held & due
        for share in self._held:
            self._shares[share].gate.change(stands_by=False)
        await asyncio.gather(*(self._shares[share].stop() for share in before - self._held))
        if held - due:
            await self._leases.release(held - due)
        if before != self._held:
            _log.info("shares changed", extra={"shares": sorted(self._held)})
            self._gauge.set(len(self._held))


def _share(key: InstanceKey) -> int:
    return share_of("/".join(key), SHARES)
