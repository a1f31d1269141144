"""Keeps the prices of the instruments that limits are compared with, so that a verdict waits for
none in its transaction."""

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
"""Older ones are not known. A policy can set less: price_age_ms_max."""
FRESH_NS = NANOSECONDS_PER_SECOND // 4
"""Of the instrument of an order, younger ones are not asked for again."""
ANSWER_SECONDS_MAX = 0.25
"""How long the decision on an order waits for the price of its instrument."""

OpenInstruments = Callable[[], Awaitable[Iterable[InstrumentKey]]]
"""Returns the instruments in which something is held, or may still be filled. Raises
StoreUnavailable."""


class BestPriceSource(Protocol):
    """The order books of the venues."""

    async def of(self, instruments: Iterable[InstrumentKey]) -> dict[InstrumentKey, BestPrices]:
        """The tops of books, asked for at the same time."""


class PriceCache:
    """Asked for by the limits of a policy; while it has none that need prices, nobody is."""

    def __init__(self, source: BestPriceSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._kept: dict[InstrumentKey, ReferencePrice] = {}
        self.is_needed: Callable[[], bool] = lambda: False
        self.open_instruments: OpenInstruments = _no_instruments

    def find(self, venue: str, symbol: str) -> ReferencePrice | None:
        """The newest price; None while it is not known, or too old."""
        kept = self._kept.get((venue, symbol))
        # A clock that was set back does not make an old price new.
        is_new = kept is not None and abs(self._clock.time_ns() - kept.time_ns) <= KEPT_NS
        return kept if is_new else None

    async def refresh(self, venue: str, symbol: str) -> None:
        """Have a price of now before an order is decided on, if it comes in time."""
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
        """Ask again and again for the prices of what is open, so that they are known when an order
        is compared with the value of all of it. Runs forever."""
        wanted: Iterable[InstrumentKey] = ()
        while True:
            if self.is_needed():
                # While the database is away, for those that were open before.
                with suppress(StoreUnavailable):
                    wanted = await self.open_instruments()
                await self._ask(wanted)
            await self._clock.sleep(ASK_AGAIN_SECONDS)

    async def _ask(self, instruments: Iterable[InstrumentKey]) -> None:
        for key, best in (await self._source.of(tuple(instruments))).items():
            bid, ask = best.bid, best.ask
            if bid is not None and ask is not None and _is_price(bid) and _is_price(ask):
                price = ReferencePrice(bid=bid, ask=ask, time_ns=best.asked_time_ns)
                self._kept[key] = price


async def _no_instruments() -> Iterable[InstrumentKey]:
    return ()


def _is_price(price: Decimal) -> bool:
    return price.is_finite() and price > ZERO
