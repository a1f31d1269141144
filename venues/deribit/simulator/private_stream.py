"""Deribit's channels of an account.

Documentation: https://docs.deribit.com/subscriptions/orders/userordersinstrument_nameraw and its
neighbours. A channel begins with silence: a client asks for what there was before.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kit.simulator.dialect import Frame, MarketView, WebsocketSession
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.exchange.rest import engine_of
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    OrderChanged,
    OrderEventCause,
    PositionChanged,
)
from venues.deribit.simulator.encode import framed_value
from venues.deribit.simulator.errors import ERRORS
from venues.deribit.simulator.rows import (
    Row,
    order_row,
    portfolio_rows,
    position_row,
    trade_row,
    triggered_row,
)
from venues.deribit.simulator.streams import ACCOUNT_CHANNEL

BUNDLED = "100ms"


@dataclass(frozen=True, slots=True)
class DeribitAccountFeed:
    """Writes the events of an account for one connection."""

    session: WebsocketSession
    account: str
    market_view: MarketView

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        """An order comes before its trade."""
        if isinstance(event, OrderChanged):
            yield from self._order(event)
        elif isinstance(event, BalanceChanged):
            yield from self._portfolio(event.balance.asset)
        elif isinstance(event, PositionChanged):
            yield from self._position(event)

    def _order(self, event: OrderChanged) -> Iterator[Frame]:
        listing = known_listings(self.market_view)[event.order.ticket.symbol]
        symbol, fill = listing.symbol, event.fill
        row = order_row(event.order, listing)
        rows = [row]
        if event.cause is OrderEventCause.TRIGGERED:
            rows.insert(0, triggered_row(event.order, listing))
        for one in rows:
            for name, found in self._wanted(symbol, "orders"):
                yield self._frame(name, [one] if found["interval"] == BUNDLED else one)
        trades = [] if fill is None else [trade_row(fill, listing, self.market_view)]
        if trades:
            for name, _ in self._wanted(symbol, "trades"):
                yield self._frame(name, trades)
        changes = {"instrument_name": symbol, "orders": [row], "trades": trades, "positions": []}
        for name, _ in self._wanted(symbol, "changes"):
            yield self._frame(name, changes)

    def _position(self, event: PositionChanged) -> Iterator[Frame]:
        listing = known_listings(self.market_view)[event.position.symbol]
        row = position_row(event.position, listing, self.market_view)
        nothing: dict[str, list[Row]] = {"orders": [], "trades": []}
        changes = {"instrument_name": listing.symbol, **nothing, "positions": [row]}
        for name, _ in self._wanted(listing.symbol, "changes"):
            yield self._frame(name, changes)
        yield from self._portfolio(listing.settle)

    def _portfolio(self, asset: str) -> Iterator[Frame]:
        for name in list(self.session.streams):
            found = ACCOUNT_CHANNEL.fullmatch(name)
            if found is None or (found["portfolio"] or "").upper() not in ("ANY", asset):
                continue
            engine = engine_of(self.market_view, ERRORS)
            for row in portfolio_rows(engine, self.account, self.market_view):
                if row["currency"] == asset:
                    yield self._frame(name, row)

    def _wanted(self, symbol: str, topic: str) -> Iterator[tuple[str, re.Match[str]]]:
        """The subscribed channels of a topic that are about an instrument."""
        settle = known_listings(self.market_view)[symbol].settle
        for name in list(self.session.streams):
            found = ACCOUNT_CHANNEL.fullmatch(name)
            if found is None or found["topic"] != topic:
                continue
            of_kind = found["kind"] in ("any", "future")
            of_currency = (found["currency"] or "").upper() in ("ANY", settle)
            if found["symbol"] == symbol or (of_kind and of_currency):
                yield name, found

    def _frame(self, name: str, data: object) -> Frame:
        return self.session.streams[name], framed_value(name, data)
