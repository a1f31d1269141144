"""Serialises columns to protobuf bytes, without message objects."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kit.base.number_columns import IntColumn
from kit.marketdata import native
from kit.marketdata.model.batches import Batch

LENGTH_DELIMITED = 2
VARINT_BYTES_MAX = 10
COLUMN_BYTES_MAX = 30
"""Room for tag and length of a column, and for bytes written beyond its end."""


class ColumnPacking(IntEnum):
    """How a column is packed. kit/marketdata/native/columns.c has the same numbers."""

    VARINT = 0
    ZIGZAG = 1
    FIXED = 2
    LEVELS = 3


@dataclass(frozen=True, slots=True)
class LevelColumn:
    """A column with one number per level: in each update the bids, then the asks."""

    bids: IntColumn
    bid_counts: IntColumn
    asks: IntColumn
    ask_counts: IntColumn

    def tolist(self) -> list[int]:
        """The numbers in the order in which they are written."""
        bids, asks = iter(self.bids.tolist()), iter(self.asks.tolist())
        counts = zip(self.bid_counts.tolist(), self.ask_counts.tolist(), strict=True)
        return [
            value
            for bid_count, ask_count in counts
            for value in (*islice(bids, bid_count), *islice(asks, ask_count))
        ]


Column = IntColumn | LevelColumn | list[str]


class ProtobufWriter:
    """Writes a columns message as a field of the message that holds it."""

    def __init__(self, name: str, message: type[Message], holder: type[Message] = Batch) -> None:
        self._message = message
        self._tag = _tag(holder.DESCRIPTOR.fields_by_name[name])
        self._descriptors: dict[str, Any] = {**message.DESCRIPTOR.fields_by_name}
        self._native: dict[frozenset[str], Any] = {}
        self._room = ctypes.create_string_buffer(0)

    def write(self, **columns: Column) -> bytes:
        """The serialised field; fields of the message without a column are omitted."""
        body = self.body(**columns)
        return b"".join((self._tag, _varint(len(body)), body))

    def body(self, **columns: Column) -> bytes:
        """The serialised columns message without tag and length."""
        texts = {name: column for name, column in columns.items() if isinstance(column, list)}
        numbers = {name: column for name, column in columns.items() if not isinstance(column, list)}
        if native.library is None:
            plain = {name: column.tolist() for name, column in numbers.items()}
            body = self._message(**plain, **texts).SerializeToString()
        else:
            body = self._write_numbers(numbers)
            if texts:
                # After the numbers: protobuf readers accept any order of fields.
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
        """C structures for these columns, cached."""
        names = frozenset(columns)
        if names not in self._native:
            made = (native.NativeColumn * len(columns))()
            for target, (name, column) in zip(made, columns.items(), strict=True):
                descriptor = self._descriptors[name]
                target.tag = descriptor.number << 3 | LENGTH_DELIMITED
                levels = isinstance(column, LevelColumn)
                target.kind = ColumnPacking.LEVELS if levels else _kind(descriptor)
            self._native[names] = made
        return self._native[names]


def _kind(field: FieldDescriptor) -> ColumnPacking:
    if field.type == FieldDescriptor.TYPE_SFIXED64:
        return ColumnPacking.FIXED
    return (
        ColumnPacking.ZIGZAG if field.type == FieldDescriptor.TYPE_SINT64 else ColumnPacking.VARINT
    )


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
