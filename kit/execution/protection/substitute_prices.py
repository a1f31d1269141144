"""Prices for stops that are held here while their trades are not live.

Such a stop keeps waiting, and is an alarm. So that it still limits the loss, another price of its
symbol is asked for at intervals: the venue's last trade or the mark price, as
``orders.stale_stop_price`` says.
"""

import asyncio

from kit.accounting.amounts import plain
from kit.base import telemetry
from kit.base.errors import VenuemeshError
from kit.execution.context import AccountContext
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.protection.local_stops import LocalStopOrders
from kit.execution.venue_calls import answer_of

PAUSE_S = 2.0
"""How often each of these symbols is asked for."""
NAMES = {"mark": "the mark price", "venue_last": "the last trade that the venue reports by REST"}

_log = telemetry.logger("orders.substitute_prices")


class SubstitutePrices:
    """Asks for the prices of one account's stops whose trades are not live."""

    def __init__(
        self, stops: LocalStopOrders, market: ReferenceMarketData, context: AccountContext
    ) -> None:
        self._stops = stops
        self._market = market
        self._clock = context.clock
        self._timeout_s = context.settings.ask_timeout_s
        self._name = NAMES.get(context.settings.stale_stop_price, "")

    async def run(self) -> None:
        """Ask at intervals, for ever."""
        while True:
            if self._name:
                await asyncio.gather(*map(self._ask, list(self._stops.stale)))
            await self._clock.sleep(PAUSE_S)

    async def _ask(self, symbol: str) -> None:
        found = None
        try:
            found = await answer_of(self._market.substitute(symbol), self._timeout_s)
        except VenuemeshError as error:
            detail = f"; {self._name} is not known either: {error.message}"
        else:
            detail = f"; {self._name} is not known either"
            if found is not None:
                detail = f"; {self._name} triggers them, now {plain(found.price)}"
        if symbol not in self._stops.stale:
            return
        if symbol not in self._stops.substitutes:
            _log.error("held orders use another price", extra={"symbol": symbol, "detail": detail})
        self._stops.substitutes[symbol] = detail
        if found is not None:
            self._stops.on_substitute(symbol, found)
