"""A batch of the trades channel, checked and taken apart."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from core.bars.kernel import Trades
from kit.batches import Batch
from kit.columns import SIDE_BUY, Scale

SCALE_MAX = 36
"""More decimal places than any venue has."""
TIME_NS_MAX = 2**62
"""Venue times are before the year 2116, so that the end of a bar is a 64-bit integer."""

_BOUGHT = bytes(side == SIDE_BUY for side in range(256))

# As many as there are kinds of instruments, which is few.
_scale = lru_cache(maxsize=256)(Scale)


class MalformedBatch(ValueError):
    """A batch contradicts itself."""


class Part(NamedTuple):
    """The rows of one instrument at one scale."""

    symbol: str
    scale: Scale
    rows: Sequence[int] | None
    """Their numbers, ascending. None: all rows of the batch."""


class Rows(NamedTuple):
    """The rows of a batch in their order, and whose they are."""

    trades: Trades
    received_ns: Sequence[int]
    parts: Sequence[Part]


def read_rows(batch: Batch) -> Rows:
    """The rows of a batch. Raises MalformedBatch."""
    source = batch.trades
    places = source.instrument[:]
    times_ns = source.venue_time_ns[:]
    trades = Trades(
        times_ns, source.trade_id[:], source.price[:], source.size[:], _bought(source.side[:])
    )
    received_ns = source.received_time_ns
    if any(len(column) != len(places) for column in (received_ns, *trades)):
        raise MalformedBatch("columns differ in length")
    if times_ns and (min(times_ns) < 0 or max(times_ns) > TIME_NS_MAX):
        raise MalformedBatch("a row has an absurd time")
    return Rows(trades, received_ns, [_part(batch, *item) for item in _by_place(places)])


def _by_place(places: list[int]) -> Sequence[tuple[int, Sequence[int] | None]]:
    """The rows that refer to each instrument entry."""
    if not places:
        return []
    if places.count(places[0]) == len(places):
        return [(places[0], None)]
    rows: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        rows.setdefault(place, []).append(row)
    return list(rows.items())


def _part(batch: Batch, place: int, rows: Sequence[int] | None) -> Part:
    if place >= len(batch.instruments):
        raise MalformedBatch("a row refers to no instrument")
    entry = batch.instruments[place]
    scale = _scale(entry.price_scale, entry.size_scale)
    if scale.price > SCALE_MAX or scale.size > SCALE_MAX or "\0" in entry.symbol:
        raise MalformedBatch("an instrument entry has an absurd scale or symbol")
    return Part(entry.symbol, scale, rows)


def _bought(sides: Sequence[int]) -> bytes:
    """1 where the taker bought. Sides beyond those known today did not buy."""
    try:
        return bytes(sides).translate(_BOUGHT)
    except ValueError:
        raise MalformedBatch("a row has an absurd side") from None
