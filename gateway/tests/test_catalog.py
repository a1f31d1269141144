"""The exchange catalog, and how venues are started and stopped through it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.supervisor.v1 import supervisor_pb2, supervisor_pb2_grpc

from gateway import installed_venues
from gateway.catalog import VenueCatalog
from gateway.registry import LOST_AFTER_S, ProcessId, ServiceRegistry
from gateway.service import CatalogServicer
from gateway.tests.fakes import Process, StillClock, instance, process, status, succeeds
from gateway.venue_activation import VenueActivator
from kit.base import rpc
from kit.base.clock import SystemClock
from kit.base.errors import NotSupported, PortInUse, UnknownVenue, reason_of
from kit.base.settings import MeshSettings
from tests.support.waiting import WAIT_SECONDS_MAX

PORTS = {
    "binance": 5060,
    "bybit": 5061,
    "kraken": 5062,
    "okx": 5063,
    "coinbase": 5064,
    "binance_futures": 5065,
    "okx_futures": 5068,
    "deribit": 5081,
}
DERIVATIVES = {"binance_futures", "okx_futures", "deribit"}
COUNTED, SUMMED, FRAMES_COUNTED = (
    catalog_pb2.BOOK_PROOF_SEQUENCE,
    catalog_pb2.BOOK_PROOF_CHECKSUM,
    catalog_pb2.BOOK_PROOF_CONNECTION_SEQUENCE,
)
NOTHING_LOADED = """
import socket, sys
def refuse(*arguments): raise AssertionError("a connection")
socket.socket.connect = refuse
from gateway import installed_venues
from kit.base.settings import MeshSettings
installed_venues.load(MeshSettings(world="live"))
print([name for name in sys.modules if name.partition(".")[0] == "ccxt"])
"""

CONSECUTIVE = catalog_pb2.TRADE_NUMBERING_CONSECUTIVE
SKIPPING = catalog_pb2.TRADE_NUMBERING_SKIPPING


@pytest.fixture(scope="module")
def venues() -> installed_venues.Installed:
    return installed_venues.load(MeshSettings())


@pytest.fixture
def registry() -> ServiceRegistry:
    return ServiceRegistry(SystemClock())


def test_every_venue_is_listed_with_its_port(venues):
    assert {venue_id: venues[venue_id].port for venue_id in PORTS} == PORTS
    for venue_id, venue in venues.items():
        assert venue.venue == venue_id
        assert venue.exchange
        assert venue.default_symbols
        assert not venue.credentials
        assert venue.maturity != catalog_pb2.MATURITY_UNSPECIFIED
        assert venue.limits.symbols_per_connection > 0
        assert 0 < Decimal(venue.fee_schedule.taker) < Decimal("0.01")
        assert not venue.HasField("running")


def test_features_are_those_of_the_connector(venues):
    proofs = {venue_id: list(venues[venue_id].features.book_proofs) for venue_id in PORTS}
    assert proofs == {
        "binance": [COUNTED],
        "binance_futures": [COUNTED],
        "bybit": [COUNTED],
        "coinbase": [FRAMES_COUNTED],
        "deribit": [COUNTED],
        "kraken": [SUMMED],
        "okx": [COUNTED, SUMMED],
        "okx_futures": [COUNTED, SUMMED],
    }
    over_rest = catalog_pb2.SNAPSHOT_SOURCE_REST
    asked = {one for one in PORTS if venues[one].features.snapshot_source == over_rest}
    assert asked == {"binance", "binance_futures"}
    assert list(venues["bybit"].features.trade_history) == []
    assert len(venues["binance"].features.trade_history) == 2
    numberings = {one: venues[one].features.trade_numbering for one in PORTS}
    skipping = {"binance_futures", "okx", "okx_futures"}
    unsaid = {"bybit"}
    assert {one for one, is_ in numberings.items() if is_ == SKIPPING} == skipping
    assert {one for one, is_ in numberings.items() if is_ == CONSECUTIVE} == (
        PORTS.keys() - skipping - unsaid
    )
    other_units = {one for one in PORTS if not venues[one].features.candles_sum_trades}
    assert other_units == {"deribit"}
    with_marks = {one for one in PORTS if types_pb2.CHANNEL_MARKS in venues[one].channels}
    assert with_marks == DERIVATIVES
    assert {one for one in PORTS if venues[one].segment != "spot"} == DERIVATIVES


def test_what_was_chosen_for_a_venue_counts(monkeypatch):
    monkeypatch.setenv("VENUEMESH_VENUES_KRAKEN_PORT", "7777")
    assert installed_venues.load(MeshSettings())["kraken"].port == 7777


def test_neither_ccxt_nor_a_connection_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_LOADED], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


async def test_a_running_venue_says_how_it_does(venues, registry):
    found = Process("binance", "venue", "binance")
    found.admin.score = admin_pb2.ConformanceScore(passed=3, failed_cards=["BOK-1"])
    await found.server.start()
    registry.register(found.instance)
    registry.heartbeat(ProcessId("binance"), status())
    venue = await VenueCatalog(venues, registry).venue("binance")
    await found.server.stop(None)
    assert venue.running.state == registry_pb2.SERVICE_STATE_SERVING
    assert venue.running.address == found.instance.address
    assert venue.running.markets == 1_000
    assert venue.running.conformance == found.admin.score


async def test_a_venue_that_does_not_answer_is_listed_nevertheless(venues, registry):
    registry.register(instance("binance", "venue", "binance", "127.0.0.1:1"))
    registry.heartbeat(ProcessId("binance"), status(registry_pb2.SERVICE_STATE_DEGRADED))
    catalog = VenueCatalog(venues, registry)
    listed = await catalog.venues(catalog.venue_ids)
    assert [venue.venue for venue in listed] == sorted(venues)
    running = {venue.venue: venue.running for venue in listed if venue.HasField("running")}
    assert list(running) == ["binance"]
    assert running["binance"].state == registry_pb2.SERVICE_STATE_DEGRADED
    assert running["binance"].markets == 0


async def test_of_two_processes_the_better_one_is_listed(venues):
    clock = StillClock()
    registry = ServiceRegistry(clock)
    registry.register(instance("binance", "venue", "binance", "127.0.0.1:1"))
    clock.pass_seconds(LOST_AFTER_S)
    registry.sweep()
    registry.register(instance("binance-2", "venue", "binance", "127.0.0.1:2"))
    found = VenueCatalog(venues, registry).process("binance")
    assert found.instance.service_id == "binance-2"


async def test_the_door_has_the_catalog(directory, browser):
    async with process(directory, "deribit"), asyncio.timeout(WAIT_SECONDS_MAX):
        venue = {}
        while venue.get("running", {}).get("state") != "SERVICE_STATE_SERVING":
            async with browser.get("/v1/catalog/deribit") as response:
                venue = (await response.json())["venue"]
    assert venue["port"] == PORTS["deribit"]
    assert venue["running"]["markets"] == 1_000
    async with browser.get("/v1/catalog") as response:
        listed = (await response.json())["venues"]
    assert PORTS.keys() <= {venue["venue"] for venue in listed}


async def test_grpc_callers_find_the_catalog_at_the_door(channel):
    stub = catalog_pb2_grpc.CatalogStub(channel)
    answer = await succeeds(lambda: stub.GetVenue(catalog_pb2.GetVenueRequest(venue="kraken")))
    assert answer.venue.features.book_depth == 100


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
async def test_without_a_supervisor_it_says_what_to_do_instead(browser, verb):
    async with browser.post(f"/v1/catalog/kraken:{verb}", json={}) as response:
        answer = await response.json()
    assert response.status == 400
    assert answer["details"][0]["reason"] == NotSupported.reason
    assert "docker compose" in answer["message"]


@pytest.mark.parametrize("call", [("GET", "nowhere"), ("POST", "nowhere:activate")])
async def test_a_venue_that_is_not_installed(browser, call):
    verb, name = call
    body = {"json": {}} if verb == "POST" else {}
    async with browser.request(verb, f"/v1/catalog/{name}", **body) as response:
        answer = await response.json()
    assert response.status == 404
    assert answer["details"][0]["reason"] == UnknownVenue.reason
    assert answer["details"][0]["metadata"]["venue"] == "nowhere"


class FakeSupervisor(supervisor_pb2_grpc.SupervisorServicer):
    """Its venues register themselves a moment after they were started."""

    def __init__(self, registry: ServiceRegistry) -> None:
        self.registry = registry
        self.started: list[str] = []
        self.stopped: list[str] = []

    async def StartVenue(self, request, context):
        if request.venue == "okx":
            raise PortInUse("port 5063 (okx) is in use", venue="okx", port=5063)
        self.started.append(request.venue)
        found = instance(request.venue, "venue", request.venue, "127.0.0.1:1")
        asyncio.get_running_loop().call_later(0.05, self.registry.register, found)
        return supervisor_pb2.StartVenueResponse()

    async def StopVenue(self, request, context):
        self.stopped.append(request.venue)
        return supervisor_pb2.StopVenueResponse()


@asynccontextmanager
async def catalog_of(
    venues: installed_venues.Installed, supervisor: FakeSupervisor
) -> AsyncIterator[catalog_pb2_grpc.CatalogStub]:
    """A catalog that has this supervisor."""
    servers = [rpc.server(), rpc.server()]
    ports = [server.add_insecure_port("127.0.0.1:0") for server in servers]
    rpc.serve(servers[0], supervisor_pb2.DESCRIPTOR.services_by_name["Supervisor"], supervisor)
    catalog = VenueCatalog(venues, supervisor.registry)
    address = f"127.0.0.1:{ports[0]}"
    activation = VenueActivator(catalog, supervisor.registry, address, SystemClock())
    servicer = CatalogServicer(catalog, activation)
    rpc.serve(servers[1], catalog_pb2.DESCRIPTOR.services_by_name["Catalog"], servicer)
    for server in servers:
        await server.start()
    try:
        async with rpc.channel(f"127.0.0.1:{ports[1]}") as channel:
            yield catalog_pb2_grpc.CatalogStub(channel)
    finally:
        for server in servers:
            await server.stop(None)


async def test_a_venue_is_started_and_waited_for(venues, registry):
    supervisor = FakeSupervisor(registry)
    async with catalog_of(venues, supervisor) as stub:
        answer = await stub.ActivateVenue(catalog_pb2.ActivateVenueRequest(venue="bybit"))
    assert supervisor.started == ["bybit"]
    assert answer.venue.running.state == registry_pb2.SERVICE_STATE_STARTING


async def test_a_stopped_venue_is_no_longer_known(venues, registry):
    supervisor = FakeSupervisor(registry)
    registry.register(instance("bybit", "venue", "bybit", "127.0.0.1:1"))
    async with catalog_of(venues, supervisor) as stub:
        answer = await stub.DeactivateVenue(catalog_pb2.DeactivateVenueRequest(venue="bybit"))
    assert supervisor.stopped == ["bybit"]
    assert not answer.venue.HasField("running")
    assert len(registry) == 0


async def test_what_the_supervisor_refuses_is_heard_in_its_words(venues, registry):
    async with catalog_of(venues, FakeSupervisor(registry)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ActivateVenue(catalog_pb2.ActivateVenueRequest(venue="okx"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(caught.value) == PortInUse.reason
    assert caught.value.details() == "port 5063 (okx) is in use"
