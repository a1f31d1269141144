"""While the journal is not read, nothing is said of the orders, and none is taken for an entry."""

import asyncio

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.errors import AccountNotReady, ApprovalRejected, StoreUnavailable
from kit.execution.journal import account_journal
from kit.execution.orders import order_states
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import VALIDITY_NS, WHERE, caller, exit_order
from kit.execution.tests.simulated_process import run

LIMIT = orders_pb2.ORDER_TYPE_LIMIT
CANCEL_ALL = signed_pb2.OPERATION_CANCEL_ALL
ADDRESS = orders_pb2.OrderContent(**WHERE)


def calls(key):
    """Calls that depend on which orders there are."""
    one = {"client_order_id": key, **WHERE}
    cancels = [batches_pb2.OrderCancel(client_order_id=key)]
    return {
        "GetOrder": trade_flow_pb2.GetOrderRequest(**one),
        "ListOpenOrders": trade_flow_pb2.ListOpenOrdersRequest(**WHERE),
        "ListFills": trade_flow_pb2.ListFillsRequest(**WHERE),
        "CancelOrder": trade_flow_pb2.CancelOrderRequest(**one),
        "CancelOrders": batches_pb2.CancelOrdersRequest(orders=cancels, **WHERE),
        "AmendOrder": trade_flow_pb2.AmendOrderRequest(**one),
        "CancelAllOrders": trade_flow_pb2.CancelAllOrdersRequest(**WHERE),
    }


async def with_exit():
    """An account whose position has a resting exit, and the id of that."""
    at = await caller()
    order = await at.place(exit_order("2", type=LIMIT, price="110"))
    return at, order.client_order_id


async def restarted(*, is_damaged=False):
    """The same in a process that has not read its journal yet."""
    at, key = await with_exit()
    world = at.world
    world.crash()
    if is_damaged:
        world.disk.content[20:60] = bytes(40)
    at.running = world.start()
    world.account.verifier._validity_max_ns = VALIDITY_NS
    at.account, at.flow = world.account, TradeFlowServicer("fake", {"main": world.account})
    return at, key


@pytest.mark.parametrize("name", calls(""))
def test_call_waits_until_the_journal_is_read(name):
    async def scenario():
        at, key = await restarted()
        with pytest.raises(AccountNotReady, match="the journal is being read"):
            await getattr(at.flow, name)(calls(key)[name], None)
        await at.world.ready()
        order = at.account.order(key)
        assert order.is_protective
        assert not order.external
        assert order.state == order_states.OPEN

    run(scenario())


def test_orders_of_an_unreadable_journal_are_cancelled_with_an_approval_only():
    async def scenario():
        at, key = await restarted(is_damaged=True)
        with pytest.raises(StoreUnavailable):
            await at.running
        at.account.refuse("the journal is damaged")
        request = trade_flow_pb2.CancelAllOrdersRequest(**WHERE)
        with pytest.raises(AccountNotReady, match="the journal is damaged"):
            await at.flow.CancelAllOrders(request, None)
        truth = at.world.venue.by_client_id[key]
        assert truth.now.state == order_states.OPEN
        request.approved.CopyFrom(at.approve(ADDRESS, operation=CANCEL_ALL))
        await at.flow.CancelAllOrders(request, None)
        assert truth.now.state == order_states.CANCELLED

    run(scenario())


def test_protective_order_that_may_be_open_is_not_cancelled_without_an_approval():
    async def scenario():
        at, key = await with_exit()
        at.account.state.end_missing(at.account.order(key), "the venue does not know it")
        with pytest.raises(ApprovalRejected) as caught:
            await at.cancel(key)
        assert caught.value.metadata["why"] == "missing"
        assert at.world.venue.by_client_id[key].now.state == order_states.OPEN
        entry = (await at.place(limit_order())).client_order_id
        assert (await at.cancel(entry)).state == orders_pb2.ORDER_STATE_CANCELLED

    run(scenario())


async def replayed(account, key):
    """Wait until the first record of an order is read."""
    replay, is_read = account._replay, asyncio.Event()

    def watched(record):
        replay(record)
        if key in account.state.index.orders:
            is_read.set()

    account._replay = watched
    await is_read.wait()


def test_order_is_not_shown_as_the_journal_has_it_half_read(monkeypatch):
    monkeypatch.setattr(account_journal, "RECORDS_AT_ONCE", 1)

    async def scenario():
        at = await caller()
        approved = at.approve(limit_order())
        request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
        key = (await at.flow.PlaceOrder(request, None)).order.client_order_id
        await at.world.let_pass(1)
        at.world.crash()
        at.world.start()
        at.flow = TradeFlowServicer("fake", {"main": at.world.account})
        await replayed(at.world.account, key)
        assert not at.world.account.is_loaded
        many = batches_pb2.PlaceOrdersRequest(approved=[approved], **WHERE)
        for rpc, asked in (("PlaceOrder", request), ("PlaceOrders", many)):
            with pytest.raises(AccountNotReady, match="the journal is being read"):
                await getattr(at.flow, rpc)(asked, None)
        await at.world.ready()
        answer = await at.flow.PlaceOrder(request, None)
        assert answer.order.state == orders_pb2.ORDER_STATE_OPEN

    run(scenario())
