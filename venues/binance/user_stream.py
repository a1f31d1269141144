"""What Binance tells of orders, fills and balances, over the websocket as over REST.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.errors import VenueError
from kit.connector.orders.user_stream import Heard, LoginRejected, StreamClosed, Taken, Watch
from kit.execution.contract import (
    AccountEvent,
    Fee,
    OrderState,
    OrderType,
    RejectReason,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from venues.binance.errors import CODES, said

STATES: Mapping[str, OrderState] = {
    "PENDING_NEW": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "NEW": orders_pb2.ORDER_STATE_OPEN,
    "PARTIALLY_FILLED": orders_pb2.ORDER_STATE_PARTLY_FILLED,
    "FILLED": orders_pb2.ORDER_STATE_FILLED,
    "CANCELED": orders_pb2.ORDER_STATE_CANCELLED,
    "PENDING_CANCEL": orders_pb2.ORDER_STATE_OPEN,
    "REJECTED": orders_pb2.ORDER_STATE_REJECTED,
    "EXPIRED": orders_pb2.ORDER_STATE_EXPIRED,
    "EXPIRED_IN_MATCH": orders_pb2.ORDER_STATE_EXPIRED,
}
"""EXPIRED_IN_MATCH: it would have met an order of the same account."""
TYPES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_LOSS",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP_LOSS_LIMIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
}
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}
_TYPES_READ = {name: kind for kind, name in TYPES.items()} | {
    "LIMIT_MAKER": orders_pb2.ORDER_TYPE_LIMIT
}

FUTURES_TYPES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_MARKET",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
_FUTURES_TYPES_READ = {name: kind for kind, name in FUTURES_TYPES.items()} | {
    "TRAILING_STOP_MARKET": orders_pb2.ORDER_TYPE_TRAILING_STOP,
    "LIQUIDATION": orders_pb2.ORDER_TYPE_MARKET,
}
ALGO_STATES: Mapping[str, OrderState] = {
    "NEW": orders_pb2.ORDER_STATE_OPEN,
    "TRIGGERING": orders_pb2.ORDER_STATE_OPEN,
    "TRIGGERED": orders_pb2.ORDER_STATE_OPEN,
    "CANCELED": orders_pb2.ORDER_STATE_CANCELLED,
    "EXPIRED": orders_pb2.ORDER_STATE_EXPIRED,
    "REJECTED": orders_pb2.ORDER_STATE_REJECTED,
}
"""Of a conditional order. What becomes of it once it has woken is told of the order itself."""


class BinanceSpotUserStreamDecoder:
    """The user data stream, over the websocket API."""

    subscriptions = 1

    def watches(self, api: Any) -> Sequence[Watch]:
        """One subscription brings orders, fills and balances."""
        api.options["watchBalance"] = {"fetchBalanceSnapshot": False}
        return (api.watch_orders,)

    def hear(self, message: Any) -> Heard:
        """{"subscriptionId":0,"event":{"e":"executionReport",…}}."""
        event = message.get("event")
        if event is None and "error" in message:
            return not_taken(message["error"])
        if event is None:
            subscribed = (message.get("result") or {}).get("subscriptionId") is not None
            return Taken("user data") if subscribed else None
        kind = event["e"]
        if kind == "executionReport":
            return _execution(event)
        if kind == "outboundAccountPosition":
            return [balance_of(row["a"], row["f"], row["l"]) for row in event["B"]]
        if kind in ("eventStreamTerminated", "serverShutdown"):
            return StreamClosed(kind)
        # balanceUpdate tells a difference; the balance itself comes with it. Lists are of orders.
        return ()


class BinanceFuturesUserStreamDecoder:
    """The user data stream of futures, at an address that has a listen key in it."""

    subscriptions = 0

    def watches(self, api: Any) -> Sequence[Watch]:
        """With a new listen key each time; ccxt keeps it alive."""
        api.options["linear"] = {}
        return (api.watch_orders,)

    def hear(self, message: Any) -> Heard:
        """{"e":"ORDER_TRADE_UPDATE","T":…,"o":{…}}. Of balances it tells what is there, not what is
        free: that is asked for."""
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


def not_taken(error: Any) -> StreamClosed | LoginRejected:
    """{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"""
    heard = said(error) or VenueError("", str(error))
    if CODES.get(heard.code) == orders_pb2.REJECT_REASON_PERMISSION:
        return LoginRejected(heard.words)
    return StreamClosed(f"{heard.code} {heard.words}")


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"…","price":"0.10","origQty":"1.0",
    "executedQty":"0.0","cummulativeQuoteQty":"0.0","status":"NEW","type":"LIMIT","side":"BUY",
    "stopPrice":"0.0","updateTime":1499827319559,…}. A cancelled one has ours in
    ``origClientOrderId``: ``clientOrderId`` is then the id of the cancelling."""
    filled = read.amount(row["executedQty"])
    client_id = row.get("origClientOrderId") or row.get("clientOrderId")
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=str(row["orderId"]),
        client_order_id=read.ours(client_id),
        side=read.side(row["side"]),
        type=_TYPES_READ[row["type"]],
        size=read.amount(row["origQty"]),
        price=read.given(row.get("price")),
        state=STATES[row["status"]],
        filled_size=filled,
        average_price=read.mean(read.amount(row.get("cummulativeQuoteQty")), filled),
        venue_time_ns=read.time_ns(row.get("updateTime") or row.get("transactTime")),
        stop_price=read.given(row.get("stopPrice")),
        reject_reason=_self_trade(row["status"]),
    )


