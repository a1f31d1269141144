"""A batch of trades, checked and taken apart."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from core.bars.kernel import Ints, Trades
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import Scale

SCALE_MAX = 36
"""More decimal places than any venue has."""
TIME_NS_MAX = 2**62
"""Venue times are before the year 2116, so that the end of a bar is a 64-bit integer."""

# As many as there are kinds of instruments, which is few.
_scale = lru_cache(maxsize=256)(Scale)


class MalformedBatch(ValueError):
    """A batch contradicts itself."""


class Part(NamedTuple):
    """The rows of one instrument at one scale."""

    symbol: str
    scale: Scale
    rows: Ints | None
    """Their numbers, ascending. None: all rows of the batch."""


class Rows(NamedTuple):
    """The rows of a batch in their order, and whose they are."""

    trades: Trades
    parts: Sequence[Part]


def read_rows(batch: Batch) -> Rows:
    """The rows of a batch. Raises MalformedBatch."""
    source = batch.trades
    places = _integers(source.instrument)
    trades = Trades(
        _integers(source.venue_time_ns),
        _integers(source.trade_id),
        _integers(source.price),
        _integers(source.size),
        _integers(source.side),
        _integers(source.received_time_ns),
        np.array(source.trade_id_text, dtype=object) if source.trade_id_text else None,
    )
    if any(column is not None and len(column) != len(places) for column in trades):
        raise MalformedBatch("columns differ in length")
    if len(places) == 0:
        return Rows(trades, ())
    if trades.time_ns.min() < 0 or trades.time_ns.max() > TIME_NS_MAX:
        raise MalformedBatch("a row has an absurd time")
    if trades.side.min() < 0:
        raise MalformedBatch("a row has an absurd side")
    return Rows(trades, [_part(batch, *item) for item in _by_place(places)])


def _integers(column: Iterable[int]) -> Ints:
    return np.array(column, dtype=np.int64)


def _by_place(places: Ints) -> Sequence[tuple[int, Ints | None]]:
    """The rows that refer to each instrument entry."""
    first = int(places[0])
    if (places == first).all():
        return [(first, None)]
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order])) + 1
    return [(int(places[rows[0]]), rows) for rows in np.split(order, starts)]


def _part(batch: Batch, place: int, rows: Ints | None) -> Part:
    if place >= len(batch.instruments):
        raise MalformedBatch("a row refers to no instrument")
    entry = batch.instruments[place]
    scale = _scale(entry.price_scale, entry.size_scale)
    if scale.price > SCALE_MAX or scale.size > SCALE_MAX or "\0" in entry.symbol:
        raise MalformedBatch("an instrument entry has an absurd scale or symbol")
    return Part(entry.symbol, scale, rows)
