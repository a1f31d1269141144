"""OKX's channels of an account.

Documentation: https://www.okx.com/docs-v5/en/#trading-account-websocket and
#order-book-trading-trade-ws-order-channel
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from kit.simulator.dialect import Frame
from kit.simulator.exchange.order_fills import fills_of
from kit.simulator.exchange.rest import ApiCall
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    FillView,
    OrderChanged,
    OrderEventCause,
    PositionChanged,
)
from kit.simulator.text_conversion import plain
from venues.okx.simulator.orders import OkxOrders
from venues.okx.simulator.private_rest import balances, fits, positions
from venues.okx.simulator.rows import (
    Row,
    algo_row,
    is_conditional,
    is_order,
    order_row,
    position_row,
)

Argument = Mapping[str, str]
"""Of a subscription: ``{"channel":"orders","instType":"SPOT"}``"""


@dataclass(frozen=True, slots=True)
class OkxAccountFeed:
    """Writes the events of an account for one connection."""

    call: ApiCall
    """The login."""
    arguments: Mapping[str, Argument]
    """The subscriptions of the connection, by the text of their argument."""
    orders: OkxOrders
    streams: AccountStreams

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        """One frame for each subscription that the event concerns."""
        for argument in self.arguments.values():
            row = self._row(self.call.having(argument), event)
            if row is not None:
                stream = self.streams.get(argument["channel"], symbol_of(event))
                yield stream, msgspec.json.encode({"arg": argument, "data": [row]})

    def all_of(self, argument: Argument, event_type: str) -> list[bytes]:
        """The whole account, or all positions, as one frame; no frame for the other channels."""
        rows_of = {"account": balances, "positions": positions}.get(argument["channel"])
        if rows_of is None:
            return []
        page = {"eventType": event_type, "curPage": 1, "lastPage": True}
        rows = rows_of(self.call.having(argument))
        return [msgspec.json.encode({"arg": argument, **page, "data": rows})]

    def _row(self, call: ApiCall, event: AccountEvent) -> Row | None:
        channel = call.text("channel")
        if isinstance(event, BalanceChanged):
            asset = event.balance.asset
            if channel != "account" or call.text("ccy", asset) != asset:
                return None
            return balances(call.having({"ccy": asset}))[0]
        if isinstance(event, PositionChanged):
            listing = call.traded(event.position.symbol)
            if channel != "positions" or not fits(call, listing):
                return None
            return position_row(event.position, listing, call.now_ms)
        if not fits(call, call.traded(event.order.ticket.symbol)):
            return None
        if channel == "orders-algo":
            return self._algo_row(call, event)
        return self._order_row(call, event) if channel == "orders" else None

    def _algo_row(self, call: ApiCall, event: OrderChanged) -> Row | None:
        """An algo order until its trigger."""
        order = event.order
        if not is_conditional(order) or (
            is_order(order) and event.cause is not OrderEventCause.TRIGGERED
        ):
            return None
        return algo_row(order, call.traded(order.ticket.symbol), self.orders.form_of(order))

    def _order_row(self, call: ApiCall, event: OrderChanged) -> Row | None:
        order, fill = event.order, event.fill
        if not is_order(order):
            return None
        fills = fills_of(order, call.engine)
        if fill is not None and all(one.trade_id != fill.trade_id for one in fills):
            fills.append(fill)
        return {
            **order_row(order, call.traded(order.ticket.symbol), fills),
            **_fill_fields(fill),
            "amendResult": "0" if event.cause is OrderEventCause.AMENDED else "",
            "reqId": self.orders.request_id,
            "code": "0",
            "msg": "",
        }


def _fill_fields(fill: FillView | None) -> Row:
    """The fill that an order event is about."""
    if fill is None:
        none = dict.fromkeys(("fillFeeCcy", "execType", "fillPx", "fillTime", "tradeId"), "")
        return {**none, "fillFee": "0", "fillSz": "0"}
    role = "M" if fill.is_maker else "T"
    return {"fillFee": plain(-fill.fee), "fillFeeCcy": fill.fee_asset, "execType": role}
