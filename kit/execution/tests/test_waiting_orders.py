"""Orders, groups and amendments that wait for another one are checked again in their turn."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2

from kit.base.errors import InvalidOrder, LimitExceeded, StoreUnavailable
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
        assert not as_before.done()
        with pytest.raises(LimitExceeded, match="position_size_max"):
            await at.place(limit_order("5", symbol="SWAP"))
        await as_before

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
