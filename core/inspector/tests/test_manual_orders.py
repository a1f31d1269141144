"""What persons ask for."""

import asyncio
import hashlib
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.submissions import EXPIRED, REFUSED, TAKEN
from core.inspector.tests.lying_venue import CANCELLED
from core.inspector.tests.rig import mode
from kit.base.access.roles import Role, with_implied
from kit.base.access.tokens import Caller
from kit.base.errors import BadRequest, InvalidOrder, RequestIdReused, RoleMissing
from kit.execution.client_order_ids import client_order_id
from kit.execution.request_ids import lifecycle_of
from tests.support.waiting import until

LENA = Caller("lena", with_implied([Role.TRADER]))
OTTO = Caller("otto", with_implied([Role.OPERATOR]))
PLACE = signed_pb2.OPERATION_PLACE
CANCEL = signed_pb2.OPERATION_CANCEL
HERE = {"venue": "binance", "account": "paper", "symbol": "BTCUSDT"}


def limit(size="0.01", **fields):
    return orders_pb2.OrderContent(
        **HERE,
        side=types_pb2.SIDE_BUY,
        type=orders_pb2.ORDER_TYPE_LIMIT,
        size=size,
        price="60000",
        **fields,
    )


def place(request_id="r1", content=None, **fields):
    return inspector_pb2.SubmitManualRequest(
        request_id=request_id,
        reason="a test",
        operation=PLACE,
        content=content if content is not None else limit(),
        **fields,
    )


def cancel(order, request_id="c1"):
    return inspector_pb2.SubmitManualRequest(
        request_id=request_id,
        reason="a test",
        operation=CANCEL,
        target_client_order_id=order.client_order_id,
        content=orders_pb2.OrderContent(**HERE),
    )


def with_terms(operation, **fields):
    """A request with the terms of an order, which its operation does not have."""
    request = place(**fields)
    request.operation = operation
    return request


@pytest.fixture
async def manual(rig):
    process = await rig.start()
    await until(lambda: process.active.is_active)
    return process.manual


async def test_request_begins_a_chain_and_is_answered_with_its_order(rig, manual):
    answer = await manual.submit(place(), LENA)
    assert answer.verdict.verdict == risk_pb2.VERDICT_ALLOW
    assert answer.submitted.outcome == TAKEN
    (order,) = answer.submitted.orders
    assert order.request_id == f"lc-{answer.lifecycle_id.hex()}-1"
    asked, given, submitted = await rig.events()
    assert asked.event_id == asked.lifecycle_id == answer.lifecycle_id
    requested = asked.order_requested
    assert (requested.caller, requested.reason, requested.request_id) == ("lena", "a test", "r1")
    assert list(given.cause_ids) == [asked.event_id]
    assert list(submitted.cause_ids) == [given.event_id]
    assert {one.lifecycle_id for one in (given, submitted)} == {asked.event_id}


async def test_same_request_has_the_same_answer_and_makes_one_order(rig, manual):
    first, second = await asyncio.gather(*(manual.submit(place(), LENA) for _ in range(2)))
    assert first == second == await manual.submit(place(content=limit("0.0100")), LENA)
    assert len(rig.venue.made) == 1
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    assert await process.manual.submit(place(), LENA) == first
    assert len(rig.venue.made) == 1


@pytest.mark.parametrize("caller", [LENA, Caller("otto", LENA.roles)])
async def test_request_id_is_of_one_content_and_one_caller(manual, caller):
    await manual.submit(place(), LENA)
    content = limit("0.02") if caller is LENA else limit()
    with pytest.raises(RequestIdReused):
        await manual.submit(place(content=content), caller)


async def test_blocked_request_is_answered_with_its_checks(rig, manual):
    answer = await manual.submit(place(content=limit("1000")), LENA)
    assert answer.verdict.verdict == risk_pb2.VERDICT_BLOCK
    assert not answer.HasField("submitted")
    assert "order_notional_max" in [one.name for one in answer.verdict.checks]
    assert rig.venue.made == []


async def test_mode_blocks_orders_of_persons_and_no_cancel_or_reduction(rig, manual):
    order = (await manual.submit(place(), LENA)).submitted.orders[0]
    await rig.process.changes.set(mode(risk_pb2.TRADING_MODE_HALTED), "lena")
    blocked = await manual.submit(place("r2"), LENA)
    assert blocked.verdict.verdict == risk_pb2.VERDICT_STAND_DOWN
    reduction = await manual.submit(place("r3", limit(reduce_only=True)), OTTO)
    assert (reduction.verdict.is_reduction, reduction.submitted.outcome) == (True, TAKEN)
    answer = await manual.submit(cancel(order), OTTO)
    assert answer.submitted.orders[0].state == CANCELLED
    assert len(rig.venue.made) == 2


async def test_operator_places_no_entry(rig, manual):
    with pytest.raises(RoleMissing):
        await manual.submit(place(), OTTO)
    assert rig.venue.made == []
    assert await rig.events() == []


