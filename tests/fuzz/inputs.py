"""The inputs of the fuzz targets, as kit/marketdata/native/fuzz/*.c read them."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kit.marketdata.book.checksum import Checksum
from kit.marketdata.book.levels import BookConstraints
from kit.marketdata.codec.protobuf_writer import ColumnPacking
from kit.marketdata.model.columns import Scale
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType
from tests.fuzz.schemas import all_schemas

WIDTHS = (1, 2, 4, 8)
ROOM = 0xF7
"""128 rows and 960 levels, more than a seed has."""
FRAME_END = b"\0"
COPY_COLUMNS_MAX = 6
NULLABLE = 128
SCALES = 19
CALL_LEVELS_MAX = 512
IS_ASK, ENDS_UPDATE, HAS_CHECKSUM, ENDS_CALL = 1, 2, 64, 128

Level = tuple[int, int]


def frames_input(schema: int, payloads: Sequence[bytes]) -> bytes:
    return bytes((schema, ROOM)) + FRAME_END.join(payloads)


def parse_frames(data: bytes) -> tuple[int, list[bytes]]:
    """The index of the schema, and the frames."""
    head = data[:2].ljust(2, b"\0")
    return head[0] % len(all_schemas()), data[2:].split(FRAME_END)


def classify_input(patterns: Sequence[bytes], window: int, payloads: Sequence[bytes]) -> bytes:
    texts = b"".join(bytes((len(text) - 1,)) + text for text in patterns)
    return struct.pack("<hB", window, len(patterns)) + texts + FRAME_END.join(payloads)


def copy_input(layout: Sequence[CopyColumn], step: int, data: bytes) -> bytes:
    kinds = bytes(column.kind | (NULLABLE if column.null else 0) for column in layout)
    return bytes((len(layout) - 1,)) + kinds + bytes((step,)) + data


def parse_copy(data: bytes) -> tuple[list[CopyColumn], int, bytes]:
    """The layout, the bytes of a piece (0: all at once), and the stream."""
    count = 1 + data[0] % COPY_COLUMNS_MAX if data else 1
    head = data[1 : count + 2].ljust(count + 1, b"\0")
    layout = [
        CopyColumn(f"c{place}", CopyColumnType((kind & ~NULLABLE) % 3), bool(kind & NULLABLE))
        for place, kind in enumerate(head[:count])
    ]
    return layout, head[count], data[count + 2 :]


@dataclass(frozen=True)
class BookInput:
    """The rules of a book, and its updates: levels of bids and of asks."""

    rules: BookConstraints
    scale: Scale
    updates: list[tuple[list[Level], list[Level]]]


def books_input(rules: BookConstraints, scale: Scale, updates: Sequence[list[bytes]]) -> bytes:
    """Levels come from ``level``."""
    flags = rules.checksum.value | rules.uncrossed << 2 | rules.depth << 3
    levels = b"".join(
        bytes((one[0] | (ENDS_UPDATE if place == len(update) - 1 else 0),)) + one[1:]
        for update in updates
        for place, one in enumerate(update)
    )
    return bytes((flags, scale.price, scale.size)) + levels


def level(price: int, size: int, is_ask: bool) -> bytes:
    widths = [_width(price), _width(size)]
    control = is_ask | widths[0] << 2 | widths[1] << 4
    numbers = [
        number.to_bytes(WIDTHS[width], "little", signed=True)
        for number, width in zip((price, size), widths, strict=True)
    ]
    return bytes((control,)) + b"".join(numbers)


def parse_books(data: bytes) -> BookInput:
    reader = _Reader(data)
    rules, price_scale, size_scale = (reader.number(1) & 0xFF for _ in range(3))
    constraints = BookConstraints(
        Checksum((rules & 3) % 3), depth=rules >> 3, uncrossed=bool(rules >> 2 & 1)
    )
    updates = []
    while reader.is_left():
        updates += _updates_of_call(reader)
    return BookInput(constraints, Scale(price_scale % SCALES, size_scale % SCALES), updates)


def _updates_of_call(reader: "_Reader") -> Iterator[tuple[list[Level], list[Level]]]:
    sides: tuple[list[Level], list[Level]] = [], []
    for levels in range(1, CALL_LEVELS_MAX + 1):
        control = reader.number(1)
        price = reader.value(control >> 2)
        sides[control & IS_ASK].append((price, reader.value(control >> 4)))
        is_last = bool(control & ENDS_CALL) or levels == CALL_LEVELS_MAX or not reader.is_left()
        if control & ENDS_UPDATE or is_last:
            if control & HAS_CHECKSUM:
                reader.number(4)
            yield sides
            sides = [], []
        if is_last or not reader.is_left():
            return


def columns_input(columns: Sequence[Sequence[int]]) -> bytes:
    """Columns of eight-byte numbers, of the kinds by turns."""
    kinds = (ColumnPacking.VARINT, ColumnPacking.ZIGZAG, ColumnPacking.FIXED)
    parts = [bytes((len(columns),))]
    for place, column in enumerate(columns):
        parts.append(bytes((kinds[place % len(kinds)], WIDTHS.index(8), len(column))))
        parts.append(struct.pack(f"<{len(column)}q", *column))
    return b"".join(parts)


class _Reader:
    """Numbers one after another; 0 behind the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def is_left(self) -> bool:
        return self._at < len(self._data)

    def number(self, width: int) -> int:
        part = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(part.ljust(width, b"\0"), "little", signed=True)

    def value(self, width: int) -> int:
        number = self.number(WIDTHS[width & 3])
        return 2**63 - 1 if number == -(2**63) else number


def _width(number: int) -> int:
    """The index of a width that holds a signed number."""
    return next(place for place, width in enumerate(WIDTHS) if number.bit_length() < 8 * width)
