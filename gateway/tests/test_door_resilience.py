"""What callers of the door notice when processes come, go, stall or are killed."""

import asyncio
import contextlib
import itertools
import json
import socket

import grpc
import pytest
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.tests.fakes import MARKET_DATA, eventually, instance, process, succeeds
from kit.base import rpc
from kit.base.access.credentials import FixedToken
from kit.base.access.identified_channel import IdentifiedChannel
from kit.base.access.roles import Role
from kit.base.errors import reason_of
from tests.support.waiting import WAIT_SECONDS_MAX

# Not one name for all: Envoy may get the same process twice if it goes and comes within a moment.
NAMES = (f"steady-{number}" for number in itertools.count(1))
HELD_BYTES_MAX = 2 * 1024 * 1024
ENVOY_BYTES_MAX = 2 * 1024 * 1024
LARGE = market_data_pb2.SubscribeRequest(symbols=["LARGE"])
SOME = market_data_pb2.ListInstrumentsRequest(page_size=1)


def named(venue):
    return (("venuemesh-venue", venue),)


@pytest.fixture
async def venue(directory, channel):
    """A process that callers reach through the door."""
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with process(directory, name := next(NAMES)) as opened:
        await succeeds(lambda: stub.ListInstruments(SOME, metadata=named(name)))
        yield opened.venue


@pytest.fixture
async def stream(channel, venue):
    """A subscription of which the first message has come."""
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    call = stub.Subscribe(market_data_pb2.SubscribeRequest(), metadata=named(venue.name))
    await call.read()
    yield call
    call.cancel()


async def test_a_stream_survives_that_others_come_and_go(directory, channel, venue, stream):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    for name in ("passing-1", "passing-2"):
        async with process(directory, name):
            there = named(name)
            await succeeds(lambda there=there: stub.ListInstruments(SOME, metadata=there))
            assert await _still_flows(venue, stream)
        assert await _still_flows(venue, stream)


async def test_a_stream_survives_a_change_of_its_own_cluster(door, directory, venue, stream):
    async with process(directory, f"{venue.name}-b", name=venue.name) as second:
        cluster = f"{MARKET_DATA}/{venue.name}"
        port = second.instance.address.rpartition(":")[2]
        await _envoy_says(door, f"{cluster}::127.0.0.1:{port}::")
        assert await _still_flows(venue, stream)
    assert await _still_flows(venue, stream)


async def test_a_stream_and_new_calls_survive_that_the_registry_is_killed(
    door, directory, channel, venue, stream
):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    door.kill_registry()
    assert await _still_flows(venue, stream)
    await stub.ListInstruments(SOME, metadata=named(venue.name))
    door.start_registry()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # Until it has registered again its route must stay.
        while not await _is_registered(door, venue.name):
            await stub.ListInstruments(SOME, metadata=named(venue.name))
    await stub.ListInstruments(SOME, metadata=named(venue.name))
    assert await _still_flows(venue, stream)


