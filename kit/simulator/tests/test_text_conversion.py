"""Numbers and times as clients write them, and what is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.simulator.text_conversion import DIGITS_MAX, amount, instant_ns, plain, short, whole


@given(st.integers(0, 10**DIGITS_MAX - 1))
def test_a_whole_number_is_read(number):
    assert whole(str(number)) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", " 1", "1_0", "²", "٣", "1" * 19])
def test_an_invalid_whole_number_is_none(text):
    assert whole(text) is None


def test_a_number_has_a_maximum_of_digits():
    assert whole("1" * 20, 20) == int("1" * 20)
    assert whole("1000", 3) is None


@given(st.decimals(0, 10**12, allow_nan=False, places=8))
def test_an_amount_is_read_exactly(number):
    assert amount(f"{number:f}") == number


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.", ".1", "NaN", "٣", "0" * 21, "1\n"])
def test_an_invalid_amount_is_none(text):
    assert amount(text) is None


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T01:00:01.000001+01:00", 1_000_001_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456_789),
        ("1970-01-01T00:00:01", None),
        ("1970-01-01", None),
        ("1970-13-01T00:00:01Z", None),
        ("20", None),
        ("", None),
    ],
)
def test_an_instant_has_a_zone_and_is_exact(text, expected_ns):
    assert instant_ns(text) == expected_ns


@pytest.mark.parametrize(
    ("number", "expected"),
    [("1.500", "1.5"), ("1E-8", "0.00000001"), ("1E+3", "1000"), ("100", "100"), ("0.00", "0")],
)
def test_a_number_is_written_plainly(number, expected):
    assert plain(Decimal(number)) == expected
    assert short(plain(Decimal(number))) == expected
