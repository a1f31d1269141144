from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.bars import bar_arithmetic
from core.bars.bar_arithmetic import TradeArrays
from kit.base.intervals import INTERVALS

ROWS = st.lists(
    st.tuples(
        st.integers(0, 10_000_000_000_000),
        st.integers(0, 5),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**63 - 1),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=50,
)


def trades(rows) -> TradeArrays:
    return TradeArrays(*map(_exact, zip(*rows, strict=True)), np.zeros(len(rows)))


def _exact(column) -> np.ndarray:
    fits = max(map(abs, column)) < 2**63
    return np.array(column, dtype=np.int64 if fits else object)


def _lists(trades: TradeArrays) -> list[list]:
    return [column.tolist() for column in trades[:5]]


@given(ROWS)
def test_order_is_by_time_and_id_and_then_as_they_came(rows) -> None:
    ordered = bar_arithmetic.in_order(trades(rows))
    assert list(zip(*_lists(ordered), strict=True)) == sorted(rows, key=lambda row: row[:2])


@given(ROWS)
def test_partials_of_seconds_add_up_to_those_of_every_interval(rows) -> None:
    ordered = bar_arithmetic.in_order(trades(rows))
    partials = bar_arithmetic.by_second(ordered)
    for interval in INTERVALS[1:]:
        partials = bar_arithmetic.roll_up(partials, interval)
        groups: dict[int, list] = {}
        for row in zip(*_lists(ordered), strict=True):
            groups.setdefault(interval.open_ns(row[0]), []).append(row)
        assert [opened for opened, _ in partials] == sorted(groups)
        for opened, partial in partials:
            group = groups[opened]
            assert partial.first == group[0][:2]
            assert partial.last == group[-1][:2]
            assert (partial.open, partial.close) == (group[0][2], group[-1][2])
            assert partial.high == max(row[2] for row in group)
            assert partial.low == min(row[2] for row in group)
            assert partial.volume == sum(row[3] for row in group)
            assert partial.buy_volume == sum(row[3] for row in group if row[4] == 1)
            assert partial.quote_volume == sum(row[2] * row[3] for row in group)
            assert partial.trade_count == len(group)


@given(ROWS, st.integers(0, 3), st.integers(0, 3))
def test_a_smaller_unit_changes_no_amount(rows, price_places, size_places) -> None:
    price, size = 10**price_places, 10**size_places
    finer = [(t, i, p * price, s * size, b) for t, i, p, s, b in rows]
    rescaled = [
        (opened, bar_arithmetic.rescale(partial, price, size))
        for opened, partial in bar_arithmetic.by_second(bar_arithmetic.in_order(trades(rows)))
    ]
    assert rescaled == bar_arithmetic.by_second(bar_arithmetic.in_order(trades(finer)))


def test_every_interval_opens_where_a_lower_one_opens() -> None:
    for lower, higher in pairwise(INTERVALS):
        assert higher.length_ns % lower.length_ns == 0
        assert (higher.first_open_ns - lower.first_open_ns) % lower.length_ns == 0
