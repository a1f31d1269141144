"""What is asked for in a COPY, and how its bytes are read."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MESSAGE_HEAD_BYTES = 5
"""Type and length."""
MESSAGE_BYTES_MIN = 7
"""Of a row without columns."""


class CopyKind(IntEnum):
    """What a column holds; the same numbers stand in kit/marketdata/native/copy.c."""

    INTEGER = 0
    """smallint, integer, bigint or boolean."""
    NUMERIC = 1
    """Exact, with as few decimal places as each number needs."""
    BYTES = 2
    """bytea or text."""


class Fault(IntEnum):
    """Why a row cannot be read; the same numbers stand in kit/marketdata/native/copy.c."""

    NONE = 0
    SHAPE = 1
    NULL = 2
    NUMBER = 3


FAULT_WORDS = {
    Fault.SHAPE: "has another shape than was asked for",
    Fault.NULL: "is null",
    Fault.NUMBER: "is no number of at most 18 digits",
}


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """One column of the answer."""

    name: str
    kind: CopyKind = CopyKind.INTEGER
    null: bool = False
    """Whether rows may have no value there; it then reads as 0 or as nothing."""


Layout = Sequence[CopyColumn]


class MalformedCopy(ValueError):
    """The rows are not what was asked for, or hold a number that is not kept exactly."""


def framed(row: bytes | bytearray | memoryview) -> bytes:
    """A row as the message by which the server sends it."""
    return b"".join((b"d", struct.pack(">i", len(row) + 4), row))


def fault_text(fault: int, column: CopyColumn, row: int) -> str:
    """In words."""
    return f"row {row}, column {column.name}: {FAULT_WORDS[Fault(fault)]}"
