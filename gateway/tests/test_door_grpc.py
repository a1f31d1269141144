"""gRPC and gRPC-web through the real Envoy."""

import asyncio
import struct

import aiohttp
import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway import service_contracts
from gateway.tests.fakes import MARKET_DATA, UNLISTED, Process, process, succeeds
from kit.base.errors import error_info, reason_of
from kit.base.rpc import STREAM_WRITER
from tests.support.waiting import WAIT_SECONDS_MAX

LIST = f"/{MARKET_DATA}/ListInstruments"
SUBSCRIBE = f"/{MARKET_DATA}/Subscribe"
TRAILER = 0x80


def to_venue(venue):
    return (("venuemesh-venue", venue),)


def to_service(service_id):
    return (("venuemesh-service", service_id),)


async def test_the_header_chooses_the_venue(directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.ListInstrumentsRequest(page_size=1)
    async with process(directory, "one"), process(directory, "two"):
        for venue in ("one", "two"):
            answer = await succeeds(
                lambda venue=venue: stub.ListInstruments(request, metadata=to_venue(venue))
            )
            assert [instrument.venue for instrument in answer.instruments] == [venue]


async def test_nobody_outside_can_say_that_he_writes_the_streams(directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.GetOrderBookRequest(venue="header", symbol="A")
    metadata = [*to_venue("header"), STREAM_WRITER, ("venuemesh-other", "1")]
    async with process(directory, "header") as opened:
        await succeeds(lambda: stub.GetOrderBook(request, metadata=metadata))
        assert opened.venue.metadata["venuemesh-other"] == "1"
        assert STREAM_WRITER[0] not in opened.venue.metadata


async def test_a_request_is_passed_on_once_it_is_whole(channel):
    """Otherwise the stream of a caller that still reads a long answer would be reset."""
    stub = registry_pb2_grpc.RegistryStub(channel)
    request = registry_pb2.ListServicesRequest()
    call = channel.stream_unary(
        "/venuemesh.registry.v1.Registry/ListServices",
        request_serializer=registry_pb2.ListServicesRequest.SerializeToString,
        response_deserializer=registry_pb2.ListServicesResponse.FromString,
    )()
    await call.write(request)
    for _ in range(5):
        await stub.ListServices(request)
    assert not call.done()
    await call.done_writing()
    assert (await call).services


async def test_the_header_chooses_the_process(directory, channel):
    stub = admin_pb2_grpc.AdminStub(channel)
    async with process(directory, "first"), process(directory, "second"):
        for service_id in ("first", "second", "registry"):
            answer = await succeeds(
                lambda service_id=service_id: stub.GetStatus(
                    admin_pb2.GetStatusRequest(), metadata=to_service(service_id)
                )
            )
            assert answer.instance.service_id == service_id


@pytest.mark.parametrize("header", ["", "second", "nobody"])
async def test_the_request_chooses_the_process(header, directory, channel):
    """With and without a header, which may even name another one."""
    metadata = [*to_venue(header), *to_service(header)] if header else []
    instruments = market_data_pb2_grpc.MarketDataStub(channel)
    status = admin_pb2_grpc.AdminStub(channel)
    async with process(directory, "first"), process(directory, "second"):
        for name in ("first", "second"):
            request = market_data_pb2.ListInstrumentsRequest(venue=name, page_size=1)
            answer = await succeeds(
                lambda request=request: instruments.ListInstruments(request, metadata=metadata)
            )
            assert answer.instruments[0].venue == name
            wanted = admin_pb2.GetStatusRequest(service_id=name)
            answer = await succeeds(
                lambda wanted=wanted: status.GetStatus(wanted, metadata=metadata)
            )
            assert answer.instance.service_id == name


async def test_the_request_of_a_stream_chooses_the_venue(directory, channel, browser):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.SubscribeRequest(venue="chosen")
    async with process(directory, "chosen"), process(directory, "other"):
        await succeeds(lambda: stub.ListInstruments(_some(), metadata=to_venue("chosen")))
        call = stub.Subscribe(request)
        assert (await call.read()).batches[0].venue == "chosen"
        call.cancel()
        async with _web_request(browser, SUBSCRIBE, request, "") as response:
            _, payload = await _web_frame(response)
        message = market_data_pb2.SubscribeResponse.FromString(payload)
        assert message.batches[0].venue == "chosen"


async def test_a_stream_delivers_each_message_at_once(directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    request = market_data_pb2.SubscribeRequest()
    async with process(directory, "streaming") as venue:
        await succeeds(lambda: stub.ListInstruments(_some(), metadata=to_venue("streaming")))
        call = stub.Subscribe(request, metadata=to_venue("streaming"))
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            for sequence in range(1, 4):
                message = await call.read()
                assert message.batches[0].cursor.sequence == sequence
                venue.venue.next_batch.set()
        call.cancel()


async def test_a_route_does_not_wait_for_a_heartbeat(door, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    fresh = Process("fresh", "venue", "fresh")
    await fresh.server.start()
    async with door.process_channel("fresh") as direct:
        registry = registry_pb2_grpc.RegistryStub(direct)

        async def register_and_call():
            # Registered again before each call: without heartbeats the registration expires.
            await registry.Register(registry_pb2.RegisterRequest(instance=fresh.instance))
            return await stub.ListInstruments(_some(), metadata=to_venue("fresh"))

        assert (await succeeds(register_and_call)).instruments
        await registry.Unregister(registry_pb2.UnregisterRequest(service_id="fresh"))
    await fresh.server.stop(None)


async def test_an_unknown_venue_is_said_to_be_unknown(door, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListInstruments(_some(), metadata=to_venue("nowhere"))
    info = error_info(caught.value)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (info.reason, info.metadata["name"]) == ("UNKNOWN_SERVICE", "nowhere")


async def test_a_stream_of_an_unknown_venue_is_refused_too(door, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    call = stub.Subscribe(market_data_pb2.SubscribeRequest(), metadata=to_venue("nowhere"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert reason_of(caught.value) == "UNKNOWN_SERVICE"


async def test_an_unknown_process_is_not_mistaken_for_the_registry(door, channel):
    stub = admin_pb2_grpc.AdminStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetStatus(admin_pb2.GetStatusRequest(), metadata=to_service("nobody"))
    assert reason_of(caught.value) == "UNKNOWN_SERVICE"


async def test_a_call_that_names_nobody_is_a_bad_request(door, channel):
    stub = admin_pb2_grpc.AdminStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetStatus(admin_pb2.GetStatusRequest())
    info = error_info(caught.value)
    assert (info.reason, info.metadata["field"]) == ("BAD_REQUEST", "service_id")


async def test_a_contract_that_nobody_serves_is_unknown(door, channel):
    stub = history_pb2_grpc.HistoryStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListTrades(history_pb2.ListTradesRequest())
    assert error_info(caught.value).metadata["name"] == "venuemesh.history.v1.History"


async def test_a_method_that_is_in_no_contract_is_unimplemented(door, channel):
    call = channel.unary_unary("/venuemesh.nothing.v1.Nothing/Do")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_process_that_is_down_is_unavailable(directory, channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with process(directory, "down") as venue:
        await succeeds(lambda: stub.ListInstruments(_some(), metadata=to_venue("down")))
        await venue.server.stop(None)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListInstruments(_some(), metadata=to_venue("down"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(caught.value) == "SERVICE_UNAVAILABLE"
    assert "does not answer" in caught.value.details()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_every_contract(door, channel, version):
    # The messages of the two versions are the same.
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )()
    await ask.write(reflection_pb2.ServerReflectionRequest(list_services="*"))
    listed = (await ask.read()).list_services_response
    names = {service.name for service in listed.service}
    assert {contract.name for contract in service_contracts.load().services} < names
    assert f"grpc.reflection.{version}.ServerReflection" in names
    for name in names:
        await ask.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
        found = (await ask.read()).file_descriptor_response.file_descriptor_proto
        files = [FileDescriptorProto.FromString(file) for file in found]
        services = {f"{file.package}.{one.name}" for file in files for one in file.service}
        assert name in services
    ask.cancel()


async def test_health_is_that_of_the_registry(door, channel):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_registry_can_be_watched(directory, channel):
    stub = registry_pb2_grpc.RegistryStub(channel)
    call = stub.Watch(registry_pb2.WatchRequest(kind="venue"))

    async def there() -> bool:
        services = (await call.read()).services
        return "watched" in {service.instance.service_id for service in services}

    async with asyncio.timeout(WAIT_SECONDS_MAX):
        assert not await there()
        async with process(directory, "watched"):
            while not await there():
                pass
        while await there():
            pass
    call.cancel()


async def test_grpc_web_answers_a_unary_call(directory, browser):
    async with process(directory, "web"):
        message, trailers = await _web_unary_until_ok(browser, "web")
    assert message.instruments[0].venue == "web"
    assert b"grpc-status:0" in trailers


async def test_grpc_web_streams_each_message_at_once(directory, channel, browser):
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with process(directory, "web-stream") as venue:
        await succeeds(lambda: stub.ListInstruments(_some(), metadata=to_venue("web-stream")))
        request = _web_request(browser, SUBSCRIBE, market_data_pb2.SubscribeRequest(), "web-stream")
        async with asyncio.timeout(WAIT_SECONDS_MAX), request as response:
            for sequence in range(1, 4):
                flag, payload = await _web_frame(response)
                message = market_data_pb2.SubscribeResponse.FromString(payload)
                assert (flag, message.batches[0].cursor.sequence) == (0, sequence)
                venue.venue.next_batch.set()


async def test_grpc_web_carries_the_reason_of_an_error(directory, channel, browser):
    request = market_data_pb2.ListInstrumentsRequest()
    async with _web_request(browser, LIST, request, "nowhere") as response:
        assert response.headers["grpc-status"] == str(grpc.StatusCode.NOT_FOUND.value[0])
        assert "grpc-status-details-bin" in response.headers
    stub = market_data_pb2_grpc.MarketDataStub(channel)
    async with process(directory, "web-error"):
        await succeeds(lambda: stub.ListInstruments(_some(), metadata=to_venue("web-error")))
        subscribe = market_data_pb2.SubscribeRequest(symbols=[UNLISTED])
        async with _web_request(browser, SUBSCRIBE, subscribe, "web-error") as response:
            assert response.headers["grpc-status"] == str(grpc.StatusCode.NOT_FOUND.value[0])


def _some() -> market_data_pb2.ListInstrumentsRequest:
    return market_data_pb2.ListInstrumentsRequest(page_size=1)


def _web_request(browser: aiohttp.ClientSession, method: str, request: Message, venue: str):
    payload = request.SerializeToString()
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "venuemesh-venue": venue,
    }
    return browser.post(method, data=struct.pack(">BI", 0, len(payload)) + payload, headers=headers)


async def _web_frame(response: aiohttp.ClientResponse) -> tuple[int, bytes]:
    flag, length = struct.unpack(">BI", await response.content.readexactly(5))
    return flag, await response.content.readexactly(length)


async def _web_unary_until_ok(
    browser: aiohttp.ClientSession, venue: str
) -> tuple[market_data_pb2.ListInstrumentsResponse, bytes]:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            async with _web_request(browser, LIST, _some(), venue) as response:
                if "grpc-status" in response.headers:
                    continue
                _, payload = await _web_frame(response)
                flag, trailers = await _web_frame(response)
                assert flag == TRAILER
                return market_data_pb2.ListInstrumentsResponse.FromString(payload), trailers
