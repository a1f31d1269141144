"""Candles of the time before a market opened, computed from its price process when they are read.

The price process is a pure function of seed and time, so nothing is stored and the same seed has
the same past. All candles are made of the same minutes: one of an hour equals its sixty minutes.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kit.base.number_columns import IntColumn
from kit.simulator.history import HOUR_NS, MINUTE_NS, Candle
from kit.simulator.market_events import Instrument
from kit.simulator.price import PriceProcess

SAMPLES_PER_MINUTE = 4
TRADES_PER_MINUTE = 60

_FIRST = ("start_ns", "open")
_LAST = ("close",)
_SUMS = ("lots", "bought_lots", "value", "bought_value", "trade_count")
Columns = dict[str, IntColumn]
"""Prices in ticks, sizes in lots, values in ticks times lots, times in ns since the epoch."""


class GeneratedCandles(Sequence[Candle]):
    """Candles as columns, oldest first. A candle is made when it is read."""

    def __init__(self, instrument: Instrument, columns: Columns) -> None:
        self._instrument = instrument
        self._columns = columns
        self._tick = Decimal(instrument.price_text(1))
        self._lot = Decimal(instrument.size_text(1))

    @classmethod
    def minutes(
        cls, instrument: Instrument, price: PriceProcess, start_ns: int, end_ns: int
    ) -> "GeneratedCandles":
        """The minutes between two times, both at the start of a minute, with plain volumes."""
        if start_ns >= end_ns:
            empty = np.empty(0, np.int64)
            names = (*_FIRST, "high", "low", *_LAST, *_SUMS)
            return cls(instrument, dict.fromkeys(names, empty))
        tick = instrument.tick_units / 10**instrument.price_scale
        step_ns = MINUTE_NS // SAMPLES_PER_MINUTE
        path = price.smoothed(start_ns, step_ns, (end_ns - start_ns) // step_ns + 1)
        ticks = np.rint(path / tick).astype(np.int64)
        inside = sliding_window_view(ticks, SAMPLES_PER_MINUTE + 1)[::SAMPLES_PER_MINUTE]
        opens, closes = inside[:, 0], inside[:, -1]
        moved = np.abs(np.diff(inside)).sum(axis=1)
        counts = (TRADES_PER_MINUTE * (1 + 1000 * moved / opens)).astype(np.int64)
        size = instrument.typical_size * 10**instrument.size_scale / instrument.lot_units
        lots = (size * counts).astype(np.int64)
        columns = {
            "start_ns": np.arange(start_ns, end_ns, MINUTE_NS, dtype=np.int64),
            "open": opens,
            "high": inside.max(axis=1),
            "low": inside.min(axis=1),
            "close": closes,
            "lots": lots,
            "bought_lots": lots // 2,
            "value": lots * closes,
            "bought_value": lots // 2 * closes,
            "trade_count": counts,
        }
        return cls(instrument, columns)

    def grouped(self, start_of: Callable[[int], int]) -> "GeneratedCandles":
        """The same as candles of a longer interval. ``start_of`` returns the start of the interval
        of a time."""
        minutes = self._columns["start_ns"]
        if not len(minutes):
            return self
        # Whole hours are asked for once, which is much cheaper than each of their minutes.
        unit_ns = HOUR_NS if start_of(HOUR_NS - 1) == start_of(0) else MINUTE_NS
        units, unit_of = np.unique(minutes // unit_ns, return_inverse=True)
        starts = np.array([start_of(unit * unit_ns) for unit in units.tolist()], np.int64)[unit_of]
        first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
        last = np.append(first[1:], len(minutes)) - 1
        columns = {"start_ns": starts[first], "open": self._columns["open"][first]}
        columns["close"] = self._columns["close"][last]
        columns["high"] = np.maximum.reduceat(self._columns["high"], first)
        columns["low"] = np.minimum.reduceat(self._columns["low"], first)
        for name in _SUMS:
            columns[name] = np.add.reduceat(self._columns[name], first)
        return GeneratedCandles(self._instrument, columns)

    def between(self, start_ns: int, end_ns: int) -> "GeneratedCandles":
        """The candles that start between two times, both included."""
        low, high = np.searchsorted(self._columns["start_ns"], [start_ns, end_ns + 1])
        return self[int(low) : int(high)]

    def __len__(self) -> int:
        return len(self._columns["start_ns"])

    @overload
    def __getitem__(self, index: int) -> Candle: ...
    @overload
    def __getitem__(self, index: slice) -> "GeneratedCandles": ...
    def __getitem__(self, index: int | slice) -> "Candle | GeneratedCandles":
        if isinstance(index, slice):
            chosen = {name: column[index] for name, column in self._columns.items()}
            return GeneratedCandles(self._instrument, chosen)
        row = {name: int(column[index]) for name, column in self._columns.items()}
        tick, lot = self._tick, self._lot
        return Candle(
            row["start_ns"],
            open=row["open"] * tick,
            high=row["high"] * tick,
            low=row["low"] * tick,
            close=row["close"] * tick,
            volume=row["lots"] * lot,
            quote_volume=row["value"] * tick * lot,
            taker_buy_volume=row["bought_lots"] * lot,
            taker_buy_quote_volume=row["bought_value"] * tick * lot,
            trade_count=row["trade_count"],
        )
