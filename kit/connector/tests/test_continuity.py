"""Every trade once, every hole reported, no overtaken quote."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from kit.connector.trades.continuity_checker import (
    quote_continuity,
    trade_continuity,
    without_spent,
)
from kit.marketdata.model.columns import NumberColumn, QuoteRows, SymbolColumn, TradeRows


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def trades(ids: list[int], symbols: list[str] | None = None) -> TradeRows:
    ones = NumberColumn.parse(["1"] * len(ids))
    times = column([number * 10 for number in ids])
    names = symbols or ["BTCUSDT"] * len(ids)
    side, numbers = column([1] * len(ids)), column(ids)
    return TradeRows(SymbolColumn.of(names), ones, ones, side, times, times, numbers, numbers - 1)


def quotes(sequences: list[int]) -> QuoteRows:
    ones = NumberColumn.parse(["1"] * len(sequences))
    times = column(sequences)
    names = ["BTCUSDT"] * len(sequences)
    return QuoteRows(SymbolColumn.of(names), ones, ones, ones, ones, times * 0, times, times)


def feed(check, row_sets) -> tuple[list[int], list[types_pb2.Gap]]:
    kept, gaps = [], []
    for rows in row_sets:
        for segment in check.check(rows):
            gaps += segment.gaps
            numbers = (
                segment.rows.trade_id if isinstance(rows, TradeRows) else segment.rows.sequence
            )
            kept += numbers.tolist()
    return kept, gaps


def test_consecutive_trades_pass_whole() -> None:
    check = trade_continuity()
    rows = trades([5, 6, 7])
    (segment,) = check.check(rows)
    assert segment.rows is rows
    assert segment.gaps == []


def test_a_spent_id_is_no_hole_and_no_trade() -> None:
    check = trade_continuity()
    (first,) = check.check(dataclasses.replace(trades([5, 6, 7]), spent=column([0, 1, 0])))
    assert first.gaps == []
    assert without_spent(first).rows.trade_id.tolist() == [5, 7]
    (alone,) = check.check(dataclasses.replace(trades([8]), spent=column([1])))
    assert len(without_spent(alone).rows) == 0
    (whole,) = check.check(trades([9]))
    assert whole.gaps == []
    assert without_spent(whole) is whole


@given(st.permutations(range(100, 140)), st.lists(st.integers(1, 8), min_size=40, max_size=40))
def test_whatever_the_order_every_trade_is_kept_once(order: list[int], sizes: list[int]) -> None:
    sent = [100, *order, *order[:5]]
    row_sets, rest = [], sent
    for size in sizes:
        row_sets.append(rest[:size])
        rest = rest[size:]
    kept, _ = feed(trade_continuity(), [trades(ids) for ids in row_sets if ids])
    assert sorted(kept) == sorted({number for ids in row_sets for number in ids})


@given(st.sets(st.integers(2, 60), max_size=20))
def test_every_missing_trade_is_in_a_gap(missing: set[int]) -> None:
    ids = [number for number in range(1, 62) if number not in missing]
    kept, gaps = feed(trade_continuity(), [trades(ids)])
    reported = {
        number for gap in gaps for number in range(gap.last_id_before + 1, gap.first_id_after)
    }
    assert kept == ids
    assert reported == missing


def test_a_gap_stands_before_the_trade_that_follows_it() -> None:
    check = trade_continuity()
    rows = trades([1, 2, 5, 6])
    first, second = check.check(rows)
    assert first.rows.trade_id.tolist() == [1, 2]
    assert second.rows.trade_id.tolist() == [5, 6]
    assert [(gap.last_id_before, gap.first_id_after) for gap in second.gaps] == [(2, 5)]
    assert [(gap.last_time_ns, gap.first_time_ns) for gap in second.gaps] == [(20, 50)]


def test_a_late_trade_is_reported_as_out_of_order() -> None:
    kept, gaps = feed(trade_continuity(), [trades([1, 3, 2, 4])])
    assert kept == [1, 3, 2, 4]
    assert [gap.reason for gap in gaps] == [
        types_pb2.GAP_REASON_SEQUENCE,
        types_pb2.GAP_REASON_OUT_OF_ORDER,
    ]


def test_instruments_are_counted_apart() -> None:
    rows = trades([1, 50, 2, 51], ["A", "B", "A", "B"])
    check = trade_continuity()
    assert feed(check, [rows]) == ([1, 50, 2, 51], [])
    _, gaps = feed(check, [trades([3, 53], ["A", "B"])])
    assert [gap.symbol for gap in gaps] == ["B"]


def test_a_reconnect_that_missed_nothing_is_no_gap() -> None:
    check = trade_continuity()
    feed(check, [trades([1, 2])])
    check.reconnected(["BTCUSDT"])
    assert feed(check, [trades([2, 3])]) == ([3], [])
    check.reconnected(["BTCUSDT"])
    _, gaps = feed(check, [trades([9])])
    assert [gap.reason for gap in gaps] == [types_pb2.GAP_REASON_RECONNECT]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_quotes_that_pass_only_grow(sequences: list[int]) -> None:
    check = quote_continuity()
    kept, gaps = feed(check, [quotes(sequences)])
    assert kept == sorted(set(kept))
    assert kept[-1] == max(sequences)
    assert len(kept) + check.dropped_total == len(sequences)
    assert {gap.reason for gap in gaps} <= {types_pb2.GAP_REASON_OUT_OF_ORDER}


def test_a_new_connection_that_is_behind_repeats_quotes_without_a_gap() -> None:
    check = quote_continuity()
    assert feed(check, [quotes([7, 9])]) == ([7, 9], [])
    check.connection_replaced()
    assert feed(check, [quotes([8, 9, 10])]) == ([10], [])
    kept, gaps = feed(check, [quotes([9])])
    assert kept == []
    assert [gap.reason for gap in gaps] == [types_pb2.GAP_REASON_OUT_OF_ORDER]


def test_an_older_quote_of_the_same_connection_is_a_gap() -> None:
    check = quote_continuity()
    kept, gaps = feed(check, [quotes([9]), quotes([8])])
    assert kept == [9]
    assert [gap.reason for gap in gaps] == [types_pb2.GAP_REASON_OUT_OF_ORDER]
