"""What of a size can be traded."""

from decimal import Decimal

import pytest

from kit.accounting.instruments import tradable_size


@pytest.mark.parametrize(
    ("size", "size_step", "size_min", "expected"),
    [
        ("0.12345", "0.001", "0.01", "0.123"),
        ("0.01", "0.001", "0.01", "0.01"),
        ("0.0109", "0.001", "0.011", "0"),
        ("0.0009", "0.001", "", "0"),
        ("0.0009", "", "0.001", "0"),
        ("0.0009", "", "", "0.0009"),
        ("5", "10", "", "0"),
        ("0", "0.001", "0.01", "0"),
    ],
)
def test_whole_steps_of_a_size_that_reaches_the_minimum_are_tradable(
    size, size_step, size_min, expected
):
    assert tradable_size(Decimal(size), size_step, size_min) == Decimal(expected)
