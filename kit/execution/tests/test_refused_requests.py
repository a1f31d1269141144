"""A request that is refused has no effect, and its reason names the field."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, RequestIdReused, StoreUnavailable, VenuemeshError
from kit.execution.account_terms import OrderLimits
from kit.execution.contract import OutcomeUnknown
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import Terms, caller, exit_order
from kit.execution.tests.simulated_process import run

STOP = orders_pb2.ORDER_TYPE_STOP


async def unknown(request):
    """The venue does not answer, and never gets the order."""
    return OutcomeUnknown("no answer")


@pytest.mark.parametrize("taken", ["request id", "group id"])
def test_id_that_was_used_while_a_group_waited_is_not_used_again(taken):
    async def scenario():
        at = await caller()
        at.account.client.verdicts.append(unknown)
        at.account.client.failures = 1000
        first = await at.place(exit_order("2"))

        def pair(price):
            group = orders_pb2.OrderGroup(
                group_id="g", count=2, role=orders_pb2.GROUP_ROLE_ALTERNATIVE
            )
            return (
                exit_order("1", type=orders_pb2.ORDER_TYPE_LIMIT, price=price, group=group),
                exit_order("1", stop_price="90", type=STOP, group=group),
            )

        waiting = asyncio.create_task(at.place_group(*pair("110")))
        await at.world.let_pass(0.1)
        if taken == "request id":
            at.number -= 2
            used = asyncio.create_task(at.place(limit_order(symbol="SWAP")))
            await at.world.let_pass(0.1)
        else:
            used = asyncio.create_task(at.place_group(*pair("111")))
            await at.world.let_pass(0.1)
        order = at.account.state.index.orders[first.client_order_id]
        at.account.client.failures = 0
        at.account.state.transition(order, order_states.CANCELLED)
        outcomes = await asyncio.gather(used, waiting, return_exceptions=True)
        errors = [one for one in outcomes if isinstance(one, VenuemeshError)]
        assert len(errors) == 1
        assert isinstance(errors[0], (RequestIdReused, InvalidOrder))
        assert max(at.world.venue.sends.values()) == 1

    run(scenario())


def test_amendment_that_was_not_written_does_not_count():
    async def scenario():
        at = await caller(Terms(OrderLimits(position_size_max={"SWAP": Decimal(5)})), held="0")
        order = (await at.place(limit_order("2", symbol="SWAP"))).client_order_id
        at.world.disk.fail(OSError("no space left"))
        with pytest.raises(StoreUnavailable):
            await at.amend(order, limit_order("5", symbol="SWAP"))
        at.world.disk.fail(None)
        await at.world.let_pass(2)
        await at.place(limit_order("3", symbol="SWAP"))

    run(scenario())


def test_amendment_of_another_field_names_it():
    async def scenario():
        at = await caller(held="0")
        order = (await at.place(limit_order("2", symbol="SWAP"))).client_order_id
        for changes in ({"side": types_pb2.SIDE_SELL}, {"size": ""}):
            with pytest.raises(InvalidOrder) as caught:
                await at.amend(order, limit_order(**{"symbol": "SWAP", **changes}))
            assert caught.value.metadata["field"] == next(iter(changes))
        with pytest.raises(InvalidOrder, match="side is 'SIDE_SELL'; allowed is 'SIDE_BUY', as it"):
            await at.amend(order, limit_order(symbol="SWAP", side=types_pb2.SIDE_SELL))

    run(scenario())
