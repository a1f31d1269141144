"""Decodes rows of a COPY in Python: the reference, and the fallback without a C compiler.

The formats: https://www.postgresql.org/docs/current/sql-copy.html (Binary Format), and for the
messages around the rows .../protocol-message-formats.html (CopyData).
"""

import struct
from collections.abc import Iterator

import numpy as np

from kit.base.numbers import DIGITS_MAX
from kit.storage.archive.copy_layout import (
    MESSAGE_HEAD_BYTES,
    CopyColumn,
    CopyColumnType,
    CopyErrorKind,
    Layout,
    MalformedCopy,
    fault_text,
)
from kit.storage.archive.copy_rows import CopyRowColumn, CopyRows

SIGNATURE_AND_FLAGS_BYTES = 15
TRAILER = -1
NUMERIC_HEAD = struct.Struct(">HhHH")
NEGATIVE = 0x4000
BASE = 10_000
BASE_DIGITS = 4
INTEGERS = {1: ">B", 2: ">h", 4: ">i", 8: ">q"}


class _Faulty(Exception):
    """A value cannot be read."""

    def __init__(self, fault: CopyErrorKind) -> None:
        self.fault = fault


class ReferenceCopyDecoder:
    """Implements ``Decoder``."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._header_seen = False
        self._values: list[list[int]] = [[] for _ in layout]
        self._seconds: list[list[int]] = [[] for _ in layout]
        self._nulls: list[list[bool]] = [[] for _ in layout]
        self._pool = bytearray()
        self.row_count = 0

    def feed(self, data: bytes) -> int:
        at = 0
        while len(data) - at >= MESSAGE_HEAD_BYTES and data[at : at + 1] == b"d":
            (size,) = struct.unpack_from(">i", data, at + 1)
            if size < struct.calcsize(">i"):
                raise self._fault(CopyErrorKind.SHAPE, 0)
            if at + 1 + size > len(data):
                break
            self._message(data[at + MESSAGE_HEAD_BYTES : at + 1 + size])
            at += 1 + size
        return at

    def table(self) -> CopyRows:
        pool = bytes(self._pool)
        columns = {}
        for place, column in enumerate(self._layout):
            seconds = np.array(self._seconds[place], dtype=np.int64)
            columns[column.name] = CopyRowColumn(
                np.array(self._values[place], dtype=np.int64),
                None if column.kind is CopyColumnType.INTEGER else seconds,
                np.array(self._nulls[place], dtype=np.bool_) if column.null else None,
                pool if column.kind is CopyColumnType.BYTES else b"",
            )
        return CopyRows(columns)

    def _message(self, body: bytes) -> None:
        if not self._header_seen:
            body = self._after_header(body)
            self._header_seen = True
            if not body:
                return
        if len(body) < struct.calcsize(">h"):
            raise self._fault(CopyErrorKind.SHAPE, 0)
        (field_count,) = struct.unpack_from(">h", body)
        fields = body[struct.calcsize(">h") :]
        if field_count == TRAILER:
            if fields:
                raise self._fault(CopyErrorKind.SHAPE, 0)
            return
        if field_count != len(self._layout):
            raise self._fault(CopyErrorKind.SHAPE, 0)
        self._row(fields)

    def _after_header(self, body: bytes) -> bytes:
        if len(body) < SIGNATURE_AND_FLAGS_BYTES + struct.calcsize(">i"):
            raise self._fault(CopyErrorKind.SHAPE, 0)
        (extension,) = struct.unpack_from(">i", body, SIGNATURE_AND_FLAGS_BYTES)
        end = SIGNATURE_AND_FLAGS_BYTES + struct.calcsize(">i") + extension
        if extension < 0 or end > len(body):
            raise self._fault(CopyErrorKind.SHAPE, 0)
        return body[end:]

    def _row(self, fields: bytes) -> None:
        values = self._split(fields)
        found = []
        pool = bytearray()
        for place, column in enumerate(self._layout):
            try:
                value = next(values)
                found.append(_read(column, value, len(self._pool) + len(pool)))
            except _Faulty as error:
                raise self._fault(error.fault, place) from None
            if column.kind is CopyColumnType.BYTES:
                pool += value or b""
        if next(values, None) is not None:
            raise self._fault(CopyErrorKind.SHAPE, 0)
        for place, (number, second, null) in enumerate(found):
            self._values[place].append(number)
            self._seconds[place].append(second)
            self._nulls[place].append(null)
        self._pool += pool
        self.row_count += 1

    def _split(self, fields: bytes) -> Iterator[bytes | None]:
        """The values of a row; surplus bytes yield one surplus value."""
        at = 0
        for _ in self._layout:
            if len(fields) - at < struct.calcsize(">i"):
                raise _Faulty(CopyErrorKind.SHAPE)
            (length,) = struct.unpack_from(">i", fields, at)
            at += struct.calcsize(">i")
            if length > len(fields) - at:
                raise _Faulty(CopyErrorKind.SHAPE)
            yield fields[at : at + length] if length >= 0 else None
            at += max(length, 0)
        if at != len(fields):
            yield b""

    def _fault(self, fault: CopyErrorKind, place: int) -> MalformedCopy:
        return MalformedCopy(fault_text(fault, self._layout[place], self.row_count))


def _read(column: CopyColumn, value: bytes | None, pool_length: int) -> tuple[int, int, bool]:
    """The number, its second number, and whether the value is null."""
    if value is None:
        if not column.null:
            raise _Faulty(CopyErrorKind.NULL)
        return 0, 0, True
    match column.kind:
        case CopyColumnType.INTEGER:
            if len(value) not in INTEGERS:
                raise _Faulty(CopyErrorKind.SHAPE)
            return struct.unpack(INTEGERS[len(value)], value)[0], 0, False
        case CopyColumnType.NUMERIC:
            return *_numeric(value), False
        case _:
            return pool_length, len(value), False


def _numeric(value: bytes) -> tuple[int, int]:
    """The unscaled number, and as few decimal places as it needs."""
    if len(value) < NUMERIC_HEAD.size:
        raise _Faulty(CopyErrorKind.SHAPE)
    count, weight, sign, _ = NUMERIC_HEAD.unpack_from(value)
    if len(value) != NUMERIC_HEAD.size + 2 * count:
        raise _Faulty(CopyErrorKind.SHAPE)
    if sign not in (0, NEGATIVE):
        raise _Faulty(CopyErrorKind.NUMBER)
    unscaled = 0
    for group in struct.unpack_from(f">{count}H", value, NUMERIC_HEAD.size):
        unscaled = unscaled * BASE + group
    decimals = BASE_DIGITS * (count - 1 - weight) if unscaled else 0
    while decimals > 0 and unscaled % 10 == 0:
        unscaled //= 10
        decimals -= 1
    if decimals < 0:
        unscaled *= 10 ** min(-decimals, DIGITS_MAX)
        decimals = 0
    if unscaled >= 10**DIGITS_MAX:
        raise _Faulty(CopyErrorKind.NUMBER)
    return -unscaled if sign == NEGATIVE else unscaled, decimals
