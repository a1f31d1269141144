"""Seeds of the fuzz targets: few made by hand, and many from captures."""

import gzip
import re
import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from psycopg.types.numeric import DecimalBinaryDumper

from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.book.levels import BookConstraints
from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.frames.decoded_frames import DecodedFrames
from kit.marketdata.model.columns import Scale
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType, framed
from tests.fuzz import inputs
from tests.fuzz.schemas import EVERY_KIND_FRAME, NESTED_FRAME, all_schemas

FRAMES_PER_CAPTURE = 60
FRAME_BYTES_MAX = 4_000
LEVELS_MAX = 60
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COPY_LAYOUT = [
    CopyColumn("time"),
    CopyColumn("price", CopyColumnType.NUMERIC),
    CopyColumn("size", CopyColumnType.NUMERIC, null=True),
    CopyColumn("frame", CopyColumnType.BYTES),
]
NUMBER = re.compile(rb"[0-9]+\.[0-9]+")
RULES = (
    BookConstraints(),
    BookConstraints(Checksum.ASKS_THEN_BIDS, depth=10),
    BookConstraints(Checksum.INTERLEAVED),
    BookConstraints(depth=5, uncrossed=True),
)

Seeds = dict[str, list[bytes]]


def samples() -> Seeds:
    """Inputs of each target that are made by hand."""
    return _seeds([[EVERY_KIND_FRAME], [NESTED_FRAME], [EVERY_KIND_FRAME, NESTED_FRAME]])


def from_captures(folder: Path) -> Seeds:
    """Inputs of each target from real frames."""
    return _seeds([_sample(path) for path in sorted(folder.glob("*/*/*.jsonl*"))])


def copy_row(values: list[bytes | None]) -> bytes:
    """A row as the server sends it."""
    fields = (
        struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
        for value in values
    )
    return struct.pack(">h", len(values)) + b"".join(fields)


def _sample(path: Path) -> list[bytes]:
    """Frames of a file, from all of it."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = [line for line in data.splitlines() if 0 < len(line) <= FRAME_BYTES_MAX]
    return lines[:: max(1, len(lines) // FRAMES_PER_CAPTURE)]


def _seeds(groups: list[list[bytes]]) -> Seeds:
    seeds: Seeds = {"frames": [], "classify": [], "copy": [], "books": [], "columns": []}
    for group in groups:
        for payload in group:
            for schema, found in _readings(payload):
                seeds["frames"].append(inputs.frames_input(schema, [payload]))
                seeds["books"] += _books(found)
                seeds["columns"] += _columns(found)
        seeds["classify"] += _classified(group[:3])
        seeds["copy"] += [_copy(group[start : start + 3]) for start in range(0, len(group), 3)]
    return {target: sorted(set(found)) for target, found in seeds.items()}


def _readings(payload: bytes) -> Iterator[tuple[int, DecodedFrames]]:
    """The schemas that read a frame, and what they read."""
    for place, schema in enumerate(all_schemas()):
        try:
            yield place, schema.decode(Frames([payload], [0]))
        except FrameError:
            continue


def _books(found: DecodedFrames) -> Iterator[bytes]:
    levels = [
        inputs.level(price, size, is_ask)
        for is_ask, side in enumerate((found.bids, found.asks))
        for price, size in zip(
            side.price.unscaled.tolist()[:LEVELS_MAX],
            side.size.unscaled.tolist()[:LEVELS_MAX],
            strict=True,
        )
    ]
    if levels:
        halves = [half for half in (levels[::2], levels[1::2]) if half]
        for rules in RULES:
            yield inputs.books_input(rules, Scale(2, 8), halves)


def _columns(found: DecodedFrames) -> Iterator[bytes]:
    columns = [
        side.unscaled.tolist()[:LEVELS_MAX]
        for side in (found.bids.price, found.bids.size, found.asks.price, found.asks.size)
    ]
    if any(columns):
        yield inputs.columns_input(columns)


def _classified(group: list[bytes]) -> Iterator[bytes]:
    """The frames with the patterns of each feed."""
    for factory in discovery.venues().values():
        venue = factory(Environment("replay", "http://127.0.0.1:1"))
        for protocol in venue.feed_protocols:
            patterns = [kind.pattern for kind in protocol.kinds]
            if patterns and len(patterns) <= 8:
                yield inputs.classify_input(patterns, protocol.window_bytes, group)


def _copy(group: list[bytes]) -> bytes:
    rows = []
    for number, payload in enumerate(group):
        price, size, *_ = *(_numeric(text) for text in NUMBER.findall(payload)[:2]), None, None
        values = [struct.pack(">q", number), price or _numeric(b"1.5"), size, payload[:100]]
        rows.append(copy_row(values))
    messages = [COPY_HEADER + rows[0], *rows[1:], COPY_TRAILER]
    return inputs.copy_input(COPY_LAYOUT, len(group) % 2 * 64, b"".join(map(framed, messages)))


def _numeric(text: bytes) -> bytes:
    return bytes(DecimalBinaryDumper(Decimal).dump(Decimal(text.decode())))
