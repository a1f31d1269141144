"""Start and stop venues while the mesh runs.

The supervisor holds what is to run, and this process asks it: one place knows, whatever is started
again meanwhile. All others see in the registry what has come and gone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.supervisor.v1 import supervisor_pb2, supervisor_pb2_grpc

from gateway.catalog import VenueCatalog
from gateway.registry import ServiceRegistry
from kit.base import rpc
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.directory import SUPERVISOR
from kit.base.errors import NotSupported

START_S_MAX = 20.0
"""Time to wait for a started process to register."""
SUPERVISOR_S_MAX = 30.0
"""The supervisor kills a process that does not end within 10 s."""

NOT_CALLED = (registry_pb2.SERVICE_STATE_LOST, registry_pb2.SERVICE_STATE_STANDBY)


class VenueActivator:
    """Starts and stops venues through the supervisor, if there is one."""

    def __init__(
        self,
        catalog: VenueCatalog,
        registry: ServiceRegistry,
        supervisor_address: str,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._registry = registry
        self._supervisor_address = supervisor_address
        self._clock = clock

    async def activate(self, venue_id: str) -> catalog_pb2.Venue:
        """Start a venue and wait until it can be called.

        Raises UnknownVenue, NotSupported, and AioRpcError with what the supervisor answers.
        """
        async with self._supervisor_for(venue_id) as supervisor:
            request = supervisor_pb2.StartVenueRequest(venue=venue_id)
            await supervisor.StartVenue(request, timeout=SUPERVISOR_S_MAX)
        await self._wait_for(venue_id)
        return await self._catalog.venue(venue_id)

    async def deactivate(self, venue_id: str) -> catalog_pb2.Venue:
        """Drain a venue and wait until it has ended. Raises the errors of ``activate``."""
        async with self._supervisor_for(venue_id) as supervisor:
            request = supervisor_pb2.StopVenueRequest(venue=venue_id)
            await supervisor.StopVenue(request, timeout=SUPERVISOR_S_MAX)
        # A process that was killed has not unregistered.
        self._registry.forget(venue_id)
        return await self._catalog.venue(venue_id)

    @asynccontextmanager
    async def _supervisor_for(
        self, venue_id: str
    ) -> "AsyncIterator[supervisor_pb2_grpc.SupervisorAsyncStub]":
        self._catalog.require(venue_id)
        if not self._supervisor_address:
            # Host names, and so container names, have no underscores.
            container = venue_id.replace("_", "-")
            raise NotSupported(
                "no supervisor runs here: start or stop the venue's container instead, for "
                f"example `docker compose up -d {container}` or `docker compose stop {container}`",
                service="registry",
                wanted="supervisor",
            )
        async with rpc.channel(self._supervisor_address, service_id=SUPERVISOR) as channel:
            yield supervisor_pb2_grpc.SupervisorStub(channel)

    async def _wait_for(self, venue_id: str) -> None:
        ends_ns = self._clock.monotonic_ns() + int(START_S_MAX * NANOSECONDS_PER_SECOND)
        while not self._can_be_called(venue_id):
            left_s = (ends_ns - self._clock.monotonic_ns()) / NANOSECONDS_PER_SECOND
            if left_s <= 0:
                return
            await self._registry.wait_for_change(self._registry.revision, left_s)

    def _can_be_called(self, venue_id: str) -> bool:
        service = self._catalog.process(venue_id)
        return service is not None and service.status.state not in NOT_CALLED
