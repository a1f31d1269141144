"""Runs a writer for each venue in the registry that this process writes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from venuemesh.registry.v1 import registry_pb2

from core.ingest.replicas import Replica
from core.ingest.venue_shares import VenueShares
from core.ingest.venue_writer import VenueWriter
from kit.base.directory import VENUE, ServiceDirectory


class VenueDiscovery:
    """Follows the registry. The writer of a venue that is gone ends by itself."""

    def __init__(
        self,
        directory: ServiceDirectory,
        shares: VenueShares,
        make: Callable[[str], VenueWriter],
    ) -> None:
        self._directory = directory
        self._shares = shares
        self._make = make
        self._replicas: Mapping[str, Sequence[Replica]] = {}
        self._writers: dict[str, VenueWriter] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_members(group))
            async for services in self._directory.watch(VENUE):
                self._replicas = _replicas_of(services)
                self._follow(group)

    async def _follow_members(self, group: asyncio.TaskGroup) -> None:
        async for _ in self._shares.changes():
            self._follow(group)

    def _follow(self, group: asyncio.TaskGroup) -> None:
        owned = self._shares.owned(self._replicas)
        for venue in owned:
            if venue not in self._writers:
                writer = self._writers[venue] = self._make(venue)
                self._tasks[venue] = group.create_task(self._run(writer), name=f"writer {venue}")
            self._writers[venue].replicas.instances = tuple(self._replicas[venue])
        for venue, writer in list(self._writers.items()):
            writer.listed = venue in self._replicas
            if writer.listed and venue not in owned:
                # Another process writes it from now on.
                del self._writers[venue]
                self._tasks.pop(venue).cancel()

    async def _run(self, writer: VenueWriter) -> None:
        await writer.run()
        if self._writers.get(writer.venue) is writer:
            del self._writers[writer.venue]


def _replicas_of(services: Sequence[registry_pb2.Service]) -> dict[str, list[Replica]]:
    """The processes of each venue."""
    found: dict[str, list[Replica]] = {}
    for service in services:
        one = service.instance
        found.setdefault(one.name, []).append(Replica(one.service_id, one.address, one.epoch))
    return found
