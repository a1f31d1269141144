"""The messages of Coinbase's user channel. It reports orders, neither fills nor balances.

The messages of a connection share one sequence of numbers, so that a missing one shows. Heartbeats
keep a quiet connection from being closed.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
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
    VenueOrder,
)
from kit.execution.orders import order_states
from kit.marketdata.frames.reference_reader import time_ns
from venues.coinbase.account import STATES

TYPES = {
    "MARKET": orders_pb2.ORDER_TYPE_MARKET,
    "LIMIT": orders_pb2.ORDER_TYPE_LIMIT,
    "STOP_LIMIT": orders_pb2.ORDER_TYPE_STOP_LIMIT,
}


class CoinbaseUserStreamDecoder:
    """The user channel."""

    subscription_count = 1

    def __init__(self) -> None:
        self._sequence = -1
        """Number of the last message of the connection; -1: none yet."""

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """ccxt's own methods do not subscribe to heartbeats. A signature lasts two minutes."""
        self._sequence = -1
        url = exchange.urls["api"]["ws"]

        async def watch(channel: str) -> None:
            exchange.options["wsToken"] = None
            message = {"type": "subscribe", "product_ids": [], "channel": channel}
            signed = {**message, **exchange.create_ws_auth(channel, [])}
            await exchange.watch(url, channel, signed, channel)

        return (lambda: watch("user"), lambda: watch("heartbeats"))

    def decode(self, message: Any) -> StreamMessage:
        """{"channel":"user","timestamp":"2023-02-09T20:33:57.609931463Z","sequence_num":0,
        "events":[{"type":"snapshot","orders":[…]}]}"""
        if message.get("type") == "error":
            reason = str(message.get("message"))
            return LoginRejected(reason) if "auth" in reason.lower() else StreamClosed(reason)
        sequence = message.get("sequence_num")
        if sequence is not None:
            if sequence != self._sequence + 1:
                return StreamClosed(f"message {self._sequence + 1} is missing, there is {sequence}")
            self._sequence = sequence
        channel = message.get("channel")
        if channel == "subscriptions":
            named = message["events"][0]["subscriptions"]
            return SubscriptionConfirmed("user") if "user" in named else ()
        if channel != "user":
            return ()
        at_ns = time_ns(message["timestamp"])
        orders = [row for event in message["events"] for row in event.get("orders") or ()]
        return [_order(row, at_ns) for row in orders]


def _order(row: Mapping[str, Any], at_ns: int) -> VenueOrder:
    """{"order_id":"…","client_order_id":"…","product_id":"BTC-USD","order_side":"BUY",
    "order_type":"Limit","status":"OPEN","cumulative_quantity":"0","leaves_quantity":"0.1",
    "avg_price":"0","limit_price":"61000","stop_price":"",…}. The size is the filled and the
    remaining size together; ccxt takes the filled size alone for it. Nothing remains of an order
    that has ended: its size is then not known, unless it is filled."""
    filled = text_conversion.amount(row["cumulative_quantity"])
    remaining = text_conversion.amount(row["leaves_quantity"])
    state = text_conversion.order_state(STATES[row["status"]], filled)
    has_size = remaining or state not in order_states.FINAL or state == order_states.FILLED
    return VenueOrder(
        symbol=row["product_id"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(row.get("client_order_id")),
        side=text_conversion.side(row["order_side"]),
        type=TYPES.get(
            row["order_type"].upper().replace(" ", "_"), orders_pb2.ORDER_TYPE_UNSPECIFIED
        ),
        size=filled + remaining if has_size else text_conversion.amount(0),
        price=text_conversion.amount_or_none(row.get("limit_price")),
        state=state,
        filled_size=filled,
        average_price=text_conversion.amount_or_none(row.get("avg_price")),
        venue_time_ns=at_ns,
        detail=row.get("reject_reason") or row.get("cancel_reason") or "",
        stop_price=text_conversion.amount_or_none(row.get("stop_price")),
    )
