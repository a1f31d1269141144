"""Connections to other processes of the mesh, by the name under which they are registered."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Protocol

import grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc
from kit.base.errors import UnknownService


class Directory(Protocol):
    """Says which processes run."""

    def watch(self, kind: str) -> AsyncIterator[Sequence[registry_pb2.Service]]:
        """Those of a kind, now and at each change."""


class ServiceChannels:
    """One channel for each process of some kinds, opened when it is first needed; one that has
    moved to another address gets a new one."""

    def __init__(self, directory: Directory, *kinds: str) -> None:
        self._directory = directory
        self._registered: dict[str, Sequence[registry_pb2.ServiceInstance]] = dict.fromkeys(
            kinds, ()
        )
        self._changed = asyncio.Event()
        self._open: dict[tuple[str, str], tuple[str, grpc.aio.Channel]] = {}
        """By service id and instance id, with the address."""

    async def run(self) -> None:
        """Follow the registry. Runs forever."""
        await asyncio.gather(*map(self._follow, self._registered))

    def instances(self, name: str) -> Sequence[registry_pb2.ServiceInstance]:
        """The registered processes of a name. Of two of a venue, the one with the lower epoch is
        first: it is the one that is read."""
        every = [one for known in self._registered.values() for one in known if one.name == name]
        return sorted(every, key=lambda one: one.epoch)

    def names(self) -> list[str]:
        """The names of the registered processes, in order."""
        return sorted({one.name for known in self._registered.values() for one in known})

    async def channel(
        self, name: str, wait_seconds: float = 0.0, epoch: int = 0
    ) -> grpc.aio.Channel:
        """The channel to the first process of a name, or to the one with this epoch if there is
        one. ``wait_seconds``: how long a process is waited for. Raises UnknownService."""
        if wait_seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    while not self.instances(name):
                        await self._changed.wait()
        instances = self.instances(name)
        if not instances:
            kinds = " or ".join(self._registered)
            text = f"no {kinds} {name!r} is registered: see Registry.ListServices"
            raise UnknownService(text, name=name)
        return await self._to(min(instances, key=lambda one: one.epoch != epoch))

    async def close(self) -> None:
        for _, channel in self._open.values():
            await channel.close()

    async def _follow(self, kind: str) -> None:
        async for services in self._directory.watch(kind):
            self._registered[kind] = [service.instance for service in services]
            self._changed.set()
            self._changed = asyncio.Event()

    async def _to(self, instance: registry_pb2.ServiceInstance) -> grpc.aio.Channel:
        key = instance.service_id, instance.instance_id
        known = self._open.get(key)
        if known is None or known[0] != instance.address:
            channel = rpc.channel(instance.address, service_id=instance.service_id)
            self._open[key] = instance.address, channel
            if known is not None:
                await known[1].close()
        return self._open[key][1]
