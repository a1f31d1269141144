"""Starts a writer for each venue in the registry."""

import asyncio
from collections.abc import Callable, Sequence

from venuemesh.registry.v1 import registry_pb2

from core.ingest.replicas import Replica
from core.ingest.venue_writer import VenueWriter
from kit.base.directory import VENUE, ServiceDirectory


class VenueDiscovery:
    """Follows the registry. The writer of a venue that is gone ends by itself."""

    def __init__(self, directory: ServiceDirectory, make: Callable[[str], VenueWriter]) -> None:
        self._directory = directory
        self._make = make
        self._writers: dict[str, VenueWriter] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            async for services in self._directory.watch(VENUE):
                self._follow(services, group)

    def _follow(self, services: Sequence[registry_pb2.Service], group: asyncio.TaskGroup) -> None:
        found: dict[str, list[Replica]] = {}
        for service in services:
            one = service.instance
            found.setdefault(one.name, []).append(Replica(one.service_id, one.address, one.epoch))
        for venue, instances in found.items():
            writer = self._writers.get(venue)
            if writer is None:
                writer = self._writers[venue] = self._make(venue)
                group.create_task(self._run(writer), name=f"writer {venue}")
            writer.replicas.instances = tuple(instances)
        for venue, writer in self._writers.items():
            writer.listed = venue in found

    async def _run(self, writer: VenueWriter) -> None:
        await writer.run()
        del self._writers[writer.venue]
