"""The market as one REST call sees it, changed by faults."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView
from kit.simulator.fault_commands import FaultKind
from kit.simulator.history import InstrumentTradeHistory
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.matching.contract import BookingView, MatchingEngine
from kit.simulator.venue import SimulatedVenue

ON_CASH_FLOWS = (FaultKind.CASH_FLOWS_LATE, FaultKind.CASH_FLOWS_TWICE)


class _FaultedEngine:
    """An engine whose list of bookings is changed."""

    def __init__(
        self, engine: MatchingEngine, change: Callable[[list[BookingView]], list[BookingView]]
    ) -> None:
        self._engine, self._change = engine, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def bookings(self, account: str) -> list[BookingView]:
        return self._change(self._engine.bookings(account))


class FaultedMarketView:
    """``MarketView`` for the length of one call."""

    def __init__(self, market_view: MarketView, venue: SimulatedVenue, path: str) -> None:
        self._market_view = market_view
        self._venue = venue
        self._path = path
        self._listings: Sequence[Listing] | None = None

    def time_ns(self) -> int:
        return self._market_view.time_ns()

    def clock_ns(self) -> int:
        return self._market_view.clock_ns()

    def listings(self) -> Sequence[Listing]:
        if self._listings is None:
            self._listings = self._shown_listings()
        return self._listings

    def history(self, symbol: str) -> InstrumentTradeHistory[Any]:
        return self._market_view.history(symbol)

    async def book(self, symbol: str) -> ExchangeBookSnapshot | None:
        fault = self._venue.faults.on_answer(FaultKind.STALE_SNAPSHOT, self._path, symbol)
        if fault is not None and symbol in self._venue.old_books:
            return self._venue.old_books[symbol]
        book = await self._market_view.book(symbol)
        delay = self._venue.faults.on_answer(FaultKind.BOOK_DELAY, self._path, symbol)
        if delay is not None:
            await self._venue.clock.sleep(delay.seconds)
        return book

    def mark(self, symbol: str) -> DerivativeMark | None:
        return self._market_view.mark(symbol)

    @property
    def engine(self) -> MatchingEngine | None:
        engine, faults = self._market_view.engine, self._venue.faults
        if engine is None or not any(map(faults.waits_for, ON_CASH_FLOWS)):
            return engine
        return cast("MatchingEngine", _FaultedEngine(engine, self._booked))

    def _booked(self, bookings: list[BookingView]) -> list[BookingView]:
        """The changes of balances that are listed."""
        late, twice = (self._venue.faults.on_answer(one, self._path) for one in ON_CASH_FLOWS)
        if late is not None:
            end_ns = self.clock_ns() - round(late.seconds * NANOSECONDS_PER_SECOND)
            bookings = [one for one in bookings if one.time_ns < end_ns]
        return bookings if twice is None else [one for one in bookings for _ in range(2)]

    def recorded(self, path: str) -> bytes | None:
        """A recorded body is not used when a fault has changed the listings."""
        changed = self.listings() != self._market_view.listings()
        return None if changed else self._market_view.recorded(path)

    def _shown_listings(self) -> Sequence[Listing]:
        faults, listings = self._venue.faults, self._market_view.listings()
        if faults.on_answer(FaultKind.EMPTY_MARKET_LIST, self._path) is not None:
            return []
        fault = faults.on_answer(FaultKind.SYMBOL_TWICE, self._path)
        if fault is None:
            return listings
        twice = [one for one in listings if fault.symbol in ("", one.symbol)]
        return [*listings, *twice[:1]]
