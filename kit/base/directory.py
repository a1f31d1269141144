"""The client of the Registry: registers this process and finds the others."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base import backoff, rpc, telemetry
from kit.base.access.credentials import CredentialSource
from kit.base.access.trust import TrustedKeys, from_message
from kit.base.paging import whole_list

REGISTRY = "registry"
"""The service id of the registry."""
SUPERVISOR = "supervisor"
"""The service id of the supervisor, by its certificate. It does not register."""
VENUE = "venue"
"""The kind of the processes of venues."""
CALL_TIMEOUT_S = 5.0
UNREGISTER_TIMEOUT_S = 4.0
"""The registry answers when the gateway calls the successor, after 2 s at the latest."""
RETRY_SECONDS_MAX = 0.5

_log = telemetry.logger("directory")

ServiceInstance = registry_pb2.ServiceInstance
ServiceStatus = registry_pb2.ServiceStatus


def stands_by(service: registry_pb2.Service) -> bool:
    """Whether another instance of its service is called instead."""
    return service.status.state == registry_pb2.SERVICE_STATE_STANDBY


class ServiceDirectory:
    """One connection to the registry for all calls of a process."""

    def __init__(self, address: str, credentials: CredentialSource | None = None) -> None:
        """``credentials``: what it shows to the registry; None: those of this process."""
        self._channel = rpc.channel(address, credentials, REGISTRY)
        self._registry = registry_pb2_grpc.RegistryStub(self._channel)
        self._trust: Callable[[TrustedKeys], None] = lambda keys: None
        self._trust_revision = ""
        self._renew: Callable[[str], None] = lambda token: None
        self._stand_by: Callable[[bool], None] = lambda stands_by: None

    def on_trust(self, callback: Callable[[TrustedKeys], None]) -> None:
        """Call this with each state of trust that the registry sends while ``announce`` runs."""
        self._trust = callback

    def on_renewal(self, callback: Callable[[str], None]) -> None:
        """Call this with each new token that the registry sends while ``announce`` runs."""
        self._renew = callback

    def on_standby(self, callback: Callable[[bool], None]) -> None:
        """Call this with each answer of the registry while ``announce`` runs: whether another
        instance of this service is called."""
        self._stand_by = callback

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
                if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                    _log.warning("not registered", extra={"detail": error.details()})
                else:
                    _log.debug("registry is away", extra={"detail": error.details()})
                await asyncio.sleep(next(waits))

    async def withdraw(self, instance: ServiceInstance) -> bool:
        """Unregister. Returns whether another instance is called from now on, as soon as callers
        follow. A registry that is away removes the entry when heartbeats stop."""
        request = registry_pb2.UnregisterRequest(
            service_id=instance.service_id,
            instance_id=instance.instance_id,
            start_time_ns=instance.start_time_ns,
        )
        try:
            answer = await self._registry.Unregister(request, timeout=UNREGISTER_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            _log.debug("not unregistered", extra={"detail": error.details()})
            return False
        return answer.has_successor

    async def services(self, kind: str = "") -> Sequence[registry_pb2.Service]:
        """The registered services. Raises grpc.aio.AioRpcError when the registry is away."""
        request = registry_pb2.ListServicesRequest(kind=kind)
        listed = await whole_list(self._registry.ListServices, request, timeout=CALL_TIMEOUT_S)
        return listed.services

    async def watch(self, kind: str = "") -> AsyncGenerator[Sequence[registry_pb2.Service], None]:
        """The registered services, now and at each change, across restarts of the registry; of a
        kind, those that are to be called."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            call = self._registry.Watch(registry_pb2.WatchRequest(kind=kind))
            try:
                async for response in call:
                    waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                    yield [one for one in response.services if not kind or not stands_by(one)]
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
        self._take(registered)
        while instance() == registered_as:
            heartbeat = registry_pb2.HeartbeatRequest(
                service_id=registered_as.service_id,
                status=status(),
                trust_revision=self._trust_revision,
                instance_id=registered_as.instance_id,
                start_time_ns=registered_as.start_time_ns,
            )
            answer = await self._registry.Heartbeat(heartbeat, timeout=CALL_TIMEOUT_S)
            self._take(answer)
            if answer.renewed_token:
                self._renew(answer.renewed_token)
            await asyncio.sleep(registered.heartbeat_interval_ms / 1000)

    def _take(
        self, response: registry_pb2.RegisterResponse | registry_pb2.HeartbeatResponse
    ) -> None:
        self._stand_by(response.stands_by)
        if not response.HasField("trust"):
            return
        self._trust(from_message(response.trust))
        self._trust_revision = response.trust.revision
