"""Times as models read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp import times

NOW_NS = 1_700_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_a_written_time_is_read_as_itself(nanoseconds):
    assert times.from_text(times.to_iso(nanoseconds), NOW_NS) == nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-14T22:13:20Z", NOW_NS),
        ("2023-11-14 22:13:20", NOW_NS),
        ("2023-11-14T22:13:20.000000001+00:00", NOW_NS + 1),
        ("2023-11-14T22:13Z", NOW_NS - 20_000_000_000),
        ("2023-11-14", 1_699_920_000_000_000_000),
        ("-2h", NOW_NS - 2 * HOUR_NS),
        ("-1d", NOW_NS - 24 * HOUR_NS),
        ("1700000000000000000", NOW_NS),
    ],
)
def test_a_time_can_be_written_in_several_ways(text, expected):
    assert times.from_text(text, NOW_NS) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2h", "-2w", "2023-13-01", "2023-11-14T25:00Z", "17", "10:32"]
)
def test_another_text_is_no_time(text):
    with pytest.raises(ValueError, match=r".*"):
        times.from_text(text, NOW_NS)


def test_points_in_time_are_told_from_durations():
    names = ("time_ns", "open_time_ns", "day_start_ns", "covered_ns")
    shown = [times.readable_name(name) for name in names]
    assert shown == ["time", "open_time", "day_start_time", "covered_ns"]
