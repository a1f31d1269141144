"""Orders over Binance's websocket API, spot and futures.

The words are those of REST. A request is signed by itself; a key of the kind Ed25519 signs in once,
and its requests need no signature then.
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import SocketReply, SocketRequest, Spoken
from kit.connector.orders.rest_session import RestSession
from kit.connector.orders.user_stream import LoginRejected, StreamClosed

LOGON_NUMBER = 0
"""Of the request that signs in; orders are numbered from 1 on."""
PEM_MARK = "PRIVATE KEY"
ED25519_PEM_LENGTH_MAX = 120
"""By which ccxt, too, tells it from an RSA key."""


class BinanceOrderSocketCodec:
    """Of one market."""

    ping = ""

    def __init__(self, market: str) -> None:
        """``market``: as ccxt calls it, "spot" or "linear"."""
        self._market = market

    def url(self, api: Any) -> str:
        """wss://ws-api.binance.com:443/ws-api/v3. How much of the limits is used is not asked for:
        it would make each answer three times as long."""
        return f"{api.urls['api']['ws']['ws-api'][self._market]}?returnRateLimits=false"

    async def enter(self, line: RestSession) -> Sequence[str]:
        """{"id":0,"method":"session.logon","params":{"apiKey":"…","signature":"…",…}}"""
        if not _is_ed25519(line.api.secret):
            return ()
        return (_request(LOGON_NUMBER, "session.logon", _signed(line.api, {})),)

    def say(self, api: Any, number: int, operation: str, params: Mapping[str, str]) -> str:
        """{"id":1,"method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY",…}}"""
        if _is_ed25519(api.secret):
            return _request(number, operation, {**params, **_stamp(api)})
        return _request(number, operation, _signed(api, params))

    def hear(self, message: Any) -> Spoken:
        """{"id":1,"status":200,"result":{"orderId":28,…}}, {"id":1,"status":400,"error":{"code":
        -2010,"msg":"…"}}; {"event":{"e":"serverShutdown","E":1770123456789}} ten minutes before
        the end."""
        if "status" not in message:
            shuts = message.get("event", {}).get("e") == "serverShutdown"
            return StreamClosed("the venue ends the connection") if shuts else None
        number, status = message["id"], int(message["status"])
        error = message.get("error", {})
        if number == LOGON_NUMBER:
            return (
                LoginRejected(f"{error.get('code')} {error.get('msg')}")
                if error
                else SocketRequest()
            )
        if not error:
            return SocketReply(int(number), message["result"], status)
        if number is None:
            raise ValueError(f"an error of no request: {error}")
        told = error.get("data") or {}
        wait_ms = int(told.get("retryAfter", 0)) - int(told.get("serverTime", 0))
        return SocketReply(int(number), error, status, max(0, wait_ms) / 1000)


def _is_ed25519(secret: str) -> bool:
    return PEM_MARK in secret and len(secret) <= ED25519_PEM_LENGTH_MAX


def _stamp(api: Any) -> dict[str, int]:
    """ccxt's own window, so that both ways say the same."""
    return {"timestamp": api.milliseconds(), "recvWindow": api.options["recvWindow"]}


def _signed(api: Any, params: Mapping[str, str]) -> dict[str, Any]:
    """All but the signature is signed, by name, as it is."""
    stamped = {**params, "apiKey": api.apiKey, **_stamp(api)}
    text = "&".join([f"{name}={stamped[name]}" for name in sorted(stamped)])
    return {**stamped, "signature": _signature(api, text)}


def _signature(api: Any, text: str) -> str:
    secret: str = api.secret
    if PEM_MARK not in secret:
        return hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    sign = api.eddsa if _is_ed25519(secret) else api.rsa
    kind = "ed25519" if _is_ed25519(secret) else "sha256"
    signature: str = sign(text.encode() if kind == "ed25519" else text, secret, kind)
    return signature


def _request(number: int, method: str, params: Mapping[str, Any]) -> str:
    return msgspec.json.encode({"id": number, "method": method, "params": params}).decode()
