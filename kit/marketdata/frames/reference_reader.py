"""Reads frames in Python: the reference for the compiled reader, and its replacement without a C
compiler or for frames that it does not support."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.numbers import NumberError, parse_number
from kit.marketdata.frames.decoded_frames import DecodedFrames, FrameError
from kit.marketdata.frames.layout import (
    Field,
    LevelList,
    LevelSides,
    MemberKey,
    NodeKind,
    SchemaNode,
)
from kit.marketdata.model.columns import NumberColumn, PriceLevels, SymbolColumn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_PER_DAY = 86_400
NOTHING: dict[Field | NodeKind, object] = {
    Field.TEXT: "",
    Field.IDENTIFIER: "",
    Field.DECIMAL: "0",
}
"""Values of absent optional members; 0 for all other kinds."""
TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class _Bare(str):
    """The text of a JSON number."""

    __slots__ = ()


class _Rows:
    """The values that were read so far."""

    def __init__(self, root: SchemaNode) -> None:
        self.leaves = list(_leaves(root))
        self.values: dict[str, list[Any]] = {leaf.name: [] for leaf in self.leaves}
        self.frames: list[int] = []
        self.bids: list[tuple[str, str]] = []
        self.asks: list[tuple[str, str]] = []
        self.bid_counts: list[int] = []
        self.ask_counts: list[int] = []


def decode(root: SchemaNode, payloads: Sequence[bytes]) -> DecodedFrames:
    """Columns of all frames. Raises FrameError."""
    rows = _Rows(root)
    try:
        for number, payload in enumerate(payloads):
            frame = json.loads(
                payload.decode(), parse_int=_Bare, parse_float=_Bare, parse_constant=_refuse
            )
            _read_object(root, frame, {}, rows, number)
        return _columns(rows)
    except (ValueError, OverflowError, RecursionError) as error:
        raise FrameError(str(error)[:200]) from error


def _read_object(
    node: SchemaNode, value: Any, outer: dict[str, Any], rows: _Rows, frame: int
) -> None:
    """Collect the leaves of an object; an object without a list of rows below it is a row."""
    found = dict(outer)
    lists: list[tuple[SchemaNode, list[Any]]] = []
    _gather(node, value, found, lists)
    if not lists:
        _add_row(found, rows, frame)
    for below, elements in lists:
        for element in elements:
            _read_object(below.children[0], element, found, rows, frame)


def _gather(
    node: SchemaNode, value: Any, found: dict[str, Any], lists: list[tuple[SchemaNode, list[Any]]]
) -> None:
    if not isinstance(value, dict):
        raise FrameError(f"{node.key!r} is not an object")
    for child in node.children:
        member = value.get(child.key)
        if member is None and not child.optional:
            raise FrameError(f"{child.key!r} is missing")
        if child.kind is NodeKind.OBJECT:
            _gather(child, member, found, lists)
        elif child.kind is NodeKind.ROWS:
            if not isinstance(member, list):
                raise FrameError(f"{child.key!r} is not a list")
            lists.append((child, member))
        else:
            found[child.name] = member


def _add_row(found: dict[str, Any], rows: _Rows, frame: int) -> None:
    rows.frames.append(frame)
    bids_before, asks_before = len(rows.bids), len(rows.asks)
    for leaf in rows.leaves:
        value = found[leaf.name]
        if leaf.levels is not None:
            _read_levels(leaf.levels, [] if value is None else value, rows)
        else:
            rows.values[leaf.name].append(_leaf(leaf, value))
    rows.bid_counts.append(len(rows.bids) - bids_before)
    rows.ask_counts.append(len(rows.asks) - asks_before)


def _leaf(leaf: SchemaNode, value: Any) -> Any:
    text = isinstance(value, str) and not isinstance(value, _Bare)
    if value is None:
        return NOTHING.get(leaf.kind, 0)
    if leaf.kind in (Field.TEXT, Field.IDENTIFIER):
        if text:
            return value
    elif leaf.kind is Field.FLAG:
        if isinstance(value, bool):
            return value
    elif leaf.kind is Field.TIME:
        if text:
            return time_ns(value)
    elif isinstance(value, str):
        return value if leaf.kind is Field.DECIMAL else _integer(value)
    raise FrameError(f"{leaf.key!r} is {str(value)[:40]!r}")


def _integer(text: str) -> int:
    unscaled, decimals = parse_number(text)
    if decimals:
        raise FrameError(f"{text[:40]!r} is not an integer")
    return unscaled


def time_ns(text: str) -> int:
    """RFC 3339 to ns since the Unix epoch, exact. Raises ValueError."""
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time: {text[:40]!r}")
    second, fraction, zone = found.groups()
    since = datetime.fromisoformat(second + zone.upper().replace("Z", "+00:00")) - EPOCH
    seconds = since.days * SECONDS_PER_DAY + since.seconds
    return seconds * NANOSECONDS_PER_SECOND + int((fraction or "").ljust(9, "0"))


def _read_levels(layout: LevelList, elements: Any, rows: _Rows) -> None:
    if not isinstance(elements, list):
        raise FrameError("levels are not a list")
    for element in elements:
        pair = _number_text(element, layout.price), _number_text(element, layout.size)
        bid = layout.sides is LevelSides.BIDS
        if layout.sides is LevelSides.BOTH:
            bid = _member(element, layout.side) == layout.bid
        (rows.bids if bid else rows.asks).append(pair)


def _number_text(element: Any, place: MemberKey) -> str:
    found = _member(element, place)
    if not isinstance(found, str):
        raise FrameError("a level has no price or no size")
    return found


def _member(element: Any, place: MemberKey) -> Any:
    if isinstance(element, list) and isinstance(place, int) and place < len(element):
        return element[place]
    if isinstance(element, dict) and isinstance(place, str) and place in element:
        return element[place]
    raise FrameError(f"a level has no {place!r}")


def _columns(rows: _Rows) -> DecodedFrames:
    columns: dict[str, Any] = {}
    for leaf in rows.leaves:
        values = rows.values[leaf.name]
        if leaf.levels is not None:
            continue
        if leaf.kind is Field.TEXT:
            columns[leaf.name] = SymbolColumn.of(values)
        elif leaf.kind is Field.DECIMAL:
            columns[leaf.name] = NumberColumn.parse(values)
        elif leaf.kind is Field.IDENTIFIER:
            columns[leaf.name] = values
        else:
            columns[leaf.name] = np.array(values, dtype=np.int64)
    bids, asks = _levels(rows.bids, rows.bid_counts), _levels(rows.asks, rows.ask_counts)
    return DecodedFrames(columns, np.array(rows.frames, dtype=np.int64), bids, asks)


def _levels(pairs: list[tuple[str, str]], counts: list[int]) -> PriceLevels:
    price = NumberColumn.parse([price for price, _ in pairs])
    size = NumberColumn.parse([size for _, size in pairs])
    return PriceLevels(np.array(counts, dtype=np.int64), price, size)


def _leaves(node: SchemaNode) -> "list[SchemaNode]":
    if node.kind in (NodeKind.OBJECT, NodeKind.ROWS):
        return [leaf for child in node.children for leaf in _leaves(child)]
    return [node]


def _refuse(text: str) -> Any:
    raise NumberError(f"not a number: {text}")
