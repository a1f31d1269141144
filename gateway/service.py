"""The Registry and the Catalog over gRPC."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.catalog import VenueCatalog
from gateway.registry import HEARTBEAT_INTERVAL_MS, ProcessId, ServiceRegistry, order
from gateway.venue_activation import VenueActivator
from kit.base.access.call_guard import current_caller, require_service, streams_for_caller
from kit.base.access.tokens import Caller
from kit.base.access.trust import TrustedKeys, to_message
from kit.base.errors import STATUS_DETAILS_KEY, ServiceUnavailable, TooManySubscribers, error_info
from kit.base.paging import page_of
from kit.base.settings import MeshSettings

WATCHERS_MAX = 256


class ProcessTokens(Protocol):
    """What processes need of the mesh's tokens."""

    @property
    def trusted(self) -> TrustedKeys:
        """What they verify tokens with now."""

    def renewed_for_process(self, caller: Caller) -> str:
        """A new token for a process whose token ends soon; "" otherwise."""


Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(registry_pb2_grpc.RegistryServicer):
    """Serves one registry."""

    def __init__(
        self, registry: ServiceRegistry, mesh: MeshSettings, tokens: ProcessTokens
    ) -> None:
        self.watchers = 0
        self.settle: Callable[[], Awaitable[None]] = _at_once
        """Returns when callers reach the processes that are registered now."""
        self._registry = registry
        self._mesh = mesh
        self._tokens = tokens

    async def Register(
        self, request: registry_pb2.RegisterRequest, context: Context
    ) -> registry_pb2.RegisterResponse:
        require_service(request.instance.service_id, request.instance.kind)
        self._registry.register(request.instance)
        return registry_pb2.RegisterResponse(
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            trust=to_message(self._tokens.trusted),
            stands_by=self._registry.stands_by(ProcessId.of(request.instance)),
        )

    async def Heartbeat(
        self, request: registry_pb2.HeartbeatRequest, context: Context
    ) -> registry_pb2.HeartbeatResponse:
        require_service(request.service_id)
        process = ProcessId(request.service_id, request.instance_id)
        self._registry.heartbeat(process, request.status, request.start_time_ns)
        trusted = self._tokens.trusted
        response = registry_pb2.HeartbeatResponse(
            renewed_token=self._tokens.renewed_for_process(current_caller()),
            stands_by=self._registry.stands_by(process),
        )
        if trusted.revision != request.trust_revision:
            response.trust.CopyFrom(to_message(trusted))
        return response

    async def Unregister(
        self, request: registry_pb2.UnregisterRequest, context: Context
    ) -> registry_pb2.UnregisterResponse:
        require_service(request.service_id)
        process = ProcessId(request.service_id, request.instance_id)
        has_successor = self._registry.unregister(process, request.start_time_ns)
        if has_successor:
            await self.settle()
        return registry_pb2.UnregisterResponse(has_successor=has_successor)

    async def ListServices(
        self, request: registry_pb2.ListServicesRequest, context: Context
    ) -> registry_pb2.ListServicesResponse:
        services, token = page_of(request, self._registry.services(request.kind), order)
        return registry_pb2.ListServicesResponse(
            services=services,
            mesh_id=self._mesh.mesh_id,
            world=self._mesh.world,
            next_page_token=token,
        )

    async def Watch(
        self, request: registry_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[registry_pb2.WatchResponse]:
        if self.watchers >= streams_for_caller(WATCHERS_MAX):
            raise TooManySubscribers("no more watchers", limit=WATCHERS_MAX)
        self.watchers += 1
        try:
            while True:
                # Changes during a slow send are in the next message.
                seen = self._registry.revision
                services = self._registry.services(request.kind)
                yield registry_pb2.WatchResponse(services=services)
                await self._registry.wait_for_change(seen, HEARTBEAT_INTERVAL_MS / 1000)
        finally:
            self.watchers -= 1


class CatalogServicer(catalog_pb2_grpc.CatalogServicer):
    """Serves the catalog of installed venues."""

    def __init__(self, catalog: VenueCatalog, activation: VenueActivator) -> None:
        self._catalog = catalog
        self._activation = activation

    async def ListVenues(
        self, request: catalog_pb2.ListVenuesRequest, context: Context
    ) -> catalog_pb2.ListVenuesResponse:
        venue_ids, token = page_of(request, self._catalog.venue_ids, lambda venue_id: [venue_id])
        venues = await self._catalog.venues(venue_ids)
        return catalog_pb2.ListVenuesResponse(venues=venues, next_page_token=token)

    async def GetVenue(
        self, request: catalog_pb2.GetVenueRequest, context: Context
    ) -> catalog_pb2.GetVenueResponse:
        return catalog_pb2.GetVenueResponse(venue=await self._catalog.venue(request.venue))

    async def ActivateVenue(
        self, request: catalog_pb2.ActivateVenueRequest, context: Context
    ) -> catalog_pb2.ActivateVenueResponse:
        async with _passing_refusals_on(context):
            venue = await self._activation.activate(request.venue)
        return catalog_pb2.ActivateVenueResponse(venue=venue)

    async def DeactivateVenue(
        self, request: catalog_pb2.DeactivateVenueRequest, context: Context
    ) -> catalog_pb2.DeactivateVenueResponse:
        async with _passing_refusals_on(context):
            venue = await self._activation.deactivate(request.venue)
        return catalog_pb2.DeactivateVenueResponse(venue=venue)


async def _at_once() -> None:
    """Nobody calls by way of a gateway."""


@asynccontextmanager
async def _passing_refusals_on(context: Context) -> AsyncIterator[None]:
    """Forward errors of the supervisor to the caller."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error_info(error) is None:
            raise ServiceUnavailable("the supervisor does not answer") from None
        metadata = error.trailing_metadata() or ()
        details = tuple(pair for pair in metadata if pair[0] == STATUS_DETAILS_KEY)
        await context.abort(error.code(), error.details() or "", details)
