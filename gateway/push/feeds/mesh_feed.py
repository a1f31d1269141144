"""The processes of the mesh, from the registry."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.push.feeds.market_rows import message_row
from gateway.push.updates import Position, Update
from kit.base.directory import ServiceDirectory


class MeshFeed:
    """All processes with their states, whenever one changes and at each heartbeat."""

    def __init__(self, directory: ServiceDirectory) -> None:
        self._directory = directory

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        async with aclosing(self._directory.watch()) as watch:
            async for services in watch:
                yield [Update([message_row(service) for service in services])]

    async def snapshot(self) -> Update | None:
        """None: the stream begins with all processes."""
        return None
