"""Deribit's order websocket. The parameters are those of REST, but amounts are JSON numbers.

The key logs in once, with a signature: the secret is not sent. Orders stay when the connection that
placed them is lost, unless cancel-on-disconnect was switched on.
https://docs.deribit.com/articles/json-rpc-overview
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kit.connector.orders.order_socket import LoginAccepted, OrderSocketReply, SocketMessage
from kit.connector.orders.rest_session import RestQuerySession
from kit.connector.orders.user_stream import LoginRejected

LOGIN_NUMBER = 0
"""Number of the login request; orders are numbered from 1 on."""
NUMBERS = frozenset({"amount", "price", "trigger_price"})
ERROR_STATUS = 400
"""HTTP status of errors over REST."""


def login_params(exchange: Any) -> dict[str, str]:
    """The parameters of public/auth."""
    stamp = str(exchange.milliseconds())
    text = f"{stamp}\n{stamp}\n".encode()
    return {
        "grant_type": "client_signature",
        "client_id": exchange.apiKey,
        "timestamp": stamp,
        "nonce": stamp,
        "data": "",
        "signature": exchange.hmac(text, exchange.encode(exchange.secret), "sha256"),
    }


class DeribitOrderSocketCodec:
    """The requests and answers of an account."""

    ping = '{"jsonrpc":"2.0","method":"public/test","params":{}}'

    def url(self, exchange: Any) -> str:
        """wss://www.deribit.com/ws/api/v2"""
        return str(exchange.urls["api"]["ws"])

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """{"jsonrpc":"2.0","id":0,"method":"public/auth","params":{"grant_type":
        "client_signature",…}}"""
        asked = login_params(queries.exchange)
        stamped = {**asked, "timestamp": int(asked["timestamp"])}
        return (_request(LOGIN_NUMBER, "public/auth", stamped),)

    def encode(self, exchange: Any, number: int, operation: str, params: Mapping[str, str]) -> str:
        """{"jsonrpc":"2.0","id":1,"method":"private/buy","params":{"instrument_name":
        "BTC-PERPETUAL","amount":50,"price":61000.5,"post_only":true,…}}"""
        return _request(number, operation, {name: _value(name, params[name]) for name in params})

    def decode(self, message: Any) -> SocketMessage:
        """{"jsonrpc":"2.0","id":1,"result":{"order":{…},"trades":[…]},…} or {"jsonrpc":"2.0",
        "id":1,"error":{"code":10009,"message":"not_enough_funds"},…}."""
        number, error = message.get("id"), message.get("error")
        if number is None:
            return None
        if number == LOGIN_NUMBER:
            return (
                LoginRejected(f"{error['code']} {error['message']}") if error else LoginAccepted()
            )
        return OrderSocketReply(int(number), message, ERROR_STATUS if error else 200)


def _value(name: str, text: str) -> Any:
    if name in NUMBERS:
        return msgspec.Raw(text.encode())
    return True if text == "true" else text


def _request(number: int, method: str, params: Mapping[str, Any]) -> str:
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return msgspec.json.encode(request).decode()
