"""Candle intervals open and close where calendars say."""

import pytest

from kit.simulator.exchange.candles import DAY_S, MONTH, WEEK, CandleInterval
from kit.simulator.exchange.paging import page_after, page_by_id

SECOND = 10**9
SUNDAY_2026_02_01 = 1_769_904_000 * SECOND


@pytest.mark.parametrize(
    ("interval", "start_s", "end_s"),
    [
        (CandleInterval(60), 1_769_904_000, 1_769_904_060),
        (WEEK, 1_769_904_000 - 6 * DAY_S, 1_769_904_000 + DAY_S),
        (MONTH, 1_769_904_000, 1_769_904_000 + 28 * DAY_S),
    ],
)
def test_an_interval_opens_and_closes(interval: CandleInterval, start_s: int, end_s: int):
    start_ns = interval.start_ns(SUNDAY_2026_02_01 + 59 * SECOND)
    assert (start_ns, interval.end_ns(start_ns)) == (start_s * SECOND, end_s * SECOND)


def test_a_page_follows_its_cursor():
    rows = ["a", "b", "c", "d"]
    assert list(page_after(rows, str, "", 3)) == ["a", "b", "c"]
    assert list(page_after(rows, str, "b", 3)) == ["c", "d"]
    assert list(page_after(rows, str, "x", 3)) == []
    assert page_by_id([9, 7, 5, 3], int, 2, below=9, above=3) == [7, 5]
