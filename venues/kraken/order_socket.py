"""Kraken's order websocket.

Every request carries a token, which REST gives. It is valid as long as a private channel is
subscribed to on the connection on which it was first used; the messages of that channel are read by
the account stream, not here.
https://docs.kraken.com/api/docs/websocket-v2/add_order
https://docs.kraken.com/api/docs/rest-api/get-websockets-token
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply, SocketMessage
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.user_stream import LoginRejected

SUBSCRIBED_NUMBER = 0
"""Number of the subscription; orders are numbered from 1 on."""
ADD, AMEND, CANCEL = "add_order", "amend_order", "cancel_order"


class KrakenOrderSocketCodec:
    """The requests and answers of spot."""

    ping = '{"method":"ping"}'

    def __init__(self) -> None:
        self._token = ""

    def url(self, exchange: Any) -> str:
        """wss://ws-auth.kraken.com/v2"""
        return str(exchange.urls["api"]["ws"]["privateV2"])

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """{"method":"subscribe","params":{"channel":"executions","snap_orders":false,
        "snap_trades":false,"token":"…"},"req_id":0}"""
        answer = await queries.ask("privatePostGetWebSocketsToken")
        self._token = answer["result"]["token"]
        channel = {"channel": "executions", "snap_orders": False, "snap_trades": False}
        return (self._request(SUBSCRIBED_NUMBER, "subscribe", channel),)

    def encode(self, exchange: Any, number: int, operation: str, params: Mapping[str, Any]) -> str:
        """{"method":"add_order","params":{"symbol":"BTC/USDT","side":"buy","order_qty":0.1,…,
        "token":"…"},"req_id":1}"""
        return self._request(number, operation, params)

    def decode(self, message: Any) -> SocketMessage:
        """{"method":"add_order","req_id":1,"result":{"order_id":"OUF4EM-FRGI2-MQMWZD",…},
        "success":true,…} or {"error":"EOrder:Insufficient funds","method":"add_order","req_id":1,
        "success":false,…}. Messages of channels and pings are ignored."""
        method, number = message.get("method"), message.get("req_id")
        if "success" not in message or number is None:
            return None
        error = message.get("error")
        if number == SUBSCRIBED_NUMBER:
            return LoginAccepted() if message["success"] else LoginRejected(str(error))
        if not message["success"]:
            return OrderSocketReply(int(number), {"error": [str(error)]})
        result = message["result"]
        rest_result = {"txid": [result["order_id"]]} if method == ADD else {}
        return OrderSocketReply(int(number), {"error": [], "result": rest_result})

    def _request(self, number: int, method: str, params: Mapping[str, Any]) -> str:
        signed = {**params, "token": self._token}
        request = {"method": method, "params": signed, "req_id": number}
        return msgspec.json.encode(request).decode()
