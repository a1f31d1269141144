"""Exact numbers: decimal text to scaled integers and back, without passing through a float.

The value is unscaled / 10^decimals. Whole columns are in number_columns, which needs NumPy.
"""

import re
from decimal import Decimal, InvalidOperation

DIGITS_MAX = 18
"""Most digits that certainly fit a 64-bit integer."""

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")


class NumberError(ValueError):
    """A text is not a number, or has too many digits."""


def parse_number(text: str, digits_max: int = DIGITS_MAX) -> tuple[int, int]:
    """Parse one text to (unscaled, decimals). Raises NumberError."""
    if _PLAIN.fullmatch(text):
        whole, _, fraction = text.partition(".")
        digits, decimals = whole + fraction, len(fraction)
    else:
        digits, decimals = _parse_unusual(text)
    if len(digits) > digits_max and len(digits.lstrip("-0")) > digits_max:
        raise NumberError(f"more than {digits_max} digits: {text[:60]!r}")
    return int(digits), decimals


def format_scaled(unscaled: int, scale: int) -> str:
    """Decimal text without exponent and without trailing zeros."""
    sign = "-" if unscaled < 0 else ""
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    fraction = fraction.rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def plain_text(number: str | int) -> str:
    """A decimal number as text without exponent and without trailing zeros. Raises NumberError."""
    return format_scaled(*parse_number(str(number)))


def plain_text_or_empty(number: str | int | None) -> str:
    """Like plain_text; "" for None and "", with which venues mark a missing number."""
    return "" if number is None or number == "" else plain_text(number)


def to_decimal(unscaled: int, scale: int) -> Decimal:
    return Decimal(unscaled).scaleb(-scale)


def _parse_unusual(text: str) -> tuple[str, int]:
    """Parse texts like "1e-7", "+5" or ".5", which are valid but rare."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise NumberError(f"not a number: {text[:60]!r}") from None
    sign, digits, exponent = value.as_tuple()
    strange = "_" in text or text != text.strip()
    if strange or not isinstance(exponent, int) or abs(exponent) > DIGITS_MAX:
        raise NumberError(f"not a number that fits: {text[:60]!r}")
    figures = "".join(map(str, digits)) + "0" * max(exponent, 0)
    return ("-" if sign else "") + figures, max(-exponent, 0)
