"""Decodes rows of a COPY with the compiled code."""

import ctypes
from typing import Any

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata import native
from kit.storage.archive.copy_layout import (
    MESSAGE_BYTES_MIN,
    CopyColumnType,
    CopyErrorKind,
    Layout,
    MalformedCopy,
    fault_text,
)
from kit.storage.archive.copy_rows import CopyRowColumn, CopyRows

ROWS_MIN = 131_072
"""Initial room, for a usual slice: unused room costs nothing, and growing costs a copy."""
POOL_BYTES_MIN = 65_536


class CompiledCopyDecoder:
    """Implements ``Decoder``."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._row_bytes_min = MESSAGE_BYTES_MIN + 4 * len(layout)
        self._has_pool = any(column.kind is CopyColumnType.BYTES for column in layout)
        self._room = 0
        self._pool: Any = np.empty(0, dtype=np.uint8)
        self._values: list[IntColumn] = [_EMPTY] * len(layout)
        self._seconds: list[IntColumn] = [_EMPTY] * len(layout)
        self._nulls: list[Any] = [np.empty(0, dtype=np.bool_)] * len(layout)
        self._columns = (native.NativeCopyColumn * len(layout))()
        for made, column in zip(self._columns, layout, strict=True):
            made.kind = column.kind
        self._out = native.NativeCopyRows(
            columns=ctypes.addressof(self._columns), column_count=len(layout)
        )

    @property
    def row_count(self) -> int:
        return int(self._out.row_count)

    def feed(self, data: bytes) -> int:
        assert native.library is not None
        self._make_room(len(data))
        read: int = native.library.venuemesh_copied(data, len(data), ctypes.byref(self._out))
        if self._out.fault != CopyErrorKind.NONE:
            column = self._layout[self._out.fault_column]
            raise MalformedCopy(fault_text(self._out.fault, column, self.row_count))
        return read

    def table(self) -> CopyRows:
        count = self.row_count
        pool = self._pool[: self._out.pool_length].tobytes()
        columns = {}
        for place, column in enumerate(self._layout):
            columns[column.name] = CopyRowColumn(
                self._values[place][:count],
                None if column.kind is CopyColumnType.INTEGER else self._seconds[place][:count],
                self._nulls[place][:count] if column.null else None,
                pool if column.kind is CopyColumnType.BYTES else b"",
            )
        return CopyRows(columns)

    def _make_room(self, data_bytes: int) -> None:
        """Make room for all rows that this many bytes can hold."""
        rows = self.row_count + data_bytes // self._row_bytes_min + 1
        if rows > self._room:
            self._room = max(2 * self._room, rows, ROWS_MIN)
            self._grow()
        pool_length = self._out.pool_length + data_bytes
        if self._has_pool and pool_length > len(self._pool):
            grown = np.empty(max(2 * len(self._pool), pool_length, POOL_BYTES_MIN), dtype=np.uint8)
            grown[: self._out.pool_length] = self._pool[: self._out.pool_length]
            self._pool = grown
            self._out.pool = native.address(grown)

    def _grow(self) -> None:
        for place, (made, column) in enumerate(zip(self._columns, self._layout, strict=True)):
            self._values[place] = self._grown(self._values[place])
            made.values = native.address(self._values[place])
            if column.kind is not CopyColumnType.INTEGER:
                self._seconds[place] = self._grown(self._seconds[place])
                made.seconds = native.address(self._seconds[place])
            if column.null:
                self._nulls[place] = self._grown(self._nulls[place])
                made.nulls = native.address(self._nulls[place])

    def _grown(self, column: Any) -> Any:
        count = self.row_count
        grown = np.empty(self._room, dtype=column.dtype)
        grown[:count] = column[:count]
        return grown


_EMPTY: IntColumn = np.empty(0, dtype=np.int64)
