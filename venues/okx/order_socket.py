"""OKX's order websocket ``/ws/v5/private``. The parameters are those of REST, except for
the instrument, which is named by its number. It does not take stops.

The key logs in once. The venue closes a connection without messages for 30 s.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-place-order
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply, SocketMessage
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.user_stream import LoginRejected, StreamClosed

LOGIN_PATH = "GET/users/self/verify"


class OkxOrderSocketCodec:
    """The requests and answers of spot, or of swaps."""

    ping = "ping"

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind
        self._codes: dict[str, Any] = {}
        """Numbers of instruments by name; loaded with each connection."""

    def url(self, exchange: Any) -> str:
        """wss://ws.okx.com:443/ws/v5/private"""
        return str(exchange.get_url("users", "private"))

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """{"op":"login","args":[{"apiKey":"…","passphrase":"…","timestamp":"1538054050",
        "sign":"…"}]}"""
        listed = await queries.ask("publicGetPublicInstruments", {"instType": self._kind})
        self._codes = {
            row["instId"]: row["instIdCode"] for row in listed["data"] if "instIdCode" in row
        }
        exchange = queries.exchange
        timestamp = str(exchange.seconds())
        signed = hmac.digest(
            exchange.secret.encode(), f"{timestamp}{LOGIN_PATH}".encode(), "sha256"
        )
        login = {
            "apiKey": exchange.apiKey,
            "passphrase": exchange.password,
            "timestamp": timestamp,
            "sign": base64.b64encode(signed).decode(),
        }
        return (msgspec.json.encode({"op": "login", "args": [login]}).decode(),)

    def encode(self, exchange: Any, number: int, operation: str, params: Mapping[str, Any]) -> str:
        """{"id":"1","op":"order","args":[{"instIdCode":10458,"side":"buy",…}]}. A new
        instrument without a number is sent by name, and the venue decides whether it takes that."""
        code = self._codes.get(params["instId"])
        named = dict(params) if code is None else {**params, "instIdCode": code}
        return msgspec.json.encode({"id": str(number), "op": operation, "args": [named]}).decode()

    def decode(self, message: Any) -> SocketMessage:
        """{"id":"1","op":"order","code":"0","msg":"","data":[{"ordId":"…","sCode":"0",…}],
        "inTime":"…","outTime":"…"}; {"event":"login","code":"0",…}; {"event":"error","code":
        "60009","msg":"Login failed."}; {"event":"notice","code":"64008",…}."""
        event, number = message.get("event"), message.get("id")
        reason = f"{message.get('code')} {message.get('msg')}"
        if event == "login":
            return (
                LoginAccepted() if str(message.get("code", "0")) == "0" else LoginRejected(reason)
            )
        if event == "notice":
            return StreamClosed(reason)
        if number:
            body = {"code": message["code"], "msg": message.get("msg", "")}
            return OrderSocketReply(int(number), {**body, "data": message.get("data", [])})
        return LoginRejected(reason) if event == "error" else None
