"""Connections to other processes, each opened when it is first needed."""

import grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc


class ServiceChannels:
    """One channel for each name; a process that has moved to another address gets a new one."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, grpc.aio.Channel]] = {}

    async def to(self, name: str, instance: registry_pb2.ServiceInstance) -> grpc.aio.Channel:
        """The channel of a name, to the address that this instance has."""
        known = self._open.get(name)
        if known is None or known[0] != instance.address:
            channel = rpc.channel(instance.address, service_id=instance.service_id)
            self._open[name] = instance.address, channel
            if known is not None:
                await known[1].close()
        return self._open[name][1]

    async def close(self) -> None:
        for _, channel in self._open.values():
            await channel.close()
