"""The Registry as gRPC serves it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.registry import HEARTBEAT_INTERVAL_MS, Registry
from kit.errors import TooManySubscribers

WATCHERS_MAX = 256

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(registry_pb2_grpc.RegistryServicer):
    """Answers for one registry."""

    def __init__(self, registry: Registry) -> None:
        self.watchers = 0
        self._registry = registry

    async def Register(
        self, request: registry_pb2.RegisterRequest, context: Context
    ) -> registry_pb2.RegisterResponse:
        self._registry.register(request.instance)
        return registry_pb2.RegisterResponse(heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS)

    async def Heartbeat(
        self, request: registry_pb2.HeartbeatRequest, context: Context
    ) -> registry_pb2.HeartbeatResponse:
        self._registry.heartbeat(request.service_id, request.status)
        return registry_pb2.HeartbeatResponse()

    async def Unregister(
        self, request: registry_pb2.UnregisterRequest, context: Context
    ) -> registry_pb2.UnregisterResponse:
        self._registry.unregister(request.service_id)
        return registry_pb2.UnregisterResponse()

    async def ListServices(
        self, request: registry_pb2.ListServicesRequest, context: Context
    ) -> registry_pb2.ListServicesResponse:
        return registry_pb2.ListServicesResponse(services=self._registry.services(request.kind))

    async def Watch(
        self, request: registry_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[registry_pb2.WatchResponse]:
        if self.watchers >= WATCHERS_MAX:
            raise TooManySubscribers("no more watchers", limit=WATCHERS_MAX)
        self.watchers += 1
        try:
            while True:
                # What changes while a slow watcher takes this message is in its next one.
                seen = self._registry.revision
                services = self._registry.services(request.kind)
                yield registry_pb2.WatchResponse(services=services)
                await self._registry.wait_for_change(seen, HEARTBEAT_INTERVAL_MS / 1000)
        finally:
            self.watchers -= 1
