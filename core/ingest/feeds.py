"""The feeds of all venues that the registry lists."""

import asyncio
from collections.abc import Callable, Sequence

from venuemesh.registry.v1 import registry_pb2

from core.ingest.feed import Feed
from kit.directory import Directory

VENUE = "venue"


class Feeds:
    """Starts a feed for each venue that appears. A feed whose venue is gone ends by itself."""

    def __init__(self, directory: Directory, make: Callable[[str, str], Feed]) -> None:
        self._directory = directory
        self._make = make
        self._feeds: dict[str, Feed] = {}

    async def run(self) -> None:
        """Endless."""
        async with asyncio.TaskGroup() as group:
            async for services in self._directory.watch(VENUE):
                self._follow(services, group)

    def _follow(self, services: Sequence[registry_pb2.Service], group: asyncio.TaskGroup) -> None:
        addresses = {service.instance.name: service.instance.address for service in services}
        for venue, address in addresses.items():
            if venue not in self._feeds:
                self._feeds[venue] = self._make(venue, address)
                group.create_task(self._run(self._feeds[venue]), name=f"feed {venue}")
            self._feeds[venue].address = address
        for venue, feed in self._feeds.items():
            feed.listed = venue in addresses

    async def _run(self, feed: Feed) -> None:
        await feed.run()
        del self._feeds[feed.venue]