def _execution(event: Mapping[str, Any]) -> list[AccountEvent]:
    """{"e":"executionReport","s":"ETHBTC","c":"…","C":"","S":"BUY","o":"LIMIT","q":"1.0",
    "p":"0.1","P":"0.0","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.0","z":"0.0","L":"0.0",
    "n":"0","N":null,"T":1499405658657,"t":-1,"m":false,"Z":"0.0",…}. The fill comes first."""
    filled = read.amount(event["z"])
    client_id = read.ours(event.get("C") or event["c"])
    order = VenueOrder(
        symbol=event["s"],
        venue_order_id=str(event["i"]),
        client_order_id=client_id,
        side=read.side(event["S"]),
        type=_TYPES_READ[event["o"]],
        size=read.amount(event["q"]),
        price=read.given(event["p"]),
        state=STATES[event["X"]],
        filled_size=filled,
        average_price=read.mean(read.amount(event["Z"]), filled),
        venue_time_ns=read.time_ns(event["T"]),
        stop_price=read.given(event.get("P")),
        detail="" if event["r"] == "NONE" else event["r"],
        reject_reason=_self_trade(event["X"]),
    )
    if event["x"] != "TRADE":
        return [order]
    fill = VenueFill(
        symbol=event["s"],
        fill_id=str(event["t"]),
        venue_order_id=order.venue_order_id,
        client_order_id=client_id,
        side=order.side,
        price=read.amount(event["L"]),
        size=read.amount(event["l"]),
        fees=_fees(event["N"], event["n"]),
        liquidity=read.liquidity(event["m"]),
        venue_time_ns=read.time_ns(event["T"]),
    )
    return [fill, order]


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"symbol":"BNBBTC","id":28457,"orderId":100234,"price":"4.0","qty":"12.0",
    "commission":"10.1","commissionAsset":"BNB","time":1499865549590,"isBuyer":true,
    "isMaker":false,…}"""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=str(row["id"]),
        venue_order_id=str(row["orderId"]),
        client_order_id="",
        side=read.side("buy" if row["isBuyer"] else "sell"),
        price=read.amount(row["price"]),
        size=read.amount(row["qty"]),
        fees=_fees(row["commissionAsset"], row["commission"]),
        liquidity=read.liquidity(row["isMaker"]),
        venue_time_ns=read.time_ns(row["time"]),
    )


def _fees(asset: str | None, paid: str) -> tuple[Fee, ...]:
    return (Fee(asset, read.amount(paid)),) if asset else ()


def balance_of(asset: str, free: str, locked: str) -> VenueBalance:
    """What is free and what orders hold, together and apart."""
    available = read.amount(free)
    return VenueBalance(asset, available + read.amount(locked), available)


def _self_trade(status: str) -> RejectReason:
    if status == "EXPIRED_IN_MATCH":
        return orders_pb2.REJECT_REASON_SELF_TRADE
    return orders_pb2.REJECT_REASON_UNSPECIFIED


def futures_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"orderId":22542179,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"…","price":"61000",
    "avgPrice":"0.00","origQty":"10","executedQty":"0","type":"LIMIT","origType":"LIMIT",
    "side":"BUY","stopPrice":"0","updateTime":1566818724722,…}"""
    filled = read.amount(row["executedQty"])
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=str(row["orderId"]),
        client_order_id=read.ours(row["clientOrderId"]),
        side=read.side(row["side"]),
        type=_FUTURES_TYPES_READ[row["origType"]],
        size=read.amount(row["origQty"]),
        price=read.given(row["price"]),
        state=STATES[row["status"]],
        filled_size=filled,
        average_price=read.given(row["avgPrice"]) if filled else None,
        venue_time_ns=read.time_ns(row["updateTime"]),
        stop_price=read.given(row.get("stopPrice")),
        reject_reason=_self_trade(row["status"]),
    )


