"""The columns that a COPY selects, and the errors of reading its bytes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MESSAGE_HEAD_BYTES = 5
"""Type and length of a message."""
MESSAGE_BYTES_MIN = 7
"""Size of a row without columns."""


class CopyColumnType(IntEnum):
    """Type of a column. kit/marketdata/native/copy.c has the same numbers."""

    INTEGER = 0
    """smallint, integer, bigint or boolean."""
    NUMERIC = 1
    """numeric, read with as few decimal places as each number needs."""
    BYTES = 2
    """bytea or text."""


class CopyErrorKind(IntEnum):
    """Why a row cannot be read. kit/marketdata/native/copy.c has the same numbers."""

    NONE = 0
    SHAPE = 1
    NULL = 2
    NUMBER = 3


FAULT_WORDS = {
    CopyErrorKind.SHAPE: "has an unexpected shape",
    CopyErrorKind.NULL: "is null",
    CopyErrorKind.NUMBER: "is no number of at most 18 digits",
}


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """One selected column."""

    name: str
    kind: CopyColumnType = CopyColumnType.INTEGER
    null: bool = False
    """Whether it may be null; nulls read as 0 or as an empty value."""


Layout = Sequence[CopyColumn]


class MalformedCopy(ValueError):
    """The rows have another shape than the layout, or hold a number of too many digits."""


def framed(row: bytes | bytearray | memoryview) -> bytes:
    """A row as the CopyData message in which the server sends it."""
    return b"".join((b"d", struct.pack(">i", len(row) + 4), row))


def fault_text(fault: int, column: CopyColumn, row: int) -> str:
    """The text of a fault."""
    return f"row {row}, column {column.name}: {FAULT_WORDS[CopyErrorKind(fault)]}"
