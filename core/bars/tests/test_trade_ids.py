from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.bars.trade_ids import TradeIds

ID_LISTS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), max_size=12)


@given(ID_LISTS)
def test_each_id_is_new_once(lists) -> None:
    seen, known = TradeIds(), set()
    for ids in lists:
        expected = []
        for number in ids:
            expected.append(number not in known)
            known.add(number)
        fresh = seen.add(np.array(ids))
        assert (fresh or [True] * len(ids)) == expected
    covered = {number for first, last in seen.ranges() for number in range(first, last + 1)}
    assert covered == known
    assert all(after[0] > before[1] + 1 for before, after in pairwise(seen.ranges()))


@given(ID_LISTS, st.integers(1, 60), st.integers(1, 60))
def test_it_has_all_ids_of_a_run_or_not(lists, first, last) -> None:
    seen = TradeIds()
    for ids in lists:
        seen.add(np.array(ids))
    known = {number for ids in lists for number in ids}
    assert seen.has_all(first, last) == set(range(first, last + 1)).issubset(known)


def test_a_consecutive_run_is_one_range() -> None:
    seen = TradeIds()
    assert seen.add(np.array([5, 6, 7])) is None
    assert seen.add(np.array([8])) is None
    assert seen.ranges() == [(5, 8)]
    assert seen.add(np.array([8, 9])) == [False, True]


def test_trades_without_an_id_are_always_new() -> None:
    seen = TradeIds()
    assert seen.add(np.array([0])) is None
    assert seen.add(np.array([0, 0])) is None
    assert seen.ranges() == []


def test_lowest_range_beyond_the_bound_counts_as_seen() -> None:
    seen = TradeIds(ranges_max=2)
    seen.add(np.array([10, 20, 30]))
    assert seen.ranges() == [(20, 20), (30, 30)]
    assert seen.add(np.array([5, 10, 15, 21])) == [False, False, False, True]
    assert not seen.has_all(10, 10)
    assert TradeIds(seen.ranges(), seen.floor).add(np.array([19])) == [False]


def test_late_ids_are_counted() -> None:
    seen = TradeIds()
    seen.add(np.array([1, 2, 5]))
    assert seen.late_total == 0
    seen.add(np.array([4, 6]))
    seen.add(np.array([3, 7]))
    assert seen.late_total == 2


def test_cleared_ids_are_new_again() -> None:
    seen = TradeIds([(1, 9)], floor=1)
    seen.clear()
    assert seen.add(np.array([1])) is None
