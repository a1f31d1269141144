"""What Kraken's private websocket tells of orders and fills.

The first message of an order has all of it, those that follow only what has changed: what is known
is kept here by the venue's id until the order is final. A trade says how much was met, not how much
that makes: it is added here. The channel of balances is left out, as it does not say what is free.
https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.user_stream import Heard, LoginRejected, StreamClosed, Taken, Watch
from kit.execution.contract import (
    AccountEvent,
    Fee,
    OrderState,
    OrderType,
    VenueFill,
    VenueOrder,
)
from kit.marketdata.frames.reference import time_ns

KNOWN_MAX = 10_000
"""Orders that are kept; the oldest go first."""
TYPES_READ: Mapping[str, OrderType] = {
    "market": orders_pb2.ORDER_TYPE_MARKET,
    "limit": orders_pb2.ORDER_TYPE_LIMIT,
    "stop-loss": orders_pb2.ORDER_TYPE_STOP,
    "stop-loss-limit": orders_pb2.ORDER_TYPE_STOP_LIMIT,
    "take-profit": orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    "take-profit-limit": orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    "trailing-stop": orders_pb2.ORDER_TYPE_TRAILING_STOP,
}
STATES: Mapping[str, OrderState] = {
    "pending_new": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "new": orders_pb2.ORDER_STATE_OPEN,
    "partially_filled": orders_pb2.ORDER_STATE_PARTLY_FILLED,
    "filled": orders_pb2.ORDER_STATE_FILLED,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "expired": orders_pb2.ORDER_STATE_EXPIRED,
}
FINAL = frozenset({"filled", "canceled", "expired"})


class KrakenSpotUserStreamDecoder:
    """The channel executions."""

    subscriptions = 1

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._sequence = 0
        """Of the last message; 0: there was none on this connection."""

    def watches(self, api: Any) -> Sequence[Watch]:
        """ccxt gets the token; its own methods route a whole message by its first row."""
        self._known.clear()
        self._sequence = 0

        async def watch() -> None:
            token = await api.authenticate()
            chosen = {"snap_orders": True, "snap_trades": False}
            params = {"channel": "executions", "token": token, **chosen}
            message = {"method": "subscribe", "params": params, "req_id": api.request_id()}
            url = api.urls["api"]["ws"]["privateV2"]
            await api.watch(url, "executions", message, "executions")

        return (watch,)

    def hear(self, message: Any) -> Heard:
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
                known["cum_qty"] = read.amount(known["cum_qty"]) + read.amount(row["last_qty"])
                known["cum_cost"] = read.amount(known["cum_cost"]) + read.amount(row["cost"])
        known |= row
        if "order_qty" in known:
            events.append(_order(known))
        if known.get("order_status") in FINAL:
            self._known.pop(row["order_id"], None)
        return events


def _subscribed(message: Mapping[str, Any]) -> Heard:
    """{"method":"subscribe","result":{"channel":"executions",…},"success":true,…}"""
    if message.get("success"):
        return Taken(message["result"]["channel"])
    words = str(message.get("error"))
    refused = "permission" in words.lower() or "invalid key" in words.lower()
    return LoginRejected(words) if refused else StreamClosed(words)


def _order(row: Mapping[str, Any]) -> VenueOrder:
    """{"order_id":"…","cl_ord_id":"…","symbol":"BTC/USDT","side":"buy","order_type":"limit",
    "order_qty":0.10000000,"limit_price":61000.0,"cum_qty":0,"cum_cost":0,"order_status":"new",
    "triggers":{"price":…},"timestamp":"2022-12-25T09:30:59.123456Z",…}"""
    filled = read.amount(row.get("cum_qty"))
    triggers = row.get("triggers") or {}
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("cl_ord_id")),
        side=read.side(row["side"]),
        type=TYPES_READ[row["order_type"]],
        size=read.amount(row["order_qty"]),
        price=read.given(row.get("limit_price")),
        state=read.state(STATES[row["order_status"]], filled),
        filled_size=filled,
        average_price=read.mean(read.amount(row.get("cum_cost")), filled),
        venue_time_ns=time_ns(row["timestamp"]),
        detail=str(row.get("reason") or ""),
        stop_price=read.given(row.get("stop_price") or triggers.get("price")),
    )


def _fill(row: Mapping[str, Any], known: Mapping[str, Any]) -> VenueFill:
    """{"exec_id":"…","exec_type":"trade","symbol":"BTC/USDT","side":"buy","last_qty":0.02,
    "last_price":61000.0,"liquidity_ind":"m","fees":[{"asset":"USDT","qty":0.16}],…}"""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=row["exec_id"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("cl_ord_id") or known.get("cl_ord_id")),
        side=read.side(row["side"]),
        price=read.amount(row["last_price"]),
        size=read.amount(row["last_qty"]),
        fees=tuple(Fee(fee["asset"], read.amount(fee["qty"])) for fee in row.get("fees", ())),
        liquidity=read.liquidity(row["liquidity_ind"] == "m"),
        venue_time_ns=time_ns(row["timestamp"]),
    )
