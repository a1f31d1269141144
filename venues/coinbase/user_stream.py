"""What Coinbase's user channel tells of orders. Fills and balances it does not tell.

Messages of a connection are numbered all together, so that a missing one shows. Heartbeats keep a
quiet connection from being closed.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.user_stream import Heard, LoginRejected, StreamClosed, Taken, Watch
from kit.execution.contract import OrderState, VenueOrder
from kit.marketdata.frames.reference import time_ns

STATES: Mapping[str, OrderState] = {
    "PENDING": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "QUEUED": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "OPEN": orders_pb2.ORDER_STATE_OPEN,
    "CANCEL_QUEUED": orders_pb2.ORDER_STATE_OPEN,
    "EDIT_QUEUED": orders_pb2.ORDER_STATE_OPEN,
    "FILLED": orders_pb2.ORDER_STATE_FILLED,
    "CANCELLED": orders_pb2.ORDER_STATE_CANCELLED,
    "EXPIRED": orders_pb2.ORDER_STATE_EXPIRED,
    "FAILED": orders_pb2.ORDER_STATE_REJECTED,
}
"""ccxt takes EXPIRED and FAILED for cancelled, and does not know PENDING and QUEUED."""
TYPES = {
    "MARKET": orders_pb2.ORDER_TYPE_MARKET,
    "LIMIT": orders_pb2.ORDER_TYPE_LIMIT,
    "STOP_LIMIT": orders_pb2.ORDER_TYPE_STOP_LIMIT,
}


class CoinbaseUserStreamDecoder:
    """The user channel."""

    subscriptions = 1

    def __init__(self) -> None:
        self._sequence = -1
        """Of the last message of the connection; -1: there was none."""

    def watches(self, api: Any) -> Sequence[Watch]:
        """ccxt's own methods do not subscribe to heartbeats. A signature lasts two minutes."""
        self._sequence = -1
        url = api.urls["api"]["ws"]

        async def watch(channel: str) -> None:
            api.options["wsToken"] = None
            message = {"type": "subscribe", "product_ids": [], "channel": channel}
            signed = {**message, **api.create_ws_auth(channel, [])}
            await api.watch(url, channel, signed, channel)

        return (lambda: watch("user"), lambda: watch("heartbeats"))

    def hear(self, message: Any) -> Heard:
        """{"channel":"user","timestamp":"2023-02-09T20:33:57.609931463Z","sequence_num":0,
        "events":[{"type":"snapshot","orders":[…]}]}"""
        if message.get("type") == "error":
            words = str(message.get("message"))
            return LoginRejected(words) if "auth" in words.lower() else StreamClosed(words)
        sequence = message.get("sequence_num")
        if sequence is not None:
            if sequence != self._sequence + 1:
                return StreamClosed(f"message {self._sequence + 1} is missing, there is {sequence}")
            self._sequence = sequence
        channel = message.get("channel")
        if channel == "subscriptions":
            named = message["events"][0]["subscriptions"]
            return Taken("user") if "user" in named else ()
        if channel != "user":
            return ()
        at_ns = time_ns(message["timestamp"])
        orders = [row for event in message["events"] for row in event.get("orders") or ()]
        return [_order(row, at_ns) for row in orders]


def _order(row: Mapping[str, Any], at_ns: int) -> VenueOrder:
    """{"order_id":"…","client_order_id":"…","product_id":"BTC-USD","order_side":"BUY",
    "order_type":"Limit","status":"OPEN","cumulative_quantity":"0","leaves_quantity":"0.1",
    "avg_price":"0","limit_price":"61000","stop_price":"",…}. The size is what is filled and what is
    left together: ccxt takes the first alone for it."""
    filled = read.amount(row["cumulative_quantity"])
    return VenueOrder(
        symbol=row["product_id"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("client_order_id")),
        side=read.side(row["order_side"]),
        type=TYPES.get(
            row["order_type"].upper().replace(" ", "_"), orders_pb2.ORDER_TYPE_UNSPECIFIED
        ),
        size=filled + read.amount(row["leaves_quantity"]),
        price=read.given(row.get("limit_price")),
        state=read.state(STATES[row["status"]], filled),
        filled_size=filled,
        average_price=read.given(row.get("avg_price")),
        venue_time_ns=at_ns,
        detail=row.get("reject_reason") or row.get("cancel_reason") or "",
        stop_price=read.given(row.get("stop_price")),
    )
