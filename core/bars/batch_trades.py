"""Reads a batch of trades: checks it and splits it by instrument."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from core.bars.bar_arithmetic import Ints, TradeArrays
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import Scale

SCALE_MAX = 36
"""Largest scale accepted; no venue has as many decimal places."""
TIME_NS_MAX = 2**62
"""Latest venue time accepted, in the year 2116, so that the end of a bar fits 64 bits."""

# There are few different scales.
_scale = lru_cache(maxsize=256)(Scale)


class MalformedBatch(ValueError):
    """A batch is inconsistent."""


class InstrumentTrades(NamedTuple):
    """The rows of one instrument at one scale."""

    symbol: str
    scale: Scale
    rows: Ints | None
    """Positions in the batch, ascending. None: all rows of the batch."""


class BatchTrades(NamedTuple):
    """The trades of a batch in order, and their split by instrument."""

    trades: TradeArrays
    parts: Sequence[InstrumentTrades]


def read_trades(batch: Batch) -> BatchTrades:
    """The rows of a batch. Raises MalformedBatch."""
    source = batch.trades
    places = _integers(source.instrument)
    trades = TradeArrays(
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
        return BatchTrades(trades, ())
    if trades.time_ns.min() < 0 or trades.time_ns.max() > TIME_NS_MAX:
        raise MalformedBatch(f"a venue time is outside 0 to {TIME_NS_MAX}")
    if trades.side.min() < 0:
        raise MalformedBatch("a side is negative")
    return BatchTrades(trades, [_part(batch, *item) for item in _by_place(places)])


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


def _part(batch: Batch, place: int, rows: Ints | None) -> InstrumentTrades:
    if place >= len(batch.instruments):
        raise MalformedBatch("a row refers to an instrument that the batch does not list")
    entry = batch.instruments[place]
    scale = _scale(entry.price_scale, entry.size_scale)
    if scale.price > SCALE_MAX or scale.size > SCALE_MAX or "\0" in entry.symbol:
        raise MalformedBatch(
            f"an instrument has a scale above {SCALE_MAX} or a symbol with a NUL character"
        )
    return InstrumentTrades(entry.symbol, scale, rows)
