"""What a caller has asked for is done, whether it waits for the answer or not."""

import asyncio

import pytest
from venuemesh.tradeflow.v1 import batches_pb2, trade_flow_pb2

from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import WHERE, caller
from kit.execution.tests.simulated_process import run

SOON_S = 0.5
"""The account is not compared with its venue before."""


def cancels(keys):
    """The calls that cancel these orders."""
    orders = [batches_pb2.OrderCancel(client_order_id=key) for key in keys]
    return {
        "CancelOrder": trade_flow_pb2.CancelOrderRequest(client_order_id=keys[0], **WHERE),
        "CancelOrders": batches_pb2.CancelOrdersRequest(orders=orders, **WHERE),
        "CancelAllOrders": trade_flow_pb2.CancelAllOrdersRequest(**WHERE),
    }


@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("rpc", cancels([""]))
def test_cancel_is_sent_when_its_caller_has_left(rpc, steps):
    async def scenario():
        at = await caller()
        # What the start has left to do would cancel the orders too.
        await at.world.let_pass(30)
        keys = [(await at.place(limit_order())).client_order_id for _ in range(3)]
        named = keys[:1] if rpc == "CancelOrder" else keys
        call = asyncio.ensure_future(getattr(at.flow, rpc)(cancels(keys)[rpc], None))
        for _ in range(steps + 1):
            await asyncio.sleep(0)
        assert not call.done()
        call.cancel()
        await at.world.let_pass(SOON_S)
        states = [at.world.venue.by_client_id[key].now.state for key in named]
        assert states == [order_states.CANCELLED] * len(named)

    run(scenario())
