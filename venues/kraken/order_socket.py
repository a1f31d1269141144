"""Orders over Kraken's websocket, which has words of its own, and numbers that are numbers.

Every request has a token, which REST gives. It holds as long as a private channel is subscribed to
on the connection that it was first used on; what that tells is heard elsewhere.
https://docs.kraken.com/api/docs/websocket-v2/add_order
https://docs.kraken.com/api/docs/rest-api/get-websockets-token
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.order_socket import SocketReply, SocketRequest, Spoken
from kit.connector.orders.rest_session import Call, RestSession
from kit.connector.orders.user_stream import LoginRejected
from kit.execution.approval import plain
from kit.execution.contract import OrderKey, OrderRequest

SUBSCRIBED_NUMBER = 0
"""Of the subscription; orders are numbered from 1 on."""
ADD, AMEND, CANCEL = "add_order", "amend_order", "cancel_order"
PLAIN = frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT})
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "gtc",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "ioc",
}


class KrakenOrderSocketCodec:
    """Of spot."""

    ping = '{"method":"ping"}'

    def __init__(self) -> None:
        self._token = ""

    def url(self, api: Any) -> str:
        """wss://ws-auth.kraken.com/v2"""
        return str(api.urls["api"]["ws"]["privateV2"])

    async def enter(self, line: RestSession) -> Sequence[str]:
        """{"method":"subscribe","params":{"channel":"executions","snap_orders":false,
        "snap_trades":false,"token":"…"},"req_id":0}"""
        answer = await line.ask(Call("privatePostGetWebSocketsToken"))
        self._token = answer["result"]["token"]
        channel = {"channel": "executions", "snap_orders": False, "snap_trades": False}
        return (self._request(SUBSCRIBED_NUMBER, "subscribe", channel),)

    def say(self, api: Any, number: int, operation: str, params: Mapping[str, Any]) -> str:
        """{"method":"add_order","params":{"symbol":"BTC/USDT","side":"buy","order_qty":0.1,…,
        "token":"…"},"req_id":1}"""
        return self._request(number, operation, params)

    def hear(self, message: Any) -> Spoken:
        """{"method":"add_order","req_id":1,"result":{"order_id":"OUF4EM-FRGI2-MQMWZD",…},
        "success":true,…} or {"error":"EOrder:Insufficient funds","method":"add_order","req_id":1,
        "success":false,…}. What is told of channels and pings is not for here."""
        method, number = message.get("method"), message.get("req_id")
        if "success" not in message or number is None:
            return None
        error = message.get("error")
        if number == SUBSCRIBED_NUMBER:
            return SocketRequest() if message["success"] else LoginRejected(str(error))
        if not message["success"]:
            return SocketReply(int(number), {"error": [str(error)]})
        result = message["result"]
        told = {"txid": [result["order_id"]]} if method == ADD else {}
        return SocketReply(int(number), {"error": [], "result": told})

    def _request(self, number: int, method: str, params: Mapping[str, Any]) -> str:
        signed = {**params, "token": self._token}
        request = {"method": method, "params": signed, "req_id": number}
        return msgspec.json.encode(request).decode()


def added(wish: OrderRequest) -> dict[str, Any] | None:
    """An order; None: one that is better said over REST, where a stop's prices and a time at which
    it ends are said in other ways."""
    is_limit = wish.type == orders_pb2.ORDER_TYPE_LIMIT
    if wish.time_in_force not in LIFETIMES or wish.type not in PLAIN:
        return None
    params: dict[str, Any] = {
        "symbol": wish.symbol,
        "side": "buy" if read.buys(wish) else "sell",
        "order_type": "limit" if is_limit else "market",
        "order_qty": number_of(wish.size),
        "cl_ord_id": wish.client_order_id,
        "fee_preference": "quote",
    }
    if is_limit and wish.price is not None:
        params["limit_price"] = number_of(wish.price)
        params["time_in_force"] = LIFETIMES[wish.time_in_force]
        if wish.post_only:
            params["post_only"] = True
    return params


def amended(key: OrderKey, wish: OrderRequest) -> dict[str, Any]:
    """The size and prices that an order is to have."""
    params = {**which(key), "order_qty": number_of(wish.size)}
    if wish.price is not None:
        params["limit_price"] = number_of(wish.price)
    if wish.stop_price is not None:
        params["trigger_price"] = number_of(wish.stop_price)
    return params


def cancelled(key: OrderKey) -> dict[str, Any]:
    """The order; as a list, as several can be taken back at once."""
    return {name: [value] for name, value in which(key).items()}


def which(key: OrderKey) -> dict[str, Any]:
    """By the venue's id where it is known."""
    if key.venue_order_id:
        return {"order_id": key.venue_order_id}
    return {"cl_ord_id": key.client_order_id}


def number_of(amount: Decimal) -> msgspec.Raw:
    """Digit for digit."""
    return msgspec.Raw(plain(amount).encode())
