"""The service Events over gRPC."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from venuemesh.events.v1 import event_pb2, events_pb2, events_pb2_grpc

from kit.base import paging, rpc
from kit.base.clock import SystemClock
from kit.base.errors import ProcessDraining, error_info, reason_of
from kit.events import service
from kit.events.service import EventsServicer
from kit.events.streams import EVENT_STREAMS
from kit.events.subjects import subject_of
from kit.events.tests.copier import booked
from kit.events.tests.rig import EXECUTIONS, LEDGER, filled
from tests.support.waiting import WAIT_SECONDS_MAX

CHAIN = bytes(range(16))


@asynccontextmanager
async def served(rig):
    """The servicer, and a stub that calls it."""
    server = rpc.server()
    servicer = EventsServicer(rig.database, rig.redis, rig.reasons, SystemClock())
    rpc.serve(server, events_pb2.DESCRIPTOR.services_by_name["Events"], servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield servicer, events_pb2_grpc.EventsStub(channel)
    await server.stop(0)


def of_chain(number: int) -> event_pb2.Event:
    event = filled(number)
    event.lifecycle_id = CHAIN
    return event


async def pages(stub, **fields) -> list[list[event_pb2.Event]]:
    """The events of each page."""
    request, found = events_pb2.ListEventsRequest(**fields), []
    while True:
        response = await stub.ListEvents(request)
        found.append([one.event for one in response.events])
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


async def test_events_are_listed_by_stream_chain_and_subject(rig):
    executions = [of_chain(1), filled(2), of_chain(3), filled(4), of_chain(5)]
    made = [booked(event) for event in executions]
    made[0].lifecycle_id = CHAIN
    await rig.append(*executions)
    await rig.append(*made, stream=LEDGER)
    async with served(rig) as (_, stub):
        assert await pages(stub, stream=EXECUTIONS, page_size=2) == [
            executions[:2],
            executions[2:4],
            executions[4:],
        ]
        assert await pages(stub, stream=EXECUTIONS, after_sequence=3) == [executions[3:]]
        assert await pages(stub, stream=EXECUTIONS, after_sequence=2**64 - 1) == [[]]
        chain = [executions[0], executions[2], executions[4], made[0]]
        assert await pages(stub, lifecycle_id=CHAIN, page_size=3) == [chain[:3], chain[3:]]
        assert await pages(stub, lifecycle_id=CHAIN, stream=LEDGER) == [made[:1]]
        assert await pages(stub, subject=subject_of(executions[3])) == [[executions[3]]]
        assert await pages(stub, subject="fill:nobody") == [[]]
        newest_first = list(reversed(chain))
        assert await pages(stub, lifecycle_id=CHAIN, page_size=3, newest_first=True) == [
            newest_first[:3],
            newest_first[3:],
        ]
        assert await pages(
            stub, lifecycle_id=CHAIN, stream=EXECUTIONS, page_size=2, newest_first=True
        ) == [[executions[4], executions[2]], [executions[0]]]
        response = await stub.ListEvents(events_pb2.ListEventsRequest(stream=LEDGER, page_size=1))
    (first,) = response.events
    assert first.position == event_pb2.EventPosition(stream=LEDGER, sequence=1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "stream"),
        ({"after_sequence": 1, "subject": "a"}, "stream"),
        ({"stream": 99}, "stream"),
        ({"lifecycle_id": b"short"}, "lifecycle_id"),
        ({"subject": "a\0"}, "subject"),
        ({"subject": "a" * 513}, "subject"),
        ({"stream": LEDGER, "page_size": 1001}, "page_size"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_field(rig, fields, field):
    async with served(rig) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListEvents(events_pb2.ListEventsRequest(**fields))
    assert error_info(caught.value).metadata["field"] == field


@pytest.mark.parametrize("position", [["x"], [1, "ledger", 1], [2**70], []])
async def test_an_invented_token_is_refused(rig, position):
    request = events_pb2.ListEventsRequest(stream=LEDGER)
    request.page_token = paging.make_token(request, position)
    async with served(rig) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListEvents(request)
    assert reason_of(caught.value) == "BAD_PAGE_TOKEN"


def at(stream: int, sequence: int) -> event_pb2.EventPosition:
    return event_pb2.EventPosition(stream=stream, sequence=sequence)


async def subscribed(call, count: int) -> tuple[list[event_pb2.StoredEvent], list]:
    """Read until so many events have come. Returns them and the last positions."""
    found: list[event_pb2.StoredEvent] = []
    positions: list[event_pb2.EventPosition] = []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(found) < count:
            response = await call.read()
            found += response.events
            positions = list(response.positions)
    return found, positions


async def test_a_subscription_begins_with_the_next_event_and_can_be_resumed(rig):
    await rig.append(filled(1), filled(2))
    async with served(rig) as (_, stub):
        call = stub.Subscribe(events_pb2.SubscribeRequest())
        first = await call.read()
        assert not first.events
        assert {one.stream for one in first.positions} == set(EVENT_STREAMS)
        assert at(EXECUTIONS, 2) in first.positions
        await rig.append(filled(3))
        await rig.relay().publish()
        found, positions = await subscribed(call, 1)
        assert [one.position for one in found] == [at(EXECUTIONS, 3)]
        call.cancel()
        await rig.append(filled(4), filled(5))
        await rig.append(filled(6), stream=LEDGER)
        call = stub.Subscribe(events_pb2.SubscribeRequest(resume_after=positions))
        found, _ = await subscribed(call, 3)
        wanted = [at(EXECUTIONS, 4), at(EXECUTIONS, 5), at(LEDGER, 1)]
        assert [one.position for one in found] == wanted
        call.cancel()


async def test_a_subscription_from_the_beginning_of_one_stream(rig):
    await rig.append(*map(filled, range(service.RESPONSE_EVENTS_MAX + 5)))
    request = events_pb2.SubscribeRequest(streams=[EXECUTIONS], resume_after=[at(EXECUTIONS, 0)])
    async with served(rig) as (_, stub):
        call = stub.Subscribe(request)
        found, _ = await subscribed(call, service.RESPONSE_EVENTS_MAX + 5)
        call.cancel()
    assert [one.event for one in found] == [event.event() for event in await rig.stored()]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (events_pb2.SubscribeRequest(streams=[99]), "BAD_REQUEST"),
        (events_pb2.SubscribeRequest(resume_after=[at(LEDGER, 0)] * 2), "BAD_REQUEST"),
        (
            events_pb2.SubscribeRequest(streams=[EXECUTIONS], resume_after=[at(LEDGER, 0)]),
            "BAD_REQUEST",
        ),
        (events_pb2.SubscribeRequest(resume_after=[at(LEDGER, 1)]), "CURSOR_EXPIRED"),
    ],
)
async def test_a_wrong_subscription_is_refused(rig, request_, reason):
    async with served(rig) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Subscribe(request_).read()
    assert reason_of(caught.value) == reason


async def test_subscriptions_have_a_bound_and_end_with_the_process(rig, monkeypatch):
    monkeypatch.setattr(service, "SUBSCRIBERS_MAX", 1)
    async with served(rig) as (servicer, stub):
        call = stub.Subscribe(events_pb2.SubscribeRequest())
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Subscribe(events_pb2.SubscribeRequest()).read()
        assert reason_of(caught.value) == "TOO_MANY_SUBSCRIBERS"
        servicer.end(ProcessDraining("it is stopping"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call.read(), WAIT_SECONDS_MAX)
    assert reason_of(caught.value) == "DRAINING"
