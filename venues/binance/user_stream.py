"""The messages of Binance's user data streams, spot and futures.

Events have the members of REST rows under names of one or two letters: they are renamed and read
like REST rows.
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import VenueError
from kit.connector.orders.user_stream import (
    LoginRejected,
    StreamClosed,
    StreamMessage,
    Subscription,
    SubscriptionConfirmed,
)
from kit.execution.contract import AccountEvent
from venues.binance.account import (
    ALGO_STATES,
    algo_order_of,
    balance_of,
    fill_of,
    futures_order_of,
    futures_position_of,
    order_of,
)
from venues.binance.errors import CODES, find_error

_ORDER = {
    "symbol": "s", "orderId": "i", "clientOrderId": "c", "side": "S", "origQty": "q", "price": "p",
    "status": "X", "executedQty": "z", "updateTime": "T",
}  # fmt: skip
ORDER = _ORDER | {
    "type": "o", "origClientOrderId": "C", "cummulativeQuoteQty": "Z", "stopPrice": "P",
}  # fmt: skip
"""By REST's name of a member, its name in an event."""
FUTURES_ORDER = _ORDER | {"origType": "ot", "avgPrice": "ap", "stopPrice": "sp"}
ALGO_ORDER = {
    "symbol": "s", "algoId": "aid", "clientAlgoId": "caid", "side": "S", "orderType": "o",
    "quantity": "q", "price": "p", "algoStatus": "X", "triggerPrice": "tp",
}  # fmt: skip
FILL = {
    "id": "t", "price": "L", "qty": "l", "commission": "n", "commissionAsset": "N", "maker": "m",
    "time": "T",
}  # fmt: skip
POSITION = {"symbol": "s", "positionAmt": "pa", "entryPrice": "ep", "unRealizedProfit": "up"}


class BinanceSpotUserStreamDecoder:
    """The user data stream, over the websocket API."""

    subscription_count = 1

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """One subscription, for orders, fills and balances."""
        exchange.options["watchBalance"] = {"fetchBalanceSnapshot": False}
        return (exchange.watch_orders,)

    def decode(self, message: Any) -> StreamMessage:
        """{"subscriptionId":0,"event":{"e":"executionReport",…}}."""
        event = message.get("event")
        if event is None and "error" in message:
            return subscription_error(message["error"])
        if event is None:
            subscribed = (message.get("result") or {}).get("subscriptionId") is not None
            return SubscriptionConfirmed("user data") if subscribed else None
        kind = event["e"]
        if kind == "executionReport":
            return _execution(event)
        if kind == "outboundAccountPosition":
            return [balance_of(row["a"], row["f"], row["l"]) for row in event["B"]]
        if kind in ("eventStreamTerminated", "serverShutdown"):
            return StreamClosed(kind)
        # balanceUpdate states a difference; the balance itself comes with it. Lists are of orders.
        return ()


class BinanceFuturesUserStreamDecoder:
    """The user data stream of futures, at an address that has a listen key in it."""

    subscription_count = 0

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """With a new listen key each time; ccxt keeps it alive."""
        exchange.options["linear"] = {}
        return (exchange.watch_orders,)

    def decode(self, message: Any) -> StreamMessage:
        """{"e":"ORDER_TRADE_UPDATE","T":…,"o":{…}}. It reports total balances, not
        free ones: those are asked for."""
        kind = message.get("e")
        if kind == "ORDER_TRADE_UPDATE":
            return _futures_execution(message["o"])
        if kind == "ALGO_UPDATE":
            return _algo_events(message["o"], message["T"])
        if kind == "ACCOUNT_UPDATE":
            return [futures_position_of(_renamed(row, POSITION)) for row in message["a"]["P"]]
        if kind == "listenKeyExpired":
            return StreamClosed(kind)
        return () if kind else None


def subscription_error(error: Any) -> StreamClosed | LoginRejected:
    """{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"""
    found = find_error(error) or VenueError("", str(error))
    if CODES.get(found.code) == orders_pb2.REJECT_REASON_PERMISSION:
        return LoginRejected(found.message)
    return StreamClosed(f"{found.code} {found.message}")


def _execution(event: Mapping[str, Any]) -> list[AccountEvent]:
    """{"e":"executionReport","s":"ETHBTC","c":"…","C":"","S":"BUY","o":"LIMIT","q":"1.0",
    "p":"0.1","P":"0.0","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.0","z":"0.0","L":"0.0",
    "n":"0","N":null,"T":1499405658657,"t":-1,"m":false,"Z":"0.0",…}. The fill comes first."""
    row = _renamed(event, ORDER)
    order = order_of(row)
    if event["r"] != "NONE":
        order = replace(order, detail=event["r"])
    return [fill_of({**row, **_renamed(event, FILL)}), order] if event["x"] == "TRADE" else [order]


def _futures_execution(event: Mapping[str, Any]) -> list[AccountEvent]:
    """{"s":"BTCUSDT","c":"…","S":"SELL","o":"LIMIT","ot":"LIMIT","q":"0.001","p":"61000",
    "ap":"0","sp":"0","x":"TRADE","X":"FILLED","i":8886774,"l":"0.001","z":"0.001","L":"61000",
    "N":"USDT","n":"0.01","T":1568879465650,"t":1,"m":false,…}. The fill comes first."""
    row = _renamed(event, FUTURES_ORDER)
    order = futures_order_of(row)
    if event["x"] not in ("TRADE", "CALCULATED"):
        return [order]
    no_fee = {"commissionAsset": None, "commission": ""}
    return [fill_of({**row, **no_fee, **_renamed(event, FILL)}), order]


def _algo_events(event: Mapping[str, Any], time_ms: Any) -> list[AccountEvent]:
    """{"caid":"…","aid":2148719,"o":"TAKE_PROFIT","s":"BNBUSDT","S":"SELL","q":"0.01","X":"NEW",
    "tp":"750","p":"750","rm":"",…}"""
    if event["X"] not in ALGO_STATES or event["X"].startswith("TRIGGER"):
        return []
    order = algo_order_of({**_renamed(event, ALGO_ORDER), "updateTime": time_ms})
    return [replace(order, detail=event.get("rm") or "")]


def _renamed(event: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """The members of an event under the names that REST has for them."""
    return {name: event[key] for name, key in keys.items() if key in event}
