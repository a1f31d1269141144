"""Columns of exact numbers.

A column of texts becomes an integer column and the decimal places of each text::

    parse_column(["61837.63", "1e-3"])   ->  unscaled [6183763, 1], decimals [2, 3]
    parse_column(["61837.63", "61838.00"])  ->  unscaled [6183763, 6183800], decimals 2

``decimals`` is one number when all texts have the same number of places, as most venues send them.
``rescale`` converts a column to another scale.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kit.base.numbers import DIGITS_MAX, NumberError, parse_number

SMALL_COLUMN = 24
"""Up to this length plain Python is faster than the fixed cost of NumPy."""

IntColumn = NDArray[np.int64]
Places = int | IntColumn
"""Decimal places: one number for all rows, or one per row."""

_COMMA, _DOT = ord(","), ord(".")
_PLAIN_BYTES = b"0123456789.,-"
_EMPTY: IntColumn = np.zeros(0, dtype=np.int64)
_POWERS = 10 ** np.arange(DIGITS_MAX + 1, dtype=np.int64)


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
