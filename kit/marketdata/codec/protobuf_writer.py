"""Columns to protobuf's bytes, without a message in between."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kit.base.numbers import IntColumn
from kit.marketdata import native
from kit.marketdata.model.batches import Batch

LENGTH_DELIMITED = 2
VARINT_BYTES_MAX = 10
COLUMN_BYTES_MAX = 30
"""Tag and length of one column, and what is written beyond its end."""


class ColumnKind(IntEnum):
    """How a column is packed; the same numbers stand in kit/marketdata/native/columns.c."""

    VARINT = 0
    ZIGZAG = 1
    FIXED = 2
    LEVELS = 3


@dataclass(frozen=True, slots=True)
class LevelColumn:
    """One number of each level: of each update the bids, then the asks."""

    bids: IntColumn
    bid_counts: IntColumn
    asks: IntColumn
    ask_counts: IntColumn

    def tolist(self) -> list[int]:
        """In the order in which they are written."""
        bids, asks = iter(self.bids.tolist()), iter(self.asks.tolist())
        counts = zip(self.bid_counts.tolist(), self.ask_counts.tolist(), strict=True)
        return [
            value
            for bid_count, ask_count in counts
            for value in (*islice(bids, bid_count), *islice(asks, ask_count))
        ]


Column = IntColumn | LevelColumn | list[str]


class ProtobufWriter:
    """Writes one columns message, as the field of the message that holds it."""

    def __init__(self, name: str, message: type[Message], holder: type[Message] = Batch) -> None:
        self._message = message
        self._tag = _tag(holder.DESCRIPTOR.fields_by_name[name])
        self._descriptors: dict[str, Any] = {**message.DESCRIPTOR.fields_by_name}
        self._native: dict[frozenset[str], Any] = {}
        self._room = ctypes.create_string_buffer(0)

    def write(self, **columns: Column) -> bytes:
        """Serialised; a field without a column is left out."""
        body = self.body(**columns)
        return b"".join((self._tag, _varint(len(body)), body))

    def body(self, **columns: Column) -> bytes:
        """The columns message alone."""
        texts = {name: column for name, column in columns.items() if isinstance(column, list)}
        numbers = {name: column for name, column in columns.items() if not isinstance(column, list)}
        if native.library is None:
            plain = {name: column.tolist() for name, column in numbers.items()}
            body = self._message(**plain, **texts).SerializeToString()
        else:
            body = self._write_numbers(numbers)
            if texts:
                # After the numbers: a reader takes fields in any order.
                body += self._message(**texts).SerializeToString()
        return body

    def _write_numbers(self, columns: "Mapping[str, IntColumn | LevelColumn]") -> bytes:
        assert native.library is not None
        made = self._native_columns(columns)
        kept: list[IntColumn] = []
        size = COLUMN_BYTES_MAX * len(columns)
        for target, column in zip(made, columns.values(), strict=True):
            if isinstance(column, LevelColumn):
                parts = column.bids, column.bid_counts, column.asks, column.ask_counts
                held = list(map(native.held, parts))
                target.values, target.value_counts, target.more, target.more_counts = map(
                    native.address, held
                )
                target.count = len(column.bid_counts)
                size += VARINT_BYTES_MAX * (len(column.bids) + len(column.asks))
            else:
                held = [native.held(column)]
                target.values, target.count = native.address(held[0]), len(column)
                size += VARINT_BYTES_MAX * len(column)
            kept += held
        if len(self._room) < size:
            self._room = ctypes.create_string_buffer(2 * size)
        length = native.library.venuemesh_write(made, len(made), self._room)
        return ctypes.string_at(self._room, length)

    def _native_columns(self, columns: "Mapping[str, IntColumn | LevelColumn]") -> Any:
        """Structures for these columns, kept for the next time."""
        names = frozenset(columns)
        if names not in self._native:
            made = (native.Column * len(columns))()
            for target, (name, column) in zip(made, columns.items(), strict=True):
                descriptor = self._descriptors[name]
                target.tag = descriptor.number << 3 | LENGTH_DELIMITED
                levels = isinstance(column, LevelColumn)
                target.kind = ColumnKind.LEVELS if levels else _kind(descriptor)
            self._native[names] = made
        return self._native[names]


def _kind(field: FieldDescriptor) -> ColumnKind:
    if field.type == FieldDescriptor.TYPE_SFIXED64:
        return ColumnKind.FIXED
    return ColumnKind.ZIGZAG if field.type == FieldDescriptor.TYPE_SINT64 else ColumnKind.VARINT


def _tag(field: Any) -> bytes:
    return _varint(field.number << 3 | LENGTH_DELIMITED)


@lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
