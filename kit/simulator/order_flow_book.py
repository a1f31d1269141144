"""What order flow needs to make a market, and one side of a book as levels."""

import bisect
from collections.abc import Sequence
from typing import Protocol

from kit.simulator.market_events import MarketEvent


class OrderFlowBook(Protocol):
    """Where orders meet. Each call returns what happened, in order."""

    sequence: int
    """Of the last change of a level; consecutive."""

    def best(self, is_bid: bool) -> int | None:
        """The best price of a side in ticks; None: the side is empty."""

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        """The best levels of a side as (ticks, lots), best first."""

    def rest(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Add to a level. What would cross the other side trades with it."""

    def cancel(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Take from a level what is there and belongs to nobody, up to so many lots."""

    def take(self, buys: bool, limit_ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        """Trade with the other side, best level first, not beyond the limit; the rest expires."""


class SortedLevels:
    """Levels by key: the price of a bid, the negative price of an ask. So the best is the largest,
    and stands last."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.lots: dict[int, int] = {}

    def set(self, ticks: int, lots: int) -> None:
        """A level has so many lots now."""
        key = ticks * self.sign
        if lots:
            if key not in self.lots:
                bisect.insort(self.keys, key)
            self.lots[key] = lots
        elif self.lots.pop(key, None) is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]
