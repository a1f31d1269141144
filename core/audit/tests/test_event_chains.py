"""Why something has happened."""

import pytest
from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from core.audit.event_chains import FILLS_SEARCHED, EventChainReader
from core.audit.tests.rig import EXECUTIONS, LEDGER, SIGNALS, Rig, fill, order, postings, rig_for
from kit.base.errors import BadRequest, UnknownEvent
from kit.events.subjects import event_group_id

ACCOUNT = {"venue": "binance", "account": "main"}


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path) as rig:
        yield rig


def signal(number: int) -> event_pb2.Event:
    """What begins a chain; its own id is the id of the chain."""
    event = order(number, state=9)
    event.order_changed.order.client_order_id = ""
    event.order_changed.order.content.account = "signals"
    event.time_ns -= 1
    event.lifecycle_id = event.event_id
    return event


async def put_chain(rig: Rig, number: int) -> list[event_pb2.Event]:
    """The events of one lifecycle, from the signal to the books."""
    first = signal(number)
    placed = order(number, lifecycle_id=first.event_id)
    placed.cause_ids.append(first.event_id)
    filled = fill(number, first.event_id, (placed.event_id,))
    booked = postings(number, filled)
    await rig.put(SIGNALS, first)
    await rig.put(EXECUTIONS, placed, filled)
    await rig.put(LEDGER, booked)
    return [first, placed, filled, booked]


@pytest.mark.parametrize(
    "question",
    [
        {"symbol": "BTCUSDT", "fill_id": "2"},
        {"order_id": "order-2"},
    ],
)
async def test_a_fill_and_an_order_have_the_whole_chain(rig: Rig, question: dict[str, str]):
    chains = [await put_chain(rig, number) for number in range(4)]
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, **question))
    assert [one.event for one in answer.events] == chains[2]
    assert list(answer.lifecycle_ids) == [chains[2][0].event_id]
    assert [(link.cause_id, link.effect_id) for link in answer.links] == [
        (cause.event_id, effect.event_id)
        for cause, effect in zip(chains[2][:-1], chains[2][1:], strict=True)
    ]
    assert not answer.missing_ids
    assert not answer.is_truncated
    assert {one.stored_time_ns > 0 for one in answer.events} == {True}


@pytest.mark.parametrize("place", range(4))
async def test_every_event_of_a_chain_has_the_whole_chain(rig: Rig, place: int):
    chain = await put_chain(rig, 1)
    answer = await rig.chains.why(audit_pb2.WhyRequest(event_id=chain[place].event_id))
    assert [one.event for one in answer.events] == chain
    assert list(answer.subject_ids) == [chain[place].event_id]


async def test_a_position_has_the_chains_of_its_newest_fills(rig: Rig):
    chains = [await put_chain(rig, number) for number in range(25)]
    rig.chains = EventChainReader(rig.database, 1000)
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, symbol="BTCUSDT"))
    newest = [chain[0].event_id for chain in chains[-20:]]
    assert list(answer.lifecycle_ids) == newest
    assert len(answer.events) == 80


async def test_causes_outside_the_lifecycle_are_in_the_chain(rig: Rig):
    await put_chain(rig, 1)
    outside = order(7)
    filled = fill(7, causes=(outside.event_id, bytes(16)))
    await rig.put(EXECUTIONS, outside, filled)
    answer = await rig.chains.why(audit_pb2.WhyRequest(event_id=filled.event_id))
    assert [one.event for one in answer.events] == [outside, filled]
    assert list(answer.subject_ids) == [filled.event_id]
    assert list(answer.missing_ids) == [bytes(16)]


def outside_order(number: int, *states: int) -> list[event_pb2.Event]:
    """The states of an order that belongs to no lifecycle."""
    events = [order(number, state) for state in states]
    for event in events:
        event.order_changed.order.content.symbol = "BTCUSDT"
    return events


@pytest.mark.parametrize(
    "question", [{"symbol": "BTCUSDT", "fill_id": "8"}, {"order_id": "order-8"}]
)
async def test_order_fills_and_postings_are_one_chain_without_a_lifecycle(rig: Rig, question):
    for number in (7, 8, 9):
        fills = [fill(number), fill(number + 100)]
        fills[1].order_filled.fill.client_order_id = f"order-{number}"
        booked = [postings(number, one) for one in fills]
        for event, cause in zip(booked, fills, strict=True):
            event.postings_booked.group_id = event_group_id(cause.event_id)
        states = outside_order(number, 1, 2)
        await rig.put(EXECUTIONS, *states, *fills)
        await rig.put(LEDGER, *booked)
        if number == 8:
            expected = {one.event_id for one in (*states, *fills, *booked)}
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, **question))
    assert {one.event.event_id for one in answer.events} == expected
    assert not answer.lifecycle_ids
    assert not answer.is_truncated


async def test_fills_of_an_order_that_are_too_old_are_not_missing_in_silence(rig: Rig):
    rig.chains = EventChainReader(rig.database, 1000)
    await rig.put(EXECUTIONS, *outside_order(1, 1), fill(1))
    newer = [fill(number) for number in range(1000, 1000 + FILLS_SEARCHED)]
    await rig.put(EXECUTIONS, *newer)
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, order_id="order-1"))
    assert answer.is_truncated
    # An order that came after them has no older fill.
    later = outside_order(2, 1)
    later[0].order_changed.order.created_time_ns = rig.now_ns + 1
    await rig.put(EXECUTIONS, *later)
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, order_id="order-2"))
    assert not answer.is_truncated


async def test_a_long_chain_is_cut_and_says_so(rig: Rig):
    lifecycle = bytes(range(16))
    await rig.put(EXECUTIONS, *(order(1, state, lifecycle) for state in range(150)))
    answer = await rig.chains.why(audit_pb2.WhyRequest(**ACCOUNT, order_id="order-1"))
    assert len(answer.events) == 100
    assert answer.is_truncated


async def test_what_nothing_is_known_about_is_refused(rig: Rig):
    for request in (
        audit_pb2.WhyRequest(),
        audit_pb2.WhyRequest(venue="binance"),
        audit_pb2.WhyRequest(**ACCOUNT),
        audit_pb2.WhyRequest(event_id=b"short"),
    ):
        with pytest.raises(BadRequest):
            await rig.chains.why(request)
    for request in (
        audit_pb2.WhyRequest(**ACCOUNT, order_id="none"),
        audit_pb2.WhyRequest(event_id=bytes(16)),
        audit_pb2.WhyRequest(**ACCOUNT, symbol="BTCUSDT"),
    ):
        with pytest.raises(UnknownEvent):
            await rig.chains.why(request)
