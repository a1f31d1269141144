"""The feeds of all venues that the registry lists."""

import asyncio
from collections.abc import Callable, Sequence

from venuemesh.registry.v1 import registry_pb2

from core.ingest.feed import Feed
from core.ingest.twins import Instance
from kit.base.directory import Directory

VENUE = "venue"


class Feeds:
    """Starts a feed for each venue that appears. A feed whose venue is gone ends by itself."""

    def __init__(self, directory: Directory, make: Callable[[str], Feed]) -> None:
        self._directory = directory
        self._make = make
        self._feeds: dict[str, Feed] = {}

    async def run(self) -> None:
        """Endless."""
        async with asyncio.TaskGroup() as group:
            async for services in self._directory.watch(VENUE):
                self._follow(services, group)

    def _follow(self, services: Sequence[registry_pb2.Service], group: asyncio.TaskGroup) -> None:
        found: dict[str, list[Instance]] = {}
        for service in services:
            one = service.instance
            found.setdefault(one.name, []).append(Instance(one.service_id, one.address, one.epoch))
        for venue, instances in found.items():
            feed = self._feeds.get(venue)
            if feed is None:
                feed = self._feeds[venue] = self._make(venue)
                group.create_task(self._run(feed), name=f"feed {venue}")
            feed.twins.instances = tuple(instances)
        for venue, feed in self._feeds.items():
            feed.listed = venue in found

    async def _run(self, feed: Feed) -> None:
        await feed.run()
        del self._feeds[feed.venue]
