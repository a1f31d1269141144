"""Which strategies this detector runs: it shares them with other detectors by leases."""

from collections.abc import Collection
from typing import Protocol

from core.detector.store import InstanceKey
from kit.base.database import Connection
from kit.events.shared_work import SharedWork, Work

POSITIONS_SHARE = 0
"""Its holder stores the positions of all strategies."""


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


class InstanceShares:
    """The instances in the shares that this detector holds."""

    def __init__(self, work: SharedWork) -> None:
        self._work = work

    def owns(self, key: InstanceKey) -> bool:
        return self._work.owns(_name(key))

    async def run_owned(self, key: InstanceKey, work: Work) -> None:
        await self._work.run_owned(_name(key), work)

    async def hold(self, connection: Connection, keys: Collection[InstanceKey]) -> None:
        await self._work.hold(connection, list(map(_name, keys)))

    async def holder(self, key: InstanceKey) -> str | None:
        """The name of the other detector that runs an instance, if one does. Raises
        StoreUnavailable."""
        return await self._work.holder(_name(key))

    @property
    def others(self) -> list[str]:
        """The names of the other detectors."""
        return self._work.others


def _name(key: InstanceKey) -> str:
    return "/".join(key)
