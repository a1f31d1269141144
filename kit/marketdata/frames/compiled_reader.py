"""Reads frames with the compiled reader, which supports common JSON."""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

from kit.base.number_columns import IntColumn, Places
from kit.marketdata import native
from kit.marketdata.frames.decoded_frames import DecodedFrames
from kit.marketdata.frames.layout import Field, MemberKey, NodeKind, SchemaNode
from kit.marketdata.model.columns import NumberColumn, PriceLevels, SymbolColumn

ROWS_MIN = 1_024
LEVELS_MIN = 16_384
ROW_BYTES_MIN = 16
"""A lower bound of the bytes of a row."""
LEVEL_BYTES_MIN = 5
"""Bytes of the shortest level, [1,1]."""


class CompiledSchema:
    """The arrays that the compiled reader fills. They are reused, because allocation is slower."""

    def __init__(self, root: SchemaNode, frame_count: int, buffer_bytes: int) -> None:
        leaves = list(_leaves(root))
        self._innermost = max(node.scope for node in leaves)
        in_lists = buffer_bytes // ROW_BYTES_MIN if self._innermost else 0
        self._row_capacity = max(frame_count, in_lists, ROWS_MIN)
        has_levels = any(node.kind is NodeKind.LEVELS for node in leaves)
        levels = max(buffer_bytes // LEVEL_BYTES_MIN, LEVELS_MIN) if has_levels else 0
        self._level_capacity = levels
        self._parents = _array(native.SCOPES_MAX, self._row_capacity)
        self._bids, self._asks = _array(4, levels), _array(4, levels)
        self._counts = _array(2, self._row_capacity)
        self._output = native.NativeFrameOutput(
            row_capacity=self._row_capacity,
            innermost=self._innermost,
            parents=(native.Pointer * native.SCOPES_MAX)(*map(native.address, self._parents)),
            bids=self._native_levels(self._bids, self._counts[0]),
            asks=self._native_levels(self._asks, self._counts[1]),
        )
        self._columns: list[_Column] = []
        self._kept: list[Any] = []
        """Structures that only other structures point to."""
        self._root = native.NativeSchemaNode()
        self._fill(self._root, root)
        self._pointers = ctypes.addressof(self._root), ctypes.addressof(self._output)

    def holds(self, frame_count: int, buffer_bytes: int) -> bool:
        """Whether the arrays have space for the frames."""
        in_lists = buffer_bytes // ROW_BYTES_MIN if self._innermost else 0
        levels = buffer_bytes // LEVEL_BYTES_MIN if self._level_capacity else 0
        return max(frame_count, in_lists) <= self._row_capacity and levels <= self._level_capacity

    def decode(self, buffer: bytes, starts: bytes, ends: bytes, count: int) -> DecodedFrames | None:
        """Read frames, or return None when one is not supported. ``starts`` and ``ends`` are int64
        columns."""
        assert native.library is not None
        out = self._output
        for levels in (out.bids, out.asks):
            levels.count = 0
            levels.price_uniform = levels.size_uniform = native.NONE_YET
        out.counts[:] = (0,) * native.SCOPES_MAX
        for column in self._columns:
            column.begin()
        done = native.library.venuemesh_decode(buffer, starts, ends, count, *self._pointers)
        return self._decoded(buffer) if done else None

    def _decoded(self, buffer: bytes) -> DecodedFrames:
        out = self._output
        counts = list(out.counts)
        count = counts[self._innermost]
        ways = self._ways(counts)
        columns = {
            column.name: column.read(buffer, counts[column.scope], ways[column.scope])
            for column in self._columns
        }
        frame = np.arange(count) if ways[0] is None else ways[0]
        bids = _levels(out.bids, self._bids, self._counts[0, :count])
        asks = _levels(out.asks, self._asks, self._counts[1, :count])
        return DecodedFrames(columns, frame, bids, asks)

    def _ways(self, counts: list[int]) -> "list[IntColumn | None]":
        """For each scope, the row to which each row of the innermost scope belongs; None: the rows
        are the same, as when every frame has one row."""
        ways: list[IntColumn | None] = [None]
        for scope in range(self._innermost, 0, -1):
            parents = self._parents[scope, : counts[scope]]
            if counts[scope] == counts[scope - 1] and _is_range(parents):
                ways.insert(0, ways[0])
            else:
                ways.insert(0, parents.copy() if ways[0] is None else parents[ways[0]])
        return ways

    def _native_levels(self, columns: IntColumn, row_counts: IntColumn) -> native.NativeLevels:
        pointers = [native.address(column) for column in (*columns, row_counts)]
        return native.NativeLevels(*pointers, 0, self._level_capacity)

    def _fill(self, made: native.NativeSchemaNode, node: SchemaNode) -> None:
        """Convert a node and its descendants to native nodes."""
        key = node.key.encode()
        made.key, made.key_length, made.kind = key, len(key), node.kind
        made.optional, made.scope = node.optional, node.scope
        if node.levels is not None:
            made.sides = node.levels.sides
            made.price, made.size = _place(node.levels.price), _place(node.levels.size)
            made.side = _place(node.levels.side)
            made.bid, made.bid_length = node.levels.bid.encode(), len(node.levels.bid.encode())
        elif node.children:
            made.child_count = len(node.children)
            made.children = (native.NativeSchemaNode * len(node.children))()
            for position, child in enumerate(node.children):
                self._fill(made.children[position], child)
        else:
            self._columns.append(_COLUMNS.get(node.kind, _Column)(node, made, self._row_capacity))
        self._kept.append(made)


class _Column:
    """The values of one leaf; integers, times and flags are not converted."""

    def __init__(self, node: SchemaNode, made: native.NativeSchemaNode, capacity: int) -> None:
        self.name, self.scope = node.name, node.scope
        self._made = made
        self._values = _array(capacity)
        made.values = native.address(self._values)

    def begin(self) -> None:
        """Clear the values of the previous read."""

    def read(self, buffer: bytes, count: int, way: IntColumn | None) -> Any:
        """A copy of the values, one for each row on the path."""
        return _along(self._values, count, way)


class _Decimals(_Column):
    """Numbers with their decimal places."""

    def __init__(self, node: SchemaNode, made: native.NativeSchemaNode, capacity: int) -> None:
        super().__init__(node, made, capacity)
        self._second = _array(capacity)
        made.decimals = native.address(self._second)

    def read(self, buffer: bytes, count: int, way: IntColumn | None) -> NumberColumn:
        decimals: Places = self._made.uniform if count else 0
        if decimals < 0:
            decimals = _along(self._second, count, way)
        return NumberColumn(_along(self._values, count, way), decimals)


class _Identifiers(_Decimals):
    """Texts by their start and end offsets."""

    def read(self, buffer: bytes, count: int, way: IntColumn | None) -> Any:
        starts, ends = (_along(one, count, way).tolist() for one in (self._values, self._second))
        return [buffer[start:end].decode() for start, end in zip(starts, ends, strict=True)]


class _Texts(_Column):
    """Texts by their index among the distinct texts."""

    def __init__(self, node: SchemaNode, made: native.NativeSchemaNode, capacity: int) -> None:
        super().__init__(node, made, capacity)
        self._optional = node.optional
        self._bounds = _array(2, native.SYMBOLS_MAX)
        self._texts = native.NativeDistinctTexts(*map(native.address, self._bounds))
        made.texts = ctypes.addressof(self._texts)

    def begin(self) -> None:
        if self._texts.count:
            self._texts.count = 0
            ctypes.memset(self._texts.slots, 0, ctypes.sizeof(self._texts.slots))

    def read(self, buffer: bytes, count: int, way: IntColumn | None) -> SymbolColumn:
        ranges = self._bounds[:, : self._texts.count].T.tolist()
        names = [buffer[start:end].decode() for start, end in ranges]
        row = _along(self._values, count, way)
        if self._optional and len(row) and row.min() < 0:
            row[row < 0] = len(names)
            names.append("")
        found = SymbolColumn(names, row)
        # A text above an empty list of rows belongs to no row.
        return found if way is None else found.take(np.arange(len(row)))


_COLUMNS: dict[Field | NodeKind, type[_Column]] = {
    Field.DECIMAL: _Decimals,
    Field.IDENTIFIER: _Identifiers,
    Field.TEXT: _Texts,
}


def _along(values: IntColumn, count: int, way: IntColumn | None) -> IntColumn:
    return values[:count].copy() if way is None else values[way]


def _levels(made: native.NativeLevels, columns: IntColumn, row_counts: IntColumn) -> PriceLevels:
    price, price_decimals, size, size_decimals = columns[:, : made.count]
    return PriceLevels(
        row_counts.copy(),
        _numbers(price, price_decimals, made.price_uniform),
        _numbers(size, size_decimals, made.size_uniform),
    )


def _numbers(values: IntColumn, decimals: IntColumn, uniform: int) -> NumberColumn:
    if len(values) == 0:
        return NumberColumn(values.copy(), 0)
    return NumberColumn(values.copy(), decimals.copy() if uniform < 0 else uniform)


def _place(place: MemberKey) -> native.NativeMember:
    if isinstance(place, int):
        return native.NativeMember(None, -1 - place)
    return native.NativeMember(place.encode(), len(place.encode()))


def _leaves(node: SchemaNode) -> Iterator[SchemaNode]:
    if node.kind in (NodeKind.OBJECT, NodeKind.ROWS):
        for child in node.children:
            yield from _leaves(child)
    else:
        yield node


def _is_range(column: IntColumn) -> bool:
    return bool((column == np.arange(len(column))).all())


def _array(*shape: int) -> IntColumn:
    return np.empty(shape, dtype=np.int64)
