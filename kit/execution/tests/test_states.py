"""Updates in any order lead to the same final state, and never back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.execution.orders import states
from kit.execution.orders.states import after_update, may_follow

ALL = [
    states.INTENDED,
    states.SENT,
    states.ACKNOWLEDGED,
    states.OPEN,
    states.PARTLY_FILLED,
    states.UNKNOWN,
    *states.FINAL,
]
REPORTED = [*states.AT_VENUE, *states.FINAL]


@pytest.mark.parametrize(("before", "reported"), list(itertools.product(states.FINAL, REPORTED)))
def test_final_state_stays(before, reported):
    assert after_update(before, reported, 1, is_filled=False) == before


@pytest.mark.parametrize("reported", REPORTED)
def test_unknown_becomes_the_reported_state(reported):
    assert after_update(states.UNKNOWN, reported, 0, is_filled=False) == reported


@pytest.mark.parametrize(
    ("before", "reported"),
    [
        (states.OPEN, states.ACKNOWLEDGED),
        (states.PARTLY_FILLED, states.OPEN),
        (states.PARTLY_FILLED, states.ACKNOWLEDGED),
        (states.OPEN, states.UNKNOWN),
        (states.ACKNOWLEDGED, states.SENT),
        (states.SENT, states.INTENDED),
    ],
)
def test_update_never_moves_an_order_backwards(before, reported):
    assert after_update(before, reported, 0, is_filled=False) == before


@given(st.lists(st.sampled_from([*states.AT_VENUE, states.CANCELLED])), st.randoms())
def test_order_and_number_of_updates_do_not_matter(news, chance):
    def end(reported):
        state = states.SENT
        for one in reported:
            state = after_update(state, one, 0, is_filled=False)
        return state

    shuffled = [*news, *news]
    chance.shuffle(shuffled)
    assert end(shuffled) == end(news)


def test_partly_filled_order_is_not_rejected():
    found = after_update(states.PARTLY_FILLED, states.REJECTED, 0, is_filled=True)
    assert found == states.CANCELLED


@pytest.mark.parametrize("reported", REPORTED)
def test_order_that_never_arrived_may_be_reported(reported):
    found = after_update(states.REJECTED, reported, states.NEVER_ARRIVED, is_filled=False)
    assert found == reported


def test_only_sent_or_rejected_orders_become_unknown():
    leads = {before for before in ALL if may_follow(before, states.UNKNOWN)}
    assert leads == {states.SENT, states.REJECTED}


def test_only_the_venue_makes_an_order_filled():
    assert not any(may_follow(before, states.FILLED) for before in ALL)
