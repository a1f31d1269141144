"""A small market of one or more books, and an exchange over them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import side_of
from kit.simulator.listing import DerivativeMark, Listing
from kit.simulator.market_events import Instrument, MarketEvent
from kit.simulator.matching.contract import AccountEvent, MatchingRules, OrderTicket, OrderView
from kit.simulator.matching.exchange_accounts import ExchangeAccounts
from kit.simulator.matching.order_book import OrderBook

COIN = Instrument("COIN", "USDT", 2, 3, 1, 100.0, 1.0, 0.03, 1.0)
SPOT = Listing("COINUSDT", "COIN", "USDT", "0.01", "0.001", "5")
SYMBOL = SPOT.symbol


class Market:
    """Books without a crowd; time is set by hand."""

    def __init__(
        self,
        rules: MatchingRules | None = None,
        listed: Sequence[tuple[Instrument, Listing]] = ((COIN, SPOT),),
    ) -> None:
        self.now_ns = 1_000_000_000
        self.events: list[MarketEvent] = []
        self.marks: dict[str, DerivativeMark] = {}
        self.exchange = ExchangeAccounts(
            rules or MatchingRules(),
            lambda: self.now_ns,
            lambda time_ns: time_ns,
            self.events.extend,
            lambda symbol: self.marks.get(symbol),
        )
        self.books = {listing.symbol: OrderBook(one, 1_000) for one, listing in listed}
        for instrument, listing in listed:
            self.exchange.enter(instrument, listing, self.books[listing.symbol])
        self.book = self.books[listed[0][1].symbol]
        self.symbol = listed[0][1].symbol

    def order(
        self, account: str, side: str, size: str, price: str | None = None, **more: Any
    ) -> OrderView:
        """Place one: a limit order where there is a price."""
        kind = orders_pb2.ORDER_TYPE_MARKET if price is None else orders_pb2.ORDER_TYPE_LIMIT
        fields: dict[str, Any] = {"symbol": self.symbol, "type": kind, **more}
        for name in ("stop_price", "trailing_offset", "value"):
            if name in fields:
                fields[name] = Decimal(fields[name])
        limit = None if price is None else Decimal(price)
        ticket = OrderTicket(side=side_of(side == "buy"), size=Decimal(size), price=limit, **fields)
        return self.exchange.place(account, ticket)

    def has(self, account: str, asset: str) -> tuple[Decimal, Decimal]:
        """(total, locked)"""
        found = {one.asset: one for one in self.exchange.balances(account)}[asset]
        return found.total, found.locked

    def hear(self, account: str) -> list[AccountEvent]:
        """All events from now on."""
        heard: list[AccountEvent] = []
        self.exchange.listen(account, heard.append)
        return heard


IOC = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
FOK = orders_pb2.TIME_IN_FORCE_FILL_OR_KILL
