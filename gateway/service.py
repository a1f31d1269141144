"""The Registry and the Catalog over gRPC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.catalog import VenueCatalog
from gateway.registry import HEARTBEAT_INTERVAL_MS, ServiceRegistry
from gateway.venue_activation import VenueActivator
from kit.base.errors import STATUS_DETAILS_KEY, ServiceUnavailable, TooManySubscribers, error_info

WATCHERS_MAX = 256

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(registry_pb2_grpc.RegistryServicer):
    """Serves one registry."""

    def __init__(self, registry: ServiceRegistry) -> None:
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
        return catalog_pb2.ListVenuesResponse(venues=await self._catalog.venues())

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
