"""The exchange catalog: the capabilities of each installed venue, and the status of running ones.

What a venue can do is read from its own catalog, once, at start. How it does is asked of its
process at each call.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from gateway.installed_venues import Installed
from gateway.registry import ServiceRegistry
from kit.base import rpc
from kit.base.directory import VENUE
from kit.base.errors import UnknownVenue
from kit.base.paging import whole_list

ANSWER_S_MAX = 2.0
"""Time to wait for details of a process; later ones are left out."""
INSTRUMENTS_PER_PAGE = 1_000

BEST_FIRST = (
    registry_pb2.SERVICE_STATE_SERVING,
    registry_pb2.SERVICE_STATE_DEGRADED,
    registry_pb2.SERVICE_STATE_STARTING,
    registry_pb2.SERVICE_STATE_DRAINING,
    registry_pb2.SERVICE_STATE_STANDBY,
    registry_pb2.SERVICE_STATE_LOST,
)


class VenueCatalog:
    """All installed venues, with the registry's data on those that run."""

    def __init__(self, installed: Installed, registry: ServiceRegistry) -> None:
        self._installed = installed
        self._registry = registry

    @property
    def venue_ids(self) -> list[str]:
        """The ids of the installed venues, sorted."""
        return sorted(self._installed)

    async def venues(self, venue_ids: Iterable[str]) -> list[catalog_pb2.Venue]:
        """These venues. Raises UnknownVenue."""
        return list(await asyncio.gather(*map(self.venue, venue_ids)))

    async def venue(self, venue_id: str) -> catalog_pb2.Venue:
        """One venue. Raises UnknownVenue."""
        self.require(venue_id)
        found = catalog_pb2.Venue()
        found.CopyFrom(self._installed[venue_id])
        service = self.process(venue_id)
        if service is not None:
            found.running.CopyFrom(await _running(service))
        return found

    def require(self, venue_id: str) -> None:
        """Raise UnknownVenue if the venue is not installed."""
        if venue_id not in self._installed:
            raise UnknownVenue(
                f"no venue {venue_id!r}: installed are {', '.join(sorted(self._installed))}",
                venue=venue_id,
            )

    def process(self, venue_id: str) -> registry_pb2.Service | None:
        """The process of a venue in the best state, or None if it does not run."""
        services = [
            service
            for service in self._registry.services(VENUE)
            if service.instance.name == venue_id
        ]
        return min(services, key=_place, default=None)


async def _running(service: registry_pb2.Service) -> catalog_pb2.RunningVenue:
    running = catalog_pb2.RunningVenue(
        state=service.status.state,
        detail=service.status.detail,
        address=service.instance.address,
    )
    if service.status.state == registry_pb2.SERVICE_STATE_LOST:
        return running
    async with rpc.channel(
        service.instance.address, service_id=service.instance.service_id
    ) as channel:
        async with _unless_it_is_silent():
            status = await admin_pb2_grpc.AdminStub(channel).GetStatus(
                admin_pb2.GetStatusRequest(), timeout=ANSWER_S_MAX
            )
            if status.HasField("conformance"):
                running.conformance.CopyFrom(status.conformance)
        async with _unless_it_is_silent():
            running.markets = await _count_markets(channel, service.instance.name)
    return running


async def _count_markets(channel: grpc.aio.Channel, venue_id: str) -> int:
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.ListInstrumentsRequest(venue=venue_id, page_size=INSTRUMENTS_PER_PAGE)
    listed = await whole_list(stub.ListInstruments, request, timeout=ANSWER_S_MAX)
    return len(listed.instruments)


@asynccontextmanager
async def _unless_it_is_silent() -> AsyncIterator[None]:
    """Details that a process does not supply in time are left out."""
    try:
        yield
    except grpc.aio.AioRpcError:
        return


def _place(service: registry_pb2.Service) -> int:
    state = service.status.state
    return BEST_FIRST.index(state) if state in BEST_FIRST else len(BEST_FIRST)
