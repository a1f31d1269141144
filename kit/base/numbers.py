"""Exact numbers: decimal text to scaled integers and back, without passing through a float.

A column of texts becomes an integer column and the decimal places of each text::

    parse_column(["61837.63", "1e-3"])   ->  unscaled [6183763, 1], decimals [2, 3]
    parse_column(["61837.63", "61838.00"])  ->  unscaled [6183763, 6183800], decimals 2

The value is unscaled / 10^decimals. ``decimals`` is one number when all texts have the same number
of places, as most venues send them. ``rescale`` converts a column to another scale.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

DIGITS_MAX = 18
"""Most digits that certainly fit a 64-bit integer."""

SMALL_COLUMN = 24
"""Up to this length plain Python is faster than the fixed cost of NumPy."""

IntColumn = NDArray[np.int64]
Places = int | IntColumn
"""Decimal places: one number for all rows, or one per row."""

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_COMMA, _DOT = ord(","), ord(".")
_PLAIN_BYTES = b"0123456789.,-"
_EMPTY: IntColumn = np.zeros(0, dtype=np.int64)
_POWERS = 10 ** np.arange(DIGITS_MAX + 1, dtype=np.int64)


class NumberError(ValueError):
    """A text is not a number, or has more digits than DIGITS_MAX."""


def parse_number(text: str) -> tuple[int, int]:
    """Parse one text to (unscaled, decimals). Raises NumberError."""
    if _PLAIN.fullmatch(text):
        whole, _, fraction = text.partition(".")
        digits, decimals = whole + fraction, len(fraction)
    else:
        digits, decimals = _parse_unusual(text)
    if len(digits) > DIGITS_MAX and len(digits.lstrip("-0")) > DIGITS_MAX:
        raise NumberError(f"more than {DIGITS_MAX} digits: {text[:60]!r}")
    return int(digits), decimals


def parse_column(texts: Sequence[str]) -> tuple[IntColumn, Places]:
    """Parse texts to (unscaled, decimals). Raises NumberError if any is not a number."""
    if len(texts) <= SMALL_COLUMN:
        return _parse_each(texts)
    return parse_joined(",".join(texts).encode(), len(texts))


def parse_joined(joined: bytes, count: int) -> tuple[IntColumn, Places]:
    """Like parse_column, for ``count`` texts joined by commas."""
    if count == 0:
        return _EMPTY, 0
    if joined.translate(None, _PLAIN_BYTES) or joined.count(b"-"):
        return _parse_each(_texts(joined))
    raw = np.frombuffer(joined, dtype=np.uint8)
    ends = np.append(np.flatnonzero(raw == _COMMA), len(raw))
    if len(ends) != count:
        raise NumberError("a number has a comma in it")
    widths = np.diff(ends, prepend=-1) - 1
    if widths.max() > DIGITS_MAX + 1 or widths.min() < 1 or b",.," in b"," + joined + b",":
        return _parse_each(_texts(joined))
    decimals = _decimals(ends, np.flatnonzero(raw == _DOT), widths)
    unscaled = np.fromstring(joined.translate(None, b"."), dtype=np.int64, sep=",")
    if len(unscaled) != count:
        raise NumberError("a text has no digits")
    return unscaled, decimals


def _decimals(ends: IntColumn, dots: IntColumn, widths: IntColumn) -> Places:
    """Digits after the point of each text; text i ends before ``ends[i]``. Raises NumberError."""
    if len(dots) == 0:
        return 0
    if len(dots) == len(ends):
        after = ends - dots - 1
        if (after < widths).all() and (after >= 0).all():
            first = int(after[0])
            return first if (after == first).all() else after
    owner = np.searchsorted(ends, dots)
    if (np.diff(owner) == 0).any():
        raise NumberError("a number has two decimal points")
    decimals = np.zeros(len(ends), dtype=np.int64)
    decimals[owner] = ends[owner] - dots - 1
    return decimals


def most(decimals: Places) -> int:
    """The largest number of decimal places in a column."""
    return decimals if isinstance(decimals, int) else int(decimals.max(initial=0))


def rescale(unscaled: IntColumn, decimals: Places, scale: Places) -> IntColumn:
    """Convert a column to one scale (or one per row), which no row's decimals exceed.

    Raises NumberError when a value does not fit DIGITS_MAX digits at that scale.
    """
    if isinstance(decimals, int) and isinstance(scale, int) and decimals == scale:
        return unscaled
    missing = np.asarray(scale - decimals, dtype=np.int64)
    limit = _POWERS[DIGITS_MAX] // _POWERS[np.minimum(missing, DIGITS_MAX)]
    if missing.max(initial=0) > DIGITS_MAX or (np.abs(unscaled) > limit).any():
        raise NumberError(f"more than {DIGITS_MAX} digits at scale {scale}")
    result: IntColumn = unscaled * _POWERS[missing]
    return result


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


def _texts(joined: bytes) -> list[str]:
    return joined.decode("ascii", "replace").split(",")


def _parse_each(texts: Sequence[str]) -> tuple[IntColumn, Places]:
    if not texts:
        return _EMPTY, 0
    unscaled, decimals = zip(*map(parse_number, texts), strict=True)
    column = np.array(unscaled, dtype=np.int64)
    if len(set(decimals)) == 1:
        return column, decimals[0]
    return column, np.array(decimals, dtype=np.int64)
