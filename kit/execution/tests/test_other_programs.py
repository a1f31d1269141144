"""Orders that other programs place in the account."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import LimitExceeded
from kit.execution.account_terms import OrderLimits
from kit.execution.contract import VenueOrder
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import ActualOrder, limit_order
from kit.execution.tests.order_caller import Terms, caller
from kit.execution.tests.simulated_process import heartbeat, run, started, world

LIMIT, STOP = orders_pb2.ORDER_TYPE_LIMIT, orders_pb2.ORDER_TYPE_STOP
PROFIT = orders_pb2.ORDER_TYPE_TAKE_PROFIT


async def placed_elsewhere(found, kind=LIMIT, symbol="BTCUSDT", size="3"):
    """An order that another program has placed, once the account knows it."""
    truth = put_at_venue(found.venue, kind, symbol, size)
    found.venue.publish(truth.now)
    index = found.account.state.index
    await found.until(lambda: index.find(symbol, "", truth.now.venue_order_id) is not None)
    return truth


def put_at_venue(venue, kind=LIMIT, symbol="BTCUSDT", size="3"):
    """An order that another program has placed."""
    order = VenueOrder(
        symbol=symbol,
        venue_order_id=venue.new_id(),
        client_order_id="",
        side=types_pb2.SIDE_BUY,
        type=kind,
        size=Decimal(size),
        price=Decimal(100) if kind == LIMIT else None,
        state=order_states.OPEN,
        filled_size=Decimal(0),
        stop_price=None if kind == LIMIT else Decimal(110),
    )
    venue.orders[order.venue_order_id] = truth = ActualOrder(order, 0, [(0, order)])
    return truth


def test_fills_of_others_before_the_venue_first_answers_are_read():
    async def scenario():
        found = world()
        found.start()
        client = found.account.client
        client.failures = 1_000_000
        await found.let_pass(10)
        found.venue.publishes = False
        order = put_at_venue(found.venue)
        found.venue.fill(order, Decimal(3))
        await found.let_pass(300)
        assert not found.account.readiness.is_ready
        client.failures = 0
        found.venue.publishes = True
        await found.ready()
        await found.let_pass(30)
        known = found.account.state.index.find("BTCUSDT", "", order.now.venue_order_id)
        assert [fill.size for fill in known.fills.values()] == [3]

    run(scenario())


def test_silence_of_the_authority_cancels_entries_of_others_and_no_stops():
    async def scenario():
        found = await started()
        orders = [await placed_elsewhere(found, kind) for kind in (LIMIT, STOP, PROFIT)]
        await found.account.heartbeat(heartbeat(found.account, 1))
        await found.until(lambda: orders[0].now.state == order_states.CANCELLED, 30)
        await found.let_pass(30)
        assert [one.now.state for one in orders[1:]] == [order_states.OPEN] * 2

    run(scenario())


@pytest.mark.parametrize(
    "limits",
    [
        OrderLimits(open_orders_max=1),
        OrderLimits(position_size_max={"SWAP": Decimal(4)}),
    ],
    ids=["open orders", "position"],
)
def test_order_of_another_program_counts_in_the_limits_and_is_not_rejected(limits):
    async def scenario():
        at = await caller(Terms(limits), held="0")
        order = await placed_elsewhere(at.world, symbol="SWAP")
        with pytest.raises(LimitExceeded):
            await at.place(limit_order("2", symbol="SWAP"))
        second = await placed_elsewhere(at.world, symbol="SWAP", size="9")
        assert order.now.state == second.now.state == order_states.OPEN
        for one in (order, second):
            at.world.venue.end(one, order_states.CANCELLED)
        await at.world.until(lambda: not at.account.state.index.open)
        await at.place(limit_order("2", symbol="SWAP"))

    run(scenario())