async def test_refusal_of_the_venue_is_the_answer(rig, manual):
    rig.venue.faults = ["INVALID_ORDER"]
    answer = await manual.submit(place(), LENA)
    assert (answer.submitted.outcome, answer.submitted.refusal_reason) == (REFUSED, "INVALID_ORDER")


@pytest.mark.parametrize(
    ("error", "request_"),
    [
        (BadRequest, place("not allowed")),
        (BadRequest, place(target_client_order_id="x")),
        (BadRequest, inspector_pb2.SubmitManualRequest(request_id="a", operation=CANCEL)),
        (BadRequest, inspector_pb2.SubmitManualRequest(request_id="a", content=limit())),
        (BadRequest, place(content=orders_pb2.OrderContent(venue="binance", symbol="BTCUSDT"))),
        (BadRequest, place(content=limit(stop_price="x"))),
        (BadRequest, with_terms(CANCEL, target_client_order_id="x")),
        (BadRequest, with_terms(signed_pb2.OPERATION_FLATTEN)),
        (InvalidOrder, place(content=limit(group=orders_pb2.OrderGroup(group_id="g")))),
    ],
)
async def test_invalid_request_is_rejected_and_leaves_nothing(rig, manual, error, request_):
    with pytest.raises(error):
        await manual.submit(request_, LENA)
    assert await rig.events() == []


def amend(order, request_id="a1", size="0.02", content=None):
    request = place(request_id, limit(size) if content is None else content)
    request.operation = signed_pb2.OPERATION_AMEND
    request.target_client_order_id = order.client_order_id
    return request


async def test_amendment_is_compared_with_the_policy_and_made_once(rig, manual):
    order = (await manual.submit(place(), LENA)).submitted.orders[0]
    rig.venue.faults = ["unanswered", "lost"]
    answer = await manual.submit(amend(order), LENA)
    assert answer.submitted.orders[0].content.size == "0.02"
    assert rig.venue.amendments == [f"lc-{answer.lifecycle_id.hex()}-1"]
    too_large = await manual.submit(amend(order, "a2", "1000"), LENA)
    assert too_large.verdict.verdict == risk_pb2.VERDICT_BLOCK


async def test_amendment_without_an_answer_expires_only_if_it_was_not_made(rig, manual):
    order = (await manual.submit(place(), LENA)).submitted.orders[0]
    for request_id, way, outcome in (("a1", "lost", EXPIRED), ("a2", "unanswered", TAKEN)):
        rig.venue.faults = [way, *["lost"] * 1000]
        asking = asyncio.create_task(manual.submit(amend(order, request_id), LENA))
        await until(lambda: len(rig.venue.faults) < 1000)
        rig.expire_approvals()
        rig.venue.faults = []
        assert (await asking).submitted.outcome == outcome


def sale(size="0.01", **fields):
    return orders_pb2.OrderContent(
        **HERE,
        side=types_pb2.SIDE_SELL,
        size=size,
        **{"type": orders_pb2.ORDER_TYPE_MARKET, **fields},
    )


def bracket(request_id="b1", size="0.01"):
    """An entry with a stop and a take-profit."""
    stop = sale(size, type=orders_pb2.ORDER_TYPE_STOP, stop_price="59000")
    profit = sale(size, type=orders_pb2.ORDER_TYPE_LIMIT, price="62000")
    request = place(request_id, limit(size), others=[stop, profit])
    entry, exit_ = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT
    members = (request.content, *request.others)
    for content, role in zip(members, (entry, exit_, exit_), strict=True):
        group = orders_pb2.OrderGroup(group_id=request_id, role=role, count=3)
        content.group.CopyFrom(group)
    return request


def check(answer, name):
    (found,) = [one for one in answer.verdict.checks if one.name == name]
    return found


async def test_group_is_one_request_and_one_lifecycle(rig, manual):
    answer = await manual.submit(bracket(), LENA)
    prefix = f"lc-{answer.lifecycle_id.hex()}"
    ids = [f"{prefix}-{number}" for number in (1, 2, 3)]
    assert [one.request_id for one in answer.submitted.orders] == ids == rig.venue.made
    asked = (await rig.events())[0].order_requested
    assert [one.stop_price or one.price for one in asked.others] == ["59000", "62000"]
    assert await manual.submit(bracket(), LENA) == answer
    too_large = await manual.submit(bracket("b2", "100"), LENA)
    assert check(too_large, "order_notional_max").projected == "6000000"
    assert len(rig.venue.made) == 3


async def test_group_without_an_answer_is_taken_once_or_not_at_all(rig, manual):
    rig.venue.faults = ["late", *["lost"] * 1000]
    asking = asyncio.create_task(manual.submit(bracket(), LENA))
    await until(lambda: len(rig.venue.faults) < 1000)
    rig.expire_approvals()
    rig.venue.faults = []
    assert (await asking).submitted.outcome == EXPIRED
    rig.venue.arrive_late()
    assert rig.venue.made == []


