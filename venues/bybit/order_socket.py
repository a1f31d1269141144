"""Bybit's order websocket ``/v5/trade``, whose parameters are those of REST.

The key logs in once. The venue closes a session after ten minutes without a message, and identifies
requests by ``reqId``, which must be unique.
https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply, SocketMessage
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.user_stream import LoginRejected

SIGNED_MS = 10_000
"""Validity of a login's signature."""


class BybitOrderSocketCodec:
    """The requests and answers of the unified account."""

    ping = '{"op":"ping"}'

    def __init__(self) -> None:
        self._run = secrets.token_hex(8)
        """How the ids of requests begin: no other process, before or beside this one, has them."""

    def url(self, exchange: Any) -> str:
        """wss://stream.bybit.com/v5/trade"""
        return str(exchange.urls["api"]["ws"]["private"]["trade"])

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """{"op":"auth","args":["key",1662350400000,"signature"]}"""
        exchange = queries.exchange
        expires_ms = exchange.milliseconds() + SIGNED_MS
        text = f"GET/realtime{expires_ms}"
        signature = hmac.digest(exchange.secret.encode(), text.encode(), "sha256").hex()
        request = {"op": "auth", "args": [exchange.apiKey, expires_ms, signature]}
        return (msgspec.json.encode(request).decode(),)

    def encode(self, exchange: Any, number: int, operation: str, params: Mapping[str, str]) -> str:
        """{"reqId":"5f…-1","header":{"X-BAPI-TIMESTAMP":"1711001595207",…},"op":"order.create",
        "args":[{"symbol":"BTCUSDT","side":"Buy",…}]}"""
        header = {
            "X-BAPI-TIMESTAMP": str(exchange.nonce()),
            "X-BAPI-RECV-WINDOW": str(exchange.options["recvWindow"]),
        }
        request_id = f"{self._run}-{number}"
        request = {"reqId": request_id, "header": header, "op": operation, "args": [params]}
        return msgspec.json.encode(request).decode()

    def decode(self, message: Any) -> SocketMessage:
        """{"reqId":"5f…-1","retCode":0,"retMsg":"OK","op":"order.create","data":{"orderId":"…",…},
        "header":{"X-Bapi-Limit":"20",…},"connId":"…"}; {"retCode":0,"retMsg":"OK","op":"auth"}."""
        operation = message.get("op")
        if operation in ("ping", "pong"):
            return None
        code, reason = message["retCode"], message.get("retMsg", "")
        if operation == "auth":
            return LoginAccepted() if code == 0 else LoginRejected(f"{code} {reason}")
        body = {"retCode": code, "retMsg": reason, "result": message.get("data", {})}
        return OrderSocketReply(int(message["reqId"].rpartition("-")[2]), body)
