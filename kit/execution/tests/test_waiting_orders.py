"""Orders, groups and amendments that wait for another one are checked again in their turn."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.errors import ApprovalRejected, InvalidOrder, LimitExceeded, StoreUnavailable
from kit.execution.account_terms import OrderLimits
from kit.execution.contract import RequestAccepted, RequestRejected
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import NOTHING, VALIDITY_NS, Terms, caller, exit_order
from kit.execution.tests.simulated_process import run

STOP = orders_pb2.ORDER_TYPE_STOP


def accepted_at_once(at):
    """The venue fills an order while it takes it, and shows what is left of the position."""

    async def fills(request):
        truth = at.world.venue.arrive(request)
        at.world.venue.fill(truth, request.size)
        at.hold(at.account.reductions.held("SWAP") - request.size)
        return RequestAccepted(truth.now.venue_order_id, truth.now)

    return fills


@pytest.mark.parametrize("why", ["expired", "stale_epoch"])
def test_approval_that_ends_while_a_batch_is_sent_is_not_used(why):
    async def scenario():
        at = await caller()
        outcome = asyncio.get_running_loop().create_future()

        async def late(request):
            return await outcome

        at.account.client.verdicts.append(late)
        approved = [at.approve(exit_order("2")) for _ in range(2)]
        request = batches_pb2.PlaceOrdersRequest(approved=approved, venue="fake", account="main")
        placing = asyncio.create_task(at.flow.PlaceOrders(request, None))
        while not at.world.venue.sends:
            await asyncio.sleep(0.01)
        if why == "expired":
            at.world.clock.jumped_ns = VALIDITY_NS
        else:
            at.account.verifier.fencing_epoch = 9
        outcome.set_result(RequestRejected(orders_pb2.REJECT_REASON_OTHER, "no"))
        first, second = (await placing).results
        assert first.order.state == orders_pb2.ORDER_STATE_REJECTED
        assert second.error.metadata["why"] == why
        assert sum(at.world.venue.sends.values()) == 1

    run(scenario())


def test_reduction_that_is_twice_in_a_batch_is_sent_once_and_answered_twice():
    async def scenario():
        at = await caller(Terms(NOTHING))
        at.account.client.verdicts.append(accepted_at_once(at))
        rest = at.approve(exit_order("2"))
        approved = [at.approve(exit_order("3")), rest, rest]
        request = batches_pb2.PlaceOrdersRequest(approved=approved, venue="fake", account="main")
        at.account.client.verdicts.append(accepted_at_once(at))
        first, second, third = (await at.flow.PlaceOrders(request, None)).results
        assert second.order.client_order_id == third.order.client_order_id != ""
        assert first.order.state == second.order.state == orders_pb2.ORDER_STATE_FILLED
        assert set(at.world.venue.sends.values()) == {1}

    run(scenario())


def test_group_that_waits_is_not_taken_for_another_one_with_its_id():
    async def scenario():
        at = await caller()
        outcome = asyncio.get_running_loop().create_future()

        async def late(request):
            return await outcome

        def pair(size):
            group = orders_pb2.OrderGroup(
                group_id="g", count=2, role=orders_pb2.GROUP_ROLE_ALTERNATIVE
            )
            limit = {"type": orders_pb2.ORDER_TYPE_LIMIT, "price": "110", "group": group}
            return (
                exit_order(size, **limit),
                exit_order(size, type=STOP, stop_price="90", group=group),
            )

        at.account.client.verdicts.append(late)
        first = asyncio.create_task(at.place(exit_order("1")))
        await asyncio.sleep(0)
        both = [asyncio.create_task(at.place_group(*pair(size))) for size in ("1", "2")]
        await at.world.let_pass(0.1)
        outcome.set_result(RequestRejected(orders_pb2.REJECT_REASON_OTHER, "no"))
        await first
        assert {one.content.size for one in await both[0]} == {"1"}
        with pytest.raises(InvalidOrder, match="another group has the id g"):
            await both[1]

    run(scenario())


def test_amendments_that_follow_each_other_do_not_exceed_a_limit():
    async def scenario():
        at = await caller(Terms(OrderLimits(position_size_max={"SWAP": Decimal(10)})), held="0")
        key = (await at.place(limit_order("10", symbol="SWAP"))).client_order_id
        smaller = asyncio.create_task(at.amend(key, limit_order("5", symbol="SWAP")))
        as_before = asyncio.create_task(at.amend(key, limit_order("10", symbol="SWAP")))
        await smaller
        placed = asyncio.create_task(at.place(limit_order("5", symbol="SWAP")))
        found = await asyncio.gather(as_before, placed, return_exceptions=True)
        assert [type(one) for one in found].count(LimitExceeded) == 1
        orders = at.world.venue.orders.values()
        assert sum(one.now.size for one in orders) == 10

    run(scenario())


def test_amendment_that_fails_does_not_count():
    async def scenario():
        at = await caller(Terms(OrderLimits(position_size_max={"SWAP": Decimal(10)})), held="0")
        key = (await at.place(limit_order("5", symbol="SWAP"))).client_order_id
        at.world.disk.fail(OSError(28, "no space"))
        with pytest.raises(StoreUnavailable):
            await at.amend(key, limit_order("10", symbol="SWAP"))
        at.world.disk.fail(None)
        await at.world.let_pass(2)
        await at.place(limit_order("5", symbol="SWAP"))

    run(scenario())


def test_amendment_of_an_authority_that_was_replaced_while_it_waited_is_not_sent():
    async def scenario():
        at = await caller(held="0")
        key = (await at.place(limit_order("5", symbol="SWAP"))).client_order_id
        sent, go_on = [], asyncio.Event()
        amend = at.account.client.amend

        async def slow(order, request, priority):
            sent.append(request.size)
            await go_on.wait()
            return await amend(order, request, priority)

        at.account.client.amend = slow
        first = asyncio.create_task(at.amend(key, limit_order("6", symbol="SWAP")))
        second = asyncio.create_task(at.amend(key, limit_order("7", symbol="SWAP")))
        await at.world.until(lambda: sent)
        at.account.verifier.fencing_epoch = 9
        go_on.set()
        await first
        with pytest.raises(ApprovalRejected, match="was replaced"):
            await second
        assert sent == [6]

    run(scenario())


def test_amendment_that_is_requested_twice_while_it_waits_is_made_once():
    async def scenario():
        at = await caller(held="0")
        key = (await at.place(limit_order("5", symbol="SWAP"))).client_order_id
        first = asyncio.create_task(at.amend(key, limit_order("6", symbol="SWAP")))
        await asyncio.sleep(0)
        amend = {"operation": signed_pb2.OPERATION_AMEND, "target_client_order_id": key}
        approved = at.approve(limit_order("7", symbol="SWAP"), **amend)
        request = trade_flow_pb2.AmendOrderRequest(
            approved=approved, client_order_id=key, venue="fake", account="main"
        )
        both = [asyncio.create_task(at.flow.AmendOrder(request, None)) for _ in range(2)]
        await first
        assert [(await one).order.content.size for one in both] == ["7", "7"]
        assert len(at.account.state.index.orders[key].amendments) == 2

    run(scenario())


def test_reduction_whose_request_cannot_be_made_does_not_keep_the_next_one_waiting(monkeypatch):
    async def scenario():
        at = await caller()
        guard = at.account.submitter.self_trades

        def failed(*arguments):
            raise ArithmeticError("too large")

        with monkeypatch.context() as broken:
            broken.setattr(guard, "venue_mode", failed)
            first = await at.place(exit_order("2"))
        assert first.state == orders_pb2.ORDER_STATE_REJECTED
        assert first.detail == "not sent: ArithmeticError: too large"
        assert (await at.place(exit_order("2"))).state == orders_pb2.ORDER_STATE_OPEN

    run(scenario())


def test_size_of_an_amendment_counts_while_it_is_written():
    async def scenario():
        at = await caller(Terms(OrderLimits(position_size_max={"SWAP": Decimal(10)})), held="0")
        venue, journal = at.world.venue, at.account.journal._bytes
        venue.capabilities = replace(venue.capabilities, amends_later=True)
        key = (await at.place(limit_order("10", symbol="SWAP"))).client_order_id
        order = at.account.state.index.orders[key]
        await at.amend(key, limit_order("5", symbol="SWAP"))
        go_on, offload = asyncio.Event(), journal._offload

        async def slow(work):
            await go_on.wait()
            await offload(work)

        journal._offload = slow
        as_before = asyncio.create_task(at.amend(key, limit_order("10", symbol="SWAP")))
        await asyncio.sleep(0)
        venue.amend(*venue.acknowledged[0])
        at.account.resolver.hasten(order)
        await at.world.until(lambda: order.size == 5)
        placed = asyncio.create_task(at.place(limit_order("5", symbol="SWAP")))
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(LimitExceeded, match="position_size_max"):
            await placed
        await as_before

    run(scenario())
