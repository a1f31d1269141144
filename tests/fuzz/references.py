"""Compares what compiled code and its reference in Python say of a fuzz input."""

from collections.abc import Callable
from decimal import Decimal
from unittest import mock

import numpy as np

from kit.base.numbers import to_decimal
from kit.marketdata import native
from kit.marketdata.book import checksum
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.book.level_stores import LevelStore, new_store
from kit.marketdata.book.levels import (
    ONLY,
    BookCheck,
    BookConstraints,
    BookSide,
    SideChanges,
    pairs,
)
from kit.marketdata.frames import FrameError, Frames, reference_reader
from kit.marketdata.frames.decoded_frames import DecodedFrames
from kit.marketdata.model.columns import NumberColumn, PriceLevels, Scale, SymbolColumn
from kit.storage.archive.compiled_copy_decoder import CompiledCopyDecoder
from kit.storage.archive.reference_copy_decoder import ReferenceCopyDecoder
from kit.storage.archive.tests.test_copy_decoders import read
from tests.fuzz import inputs
from tests.fuzz.schemas import all_schemas


class Difference(AssertionError):
    """Compiled code and its reference disagree."""


def compare_frames(data: bytes) -> None:
    """What the compiled reader accepts, the reference reads in the same way."""
    place, payloads = inputs.parse_frames(data)
    schema = all_schemas()[place]
    found = schema._decode_compiled(Frames(payloads, range(len(payloads))))
    if found is None:
        return
    try:
        wanted = reference_reader.decode(schema._tree, payloads)
    except FrameError as error:
        raise Difference(f"the reference rejects it: {error}") from None
    _same(_summary(found), _summary(wanted))


def compare_copy(data: bytes) -> None:
    layout, step, stream = inputs.parse_copy(data)
    arguments = layout, stream, step or len(stream) + 1
    _same(read(CompiledCopyDecoder, *arguments), read(ReferenceCopyDecoder, *arguments))


def compare_books(data: bytes) -> None:
    """The same levels and the same verdicts, with the right checksum and with a wrong one."""
    made = inputs.parse_books(data)
    with mock.patch.object(native, "library", None):
        unproven = BookConstraints(depth=made.rules.depth, uncrossed=made.rules.uncrossed)
        plain = new_store(unproven)
    compiled = new_store(made.rules)
    for bids, asks in made.updates:
        sides = [SideChanges.joined([BookSide.of(side)]) for side in (bids, asks)]
        _, wanted = plain.follow(ONLY, *sides, None, made.scale)
        kind, right = made.rules.checksum, _checksum(plain, made.rules.checksum, made.scale)
        claimed = right ^ (len(bids) & 1)
        if kind is not Checksum.NONE and wanted is BookCheck.GOOD and claimed != right:
            wanted = BookCheck.CHECKSUM if claimed or kind is not Checksum.INTERLEAVED else wanted
        claims = None if kind is Checksum.NONE else np.array([claimed], dtype=np.int64)
        _, verdict = compiled.follow(ONLY, *sides, claims, made.scale)
        _same(verdict, wanted)
        for side in ("bids", "asks"):
            _same(pairs(getattr(compiled, side)()), pairs(getattr(plain, side)()))
        _same(
            [column.tolist() for fallen in compiled.dropped_levels() for column in fallen],
            [column.tolist() for fallen in plain.dropped_levels() for column in fallen],
        )


COMPARISONS: dict[str, Callable[[bytes], None]] = {
    "frames": compare_frames,
    "copy": compare_copy,
    "books": compare_books,
}
"""The other targets compare within themselves, in C."""


def check_agreement(target: str, data: bytes) -> None:
    """Raises Difference."""
    if target in COMPARISONS:
        COMPARISONS[target](data)


def _checksum(store: LevelStore, kind: Checksum, scale: Scale) -> int:
    levels = checksum.TOP_LEVELS
    sides = pairs(store.bids(levels)), pairs(store.asks(levels))
    if kind is Checksum.ASKS_THEN_BIDS:
        return checksum.asks_then_bids_checksum(*sides)
    return checksum.top_checksum(*sides, scale)


def _same(found: object, wanted: object) -> None:
    if found != wanted:
        raise Difference(f"compiled: {found!r}\nreference: {wanted!r}")


def _summary(found: DecodedFrames) -> dict[str, object]:
    columns = {name: _plain(column) for name, column in found.columns.items()}
    sides = {"bids": _levels(found.bids), "asks": _levels(found.asks)}
    return columns | sides | {"frame": found.frame.tolist()}


def _plain(column: object) -> object:
    match column:
        case SymbolColumn():
            return column.per_row()
        case NumberColumn():
            return _numbers(column)
        case np.ndarray():
            return column.tolist()
        case _:
            return column


def _levels(levels: PriceLevels) -> object:
    return levels.count.tolist(), _numbers(levels.price), _numbers(levels.size)


def _numbers(column: NumberColumn) -> list[Decimal]:
    decimals = np.broadcast_to(column.decimals, len(column)).tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), decimals, strict=True)]
