"""Frames as they came, and reading them: a schema says which fields, columns come out.

    TRADE = Schema("data", s=Field.TEXT, p=Field.DECIMAL, t=Field.INTEGER, m=Field.FLAG)
    found = TRADE.decode(frames)
    found.numbers("p"), found.integers("t")

Many frames are read in one go. The compiled reader takes those that are plain, which on a healthy
feed is all of them; whenever one is not, the reference reader below reads the whole set and
decides.
"""

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from kit import native
from kit.columns import Numbers, Symbols
from kit.numbers import IntColumn, NumberError, parse_joined

PLAN_FRAMES_MIN = 1_024
PLAN_BYTES_MIN = 256 * 1024

_SPACE = re.compile(rb"\s")


class FrameError(ValueError):
    """A frame is not what it promises to be."""


class Field(IntEnum):
    """What a field of a frame holds."""

    TEXT = 0
    """A short text that repeats, such as a symbol."""
    INTEGER = 1
    DECIMAL = 2
    """A number as a JSON text."""
    FLAG = 3
    LEVELS = 4
    """[["price","size"],…]. The level fields of a schema stand in their order in the frame."""


class Frames:
    """Messages of a feed with their receive times, ns since the Unix epoch."""

    def __init__(
        self, payloads: Sequence[bytes], received_time_ns: Sequence[int] | IntColumn
    ) -> None:
        self._payloads = payloads
        self.received_time_ns: IntColumn = np.array(received_time_ns, dtype=np.int64)
        self.buffer = b"".join(payloads)
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.ends: IntColumn = np.cumsum(lengths)
        self.starts: IntColumn = self.ends - lengths

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def payloads(self) -> list[bytes]:
        """The messages."""
        ranges = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.buffer[start:end] for start, end in ranges]

    def take(self, rows: IntColumn) -> "Frames":
        """Only these; the bytes are shared."""
        chosen = object.__new__(Frames)
        chosen.buffer = self.buffer
        chosen.received_time_ns = self.received_time_ns[rows]
        chosen.starts, chosen.ends = self.starts[rows], self.ends[rows]
        return chosen

    def one_by_one(self) -> "list[Frames]":
        """Each alone."""
        return [self.take(np.array([row])) for row in range(len(self))]


class Patterns:
    """Tells frames apart by texts near their beginning. The first pattern found decides."""

    def __init__(self, patterns: Sequence[bytes], window_bytes: int) -> None:
        self._patterns = tuple(patterns)
        self._window_bytes = window_bytes
        self._pointers = (ctypes.c_char_p * len(patterns))(*patterns)
        lengths = np.array([len(pattern) for pattern in patterns], dtype=np.int64)
        self._lengths = lengths.tobytes()

    def classify(self, frames: Frames) -> IntColumn:
        """For each frame the number of its pattern, or the number of patterns for none."""
        kinds = np.zeros(len(frames), dtype=np.int64)
        if native.library is None:
            kinds[:] = [self._find(payload[: self._window_bytes]) for payload in frames.payloads]
            return kinds
        native.library.venuemesh_classify(
            frames.buffer,
            frames.starts.tobytes(),
            frames.ends.tobytes(),
            len(frames),
            self._pointers,
            self._lengths,
            len(self._patterns),
            self._window_bytes,
            native.address(kinds),
        )
        return kinds

    def _find(self, head: bytes) -> int:
        for number, pattern in enumerate(self._patterns):
            if pattern in head:
                return number
        return len(self._patterns)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The columns of a schema's fields, one row per frame; the levels of all frames in order."""

    columns: dict[str, Any]
    level_price: Numbers
    level_size: Numbers

    def symbols(self, name: str) -> Symbols:
        """A TEXT field."""
        column: Symbols = self.columns[name]
        return column

    def integers(self, name: str) -> IntColumn:
        """An INTEGER field, a FLAG field as 0 and 1, or the level counts of a LEVELS field."""
        column: IntColumn = self.columns[name]
        return column

    def numbers(self, name: str) -> Numbers:
        """A DECIMAL field."""
        column: Numbers = self.columns[name]
        return column


