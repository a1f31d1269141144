"""The messages of Kraken's private websocket.

The first message of an order contains all of it, later ones only the changes: known fields are kept
here by the venue's id until the order is final. A trade states its own size, not the total: the
total is added up here. Amounts are numbers, kept as the texts that they are: ``order_qty``,
``cum_qty``, ``cum_cost``, ``fees[].qty``. The channel of balances is not used, as it does not state
the free amount.
https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import text_conversion
from kit.connector.orders.user_stream import (
    LoginRejected,
    StreamClosed,
    StreamMessage,
    Subscription,
    SubscriptionConfirmed,
)
from kit.execution.contract import (
    AccountEvent,
    Fee,
    OrderState,
    VenueFill,
    VenueOrder,
)
from kit.marketdata.frames.reference_reader import time_ns
from venues.kraken.account import reject_reason_of, type_of

KNOWN_MAX = 10_000
"""Orders that are kept; the oldest are dropped first."""
STATES: Mapping[str, OrderState] = {
    "pending_new": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "new": orders_pb2.ORDER_STATE_OPEN,
    "partially_filled": orders_pb2.ORDER_STATE_PARTLY_FILLED,
    "filled": orders_pb2.ORDER_STATE_FILLED,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "expired": orders_pb2.ORDER_STATE_EXPIRED,
}
FINAL = frozenset({"filled", "canceled", "expired"})


class KrakenUserStreamDecoder:
    """The channel executions."""

    subscription_count = 1

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._sequence = 0
        """Number of the last message of the connection; 0: none yet."""

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """ccxt supplies the token; its own methods route a whole message by its first row."""
        self._known.clear()
        self._sequence = 0

        async def watch() -> None:
            token = await exchange.authenticate()
            chosen = {"snap_orders": True, "snap_trades": False}
            params = {"channel": "executions", "token": token, **chosen}
            message = {"method": "subscribe", "params": params, "req_id": exchange.request_id()}
            url = exchange.urls["api"]["ws"]["privateV2"]
            await exchange.watch(url, "executions", message, "executions")

        return (watch,)

    def decode(self, message: Any) -> StreamMessage:
        """{"channel":"executions","type":"update","data":[…],"sequence":8}"""
        if message.get("method") == "subscribe":
            return _subscribed(message)
        if message.get("channel") != "executions":
            return None
        sequence = message.get("sequence")
        if sequence is not None:
            if self._sequence and sequence != self._sequence + 1:
                return StreamClosed(f"message {self._sequence + 1} is missing, there is {sequence}")
            self._sequence = sequence
        return [event for row in message["data"] for event in self._execution(row)]

    def _execution(self, row: Mapping[str, Any]) -> list[AccountEvent]:
        known = self._known.setdefault(row["order_id"], {})
        if len(self._known) > KNOWN_MAX:
            self._known.pop(next(iter(self._known)))
        events: list[AccountEvent] = []
        if row.get("exec_type") == "trade":
            events.append(_fill(row, known))
            if "cum_qty" not in row and "cum_qty" in known:
                known["cum_qty"] = text_conversion.amount(
                    known["cum_qty"]
                ) + text_conversion.amount(row["last_qty"])
                known["cum_cost"] = text_conversion.amount(
                    known["cum_cost"]
                ) + text_conversion.amount(row["cost"])
        known |= row
        if "order_qty" in known:
            events.append(_order(known))
        if known.get("order_status") in FINAL:
            self._known.pop(row["order_id"], None)
        return events


def _subscribed(message: Mapping[str, Any]) -> StreamMessage:
    """{"method":"subscribe","result":{"channel":"executions",…},"success":true,…}"""
    if message.get("success"):
        return SubscriptionConfirmed(message["result"]["channel"])
    reason = str(message.get("error"))
    is_login_error = "permission" in reason.lower() or "invalid key" in reason.lower()
    return LoginRejected(reason) if is_login_error else StreamClosed(reason)


def _order(row: Mapping[str, Any]) -> VenueOrder:
    """{"order_id":"…","cl_ord_id":"…","symbol":"BTC/USDT","side":"buy","order_type":"limit",
    "order_qty":0.10000000,"limit_price":61000.0,"cum_qty":0,"cum_cost":0,"order_status":"new",
    "triggers":{"price":…},"timestamp":"2022-12-25T09:30:59.123456Z",…}"""
    filled = text_conversion.amount(row.get("cum_qty"))
    triggers = row.get("triggers") or {}
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(row.get("cl_ord_id")),
        side=text_conversion.side(row["side"]),
        type=type_of(row["order_type"]),
        size=text_conversion.amount(row["order_qty"]),
        price=text_conversion.amount_or_none(row.get("limit_price")),
        state=text_conversion.order_state(STATES[row["order_status"]], filled),
        filled_size=filled,
        average_price=text_conversion.average_price(
            text_conversion.amount(row.get("cum_cost")), filled
        ),
        venue_time_ns=time_ns(row["timestamp"]),
        reject_reason=reject_reason_of(row),
        detail=str(row.get("reason") or ""),
        stop_price=text_conversion.amount_or_none(row.get("stop_price") or triggers.get("price")),
    )


def _fill(row: Mapping[str, Any], known: Mapping[str, Any]) -> VenueFill:
    """{"exec_id":"…","exec_type":"trade","symbol":"BTC/USDT","side":"buy","last_qty":0.02,
    "last_price":61000.0,"liquidity_ind":"m","fees":[{"asset":"USDT","qty":0.16}],…}"""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=row["exec_id"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(
            row.get("cl_ord_id") or known.get("cl_ord_id")
        ),
        side=text_conversion.side(row["side"]),
        price=text_conversion.amount(row["last_price"]),
        size=text_conversion.amount(row["last_qty"]),
        fees=tuple(
            Fee(fee["asset"], text_conversion.amount(fee["qty"])) for fee in row.get("fees", ())
        ),
        liquidity=text_conversion.liquidity(row["liquidity_ind"] == "m"),
        venue_time_ns=time_ns(row["timestamp"]),
    )
