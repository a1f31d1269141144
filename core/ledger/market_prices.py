"""Current prices, from the venues' order books."""

from collections.abc import Collection
from decimal import Decimal
from typing import NamedTuple

from core.ledger.contracts import InstrumentKey
from kit.accounting.amounts import add, quotient
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.marketdata.clients.best_prices import BestPriceClient, BestPrices

INSTRUMENTS_MAX = 500
"""Of one request; the prices of others are not known."""
KEPT_NS = NANOSECONDS_PER_SECOND
"""How long a price is used again."""


class TimedPrice(NamedTuple):
    """A price, and since when it is known: it is of this time or later."""

    price: Decimal
    time_ns: int


class _Kept(NamedTuple):
    price: TimedPrice | None
    asked_ns: int
    """By the monotonic clock."""


class MarketPrices:
    """The middle of the best bid and ask of instruments."""

    def __init__(self, best_prices: BestPriceClient, clock: Clock) -> None:
        self._best_prices = best_prices
        self._clock = clock
        self._kept: dict[InstrumentKey, _Kept] = {}

    async def of(self, instruments: Collection[InstrumentKey]) -> dict[InstrumentKey, Decimal]:
        """The prices that are known."""
        return {name: found.price for name, found in (await self.timed(instruments)).items()}

    async def timed(
        self, instruments: Collection[InstrumentKey]
    ) -> dict[InstrumentKey, TimedPrice]:
        """The prices that are known, with their times."""
        wanted = sorted(set(instruments))[:INSTRUMENTS_MAX]
        now_ns = self._clock.monotonic_ns()
        self._kept = {
            instrument: found
            for instrument, found in self._kept.items()
            if now_ns - found.asked_ns < KEPT_NS
        }
        missing = [instrument for instrument in wanted if instrument not in self._kept]
        asked = await self._best_prices.of(missing)
        for instrument in missing:
            best = asked[instrument]
            price = middle(best)
            timed = None if price is None else TimedPrice(price, best.asked_time_ns)
            self._kept[instrument] = _Kept(timed, now_ns)
        prices = {instrument: self._kept[instrument].price for instrument in wanted}
        return {name: price for name, price in prices.items() if price is not None}


def middle(best: BestPrices) -> Decimal | None:
    """The middle of the best bid and ask; None if one of them is unknown."""
    bid, ask = best.bid, best.ask
    return None if bid is None or ask is None else quotient(add(bid, ask), Decimal(2))
