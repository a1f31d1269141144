"""The client of the Registry: registers this process and finds the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base import backoff, rpc, telemetry

CALL_TIMEOUT_S = 5.0
RETRY_SECONDS_MAX = 0.5

_log = telemetry.logger("directory")

ServiceInstance = registry_pb2.ServiceInstance
ServiceStatus = registry_pb2.ServiceStatus


class ServiceDirectory:
    """One connection to the registry for all calls of a process."""

    def __init__(self, address: str) -> None:
        self._channel = rpc.channel(address)
        self._registry = registry_pb2_grpc.RegistryStub(self._channel)

    async def announce(
        self, instance: Callable[[], ServiceInstance], status: Callable[[], ServiceStatus]
    ) -> None:
        """Keep the process registered until cancelled, also while the registry restarts. Registers
        again when ``instance`` returns something different."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            try:
                await self._register_and_send_heartbeats(instance, status)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                    continue
                _log.debug("registry is away", extra={"detail": error.details()})
                await asyncio.sleep(next(waits))

    async def withdraw(self, service_id: str) -> None:
        """Unregister at once. A registry that is away removes the entry when heartbeats stop."""
        request = registry_pb2.UnregisterRequest(service_id=service_id)
        try:
            await self._registry.Unregister(request, timeout=1.0)
        except grpc.aio.AioRpcError as error:
            _log.debug("not unregistered", extra={"detail": error.details()})

    async def services(self, kind: str = "") -> Sequence[registry_pb2.Service]:
        """The registered services. Raises grpc.aio.AioRpcError when the registry is away."""
        request = registry_pb2.ListServicesRequest(kind=kind)
        response = await self._registry.ListServices(request, timeout=CALL_TIMEOUT_S)
        return response.services

    async def watch(self, kind: str = "") -> AsyncIterator[Sequence[registry_pb2.Service]]:
        """The registered services, now and at each change, across restarts of the registry."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            call = self._registry.Watch(registry_pb2.WatchRequest(kind=kind))
            try:
                async for response in call:
                    waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                    yield response.services
            except grpc.aio.AioRpcError as error:
                _log.debug("watch ended", extra={"detail": error.details()})
            finally:
                call.cancel()
            await asyncio.sleep(next(waits))

    async def close(self) -> None:
        await self._channel.close()

    async def _register_and_send_heartbeats(
        self, instance: Callable[[], ServiceInstance], status: Callable[[], ServiceStatus]
    ) -> None:
        registered_as = instance()
        registered = await self._registry.Register(
            registry_pb2.RegisterRequest(instance=registered_as), timeout=CALL_TIMEOUT_S
        )
        while instance() == registered_as:
            heartbeat = registry_pb2.HeartbeatRequest(
                service_id=registered_as.service_id, status=status()
            )
            await self._registry.Heartbeat(heartbeat, timeout=CALL_TIMEOUT_S)
            await asyncio.sleep(registered.heartbeat_interval_ms / 1000)
