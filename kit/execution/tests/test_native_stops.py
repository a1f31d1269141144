"""A stop that rests at the venue, and ends there unasked, is tried again or published as left
open."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OutcomeUnknown, VenuePosition
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
def test_stop_that_the_venue_ends_is_published_as_left_open(end, caplog):
    async def scenario():
        found = await trading()
        order, truth = await resting(found)
        found.venue.end(truth, end)
        await found.let_pass(60)
        (one,) = said(found)
        assert (one.client_order_id, one.found) == (order.key, "2")
        (line,) = [record for record in caplog.records if record.message == "order left open"]
        assert (line.client_order_id, line.left) == (order.key, "2")
        assert not found.account.state.index.open
        found.crash()
        found.start()
        await found.ready()
        assert len(said(found)) == 1

    run(scenario())


async def cancelled_at_the_exchange(found, truth, how):
    """A person cancels a stop at the exchange, and the account may see it now."""
    venue = found.venue
    if how == "stream":
        venue.end(truth, order_states.CANCELLED)
    elif how in ("unreported", "forgotten"):
        venue.publishes = False
        venue.end(truth, order_states.CANCELLED)
        if how == "forgotten":
            del venue.by_client_id[truth.now.client_order_id]
            del venue.orders[truth.now.venue_order_id]
        venue.publishes = True
        await found.let_pass(found.settings.reconcile_interval_s)
    else:
        found.crash()
        venue.end(truth, order_states.CANCELLED)
        await found.let_pass(AWAY_S[how])
        found.start()
        await found.ready()


AWAY_S = {"down": 5, "down for an hour": 3600}
WAYS = ("stream", "unreported", "forgotten", *AWAY_S)


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize("how", WAYS)
def test_stop_that_a_person_cancels_at_the_exchange_is_published_as_left_open(how, reduces):
    async def scenario():
        found = await trading(held="3")
        order, truth = await resting(found, reduce_only=reduces)
        await cancelled_at_the_exchange(found, truth, how)
        await found.until(lambda: said(found), seconds=900)
        (one,) = said(found)
        assert (one.client_order_id, one.found) == (order.key, "2")
        assert "close it" in one.detail
        assert found.account.order(order.key).state == order_states.CANCELLED

    run(scenario())


@pytest.mark.parametrize("away_s", [5, 900, 20 * 3600])
def test_stop_that_only_reduces_is_left_open_if_the_process_dies_before_it_says_so(away_s):
    async def scenario():
        found = await trading(held="3")
        order, truth = await resting(found, reduce_only=True)
        found.venue.end(truth, order_states.CANCELLED)
        await found.let_pass(2)
        assert order.state == order_states.CANCELLED
        assert not said(found)
        found.crash()
        await found.let_pass(away_s)
        found.start()
        await found.ready()
        await found.let_pass(10)
        assert [one.client_order_id for one in said(found)] == [order.key]

    run(scenario())


def test_stop_that_ended_with_its_position_is_not_left_open_when_there_is_another():
    async def scenario():
        found = await trading(held="2")
        _, truth = await resting(found, reduce_only=True)
        found.venue.positions = []
        list(found.account.balances_and_positions.replace_positions([], compare=False))
        found.venue.end(truth, order_states.CANCELLED)
        await found.let_pass(10)
        for away_s in (5, 3600):
            found.crash()
            found.venue.positions = [VenuePosition("BTCUSDT", Decimal(2))]
            await found.let_pass(away_s)
            found.start()
            await found.ready()
            await found.let_pass(10)
            assert not said(found)

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


def losing(found):
    """Have the next order be lost on its way. Returns where it is kept."""
    late = []

    async def lose(request):
        late.append(request)
        return OutcomeUnknown("lost")

    found.account.client.verdicts = [lose]
    return late


@pytest.mark.parametrize("crashes", [False, True])
def test_stop_in_doubt_that_never_arrived_is_tried_again_from_here(crashes):
    async def scenario():
        found = await trading()
        losing(found)
        order, truth = await resting(found)
        assert (order.state, truth) == (order_states.UNKNOWN, None)
        if crashes:
            found.crash()
            found.start()
            await found.ready()
        await found.until(lambda: attempt(found, "r", 2) is not None)
        first = found.account.order(order.key)
        assert (first.state, first.reject_reason) == (
            order_states.REJECTED,
            order_states.NEVER_ARRIVED,
        )
        await found.let_pass(5)
        again = attempt(found, "r", 2)
        assert (again.state, again.held_here) == (order_states.OPEN, True)
        assert not found.venue.by_client_id
        found.prices.trade("90")
        await found.let_pass(60)
        (sent,) = found.venue.by_client_id.values()
        assert (sent.now.client_order_id, sent.now.size) == (again.key, Decimal(2))
        assert not said(found)

    run(scenario())


def test_attempt_ends_when_the_stop_in_doubt_is_at_the_venue_after_all():
    async def scenario():
        found = await trading()
        late = losing(found)
        order, _ = await resting(found)
        await found.until(lambda: attempt(found, "r", 2) is not None)
        found.venue.arrive(late[0])
        await found.let_pass(0.5)
        assert (order.state, attempt(found, "r", 2).state) == (
            order_states.OPEN,
            order_states.CANCELLED,
        )
        found.prices.trade("90")
        await found.let_pass(60)
        assert found.venue.by_client_id.keys() == {order.key}
        assert not said(found)

    run(scenario())


def test_stop_in_doubt_that_is_cancelled_is_not_tried_again():
    async def scenario():
        found = await trading()
        losing(found)
        order, _ = await resting(found)
        await found.account.retries.cancel(order)
        await found.until(lambda: order.is_final)
        await found.let_pass(60)
        assert order.state == order_states.REJECTED
        assert found.account.state.index.orders.keys() == {order.key}
        assert not said(found)

    run(scenario())


def test_stop_that_never_arrived_and_is_not_tried_again_is_left_open():
    async def scenario():
        found = await trading()
        losing(found)
        order, _ = await resting(found)
        found.account.retries.order_changed = lambda order: None
        await found.until(lambda: order.is_final)
        await found.account.journal.commit()
        found.crash()
        await found.let_pass(3600)
        found.start()
        await found.ready()
        (one,) = said(found)
        assert (one.client_order_id, one.found) == (order.key, "2")

    run(scenario())
