"""Updates that arrive in any order and any number of times lead to the venue's state."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.contract import Fee, VenueFill, VenueOrder
from kit.execution.journal import records
from kit.execution.journal.records import Amendment, AmendmentOutcome, OrderIntent, OrderSent
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState, FillUpdateResult
from kit.execution.orders.order_index import OrderIndex
from kit.execution.orders.order_messages import order_message
from kit.execution.orders.request_reader import digest_of
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import SPOT
from tests.support.manual_clock import ManualClock

KEY = "0" * 32


class Listener:
    """Keeps what the account would publish and do."""

    def __init__(self):
        self.orders = []
        self.fills = []
        self.in_doubt = []
        self.unmatched = []
        self.differences = []

    def order_changed(self, order):
        self.orders.append(order_message(order))

    def fill_added(self, fill):
        self.fills.append(fill)

    def order_in_doubt(self, order):
        self.in_doubt.append(order.key)

    def update_unmatched(self, symbol, venue_order_id):
        self.unmatched.append((symbol, venue_order_id))

    def difference_found(self, difference):
        self.differences.append(difference)


def listed(symbol):
    return SPOT if symbol == SPOT.symbol else None


def account_state(find_instrument=listed):
    return AccountState("fake", "main", ManualClock(), [], Listener(), find_instrument)


def sent(state, size="4", key=KEY):
    content = limit_order(size=size)
    digest = digest_of(content, "r")
    intent = OrderIntent(key, "r", digest, content.SerializeToString(), 1, 0, False)
    order = state.index.add_intended(intent)
    state._journal.append(intent)
    state.transition(order, order_states.SENT)
    return order


def report(state=order_states.OPEN, filled="0", at=1, client=KEY, venue="v", size="4", price="100"):
    return VenueOrder(
        "BTCUSDT",
        venue,
        client,
        types_pb2.SIDE_BUY,
        orders_pb2.ORDER_TYPE_LIMIT,
        Decimal(size),
        Decimal(price),
        state,
        Decimal(filled),
        venue_time_ns=at,
    )


def fill(number, size="1", price="100", client=KEY, venue="v", fee="0.1"):
    paid = (Fee("USDT", Decimal(fee)),)
    return VenueFill(
        "BTCUSDT",
        f"f{number}",
        venue,
        client,
        types_pb2.SIDE_BUY,
        Decimal(price),
        Decimal(size),
        paid,
        orders_pb2.LIQUIDITY_TAKER,
        number,
    )


def apply(state, update):
    if isinstance(update, VenueOrder):
        state.apply_order(update)
    else:
        state.apply_fill(update)


STORY = [
    report(order_states.ACKNOWLEDGED, at=1),
    report(order_states.OPEN, at=2),
    fill(1),
    report(order_states.PARTLY_FILLED, "1", at=3),
    fill(2, "2", "103"),
    report(order_states.PARTLY_FILLED, "3", at=4),
]
ENDS = {
    order_states.FILLED: [fill(3, "1", "104"), report(order_states.FILLED, "4", at=5)],
    order_states.CANCELLED: [report(order_states.CANCELLED, "3", at=5)],
    order_states.EXPIRED: [report(order_states.EXPIRED, "3", at=5)],
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(ENDS)), st.integers(0, 1 << 30), st.booleans())
def test_updates_in_any_order_lead_to_the_same_state(end, seed, named):
    chance = random.Random(seed)
    updates = [*STORY, *ENDS[end]]
    twice = [*updates, *chance.sample(updates, 3)]
    chance.shuffle(twice)
    state = account_state()
    order = sent(state)
    for one in twice:
        # Some venues leave our id out.
        apply(state, one if named or chance.random() < 0.5 else replace(one, client_order_id=""))
    state.set_venue_order_id(order, "v")
    assert order.state == end
    assert order.fill_size == (4 if end == order_states.FILLED else 3)
    assert order.filled_size == order.fill_size
    assert order.fees == {"USDT": Decimal("0.1") * len(order.fills)}
    assert len(state._listener.fills) == len(order.fills)
    assert not state.unmatched
    assert [one.key for one in state.index.orders.values()] == [KEY]
    moves = [message.state for message in state._listener.orders]
    assert moves[0] == order_states.SENT
    final = next(place for place, move in enumerate(moves) if move in order_states.FINAL)
    assert set(moves[final:]) == {end}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 30))
def test_journal_restores_the_whole_state(seed, count):
    chance = random.Random(seed)
    state = account_state()
    order = sent(state)
    updates = [*STORY, *ENDS[order_states.FILLED], report(venue="x", client="")]
    for one in chance.choices(updates, k=count):
        apply(state, one)
    again = OrderIndex(listed)
    for record in [*state._journal, *state._journal[-5:]]:
        again.replay(records.decode(records.encode(record)))
    compact = OrderIndex(listed)
    for record in state.index.records():
        compact.replay(records.decode(records.encode(record)))
    for index in (again, compact):
        assert order_message(index.orders[KEY]) == order_message(order)
        assert set(index.open) == set(state.index.open)
        assert {fill.fill_id for fill in index.fills.values()} == {
            fill.fill_id for fill in state.index.fills.values()
        }
        assert index.find("BTCUSDT", "", "v") is (index.orders[KEY] if order.fills else None) or (
            order.venue_order_id == "v"
        )


def test_sent_order_without_an_update_is_unknown_after_a_restart():
    state = account_state()
    order = sent(state)
    index = OrderIndex(listed)
    index.replay(state._journal[0])
    assert index.orders[KEY].state == order_states.INTENDED
    index.replay(OrderSent(order.key, 1))
    assert index.orders[KEY].state == order_states.UNKNOWN


def test_average_and_fees_are_exact():
    state = account_state()
    order = sent(state, size="100")
    state.apply_fill(fill(1, "0.1", "0.1", fee="0.10000000000000000001"))
    state.apply_fill(fill(2, "0.2", "0.2", fee="-0.1"))
    assert order_message(order).average_price == "0.1666666666666667"
    assert order_message(order).fees[0].amount == "0.00000000000000000001"


def test_changed_fee_is_reported_and_taken_over():
    state = account_state()
    order = sent(state)
    assert state.apply_fill(fill(1)) is FillUpdateResult.NEW
    assert state.apply_fill(fill(1)) is FillUpdateResult.KNOWN
    assert state.apply_fill(fill(1, fee="0.2")) is FillUpdateResult.FEE_CHANGED
    assert order.fees == {"USDT": Decimal("0.2")}
    assert order.fill_size == 1


def test_missed_fill_is_added_to_a_cancelled_order():
    state = account_state()
    order = sent(state)
    state.apply_order(report(order_states.CANCELLED))
    assert state.apply_fill(fill(1)) is FillUpdateResult.NEW
    assert (order.state, order.filled_size) == (order_states.CANCELLED, 1)


def test_fill_of_a_rejected_order_makes_it_unknown():
    state = account_state()
    order = sent(state)
    state.transition(order, order_states.REJECTED, orders_pb2.REJECT_REASON_OTHER, "no")
    state.apply_fill(fill(1))
    assert order.state == order_states.UNKNOWN
    assert state._listener.in_doubt == [KEY]
    state.apply_order(report(order_states.PARTLY_FILLED, "1"), is_answer=True)
    assert order.state == order_states.PARTLY_FILLED


def test_updates_without_our_id_are_kept_while_they_may_be_ours():
    state = account_state()
    order = sent(state)
    state.apply_fill(fill(1, client="", venue="v"))
    state.apply_order(report(client="", venue="other"))
    assert state._listener.unmatched == [("BTCUSDT", "v"), ("BTCUSDT", "other")]
    state.apply_accepted(order, "v")
    assert order.filled_size == 1
    assert state.apply_order(report(client="", venue="other"), is_answer=True).external
    assert len(state.index.orders) == 2


def test_order_with_missing_fills_is_queried():
    state = account_state()
    order = sent(state)
    state.apply_order(report(order_states.FILLED, "4"))
    assert order.lacks_fills
    assert state._listener.in_doubt == [KEY]


def test_ended_order_is_forgotten_once_its_approval_has_expired():
    state = account_state()
    old, asked, open_order = (sent(state, key=str(n) * 32) for n in range(3))
    asked.approval_expires_time_ns = 1 << 62
    for order in (old, asked):
        state.apply_fill(fill(int(order.key[0]), "4", client=order.key, venue=order.key))
    now_ns = state._clock.time_ns()
    assert sum(state.index.forget(now_ns, now_ns - 1, 100)) == 0
    assert sum(state.index.forget(now_ns + 10, now_ns + 5, 100)) == 1
    assert set(state.index.orders) == {asked.key, open_order.key}
    assert len(state.index.fills) == 1


def test_both_fills_of_a_self_trade_are_kept():
    state = account_state()
    bought, sold = (sent(state, key=str(n) * 32) for n in range(2))
    fills = [fill(1, "4", client=one.key, venue=f"v{one.key[0]}") for one in (bought, sold)]
    fills[1] = replace(fills[1], side=types_pb2.SIDE_SELL)
    for one in [*fills, *fills, *(replace(one, client_order_id="") for one in fills)]:
        state.apply_fill(one)
    assert [one.key for one in state._listener.fills] == [bought.key, sold.key]
    restored = OrderIndex(listed)
    for record in [*state._journal, *state.index.records()]:
        restored.replay(records.decode(records.encode(record)))
    for index in (state.index, restored):
        assert len(index.fills) == 2
        assert [index.orders[one.key].fill_size for one in (bought, sold)] == [4, 4]
        assert {one.state for one in index.orders.values()} == {order_states.FILLED}


def test_fill_with_an_earlier_venue_id_is_known_after_a_restart():
    state = account_state()
    order = sent(state)
    state.apply_fill(fill(1, client="", venue="v"))
    state.apply_fill(fill(1))
    amended(state, order)
    state.apply_order(report(at=9, venue="w"), is_answer=True)
    assert order.venue_order_id == "w"
    restored = OrderIndex(listed)
    for record in state.index.records():
        restored.replay(records.decode(records.encode(record)))
    assert restored.find("BTCUSDT", "", "v") is restored.find("BTCUSDT", "", "w")


def test_forgotten_order_is_not_found_by_any_venue_id():
    state = account_state()
    order = sent(state)
    for at, venue in enumerate(("v", "w", "x"), 1):
        state.apply_order(report(at=at, venue=venue), is_answer=True)
    state.apply_order(report(order_states.CANCELLED, at=9, venue="x"), is_answer=True)
    now_ns = state._clock.time_ns()
    assert sum(state.index.forget(now_ns + 10, now_ns + 5, 100)) == 1
    for venue in ("v", "w", "x"):
        assert state.index.find("BTCUSDT", "", venue) is None
    assert order.is_final


def amended(state, order, size="9"):
    outcome = AmendmentOutcome.PENDING
    amendment = Amendment(order.key, "a", b"", Decimal(size), Decimal(101), outcome, "")
    state.record_amendment(order, amendment)
    state.record_amendment(order, amendment.ended(AmendmentOutcome.DONE))


def test_update_older_than_an_amendment_does_not_undo_it():
    state = account_state()
    order = sent(state)
    state.apply_order(report(at=1))
    amended(state, order)
    state.apply_order(report(order_states.PARTLY_FILLED, "1", at=2))
    assert (order.size, order.state) == (9, order_states.PARTLY_FILLED)
    state.apply_order(report(order_states.PARTLY_FILLED, "1", at=2), is_answer=True)
    assert (order.size, order.price) == (9, 101)
    state.apply_order(report(order_states.PARTLY_FILLED, "1", at=3, size="9", price="101"))
    # From here on the venue is believed again: somebody may amend it elsewhere.
    state.apply_order(report(order_states.PARTLY_FILLED, "1", at=4, size="8", price="101"))
    assert order.size == 8


def test_venue_is_believed_a_minute_after_an_amendment_whatever_the_time_of_day_does():
    state = account_state()
    order = sent(state)
    state.apply_order(report(at=1), is_answer=True)
    amended(state, order)
    state._clock.jumped_ns = -3_600 * NANOSECONDS_PER_SECOND
    for seconds, terms in ((59, (9, 101)), (2, (4, 100))):
        state._clock.now_ns += seconds * NANOSECONDS_PER_SECOND
        state.apply_order(report(at=2), is_answer=True)
        assert (order.size, order.price) == terms


def test_amended_order_is_filled_only_when_the_venue_says_so():
    state = account_state()
    order = sent(state)
    amended(state, order, "3")
    state.apply_fill(fill(1, "3"))
    assert order.state == order_states.PARTLY_FILLED
    assert state._listener.in_doubt == [KEY]
    state.apply_order(report(order_states.FILLED, "3", size="3"), is_answer=True)
    assert order.state == order_states.FILLED


def test_missing_order_ends_as_its_fills_say():
    for size, end in (("4", order_states.FILLED), ("1", order_states.CANCELLED)):
        state = account_state()
        order = sent(state)
        amended(state, order, "4")
        state.apply_fill(fill(1, size))
        state.end_missing(order, "gone")
        assert order.state == end


@pytest.mark.parametrize("end", [order_states.CANCELLED, order_states.EXPIRED])
def test_old_answer_does_not_open_an_order_that_the_venue_has_ended(end):
    state = account_state()
    order = sent(state)
    state.apply_order(report(end, at=5))
    state.apply_order(report(at=4), is_answer=True)
    state.apply_order(report(at=5))
    assert order.state == end
    assert not state._listener.differences


@pytest.mark.parametrize("end", sorted(order_states.FINAL))
def test_order_that_the_venue_still_shows_as_open_is_open_again(end):
    state = account_state()
    order = sent(state)
    state.apply_order(report(end, filled="4" if end == order_states.FILLED else "0", at=5))
    assert order.is_final
    state._clock.now_ns += 61 * NANOSECONDS_PER_SECOND
    state.apply_order(report(at=4), is_answer=True)
    assert order.state == order_states.OPEN
    assert order.key in state.index.open
    assert state._listener.in_doubt[-1] == order.key
    (told,) = state._listener.differences
    assert (told.expected, told.found) == (order_states.name_of(end), "OPEN")


def test_later_report_opens_an_order_again():
    state = account_state()
    order = sent(state)
    state.apply_order(report(order_states.CANCELLED, at=5))
    state.apply_order(report(filled="1", state=order_states.PARTLY_FILLED, at=6))
    assert order.state == order_states.PARTLY_FILLED
    assert len(state._listener.differences) == 1


def test_order_that_was_missing_is_open_again():
    state = account_state()
    order = sent(state)
    state.apply_order(report(at=5))
    state.end_missing(order, "not found")
    assert order.state == order_states.CANCELLED
    state.apply_order(report(at=5), is_answer=True)
    assert order.state == order_states.OPEN