class Schema:
    """Which fields of a frame are wanted. They are members of the object under ``path``."""

    def __init__(self, path: str, **fields: Field) -> None:
        self._path = path
        self._fields = fields
        self._decode = _reference_decoder(path, fields)
        self._plan: _Plan | None = None

    def decode(self, frames: Frames) -> Decoded:
        """Columns of all frames. Raises FrameError when one of them is not as the schema says."""
        found = self._decode_compiled(frames) if native.library is not None else None
        return found or self._decode_by_reference(frames)

    def _decode_compiled(self, frames: Frames) -> Decoded | None:
        assert native.library is not None
        count = len(frames)
        plan = self._plan
        if plan is None or not plan.holds(count, len(frames.buffer)):
            plan = self._plan = _Plan(self._fields, count, len(frames.buffer))
        plan.begin()
        done = native.library.venuemesh_decode(
            frames.buffer,
            frames.starts.tobytes(),
            frames.ends.tobytes(),
            count,
            self._path.encode(),
            len(self._path),
            plan.fields,
            len(self._fields),
            plan.texts_pointer,
            plan.levels_pointer,
        )
        return plan.decoded(frames.buffer, count) if done == count else None

    def _decode_by_reference(self, frames: Frames) -> Decoded:
        try:
            found = self._decode(b"[" + b",".join(frames.payloads) + b"]")
            rows = [getattr(frame, self._path) for frame in found]
            texts = {name: [getattr(row, name) for row in rows] for name in self._fields}
            return _reference_columns(self._fields, texts)
        except (msgspec.DecodeError, NumberError, OverflowError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error


class _Plan:
    """The arrays that the compiled reader fills. Kept and filled again: making them costs more."""

    def __init__(self, fields: dict[str, Field], count: int, buffer_bytes: int) -> None:
        self._kinds = fields
        self._count = max(count, PLAN_FRAMES_MIN)
        # The shortest level is ["1","1"], nine bytes.
        has_levels = Field.LEVELS in fields.values()
        self._capacity = max(buffer_bytes, PLAN_BYTES_MIN) // 9 + 1 if has_levels else 0
        self._values = {name: np.empty(self._count, dtype=np.int64) for name in fields}
        decimal = [name for name, kind in fields.items() if kind is Field.DECIMAL]
        self._decimals = {name: np.empty(self._count, dtype=np.int64) for name in decimal}
        self.fields = (native.Field * len(fields))(
            *[
                native.Field(
                    name.encode(),
                    len(name),
                    kind,
                    native.address(self._values[name]),
                    native.address(self._decimals[name]) if name in self._decimals else None,
                )
                for name, kind in fields.items()
            ]
        )
        self._bounds = np.empty((2, native.SYMBOLS_MAX), dtype=np.int64)
        self._texts = native.Texts(*map(native.address, self._bounds), 0)
        self._level_columns = np.empty((4, self._capacity), dtype=np.int64)
        rows = map(native.address, self._level_columns)
        self._levels = native.Levels(*rows, 0, self._capacity)
        self.texts_pointer = ctypes.byref(self._texts)
        self.levels_pointer = ctypes.byref(self._levels)

    def holds(self, count: int, buffer_bytes: int) -> bool:
        """Whether there is room for so many frames."""
        enough_levels = not self._capacity or buffer_bytes // 9 < self._capacity
        return count <= self._count and enough_levels

    def begin(self) -> None:
        """Forget what was read before."""
        self._levels.count = self._texts.count = 0
        ctypes.memset(self._texts.slots, 0, ctypes.sizeof(self._texts.slots))

    def decoded(self, buffer: bytes, count: int) -> Decoded:
        """A copy of what was read."""
        columns: dict[str, Any] = {}
        for name, kind in self._kinds.items():
            values = self._values[name][:count].copy()
            if kind is Field.TEXT:
                columns[name] = Symbols(self._distinct_texts(buffer), values)
            elif kind is Field.DECIMAL:
                columns[name] = Numbers.compact(values, self._decimals[name][:count].copy())
            else:
                columns[name] = values
        levels = self._level_columns[:, : self._levels.count].copy()
        price, price_decimals, size, size_decimals = levels
        return Decoded(
            columns,
            Numbers.compact(price, price_decimals),
            Numbers.compact(size, size_decimals),
        )

    def _distinct_texts(self, buffer: bytes) -> list[str]:
        ranges = self._bounds[:, : self._texts.count].T.tolist()
        return [buffer[start:end].decode("ascii") for start, end in ranges]


_REFERENCE_TYPES: dict[Field, Any] = {
    Field.TEXT: str,
    Field.INTEGER: int,
    Field.DECIMAL: str,
    Field.FLAG: bool,
    Field.LEVELS: msgspec.Raw,
}


def _reference_decoder(path: str, fields: dict[str, Field]) -> Any:
    row = msgspec.defstruct(
        "Row", [(name, _REFERENCE_TYPES[kind]) for name, kind in fields.items()]
    )
    frame = msgspec.defstruct("Frame", [(path, row)])
    return msgspec.json.Decoder(list[frame]).decode  # type: ignore[valid-type]


def _reference_columns(fields: dict[str, Field], texts: dict[str, list[Any]]) -> Decoded:
    columns: dict[str, Any] = {}
    sides = [name for name, kind in fields.items() if kind is Field.LEVELS]
    for name, kind in fields.items():
        if kind is Field.TEXT:
            columns[name] = Symbols.of(texts[name])
        elif kind is Field.DECIMAL:
            columns[name] = Numbers.parse(texts[name])
        elif kind is not Field.LEVELS:
            columns[name] = np.array(texts[name], dtype=np.int64)
    in_order = [
        bytes(side) for row in zip(*(texts[name] for name in sides), strict=True) for side in row
    ]
    price, size, counts = _parse_levels(in_order)
    for place, name in enumerate(sides):
        columns[name] = np.array(counts[place :: len(sides)], dtype=np.int64)
    return Decoded(columns, price, size)


def _parse_levels(sides: Sequence[bytes]) -> tuple[Numbers, Numbers, list[int]]:
    """Level lists, each still JSON, as prices, sizes and their counts. Raises FrameError.

    All lists are read as one text: without its brackets and quotes it is a list of numbers.
    """
    compact = [_without_space(side) if _SPACE.search(side) else side for side in sides]
    counts = [side.count(b'["') for side in compact]
    for side, count in zip(compact, counts, strict=True):
        if side.count(b'"') != 4 * count or not side.startswith(b"[[" if count else b"[]"):
            raise FrameError("a side is not a list of pairs of texts")
    joined = b",".join([side for side, count in zip(compact, counts, strict=True) if count])
    unscaled, decimals = parse_joined(joined.translate(None, b'[]"'), 2 * sum(counts))
    pairs = Numbers(unscaled, decimals)
    return pairs.every_second(0), pairs.every_second(1), counts


def _without_space(side: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(side, type=list[tuple[str, str]]))
