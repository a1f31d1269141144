"""Updates in any order lead to the same final state, and never back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.execution.orders import order_states
from kit.execution.orders.order_states import after_update, may_follow

ALL = [
    order_states.INTENDED,
    order_states.SENT,
    order_states.ACKNOWLEDGED,
    order_states.OPEN,
    order_states.PARTLY_FILLED,
    order_states.UNKNOWN,
    *order_states.FINAL,
]
REPORTED = [*order_states.AT_VENUE, *order_states.FINAL]


@pytest.mark.parametrize(
    ("before", "reported"), list(itertools.product(order_states.FINAL, REPORTED))
)
def test_final_state_stays(before, reported):
    assert after_update(before, reported, 1, is_filled=False) == before


@pytest.mark.parametrize("reported", REPORTED)
def test_unknown_becomes_the_reported_state(reported):
    assert after_update(order_states.UNKNOWN, reported, 0, is_filled=False) == reported


@pytest.mark.parametrize(
    ("before", "reported"),
    [
        (order_states.OPEN, order_states.ACKNOWLEDGED),
        (order_states.PARTLY_FILLED, order_states.OPEN),
        (order_states.PARTLY_FILLED, order_states.ACKNOWLEDGED),
        (order_states.OPEN, order_states.UNKNOWN),
        (order_states.ACKNOWLEDGED, order_states.SENT),
        (order_states.SENT, order_states.INTENDED),
    ],
)
def test_update_never_moves_an_order_backwards(before, reported):
    assert after_update(before, reported, 0, is_filled=False) == before


@given(st.lists(st.sampled_from([*order_states.AT_VENUE, order_states.CANCELLED])), st.randoms())
def test_order_and_number_of_updates_do_not_matter(news, chance):
    def end(reported):
        state = order_states.SENT
        for one in reported:
            state = after_update(state, one, 0, is_filled=False)
        return state

    shuffled = [*news, *news]
    chance.shuffle(shuffled)
    assert end(shuffled) == end(news)


def test_partly_filled_order_is_not_rejected():
    found = after_update(order_states.PARTLY_FILLED, order_states.REJECTED, 0, is_filled=True)
    assert found == order_states.CANCELLED


@pytest.mark.parametrize("reported", REPORTED)
def test_order_that_never_arrived_may_be_reported(reported):
    found = after_update(
        order_states.REJECTED, reported, order_states.NEVER_ARRIVED, is_filled=False
    )
    assert found == reported


def test_only_sent_or_rejected_orders_become_unknown():
    leads = {before for before in ALL if may_follow(before, order_states.UNKNOWN)}
    assert leads == {order_states.SENT, order_states.REJECTED}


def test_only_the_venue_makes_an_order_filled():
    assert not any(may_follow(before, order_states.FILLED) for before in ALL)
