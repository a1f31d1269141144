"""The messages of Binance's user data streams, spot and futures.

Amounts are texts: sizes are q and z, the average price is Z by the filled size or ap, fees are n.
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text
from kit.connector.orders.errors import VenueError
from kit.connector.orders.user_stream import (
    LoginRejected,
    StreamClosed,
    StreamMessage,
    Subscribed,
    Subscription,
)
from kit.execution.contract import (
    AccountEvent,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from venues.binance.account import (
    ALGO_STATES,
    FUTURES_TYPES,
    STATES,
    TYPES,
    balance_of,
    fees_of,
    self_trade_reason,
)
from venues.binance.errors import CODES, find_error


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
            return Subscribed("user data") if subscribed else None
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
            return [_position(row) for row in message["a"]["P"]]
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
    filled = venue_text.amount(event["z"])
    client_id = venue_text.own_client_order_id(event.get("C") or event["c"])
    order = VenueOrder(
        symbol=event["s"],
        venue_order_id=str(event["i"]),
        client_order_id=client_id,
        side=venue_text.side(event["S"]),
        type=TYPES[event["o"]],
        size=venue_text.amount(event["q"]),
        price=venue_text.amount_or_none(event["p"]),
        state=STATES[event["X"]],
        filled_size=filled,
        average_price=venue_text.average_price(venue_text.amount(event["Z"]), filled),
        venue_time_ns=venue_text.time_ns(event["T"]),
        stop_price=venue_text.amount_or_none(event.get("P")),
        detail="" if event["r"] == "NONE" else event["r"],
        reject_reason=self_trade_reason(event["X"]),
    )
    if event["x"] != "TRADE":
        return [order]
    fill = VenueFill(
        symbol=event["s"],
        fill_id=str(event["t"]),
        venue_order_id=order.venue_order_id,
        client_order_id=client_id,
        side=order.side,
        price=venue_text.amount(event["L"]),
        size=venue_text.amount(event["l"]),
        fees=fees_of(event["N"], event["n"]),
        liquidity=venue_text.liquidity(event["m"]),
        venue_time_ns=venue_text.time_ns(event["T"]),
    )
    return [fill, order]


def _futures_execution(event: Mapping[str, Any]) -> list[AccountEvent]:
    """{"s":"BTCUSDT","c":"…","S":"SELL","o":"LIMIT","ot":"LIMIT","q":"0.001","p":"61000",
    "ap":"0","sp":"0","x":"TRADE","X":"FILLED","i":8886774,"l":"0.001","z":"0.001","L":"61000",
    "N":"USDT","n":"0.01","T":1568879465650,"t":1,"m":false,…}. The fill comes first."""
    filled = venue_text.amount(event["z"])
    order = VenueOrder(
        symbol=event["s"],
        venue_order_id=str(event["i"]),
        client_order_id=venue_text.own_client_order_id(event["c"]),
        side=venue_text.side(event["S"]),
        type=FUTURES_TYPES[event["ot"]],
        size=venue_text.amount(event["q"]),
        price=venue_text.amount_or_none(event["p"]),
        state=STATES[event["X"]],
        filled_size=filled,
        average_price=venue_text.amount_or_none(event["ap"]) if filled else None,
        venue_time_ns=venue_text.time_ns(event["T"]),
        stop_price=venue_text.amount_or_none(event.get("sp")),
        reject_reason=self_trade_reason(event["X"]),
    )
    if event["x"] not in ("TRADE", "CALCULATED"):
        return [order]
    fill = VenueFill(
        symbol=order.symbol,
        fill_id=str(event["t"]),
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price=venue_text.amount(event["L"]),
        size=venue_text.amount(event["l"]),
        fees=fees_of(event.get("N"), event.get("n", "")),
        liquidity=venue_text.liquidity(event["m"]),
        venue_time_ns=order.venue_time_ns,
    )
    return [fill, order]


def _algo_events(event: Mapping[str, Any], time_ms: Any) -> list[AccountEvent]:
    """{"caid":"…","aid":2148719,"o":"TAKE_PROFIT","s":"BNBUSDT","S":"SELL","q":"0.01","X":"NEW",
    "tp":"750","p":"750","rm":"",…}"""
    if event["X"] not in ALGO_STATES or event["X"].startswith("TRIGGER"):
        return []
    order = VenueOrder(
        symbol=event["s"],
        venue_order_id=str(event["aid"]),
        client_order_id=venue_text.own_client_order_id(event["caid"]),
        side=venue_text.side(event["S"]),
        type=FUTURES_TYPES[event["o"]],
        size=venue_text.amount(event["q"]),
        price=venue_text.amount_or_none(event["p"]),
        state=ALGO_STATES[event["X"]],
        filled_size=venue_text.amount(0),
        venue_time_ns=venue_text.time_ns(time_ms),
        detail=event.get("rm") or "",
        stop_price=venue_text.amount_or_none(event["tp"]),
    )
    return [order]


def _position(row: Mapping[str, Any]) -> VenuePosition:
    """{"s":"BTCUSDT","pa":"-0.01","ep":"61000.5","up":"1.2",…}"""
    profit = venue_text.amount(row["up"])
    return VenuePosition(
        row["s"], venue_text.amount(row["pa"]), venue_text.amount_or_none(row["ep"]), profit
    )
