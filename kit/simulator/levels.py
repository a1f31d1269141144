"""A limit order book that knows levels, not orders: what order flow needs to make a market.

A matching engine with single orders can take its place: it is used through ``OrderBook`` only.
"""

import bisect
from collections.abc import Sequence
from typing import Protocol

from kit.simulator.events import BestQuote, Instrument, LevelChange, MarketEvent, Trade


class OrderBook(Protocol):
    """Where orders meet. Each call returns what happened, in order."""

    sequence: int
    """Of the last change of a level; consecutive."""

    def best(self, is_bid: bool) -> int | None:
        """The best price of a side in ticks; None: the side is empty."""

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        """The best levels of a side as (ticks, lots), best first."""

    def rest(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Add to a level. It must not cross the other side."""

    def cancel(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Take from a level what is there, up to so many lots."""

    def take(self, buys: bool, limit_ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Trade with the other side, best level first, not beyond the limit; the rest expires."""


class _Side:
    """Levels by key: the price of a bid, the negative price of an ask. So the best is the largest,
    and stands last."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.lots: dict[int, int] = {}

    def best(self) -> tuple[int, int]:
        """(ticks, lots), or (0, 0) when there is no level."""
        if not self.keys:
            return 0, 0
        key = self.keys[-1]
        return key * self.sign, self.lots[key]

    def set(self, ticks: int, lots: int) -> None:
        key = ticks * self.sign
        if lots:
            if key not in self.lots:
                bisect.insort(self.keys, key)
            self.lots[key] = lots
        elif self.lots.pop(key, None) is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]


class LevelBook:
    """``OrderBook`` of one instrument. Trade ids and sequences are consecutive."""

    def __init__(self, instrument: Instrument, first_id: int) -> None:
        self.instrument = instrument
        self.sequence = first_id
        self._trade_id = first_id
        self._bids = _Side(1)
        self._asks = _Side(-1)
        self._quoted = ((0, 0), (0, 0))

    def best(self, is_bid: bool) -> int | None:
        side = self._side(is_bid)
        return side.keys[-1] * side.sign if side.keys else None

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        side = self._side(is_bid)
        return [(key * side.sign, side.lots[key]) for key in reversed(side.keys[-count:])]

    def rest(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        side = self._side(is_bid)
        there = side.lots.get(ticks * side.sign, 0)
        change = self._change(is_bid, ticks, there + lots, time_ns)
        return [change, *self._quote(time_ns)]

    def cancel(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        side = self._side(is_bid)
        there = side.lots.get(ticks * side.sign, 0)
        if not there:
            return []
        change = self._change(is_bid, ticks, max(there - lots, 0), time_ns)
        return [change, *self._quote(time_ns)]

    def take(self, buys: bool, limit_ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        side = self._side(not buys)
        events: list[MarketEvent] = []
        while lots and side.keys and side.keys[-1] >= limit_ticks * side.sign:
            ticks, there = side.best()
            filled = min(lots, there)
            lots -= filled
            self._trade_id += 1
            events.append(Trade(self.instrument, self._trade_id, ticks, filled, buys, time_ns))
            events.append(self._change(not buys, ticks, there - filled, time_ns))
        return [*events, *self._quote(time_ns)]

    def _side(self, is_bid: bool) -> _Side:
        return self._bids if is_bid else self._asks

    def _change(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> LevelChange:
        self._side(is_bid).set(ticks, lots)
        self.sequence += 1
        return LevelChange(self.instrument, self.sequence, is_bid, ticks, lots, time_ns)

    def _quote(self, time_ns: int) -> list[BestQuote]:
        bid, ask = self._bids.best(), self._asks.best()
        if (bid, ask) == self._quoted:
            return []
        self._quoted = (bid, ask)
        return [BestQuote(self.instrument, self.sequence, *bid, *ask, time_ns)]
