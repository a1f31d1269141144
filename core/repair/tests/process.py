"""Repair as a separate process, with a venue and a registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from core.repair.tests.rig import VENUE, FakeVenue
from kit.base import rpc
from kit.base.errors import RateLimited, UnknownVenue
from tests.support.service_process import ServiceProcess


class VenueServer(
    market_data_pb2_grpc.MarketDataServicer,
    catalog_pb2_grpc.CatalogServicer,
    registry_pb2_grpc.RegistryServicer,
):
    """A venue over gRPC; the registry that knows it, and the catalog."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self.address = ""
        self.busy = 0
        """So many calls for trades are refused."""

    async def ListTrades(self, request, context):
        if self.busy:
            self.busy -= 1
            raise RateLimited("left alone", venue=VENUE, retry_after_ms=10)
        found = await self.venue.trades(
            request.venue, request.symbol, request.first_trade_id, request.start_time_ns
        )
        return market_data_pb2.ListTradesResponse(
            trades=[
                market_data_pb2.Trade(
                    trade_id=one.trade_id,
                    price=str(one.price),
                    size=str(one.size),
                    side=one.side,
                    venue_time_ns=one.time_ns,
                )
                for one in found
            ]
        )

    async def ListCandles(self, request, context):
        found = await self.venue.candles(request.venue, request.symbol, request.start_time_ns)
        return market_data_pb2.ListCandlesResponse(
            candles=[
                market_data_pb2.Candle(
                    open_time_ns=at, **{name: str(part) for name, part in one._asdict().items()}
                )
                for at, one in sorted(found.items())
            ]
        )

    async def GetVenue(self, request, context):
        if request.venue != VENUE:
            raise UnknownVenue("not installed", name=request.venue)
        features = await self.venue.features(request.venue)
        return catalog_pb2.GetVenueResponse(venue=catalog_pb2.Venue(features=features))

    async def Watch(self, request, context):
        instance = registry_pb2.ServiceInstance(kind="venue", name=VENUE, address=self.address)
        yield registry_pb2.WatchResponse(services=[registry_pb2.Service(instance=instance)])
        while True:
            await context.read()

    async def Register(self, request, context):
        return registry_pb2.RegisterResponse(heartbeat_interval_ms=1000)

    async def Heartbeat(self, request, context):
        return registry_pb2.HeartbeatResponse()

    async def Unregister(self, request, context):
        return registry_pb2.UnregisterResponse()


@asynccontextmanager
async def serving(venue: FakeVenue) -> AsyncIterator[VenueServer]:
    """All of it on one port of the loopback."""
    server, servicer = rpc.server(), VenueServer(venue)
    rpc.serve(server, market_data_pb2.DESCRIPTOR.services_by_name["MarketData"], servicer)
    rpc.serve(server, catalog_pb2.DESCRIPTOR.services_by_name["Catalog"], servicer)
    rpc.serve(server, registry_pb2.DESCRIPTOR.services_by_name["Registry"], servicer)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


def repair_process(valkey_url: str, postgres_url: str, registry: str) -> ServiceProcess:
    """It is not started yet, and repairs on request only."""
    return ServiceProcess(
        "repair",
        {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": postgres_url,
            "REGISTRY": registry,
            "REPAIR_SETTLE_S": "0",
            "REPAIR_AUTOMATIC": "false",
        },
    )