def algo_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"algoId":3358,"clientAlgoId":"…","orderType":"STOP","symbol":"BTCUSDT","side":"BUY",
    "quantity":"0.002","algoStatus":"NEW","triggerPrice":"100000.00","price":"102000.00",
    "updateTime":1763458576201,…}"""
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=str(row["algoId"]),
        client_order_id=read.ours(row["clientAlgoId"]),
        side=read.side(row["side"]),
        type=_FUTURES_TYPES_READ[row["orderType"]],
        size=read.amount(row["quantity"]),
        price=read.given(row["price"]),
        state=ALGO_STATES[row["algoStatus"]],
        filled_size=read.amount(0),
        venue_time_ns=read.time_ns(row["updateTime"]),
        stop_price=read.given(row["triggerPrice"]),
    )


def futures_fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"symbol":"BTCUSDT","id":698759,"orderId":25851813,"side":"SELL","price":"61000",
    "qty":"0.002","commission":"-0.07819010","commissionAsset":"USDT","time":1569514978020,
    "maker":false,…}"""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=str(row["id"]),
        venue_order_id=str(row["orderId"]),
        client_order_id="",
        side=read.side(row["side"]),
        price=read.amount(row["price"]),
        size=read.amount(row["qty"]),
        fees=_fees(row["commissionAsset"], row["commission"]),
        liquidity=read.liquidity(row["maker"]),
        venue_time_ns=read.time_ns(row["time"]),
    )


def futures_balance_of(row: Mapping[str, Any]) -> VenueBalance:
    """{"asset":"USDT","balance":"122.6","availableBalance":"23.7",…}"""
    total, free = read.amount(row["balance"]), read.amount(row["availableBalance"])
    return VenueBalance(row["asset"], total, free)


def futures_position_of(row: Mapping[str, Any]) -> VenuePosition:
    """{"symbol":"BTCUSDT","positionAmt":"-0.01","entryPrice":"61000.5","unRealizedProfit":"1.2",
    "liquidationPrice":"0",…}"""
    return VenuePosition(
        symbol=row["symbol"],
        size=read.amount(row["positionAmt"]),
        entry_price=read.given(row["entryPrice"]),
        unrealized_profit=read.amount(row["unRealizedProfit"]),
        liquidation_price=read.given(row["liquidationPrice"]),
    )


def _futures_execution(event: Mapping[str, Any]) -> list[AccountEvent]:
    """{"s":"BTCUSDT","c":"…","S":"SELL","o":"LIMIT","ot":"LIMIT","q":"0.001","p":"61000",
    "ap":"0","sp":"0","x":"TRADE","X":"FILLED","i":8886774,"l":"0.001","z":"0.001","L":"61000",
    "N":"USDT","n":"0.01","T":1568879465650,"t":1,"m":false,…}. The fill comes first."""
    filled = read.amount(event["z"])
    order = VenueOrder(
        symbol=event["s"],
        venue_order_id=str(event["i"]),
        client_order_id=read.ours(event["c"]),
        side=read.side(event["S"]),
        type=_FUTURES_TYPES_READ[event["ot"]],
        size=read.amount(event["q"]),
        price=read.given(event["p"]),
        state=STATES[event["X"]],
        filled_size=filled,
        average_price=read.given(event["ap"]) if filled else None,
        venue_time_ns=read.time_ns(event["T"]),
        stop_price=read.given(event.get("sp")),
        reject_reason=_self_trade(event["X"]),
    )
    if event["x"] not in ("TRADE", "CALCULATED"):
        return [order]
    fill = VenueFill(
        symbol=order.symbol,
        fill_id=str(event["t"]),
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price=read.amount(event["L"]),
        size=read.amount(event["l"]),
        fees=_fees(event.get("N"), event.get("n", "")),
        liquidity=read.liquidity(event["m"]),
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
        client_order_id=read.ours(event["caid"]),
        side=read.side(event["S"]),
        type=_FUTURES_TYPES_READ[event["o"]],
        size=read.amount(event["q"]),
        price=read.given(event["p"]),
        state=ALGO_STATES[event["X"]],
        filled_size=read.amount(0),
        venue_time_ns=read.time_ns(time_ms),
        detail=event.get("rm") or "",
        stop_price=read.given(event["tp"]),
    )
    return [order]


def _position(row: Mapping[str, Any]) -> VenuePosition:
    """{"s":"BTCUSDT","pa":"-0.01","ep":"61000.5","up":"1.2",…}"""
    profit = read.amount(row["up"])
    return VenuePosition(row["s"], read.amount(row["pa"]), read.given(row["ep"]), profit)
