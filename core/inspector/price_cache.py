"""Caches reference prices for limits, so that no transaction of a verdict waits for a price."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Protocol

from kit.accounting.amounts import ZERO
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import StoreUnavailable
from kit.marketdata.clients.best_prices import BestPrices, InstrumentKey
from kit.risk.facts import ReferencePrice

ASK_AGAIN_SECONDS = 1.0
KEPT_NS = 10 * NANOSECONDS_PER_SECOND
"""An older price counts as unknown. A policy can set less: price_age_ms_max."""
FRESH_NS = NANOSECONDS_PER_SECOND // 4
"""Before a decision on an order, a younger price is not requested again."""
ANSWER_SECONDS_MAX = 0.25
"""How long the decision on an order waits for the price of its instrument."""
SHOWN_NS = 30 * NANOSECONDS_PER_SECOND
"""How long the prices of open instruments are requested after somebody has read exposures."""

OpenInstruments = Callable[[], Awaitable[Iterable[InstrumentKey]]]
"""Returns the instruments with positions or open entries. Raises StoreUnavailable."""


class BestPriceSource(Protocol):
    """The order books of the venues."""

    async def of(self, instruments: Iterable[InstrumentKey]) -> dict[InstrumentKey, BestPrices]:
        """The best prices of instruments, requested at the same time."""


class PriceCache:
    """Reference prices for the limits of a policy. Without a limit that needs prices, it requests
    none, unless somebody reads exposures."""

    def __init__(self, source: BestPriceSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._kept: dict[InstrumentKey, ReferencePrice] = {}
        self.is_needed: Callable[[], bool] = lambda: False
        self.open_instruments: OpenInstruments = _no_instruments
        self._shown_time_ns = 0

    def find(self, venue: str, symbol: str) -> ReferencePrice | None:
        """The newest price; None if it is unknown or too old."""
        kept = self._kept.get((venue, symbol))
        # After the clock was set back, an old price stays old.
        is_new = kept is not None and abs(self._clock.time_ns() - kept.time_ns) <= KEPT_NS
        return kept if is_new else None

    def show(self) -> None:
        """Request the prices of open instruments for a while: somebody reads exposures."""
        self._shown_time_ns = self._clock.time_ns()

    async def refresh(self, venue: str, symbol: str) -> None:
        """Request the current price before a decision on an order. Waits up to
        ANSWER_SECONDS_MAX."""
        if not self.is_needed():
            return
        kept = self.find(venue, symbol)
        if kept is None or abs(self._clock.time_ns() - kept.time_ns) > FRESH_NS:
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    await self._ask([(venue, symbol)])
            except TimeoutError:
                pass

    async def run(self) -> None:
        """Refresh the prices of all open instruments, which limits of exposure need. Runs
        forever."""
        wanted: Iterable[InstrumentKey] = ()
        while True:
            is_shown = abs(self._clock.time_ns() - self._shown_time_ns) <= SHOWN_NS
            if is_shown or self.is_needed():
                # While the database is unreachable, keep the former list.
                with suppress(StoreUnavailable):
                    wanted = await self.open_instruments()
                await self._ask(wanted)
            await self._clock.sleep(ASK_AGAIN_SECONDS)

    async def _ask(self, instruments: Iterable[InstrumentKey]) -> None:
        for key, best in (await self._source.of(tuple(instruments))).items():
            bid, ask = best.bid, best.ask
            if bid is not None and ask is not None and _is_price(bid) and _is_price(ask):
                self._kept[key] = ReferencePrice(
                    bid=bid, ask=ask, time_ns=best.asked_time_ns, book_state=best.state_name
                )


async def _no_instruments() -> Iterable[InstrumentKey]:
    return ()


def _is_price(price: Decimal) -> bool:
    return price.is_finite() and price > ZERO
