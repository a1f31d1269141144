"""What one REST call sees of a venue's market: all of it, unless a fault shows something else."""

from collections.abc import Sequence
from typing import Any

from kit.simulator.dialect import MarketView
from kit.simulator.fault_commands import FaultKind
from kit.simulator.history import TradeHistory
from kit.simulator.listing import BookSnapshot, Listing, Mark
from kit.simulator.matching.contract import MatchingEngine
from kit.simulator.venue import Venue


class FaultedMarketView:
    """``MarketView`` for the length of one call."""

    def __init__(self, floor: MarketView, venue: Venue, path: str) -> None:
        self._floor = floor
        self._venue = venue
        self._path = path
        self._listings: Sequence[Listing] | None = None

    def time_ns(self) -> int:
        return self._floor.time_ns()

    def listings(self) -> Sequence[Listing]:
        if self._listings is None:
            self._listings = self._shown_listings()
        return self._listings

    def history(self, symbol: str) -> TradeHistory[Any]:
        return self._floor.history(symbol)

    async def book(self, symbol: str) -> BookSnapshot | None:
        fault = self._venue.faults.on_answer(FaultKind.STALE_SNAPSHOT, self._path, symbol)
        if fault is not None and symbol in self._venue.old_books:
            return self._venue.old_books[symbol]
        return await self._floor.book(symbol)

    def mark(self, symbol: str) -> Mark | None:
        return self._floor.mark(symbol)

    @property
    def house(self) -> MatchingEngine | None:
        return self._floor.house

    def recorded(self, path: str) -> bytes | None:
        """What was recorded knows nothing of faults."""
        changed = self.listings() != self._floor.listings()
        return None if changed else self._floor.recorded(path)

    def _shown_listings(self) -> Sequence[Listing]:
        faults, listings = self._venue.faults, self._floor.listings()
        if faults.on_answer(FaultKind.EMPTY_MARKET_LIST, self._path) is not None:
            return []
        fault = faults.on_answer(FaultKind.SYMBOL_TWICE, self._path)
        if fault is None:
            return listings
        twice = [one for one in listings if fault.symbol in ("", one.symbol)]
        return [*listings, *twice[:1]]
