"""Parsed integers have the exact value of the text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base import number_columns, numbers

plain = st.from_regex(r"\A-?[0-9]{1,9}(\.[0-9]{1,9})?\Z")
unusual = st.sampled_from(["1e-7", "5E3", "+1.5", ".5", "1.", "0e0", "-0.0"])


def values(texts: list[str]) -> list[Decimal]:
    unscaled, decimals = number_columns.parse_column(texts)
    places = [decimals] * len(texts) if isinstance(decimals, int) else decimals.tolist()
    pairs = zip(unscaled.tolist(), places, strict=True)
    return [numbers.to_decimal(number, scale) for number, scale in pairs]


@given(st.lists(plain | unusual, max_size=80))
def test_a_column_is_exact(texts: list[str]) -> None:
    assert values(texts) == [Decimal(text) for text in texts]


@given(st.lists(plain, min_size=1, max_size=80))
def test_one_scale_for_all_is_exact(texts: list[str]) -> None:
    unscaled, decimals = number_columns.parse_column(texts)
    scaled = number_columns.rescale(unscaled, decimals, 9)
    assert [numbers.to_decimal(number, 9) for number in scaled.tolist()] == values(texts)


@pytest.mark.parametrize("length", [1, 100])
@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "", "-", ".", "1.2.3", "1,2", "1_000", " 12", "abc", " ", "0x10", "1e99"],
)
def test_what_is_not_a_number_is_rejected(text: str, length: int) -> None:
    with pytest.raises(numbers.NumberError):
        number_columns.parse_column(["1.5"] * (length - 1) + [text])


@pytest.mark.parametrize("length", [1, 100])
def test_more_digits_than_fit_are_rejected(length: int) -> None:
    with pytest.raises(numbers.NumberError):
        number_columns.parse_column(["1"] * (length - 1) + ["1234567890.1234567890"])


@pytest.mark.parametrize("length", [1, 100])
def test_leading_zeros_do_not_count_as_digits(length: int) -> None:
    texts = ["1"] * (length - 1) + ["0000000000000000000.5"]
    assert values(texts)[-1] == Decimal("0.5")


def test_rescale_refuses_what_would_overflow() -> None:
    unscaled, decimals = number_columns.parse_column(["123456789012345678"])
    with pytest.raises(numbers.NumberError):
        number_columns.rescale(unscaled, decimals, 2)


@given(st.integers(-(10**18), 10**18), st.integers(0, 18))
def test_text_has_the_same_value(unscaled: int, scale: int) -> None:
    text = numbers.format_scaled(unscaled, scale)
    assert Decimal(text) == numbers.to_decimal(unscaled, scale)
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))
