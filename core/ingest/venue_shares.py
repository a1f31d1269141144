"""Which venues this process writes: the ingest processes that the registry lists divide them.

Each computes the same from the same list. While two lists differ, two may write the same venue:
the streams refuse one of them, which begins again (``batch_continuity``).
"""

from collections.abc import AsyncIterator, Collection

from venuemesh.registry.v1 import registry_pb2

from kit.base.directory import ServiceDirectory
from kit.base.rendezvous import owners

GONE = (registry_pb2.SERVICE_STATE_LOST, registry_pb2.SERVICE_STATE_DRAINING)


class VenueShares:
    """The part of one process."""

    def __init__(self, directory: ServiceDirectory, kind: str, instance_id: str) -> None:
        """``kind``: of the processes that divide the venues."""
        self._directory = directory
        self._kind = kind
        self._own = instance_id
        self._members = {instance_id}

    def owned(self, venues: Collection[str]) -> set[str]:
        """Those of all venues that this process writes."""
        found = owners(venues, self._members)
        return {venue for venue in venues if found[venue] == self._own}

    @property
    def is_first(self) -> bool:
        """Whether this process does what only one of them does."""
        return self._own == min(self._members)

    async def changes(self) -> AsyncIterator[None]:
        """Follow the registry. Yields when processes have come or gone."""
        async for services in self._directory.watch(self._kind):
            found = {
                one.instance.instance_id for one in services if one.status.state not in GONE
            } | {self._own}
            if found != self._members:
                self._members = found
                yield
