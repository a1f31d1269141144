from decimal import Decimal

import pytest
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc

from conftest import free_port
from core.history.fee_schedules import AWAY_SECONDS, FeeSchedules
from kit.accounting.costed_orders import FeeRates
from kit.base import rpc
from kit.base.errors import ServiceUnavailable, UnknownVenue
from tests.support.manual_clock import ManualClock

FEES = catalog_pb2.FeeSchedule(maker="-0.0001", taker="0.0005")
RATES = FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.0005"))


class Catalog(catalog_pb2_grpc.CatalogServicer):
    """Knows one venue."""

    def __init__(self):
        self.calls = 0
        self.is_away = False

    async def GetVenue(self, request, context):
        self.calls += 1
        if self.is_away:
            raise ServiceUnavailable("away")
        if request.venue != "binance":
            raise UnknownVenue("no such venue", venue=request.venue)
        return catalog_pb2.GetVenueResponse(venue=catalog_pb2.Venue(fee_schedule=FEES))


@pytest.fixture
async def catalog():
    catalog, server = Catalog(), rpc.server()
    rpc.serve(server, catalog_pb2.DESCRIPTOR.services_by_name["Catalog"], catalog)
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    await server.start()
    catalog.clock = ManualClock()
    catalog.schedules = FeeSchedules(address, catalog.clock)
    yield catalog
    await catalog.schedules.close()
    await server.stop(None)


async def test_a_venue_is_asked_for_once(catalog):
    assert [await catalog.schedules.of("binance") for _ in range(2)] == [RATES, RATES]
    assert [await catalog.schedules.of("other") for _ in range(2)] == [None, None]
    assert catalog.calls == 2


async def test_a_catalog_that_is_away_is_asked_again_later(catalog):
    catalog.is_away = True
    assert [await catalog.schedules.of("binance") for _ in range(2)] == [None, None]
    assert catalog.calls == 1
    catalog.is_away = False
    catalog.clock.now_ns += AWAY_SECONDS * 10**9
    assert await catalog.schedules.of("binance") == RATES
