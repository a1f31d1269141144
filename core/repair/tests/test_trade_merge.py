"""What is taken of what a venue tells, and what is not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.repair.holes import HoleSpan
from core.repair.trade_merge import (
    AHEAD_MAX_NS,
    ExactTrade,
    TradeConflict,
    VenueTrades,
    in_order,
    join_equals,
    join_numbers,
)

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_723_100_000 * SECOND_NS


def trade(number: int | str, size: str = "1", price: str = "100", at_s: float | None = None):
    seconds = at_s if at_s is not None else int("".join(filter(str.isdigit, str(number))))
    return ExactTrade(
        str(number), Decimal(price), Decimal(size), 1, BEGIN_NS + int(seconds * SECOND_NS)
    )


def trades(*numbers: int) -> list[ExactTrade]:
    return [trade(number) for number in numbers]


def span(first: int, last: int) -> HoleSpan:
    return HoleSpan(BEGIN_NS + first * SECOND_NS, BEGIN_NS + last * SECOND_NS, first, last)


def numbers(found) -> list[int]:
    return [one.number for one in found]


def join(reported, recorded, hole, after=None, consecutive=True):
    return join_numbers(
        VenueTrades(reported), recorded, hole, after or hole.first_id_after, consecutive=consecutive
    )


def test_what_is_reported_between_both_sides_was_missing():
    joined = join(trades(3, 4, 5, 6), trades(3, 6), span(3, 6))
    assert numbers(joined.missing) == [4, 5]
    assert (joined.before, joined.after, joined.lost) == (True, True, None)


def test_what_came_late_meanwhile_is_not_fetched_again():
    joined = join(trades(3, 4, 5, 6), trades(3, 5, 6), span(3, 6))
    assert numbers(joined.missing) == [4]


def test_the_wrong_side_of_a_seam_is_left_alone():
    joined = join(trades(1, 2, 3, 4, 5, 6, 7, 8), trades(3, 6), span(3, 6))
    assert numbers(joined.missing) == [4, 5]


def test_a_time_outside_of_the_hole_is_not_believed():
    reported = [*trades(3), trade(4, at_s=900), *trades(5, 6)]
    joined = join(reported, trades(3, 6), span(3, 6))
    assert numbers(joined.missing) == [5]
    assert joined.lost == (4, 4)
    assert "times outside" in " ".join(joined.notes)


def test_a_seam_that_is_another_trade_joins_nothing():
    reported = [trade(3, size="2"), *trades(4, 5, 6)]
    with pytest.raises(TradeConflict, match="trade 3 is recorded as"):
        join(reported, trades(3, 6), span(3, 6))
    with pytest.raises(TradeConflict, match="trade 6"):
        join([*trades(3, 4, 5), trade(6, at_s=6.5)], trades(3, 6), span(3, 6))


def test_times_may_be_rounded_to_the_millisecond():
    reported = [*trades(3, 4, 5), trade(6, at_s=6.0009)]
    assert join(reported, trades(3, 6), span(3, 6)).after


def test_ids_that_the_venue_does_not_have_stay_missing():
    joined = join(trades(3, 5, 8, 9), trades(3, 9), span(3, 9))
    assert numbers(joined.missing) == [5, 8]
    assert joined.lost == (4, 7)


def test_ids_that_were_skipped_are_no_loss_where_ids_skip():
    joined = join(trades(3, 5, 8, 9), trades(3, 9), span(3, 9), consecutive=False)
    assert numbers(joined.missing) == [5, 8]
    assert joined.lost is None


def test_an_answer_that_begins_too_late_does_not_join_before():
    joined = join(trades(5, 6), trades(3, 6), span(3, 6))
    assert numbers(joined.missing) == [5]
    assert (joined.before, joined.after, joined.lost) == (False, True, (4, 4))


def test_a_recorded_trade_that_sums_up_several_stands_for_them():
    # Recorded: 3, then the sum of 7, 8 and 9 under the id of the last.
    reported = [*trades(3, 4, 5, 6), *(trade(number, at_s=9) for number in (7, 8, 9))]
    recorded = [*trades(3), trade(9, size="3")]
    joined = join(reported, recorded, span(3, 9), consecutive=False)
    assert numbers(joined.missing) == [4, 5, 6]
    # What is reported does not make up what is recorded.
    with pytest.raises(TradeConflict, match="trade 9"):
        join(reported, [*trades(3), trade(9, size="2.5")], span(3, 9), consecutive=False)
    # The gap has said that 7 is the first that it knows.
    known = HoleSpan(BEGIN_NS, BEGIN_NS + 9 * SECOND_NS, 3, 7)
    joined = join(reported, recorded, known, after=9, consecutive=False)
    assert numbers(joined.missing) == [4, 5, 6]
    assert joined.after


def test_of_a_sum_before_the_hole_only_the_end_is_reported():
    recorded = [trade(3, size="5"), *trades(6)]
    joined = join(trades(3, 4, 5, 6), recorded, span(3, 6), consecutive=False)
    assert numbers(joined.missing) == [4, 5]
    with pytest.raises(TradeConflict):
        join(trades(3, 4, 5, 6), [trade(3, size="0.5"), *trades(6)], span(3, 6), consecutive=False)


@given(st.permutations([3, 4, 5, 5, 6, 6, 7, 8]), st.booleans())
def test_order_and_repetitions_are_corrected(reported, consecutive):
    answer = in_order(trades(*reported), numbered=True, now_ns=BEGIN_NS + 100 * SECOND_NS)
    assert numbers(answer.trades) == [3, 4, 5, 6, 7, 8]
    assert "2 were reported twice" in answer.notes
    joined = join_numbers(answer, trades(3, 8), span(3, 8), 8, consecutive=consecutive)
    assert numbers(joined.missing) == [4, 5, 6, 7]


def test_a_trade_that_is_reported_twice_and_differently_spoils_the_answer():
    with pytest.raises(TradeConflict, match="reported twice"):
        in_order([*trades(3, 4), trade(4, size="7")], numbered=True, now_ns=2 * BEGIN_NS)


def test_what_has_not_happened_yet_is_left_out():
    now_ns = BEGIN_NS + 5 * SECOND_NS - AHEAD_MAX_NS
    answer = in_order(trades(3, 4, 5, 6, 7), numbered=True, now_ns=now_ns)
    assert numbers(answer.trades) == [3, 4, 5]
    assert "2 reported with times in the future" in answer.notes[0]


def equals(reported, recorded, start: int, end: int):
    answer = in_order(reported, numbered=False, now_ns=2 * BEGIN_NS)
    return join_equals(answer, recorded, BEGIN_NS + start * SECOND_NS, BEGIN_NS + end * SECOND_NS)


def ids(found) -> list[str]:
    return [one.trade_id for one in found]


def test_without_numbers_equal_trades_on_both_sides_prove_what_lies_between():
    reported = [trade("1a"), trade("2b"), trade("3c"), trade("4d"), trade("5e")]
    joined = equals(reported, [trade("2b"), trade("4d")], 2, 4)
    assert ids(joined.missing) == ["3c"]
    assert (joined.before, joined.after) == (True, True)


def test_without_numbers_an_equal_id_with_another_size_proves_the_contrary():
    reported = [trade("2b", size="3"), trade("3c"), trade("4d")]
    with pytest.raises(TradeConflict, match="2b"):
        equals(reported, [trade("2b"), trade("4d")], 2, 4)


def test_without_numbers_an_answer_of_one_side_is_a_part():
    reported = [trade("3c"), trade("4d"), trade("5e")]
    joined = equals(reported, [trade("2b"), trade("4d")], 2, 4)
    assert ids(joined.missing) == ["3c"]
    assert (joined.before, joined.after) == (False, True)


def test_without_numbers_nothing_is_taken_that_joins_neither_side():
    joined = equals([trade("3c"), trade("7g")], [trade("2b"), trade("4d")], 2, 4)
    assert joined.missing == []
    assert (joined.before, joined.after) == (False, False)


def test_trades_of_one_moment_keep_their_order():
    reported = [trade("2a", at_s=2), trade("2b", at_s=2), trade("2c", at_s=2), trade("3d")]
    joined = equals(reported, [trade("2b", at_s=2), trade("3d")], 2, 3)
    assert ids(joined.missing) == ["2c"]