async def test_who_does_not_come_back_after_a_restart_is_forgotten(door, directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    metadata = named("gone")
    async with process(directory, "gone"):
        await succeeds(lambda: stub.ListInstruments(SOME, metadata=metadata))
        door.kill_registry()
    door.start_registry()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (reason := await _reason(stub, metadata)) == "SERVICE_UNAVAILABLE":
            await asyncio.sleep(0.05)
    assert reason == "UNKNOWN_SERVICE"


async def test_a_host_that_cannot_be_found_does_not_hold_up_others(door, directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with door.process_channel("astray") as direct:
        registry = registry_pb2_grpc.RegistryStub(direct)
        astray = instance("astray", "venue", "astray", "nowhere.invalid:5060", MARKET_DATA)
        await registry.Register(registry_pb2.RegisterRequest(instance=astray))
        async with process(directory, "beside"):
            answer = await succeeds(lambda: stub.ListInstruments(SOME, metadata=named("beside")))
            assert answer.instruments
        await registry.Unregister(registry_pb2.UnregisterRequest(service_id="astray"))


async def test_a_call_is_logged_if_it_failed(door, directory, channel, browser):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with process(directory, "failing") as opened:
        await succeeds(lambda: stub.ListInstruments(SOME, metadata=named("failing")))
        for path in ("/healthz", "/v1/nothing", "/v1/venues/failing/instruments?page_size=many"):
            async with browser.get(path) as response:
                await response.read()
        await opened.server.stop(None)
        assert await _reason(stub, named("failing")) == "SERVICE_UNAVAILABLE"
        cluster = f"{MARKET_DATA}/failing"
        assert await eventually(lambda: _failures(door, cluster))
    assert _failures(door, cluster) == [("Unavailable", "warning")]


async def test_calls_to_a_process_without_heartbeat_fail_at_once(door, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with door.process_channel("hung") as direct:
        registry = registry_pb2_grpc.RegistryStub(direct)
        # A process that hangs: its port takes connections, and nothing answers on them.
        with socket.create_server(("127.0.0.1", 0)) as hanging:
            address = f"127.0.0.1:{hanging.getsockname()[1]}"
            hung = instance("hung", "venue", "hung", address, MARKET_DATA)
            await registry.Register(registry_pb2.RegisterRequest(instance=hung))
            watch = registry.Watch(registry_pb2.WatchRequest(kind="venue"))
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not _is_lost(await watch.read(), "hung"):
                    pass
            watch.cancel()
            await _envoy_says(door, f"{address}::health_flags::/failed_eds_health")
            assert await _reason(stub, named("hung")) == "SERVICE_UNAVAILABLE"
            # Envoy has not even tried to connect.
            hanging.setblocking(False)
            with pytest.raises(BlockingIOError):
                hanging.accept()
        await registry.Unregister(registry_pb2.UnregisterRequest(service_id="hung"))


async def test_a_reader_that_stalls_is_not_buffered_for(door, venue):
    before = await _envoy_allocated_bytes(door)
    options = (("grpc.http2.lookahead_bytes", 16_384), ("grpc.http2.bdp_probe", 0))
    credentials = FixedToken(door.token(Role.VIEWER))
    async with IdentifiedChannel(
        grpc.aio.insecure_channel(door.address, options=options), credentials
    ) as slow:
        call = market_data_pb2_grpc.MarketDataStub(slow).Subscribe(
            LARGE, metadata=named(venue.name)
        )
        await call.read()
        await _stalls(venue)
        assert venue.bytes_sent < HELD_BYTES_MAX
        assert await _envoy_allocated_bytes(door) - before < ENVOY_BYTES_MAX
        call.cancel()


async def test_a_rest_reader_that_stalls_is_not_buffered_for(door, venue, browser):
    before = await _envoy_allocated_bytes(door)
    async with browser.get(f"/v1/venues/{venue.name}/stream?symbols=LARGE") as response:
        await response.content.read(1)
        await _stalls(venue)
        # The kernel's socket buffers take some megabytes of text, which Envoy does not hold.
        assert venue.bytes_sent < 8 * HELD_BYTES_MAX
        assert await _envoy_allocated_bytes(door) - before < ENVOY_BYTES_MAX


async def test_a_reader_that_stalls_does_not_delay_another(directory, channel, door, venue):
    slow = market_data_pb2_grpc.MarketDataStub(channel).Subscribe(LARGE, metadata=named(venue.name))
    await slow.read()
    await _stalls(venue)
    async with rpc.channel(door.address, FixedToken(door.token(Role.VIEWER))) as other:
        stub = market_data_pb2_grpc.MarketDataStub(other)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            for _ in range(20):
                await stub.ListInstruments(SOME, metadata=named(venue.name))
            quick = stub.Subscribe(LARGE, metadata=named(venue.name))
            for _ in range(50):
                assert (await quick.read()).batches
            quick.cancel()
    slow.cancel()


def _failures(door, cluster):
    """The gRPC status and level of each call to a cluster that the gateway has logged as failed."""
    lines = [json.loads(line) for line in door.log("envoy").splitlines() if line.startswith("{")]
    return [
        (line["grpc_status"], line["level"])
        for line in lines
        if line["event"] == "call failed" and line["cluster"] == cluster
    ]


async def _still_flows(venue, stream):
    venue.next_batch.set()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        return await stream.read() is not grpc.aio.EOF


async def _stalls(venue):
    """Wait until the venue cannot get rid of more."""
    quiet = 0
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while quiet < 10:
            before = venue.bytes_sent
            await asyncio.sleep(0.05)
            quiet = quiet + 1 if venue.bytes_sent == before else 0


async def _reason(stub, metadata):
    try:
        await stub.ListInstruments(SOME, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""


async def _is_registered(door, service_id):
    async with door.process_channel("tests") as direct:
        stub = registry_pb2_grpc.RegistryStub(direct)
        with contextlib.suppress(grpc.aio.AioRpcError):
            services = (await stub.ListServices(registry_pb2.ListServicesRequest())).services
            return service_id in {service.instance.service_id for service in services}
    return False


def _is_lost(answer, service_id):
    return any(
        service.status.state == registry_pb2.SERVICE_STATE_LOST
        for service in answer.services
        if service.instance.service_id == service_id
    )


async def _envoy_says(door, text):
    """Wait until Envoy's administration tells of a cluster in these words."""
    async with asyncio.timeout(WAIT_SECONDS_MAX), door.admin() as admin:
        while True:
            async with admin.get("/clusters") as response:
                if text in await response.text():
                    return


async def _envoy_allocated_bytes(door):
    async with door.admin() as admin, admin.get("/memory") as response:
        return int((await response.json(content_type=None))["allocated"])
