"""Rows for PostgreSQL's binary COPY, built column by column.

A row holds the number of its fields and, for each field, the length and the bytes of its value. All
rows here have fields of the same lengths, so that they form one NumPy array whose columns are each
written in one step. Only a text at the end of a row may differ in length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kit.base.number_columns import IntColumn, Places

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

Buffer = bytes | memoryview

_BASE = 10_000
_BASE_DIGITS = 4
_NEGATIVE = 0x4000
_LENGTH = Struct(">i")


class CopyField(Protocol):
    """One column of a table."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The wire format of a value."""

    def write(self, target: NDArray[Any]) -> None:
        """Set the values of all rows."""


@dataclass(frozen=True, slots=True)
class IntegerField:
    """A column of smallint, integer or bigint, or of booleans as 0 and 1."""

    values: NDArray[Any]
    bytes_each: int
    """2, 4 or 8; 1 for booleans. The values must fit."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The wire format: a big-endian integer."""
        return np.dtype(f">i{self.bytes_each}")

    def write(self, target: NDArray[Any]) -> None:
        target[...] = self.values


@dataclass(frozen=True, slots=True)
class NumericField:
    """A column of numeric: value = unscaled / 10^scale, exact for any 64-bit integer.

    The value is sent as digits to the base 10000, the same number in all rows: PostgreSQL strips
    leading and trailing zeros itself. One digit holds the decimal places after the last whole group
    of four, so that no value is multiplied beyond 64 bits.
    """

    unscaled: IntColumn
    scale: Places

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(
            [
                ("digit_count", ">i2"),
                ("weight", ">i2"),
                ("sign", ">i2"),
                ("scale", ">i2"),
                ("digits", ">i2", (self._digit_count(),)),
            ]
        )

    def write(self, target: NDArray[Any]) -> None:
        digits = target["digits"]
        digit_count = digits.shape[1]
        target["digit_count"] = digit_count
        target["weight"] = digit_count - 2 - self.scale // _BASE_DIGITS
        target["sign"] = np.where(self.unscaled < 0, _NEGATIVE, 0)
        target["scale"] = self.scale
        odd = _odd_power(self.scale)
        rest = _magnitude(self.unscaled)
        whole = rest // odd
        digits[:, -1] = (rest - whole * odd) * (_BASE // odd)
        for place in range(digit_count - 2, 0, -1):
            rest, whole = whole, whole // _BASE
            digits[:, place] = rest - whole * _BASE
        digits[:, 0] = whole

    def _digit_count(self) -> int:
        """Digits that the largest value needs at the smallest scale: at least two."""
        odd = int(_odd_power(self.scale).min(initial=_BASE))
        largest = int(_magnitude(self.unscaled).max(initial=0)) // odd
        return 1 + -(-len(str(largest)) // _BASE_DIGITS)


@dataclass(frozen=True, slots=True)
class NullableField:
    """A column with null values."""

    field: CopyField
    is_null: NDArray[np.bool_]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.field.dtype

    def write(self, target: NDArray[Any]) -> None:
        """As in Field; the values in the place of nulls are removed later."""
        self.field.write(target)


def encode(
    row_count: int, fields: Sequence[CopyField], texts: Sequence[bytes] | None = None
) -> list[Buffer]:
    """The rows, header and trailer included; each row's text, if any, is its last field.

    Returned in several parts, as joining them would cost more than the encoding. Texts cannot be
    combined with nulls.
    """
    parts: list[tuple[str, str | np.dtype[Any]]] = [("field_count", ">i2")]
    for number, field in enumerate(fields):
        parts += [(f"length_{number}", ">i4"), (f"value_{number}", field.dtype)]
    rows = np.empty(row_count, dtype=np.dtype(parts))
    rows["field_count"] = len(fields) + (texts is not None)
    for number, field in enumerate(fields):
        target = rows[f"value_{number}"]
        rows[f"length_{number}"] = target.dtype.itemsize
        field.write(target)
    data: Buffer = rows.view(np.uint8).data
    if texts is not None:
        data = b"".join(_with_texts(rows.tobytes(), rows.dtype.itemsize, texts))
    elif any(isinstance(field, NullableField) for field in fields):
        data = _without_nulls(rows, fields)
    return [HEADER, data, TRAILER]


def _without_nulls(rows: NDArray[Any], fields: Sequence[CopyField]) -> Buffer:
    """Encode nulls, which have the length -1 and no bytes."""
    keep = np.ones((len(rows), rows.dtype.itemsize), dtype=bool)
    places = rows.dtype.fields
    assert places is not None
    for number, field in enumerate(fields):
        if isinstance(field, NullableField):
            rows[f"length_{number}"][field.is_null] = -1
            dtype, start = places[f"value_{number}"][:2]
            keep[field.is_null, start : start + dtype.itemsize] = False
    return rows.view(np.uint8).reshape(keep.shape)[keep].data


def _with_texts(rows: bytes, row_bytes: int, texts: Sequence[bytes]) -> Iterator[bytes]:
    start = 0
    for text in texts:
        yield rows[start : start + row_bytes]
        yield _LENGTH.pack(len(text))
        yield text
        start += row_bytes


def _magnitude(values: IntColumn) -> NDArray[np.uint64]:
    # The magnitude of the smallest 64-bit integer is one more than that of the largest; as an
    # unsigned number it is right.
    return np.abs(values).view(np.uint64)


def _odd_power(scale: Places) -> NDArray[np.uint64]:
    """10^(decimal places beyond the last whole group of four)."""
    places = np.asarray(scale, dtype=np.uint64) % np.uint64(_BASE_DIGITS)
    power: NDArray[np.uint64] = np.power(np.uint64(10), places)
    return power