@pytest.mark.parametrize("field", ["size", "role", "others of a cancel"])
async def test_orders_that_are_no_group_are_rejected(rig, manual, field):
    request = bracket()
    if field == "size":
        request.others[0].size = "5"
    elif field == "role":
        request.others[0].group.role = orders_pb2.GROUP_ROLE_ENTRY
    else:
        request.operation, request.target_client_order_id = CANCEL, "x"
    with pytest.raises((BadRequest, InvalidOrder)):
        await manual.submit(request, LENA)
    assert await rig.events() == []


async def test_each_request_of_several_has_its_own_answer(rig, manual):
    requests = [
        place("r1"),
        place("r2", limit("1000")),
        place("not allowed"),
        bracket("r4"),
        place("r1", limit("0.02")),
    ]
    first, blocked, invalid, group, reused = await manual.submit_many(requests, LENA)
    assert first.submitted.outcome == group.submitted.outcome == TAKEN
    assert blocked.verdict.verdict == risk_pb2.VERDICT_BLOCK
    assert (type(invalid), type(reused)) == (BadRequest, RequestIdReused)
    assert len(rig.venue.made) == 4
    again = await manual.submit_many(requests[:2], LENA)
    assert again == [first, blocked]


async def test_market_order_counts_at_the_best_price_and_needs_one(rig, manual):
    bought = orders_pb2.OrderContent(
        **HERE, side=types_pb2.SIDE_BUY, type=orders_pb2.ORDER_TYPE_MARKET, size="0.01"
    )
    answer = await manual.submit(place(content=bought), LENA)
    assert check(answer, "order_notional_max").projected == "600"
    cheap = sale(type=orders_pb2.ORDER_TYPE_LIMIT, price="1")
    answer = await manual.submit(place("r2", cheap), LENA)
    assert check(answer, "order_notional_max").projected == "600"
    rig.venue.best = None
    answer = await manual.submit(place("r3", bought), LENA)
    assert answer.verdict.verdict == risk_pb2.VERDICT_BLOCK
    assert "not known" in check(answer, "order_notional_max").detail


async def test_sale_on_spot_of_what_is_free_is_a_reduction(rig, manual):
    await rig.process.changes.set(mode(risk_pb2.TRADING_MODE_HALTED), "lena")
    rig.venue.free["BTC"] = Decimal("0.02")
    answer = await manual.submit(place("r1", sale("0.02")), OTTO)
    assert (answer.verdict.is_reduction, answer.submitted.outcome) == (True, TAKEN)
    answer = await manual.submit(place("r2", sale("0.021")), LENA)
    assert answer.verdict.verdict == risk_pb2.VERDICT_STAND_DOWN
    rig.venue.free.clear()
    with pytest.raises(RoleMissing):
        await manual.submit(place("r3", sale("0.02")), OTTO)


async def test_exit_of_a_group_is_amended_in_every_mode(rig, manual):
    answer = await manual.submit(bracket(), LENA)
    entry, stop, _ = answer.submitted.orders
    await rig.process.changes.set(mode(risk_pb2.TRADING_MODE_HALTED), "lena")
    for name, order, is_reduction in (("a1", stop, True), ("a2", entry, False)):
        request = amend(order, name)
        request.content.CopyFrom(order.content)
        answer = await manual.submit(request, LENA)
        assert answer.verdict.is_reduction == is_reduction
    assert len(rig.venue.amendments) == 1


async def test_caller_knows_the_client_order_ids_before_the_answer(manual):
    answer = await manual.submit(bracket(), LENA)
    # As docs/ORDERS.md has it.
    digest = hashlib.sha256(b"venuemesh event 1")
    for part in (b"inspector", b"manual", b"b1", b"0"):
        digest.update(len(part).to_bytes(4, "big") + part)
    lifecycle = digest.digest()[:16]
    assert lifecycle == answer.lifecycle_id
    expected = [f"lc-{lifecycle.hex()}-{number}" for number in (1, 2, 3)]
    found = [one.client_order_id for one in answer.submitted.orders]
    assert found == [client_order_id("binance", "paper", name) for name in expected]


async def test_flatten_is_approved_in_every_mode_and_sent_by_the_caller(rig, manual):
    await rig.process.changes.set(mode(risk_pb2.TRADING_MODE_HALTED), "lena")
    request = inspector_pb2.SubmitManualRequest(
        request_id="f1",
        operation=signed_pb2.OPERATION_FLATTEN,
        content=orders_pb2.OrderContent(venue="binance", account="paper"),
    )
    answer = await manual.submit(request, OTTO)
    assert (answer.verdict.is_reduction, answer.HasField("submitted")) == (True, False)
    rig.clock.now_ns += 10
    again = (await manual.submit(request, OTTO)).approved
    assert again.expires_time_ns > answer.approved.expires_time_ns
    assert again.request_id == answer.approved.request_id
    assert again.operation == signed_pb2.OPERATION_FLATTEN
    # Nothing is handed over by the inspector.
    assert await rig.outcomes() == []
    assert lifecycle_of(f"{again.request_id}/BTCUSDT/1") == answer.lifecycle_id
