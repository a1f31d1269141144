"""Updates without our id may be of an order that the venue rejected and nevertheless has."""

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.orders import order_index, order_states
from kit.execution.tests.test_account_state import KEY, account_state, report, sent


def rejected(state, key=KEY):
    order = sent(state, key=key)
    state.transition(order, order_states.REJECTED, orders_pb2.REJECT_REASON_OTHER, "no")
    return order


def restarted(state):
    """The state after a restart."""
    found = account_state()
    for record in state._journal:
        found.index.replay(record)
    return found


@pytest.mark.parametrize("restarts", [False, True])
def test_rejected_order_that_the_venue_has_is_found_without_our_id(restarts):
    state = account_state()
    rejected(state)
    state = restarted(state) if restarts else state
    order = state.index.orders[KEY]
    assert state.apply_order(report(client="")) is None
    assert state._listener.unmatched == [("BTCUSDT", "v")]
    state.apply_order(report(), is_answer=True)
    assert (order.state, order.venue_order_id) == (order_states.OPEN, "v")
    assert not state.unmatched
    assert state.index.orders.keys() == {KEY}


def test_order_that_the_venue_does_not_call_ours_is_external():
    state = account_state()
    order = rejected(state)
    assert state.apply_order(report(client="")) is None
    assert state.apply_order(report(client=""), is_answer=True).external
    assert order.state == order_states.REJECTED


def test_number_of_rejected_orders_is_bounded(monkeypatch):
    monkeypatch.setattr(order_index, "REJECTED_MAX", 2)
    state = account_state()
    orders = [rejected(state, key=str(number) * 32) for number in range(3)]
    for order in orders[1:]:
        assert state.apply_order(report(client="")) is None
        state.set_venue_order_id(order, order.key)
    assert state.apply_order(report(client="", venue="w")).external


def test_venue_is_told_since_when_an_order_can_be_there():
    state = account_state()
    order = sent(state)
    assert order.created_time_ns
    assert order.venue_key.placed_time_ns == order.created_time_ns
    state.transition(order, order_states.REJECTED)
    external = state.apply_order(report(client="", venue="w"), is_answer=True)
    assert external.venue_key.placed_time_ns == 0
