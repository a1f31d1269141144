"""Binance's websocket API for orders, spot and futures.

The parameters are those of REST. Each request is signed; an Ed25519 key logs in once, and its
requests then need no signature.
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply, SocketMessage
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.user_stream import LoginRejected, StreamClosed

LOGIN_NUMBER = 0
"""Number of the login request; orders are numbered from 1 on."""
PEM_MARK = "PRIVATE KEY"
ED25519_PEM_LENGTH_MAX = 120
"""A longer PEM text is an RSA key; ccxt tells them apart in the same way."""


class BinanceOrderSocketCodec:
    """The requests and answers of one market."""

    ping = ""

    def __init__(self, market: str) -> None:
        """``market``: ccxt's name, "spot" or "linear"."""
        self._market = market

    def url(self, exchange: Any) -> str:
        """wss://ws-api.binance.com:443/ws-api/v3, without rate limits in each answer: they would
        make it three times as long."""
        return f"{exchange.urls['api']['ws']['ws-api'][self._market]}?returnRateLimits=false"

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """{"id":0,"method":"session.logon","params":{"apiKey":"…","signature":"…",…}}"""
        if not _is_ed25519(queries.exchange.secret):
            return ()
        return (_request(LOGIN_NUMBER, "session.logon", _signed(queries.exchange, {})),)

    def encode(self, exchange: Any, number: int, operation: str, params: Mapping[str, str]) -> str:
        """{"id":1,"method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY",…}}"""
        if _is_ed25519(exchange.secret):
            return _request(number, operation, {**params, **_stamp(exchange)})
        return _request(number, operation, _signed(exchange, params))

    def decode(self, message: Any) -> SocketMessage:
        """{"id":1,"status":200,"result":{"orderId":28,…}}, {"id":1,"status":400,"error":{"code":
        -2010,"msg":"…"}}; {"event":{"e":"serverShutdown","E":1770123456789}} ten minutes before
        the end."""
        if "status" not in message:
            shuts = message.get("event", {}).get("e") == "serverShutdown"
            return StreamClosed("the venue ends the connection") if shuts else None
        number, status = message["id"], int(message["status"])
        error = message.get("error", {})
        if number == LOGIN_NUMBER:
            return (
                LoginRejected(f"{error.get('code')} {error.get('msg')}")
                if error
                else LoginAccepted()
            )
        if not error:
            return OrderSocketReply(int(number), message["result"], status)
        if number is None:
            raise ValueError(f"an error without a request: {error}")
        data = error.get("data") or {}
        wait_ms = int(data.get("retryAfter", 0)) - int(data.get("serverTime", 0))
        return OrderSocketReply(int(number), error, status, max(0, wait_ms) / 1000)


def _is_ed25519(secret: str) -> bool:
    return PEM_MARK in secret and len(secret) <= ED25519_PEM_LENGTH_MAX


def _stamp(exchange: Any) -> dict[str, int]:
    """ccxt's own window, so that both transports send the same."""
    return {"timestamp": exchange.nonce(), "recvWindow": exchange.options["recvWindow"]}


def _signed(exchange: Any, params: Mapping[str, str]) -> dict[str, Any]:
    """The signature covers all other parameters as they are, sorted by name."""
    stamped = {**params, "apiKey": exchange.apiKey, **_stamp(exchange)}
    text = "&".join([f"{name}={stamped[name]}" for name in sorted(stamped)])
    return {**stamped, "signature": _signature(exchange, text)}


def _signature(exchange: Any, text: str) -> str:
    secret: str = exchange.secret
    if PEM_MARK not in secret:
        return hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    sign = exchange.eddsa if _is_ed25519(secret) else exchange.rsa
    kind = "ed25519" if _is_ed25519(secret) else "sha256"
    signature: str = sign(text.encode() if kind == "ed25519" else text, secret, kind)
    return signature


def _request(number: int, method: str, params: Mapping[str, Any]) -> str:
    return msgspec.json.encode({"id": number, "method": method, "params": params}).decode()
