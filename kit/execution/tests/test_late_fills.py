"""Fills of orders that were forgotten, and fills that the venue takes back."""

from dataclasses import replace
from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2

from kit.execution.contract import Fee
from kit.execution.orders import order_states
from kit.execution.orders.account_state import FillUpdateResult
from kit.execution.tests.test_account_state import account_state, fill, report, sent


def test_fill_of_a_forgotten_order_is_not_external():
    state = account_state()
    order = sent(state)
    state.apply_order(report(venue="v1"), is_answer=True)
    state.apply_order(report(venue="v2"), is_answer=True)
    state.apply_fill(fill(1, "4", client=order.key, venue="v2"))
    state.fill_coverage.add("", 0, 1 << 61)
    now_ns = state._clock.time_ns()
    assert sum(state.index.forget(now_ns + 10, now_ns + 5, 100, known_ns=1)) == 0
    assert sum(state.index.forget(now_ns + 10, now_ns + 5, 100)) == 1
    for venue in ("v1", "v2"):
        assert state.index.find("BTCUSDT", "", venue) is None
        result = state.apply_fill(fill(1, "4", client="", venue=venue))
        assert result is FillUpdateResult.KNOWN
    assert not state.unmatched
    assert not state._listener.unmatched


def test_fill_that_is_taken_back_leaves_exact_sums():
    state = account_state()
    order = sent(state)
    taken_back = replace(fill(2, "-1"), fees=(Fee("USDT", Decimal("-0.5")),))
    state.apply_order(report(order_states.PARTLY_FILLED, "1"))
    state.apply_fill(replace(fill(1, "1"), fees=(Fee("USDT", Decimal("0.5")),)))
    for _ in range(2):
        state.apply_fill(taken_back)
    assert (order.filled_size, order.fees["USDT"], order.average_price) == (0, 0, None)
    assert order.state == order_states.OPEN
    assert not order.lacks_fills
    (difference,) = state._listener.differences
    assert difference.kind == differences_pb2.DIFFERENCE_KIND_REVERSED_FILL
    state.apply_fill(fill(3, "2"))
    assert (order.filled_size, order.state) == (2, order_states.PARTLY_FILLED)
