"""Bybit's topics of an account.

Documentation: https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import Frame, MarketView, WebsocketSession
from kit.simulator.exchange.order_fills import fills_of
from kit.simulator.exchange.rest import engine_of
from kit.simulator.matching.contract import AccountEvent, BalanceChanged, OrderChanged
from venues.bybit.simulator.errors import ERRORS
from venues.bybit.simulator.orders import BybitOrders
from venues.bybit.simulator.rest import Row
from venues.bybit.simulator.rows import execution_row, order_row, wallet_row
from venues.bybit.simulator.streams import ACCOUNT_TOPICS

FAST_FIELDS = (
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)
"""What the fast topic has of an execution."""


@dataclass(frozen=True, slots=True)
class BybitAccountFeed:
    """Writes the events of an account for one connection."""

    session: WebsocketSession
    connection: str
    market_view: MarketView
    orders: BybitOrders
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        """An order comes before its execution, an execution before the wallet."""
        if isinstance(event, BalanceChanged):
            yield from self._frames("wallet", wallet_row([event.balance], self.market_view))
        elif isinstance(event, OrderChanged):
            yield from self._frames("order", self._order(event))
            if event.fill is not None:
                row = execution_row(event.fill, self.orders.stop_type(event.order))
                yield from self._frames("execution", row)
                yield from self._frames("execution.fast", {one: row[one] for one in FAST_FIELDS})

    def _order(self, event: OrderChanged) -> Row:
        order = event.order
        fills = fills_of(order, engine_of(self.market_view, ERRORS))
        row = order_row(order, fills, self.orders.stop_type(order))
        return {**row, "feeCurrency": "", "closedPnl": "0"}

    def _frames(self, kind: str, row: Row) -> Iterator[Frame]:
        """``{"id":"…_1","topic":"order","creationTime":…,"data":[{…}]}``"""
        for name in (kind, f"{kind}.spot"):
            if name not in self.session.streams:
                continue
            frame = {
                "id": f"{self.connection}_{next(self.numbers)}",
                "topic": name,
                "creationTime": self.market_view.time_ns() // NANOSECONDS_PER_MILLISECOND,
                "data": [row if kind == "wallet" else {"category": "spot", **row}],
            }
            yield ACCOUNT_TOPICS[name], msgspec.json.encode(frame)
