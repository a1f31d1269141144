"""Outcomes of decisions by recorded bars."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.bars.v1 import bars_pb2

from core.advisor.decider import decide
from core.advisor.tests.examples import CLOSE, NOW_NS, SELL, case, facts, signal
from core.advisor.triple_barrier import Barrier, Barriers, barrier_outcome

SECOND_NS = 1_000_000_000
LIMIT_NS = 10 * SECOND_NS
LONG = Barriers(True, Decimal(100), Decimal(95), Decimal(110), 0, LIMIT_NS)
SHORT = Barriers(False, Decimal(100), Decimal(105), Decimal(90), 0, LIMIT_NS)


def bars(*prices, start_ns=0):
    """Bars of a second with open, high, low and close."""
    return [
        bars_pb2.Bar(
            open_time_ns=start_ns + number * SECOND_NS,
            close_time_ns=start_ns + (number + 1) * SECOND_NS,
            **dict(zip(("open", "high", "low", "close"), map(str, row), strict=True)),
        )
        for number, row in enumerate(prices)
    ]


QUIET = (100, 101, 99, 100)


def outcome(barriers, found, gaps=(), known_until_ns=LIMIT_NS):
    return barrier_outcome(barriers, found, gaps, known_until_ns)


@pytest.mark.parametrize(
    ("barriers", "row", "barrier", "is_won"),
    [
        (LONG, (100, 110, 99, 109), Barrier.TARGET, True),
        (LONG, (100, 109.99, 95.01, 100), None, None),
        (LONG, (100, 101, 95, 96), Barrier.STOP, False),
        (SHORT, (100, 101, 90, 91), Barrier.TARGET, True),
        (SHORT, (100, 104.99, 90.01, 100), None, None),
        (SHORT, (100, 105, 99, 104), Barrier.STOP, False),
    ],
)
def test_the_barrier_that_is_reached_first_is_the_outcome(barriers, row, barrier, is_won):
    found = outcome(barriers, bars(QUIET, row, (100, 120, 80, 100)), known_until_ns=2 * SECOND_NS)
    if barrier is None:
        assert found is None
        return
    price = barriers.target if is_won else barriers.stop
    assert found == (barrier, 2 * SECOND_NS, price, is_won, "")


@pytest.mark.parametrize(
    ("first", "barrier", "is_sure"),
    [(100, Barrier.STOP, False), (94, Barrier.STOP, True), (111, Barrier.TARGET, True)],
)
def test_both_barriers_in_one_bar_count_as_the_stop_unless_the_bar_opened_beyond_one(
    first, barrier, is_sure
):
    found = outcome(LONG, bars((first, 112, 93, 100)))
    assert found.barrier == barrier
    assert found.is_won == (barrier == Barrier.TARGET)
    assert (found.reason == "") == is_sure


@pytest.mark.parametrize(
    ("barriers", "close", "is_won"),
    [(LONG, 100.01, True), (LONG, 100, False), (SHORT, 99.99, True), (SHORT, 100, False)],
)
def test_at_the_time_limit_the_last_close_is_compared_with_the_entry(barriers, close, is_won):
    rows = [QUIET] * 9 + [(100, 101, 99, close), (100, 120, 80, 100)]
    found = outcome(barriers, bars(*rows), known_until_ns=20 * SECOND_NS)
    assert found == (Barrier.TIME_LIMIT, LIMIT_NS, Decimal(str(close)), is_won, "")


def test_before_the_time_limit_the_outcome_is_open():
    assert outcome(LONG, bars(QUIET), known_until_ns=LIMIT_NS - 1) is None


def test_a_barrier_in_the_bar_of_the_decision_is_unknown():
    later = Barriers(True, Decimal(100), Decimal(95), Decimal(110), SECOND_NS // 2, LIMIT_NS)
    found = outcome(later, bars((100, 112, 99, 100), QUIET))
    assert found.barrier == Barrier.UNKNOWN
    assert found.is_won is None
    assert "the bar in which the decision was made" in found.reason
    assert outcome(later, bars(QUIET, (100, 112, 99, 100))).barrier == Barrier.TARGET
    # A bar that ended with the decision is from before it.
    at_end = Barriers(True, Decimal(100), Decimal(95), Decimal(110), SECOND_NS, LIMIT_NS)
    assert outcome(at_end, bars((100, 112, 99, 100), (100, 101, 95, 96))).barrier == Barrier.STOP


@pytest.mark.parametrize(
    ("gap", "is_known"),
    [
        (range(-SECOND_NS, 0), True),
        (range(-SECOND_NS, 1), False),
        (range(SECOND_NS, SECOND_NS + 1), False),
        (range(2 * SECOND_NS, 3 * SECOND_NS), True),
    ],
)
def test_a_gap_between_decision_and_outcome_makes_it_unknown(gap, is_known):
    found = outcome(LONG, bars(QUIET, (100, 110, 99, 109)), [gap])
    assert (found.barrier == Barrier.TARGET) == is_known
    if not is_known:
        reason = f"nothing is recorded from {gap.start} to {gap.stop}"
        assert found == (Barrier.UNKNOWN, 2 * SECOND_NS, None, None, reason)


def test_without_a_trade_or_with_a_broken_bar_the_outcome_is_unknown():
    assert outcome(LONG, []).reason == "no trade is recorded until the time limit"
    assert outcome(LONG, bars(("", "NaN", "", ""))).reason == "a bar has no prices"


def test_a_barrier_without_a_price_is_never_reached():
    bare = Barriers(True, Decimal(100), None, None, 0, LIMIT_NS)
    assert outcome(bare, bars((100, 200, 1, 100.5))).barrier == Barrier.TIME_LIMIT


@pytest.mark.parametrize("is_long", [True, False])
def test_the_barriers_of_a_decision_are_those_of_its_intent(is_long):
    raised = signal() if is_long else signal(side=SELL, bar_fields={"buy_volume": "3"})
    decision = decide(case(raised))
    found = Barriers.of(decision.intent, NOW_NS, NOW_NS + LIMIT_NS)
    prices = ("60010", "59710", "60610") if is_long else ("60000", "60300", "59400")
    assert found == Barriers(is_long, *map(Decimal, prices), NOW_NS, NOW_NS + LIMIT_NS)


@pytest.mark.parametrize(
    "decision", [decide(case(signal(CLOSE))), decide(case(known=facts(quote__bid_price=None)))]
)
def test_a_reduction_and_a_blocked_signal_have_no_barriers(decision):
    assert Barriers.of(decision.intent, NOW_NS, NOW_NS + LIMIT_NS) is None


a_row = st.tuples(*[st.integers(85, 115)] * 4).map(
    lambda four: (four[0], max(four), min(four), four[3])
)


@given(st.lists(a_row, max_size=14), st.sampled_from([LONG, SHORT]), st.integers(0, 14))
def test_later_bars_change_no_outcome(rows, barriers, known):
    """An outcome that is known stays, with more bars, more gaps and other prices afterwards."""
    found = bars(*rows)
    first = outcome(barriers, found, known_until_ns=known * SECOND_NS)
    if first is None:
        assert known < 10
        return
    assert outcome(barriers, found[:known], known_until_ns=known * SECOND_NS) == first
    later = found[:known] + bars(*[(100, 200, 1, 100)] * 5, start_ns=known * SECOND_NS)
    gap = range(max(known, 10) * SECOND_NS, 20 * SECOND_NS)
    assert outcome(barriers, later[: max(known, 10)], [gap], max(known, 10) * SECOND_NS) == (
        first if known >= 10 or first.barrier != Barrier.TIME_LIMIT else None
    )
