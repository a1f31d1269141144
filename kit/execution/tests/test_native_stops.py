"""A stop that rests at the venue, and ends there unasked, is tried again or published as left
open."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import VenuePosition
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import Prices, run, verified, world
from kit.execution.tests.test_exit_retry import attempt, refusing, said

STOP = orders_pb2.ORDER_TYPE_STOP
NATIVE = replace(CAPABILITIES, types=ALL_TYPES, has_positions=True)


async def trading(held="0"):
    """A world with an account that is ready and holds a position."""
    found = world(capabilities=NATIVE)
    found.prices = Prices()
    found.venue.positions = [VenuePosition("BTCUSDT", Decimal(held))]
    found.start()
    await found.ready()
    return found


async def resting(found, **more):
    """A stop to sell 2 that rests at the venue."""
    terms = {"type": STOP, "side": types_pb2.SIDE_SELL, "price": "", "stop_price": "90"}
    order = await found.account.submitter.submit(verified(limit_order(**terms, **more), "r"))
    await found.let_pass(0.5)
    return order, found.venue.by_client_id.get(order.key)


@pytest.mark.parametrize("end", [order_states.CANCELLED, order_states.EXPIRED])
def test_stop_that_the_venue_ends_is_published_as_left_open(end):
    async def scenario():
        found = await trading()
        order, truth = await resting(found)
        found.venue.end(truth, end)
        await found.let_pass(60)
        (one,) = said(found)
        assert (one.client_order_id, one.found) == (order.key, "2")
        assert not found.account.state.index.open
        found.crash()
        found.start()
        await found.ready()
        assert len(said(found)) == 1

    run(scenario())


def test_stop_that_the_venue_rejects_for_now_is_tried_again_from_here():
    async def scenario():
        found = await trading()
        _, truth = await resting(found)
        reason = orders_pb2.REJECT_REASON_INSTRUMENT
        truth.now = replace(truth.now, reject_reason=reason, detail="halted")
        found.venue.end(truth, order_states.REJECTED)
        await found.let_pass(5)
        again = attempt(found, "r", 2)
        assert (again.state, again.held_here) == (order_states.OPEN, True)
        assert len(found.venue.by_client_id) == 1
        found.prices.trade("90")
        await found.let_pass(1)
        sent = found.venue.by_client_id[again.key].now
        assert (sent.type, sent.size) == (orders_pb2.ORDER_TYPE_MARKET, Decimal(2))
        assert not said(found)

    run(scenario())


def test_rest_of_a_stop_that_was_triggered_at_the_venue_is_sent():
    async def scenario():
        found = await trading()
        _, truth = await resting(found)
        found.venue.fill(truth, Decimal("0.5"))
        found.venue.end(truth, order_states.CANCELLED)
        await found.let_pass(5)
        sent = found.venue.by_client_id[attempt(found, "r", 2).key].now
        assert (sent.type, sent.size) == (orders_pb2.ORDER_TYPE_MARKET, Decimal("1.5"))

    run(scenario())


def test_stop_that_is_rejected_in_the_answer_is_left_to_its_caller():
    async def scenario():
        found = await trading()
        refusing(found, 1)
        order, _ = await resting(found)
        await found.let_pass(60)
        assert order.state == order_states.REJECTED
        assert found.account.state.index.orders.keys() == {order.key}
        assert not said(found)

    run(scenario())


def test_stop_that_its_caller_cancels_is_not_left_open():
    async def scenario():
        found = await trading()
        order, _ = await resting(found)
        await found.account.submitter.cancel(order)
        await found.let_pass(60)
        assert order.state == order_states.CANCELLED
        assert not said(found)

    run(scenario())


@pytest.mark.parametrize(("held", "left"), [("3", ["2"]), ("0.5", ["0.5"]), ("0", []), ("-3", [])])
def test_stop_that_only_reduces_is_left_open_while_there_is_a_position(held, left):
    async def scenario():
        found = await trading(held="3")
        _, truth = await resting(found, reduce_only=True)
        found.venue.end(truth, order_states.CANCELLED)
        await found.let_pass(2)
        assert not said(found)
        after = found.venue.positions = [VenuePosition("BTCUSDT", Decimal(held))]
        list(found.account.balances_and_positions.replace_positions(after, compare=False))
        await found.let_pass(10)
        assert [one.found for one in said(found)] == left

    run(scenario())
