"""What Bybit tells of orders, fills and balances, over the websocket as over REST.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.connector.orders import venue_text as read
from kit.connector.orders.user_stream import Heard, LoginRejected, StreamClosed, Taken, Watch
from kit.execution.contract import (
    Fee,
    OrderState,
    RejectReason,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

_log = telemetry.logger("venues.bybit.user_stream")
TOPICS = ["order", "execution", "wallet"]
WATCHED = "dcp.spot"
"""Cut off, a connection that has subscribed to it has the venue cancel all, where that is set."""
STATES: Mapping[str, OrderState] = {
    "Created": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "New": orders_pb2.ORDER_STATE_OPEN,
    "Untriggered": orders_pb2.ORDER_STATE_OPEN,
    "Triggered": orders_pb2.ORDER_STATE_OPEN,
    "PartiallyFilled": orders_pb2.ORDER_STATE_PARTLY_FILLED,
    "Filled": orders_pb2.ORDER_STATE_FILLED,
    "Cancelled": orders_pb2.ORDER_STATE_CANCELLED,
    "PartiallyFilledCanceled": orders_pb2.ORDER_STATE_CANCELLED,
    "Deactivated": orders_pb2.ORDER_STATE_CANCELLED,
    "Rejected": orders_pb2.ORDER_STATE_REJECTED,
}
"""ccxt takes PartiallyFilledCanceled, which is of spot alone, for filled."""
ENDINGS: Mapping[str, tuple[OrderState, RejectReason]] = {
    "EC_PostOnlyWillTakeLiquidity": (
        orders_pb2.ORDER_STATE_REJECTED,
        orders_pb2.REJECT_REASON_WOULD_TAKE,
    ),
    "EC_NoImmediateQtyToFill": (
        orders_pb2.ORDER_STATE_EXPIRED,
        orders_pb2.REJECT_REASON_UNSPECIFIED,
    ),
    "EC_CancelForNoFullFill": (
        orders_pb2.ORDER_STATE_EXPIRED,
        orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    ),
    "EC_BySelfMatch": (
        orders_pb2.ORDER_STATE_CANCELLED,
        orders_pb2.REJECT_REASON_SELF_TRADE,
    ),
}
"""What ``rejectReason`` makes of an order that is cancelled or rejected."""


class BybitSpotUserStreamDecoder:
    """The private websocket."""

    subscriptions = 1

    def watches(self, api: Any) -> Sequence[Watch]:
        """ccxt's own methods ask first which kind of account it is, and subscribe one by one."""

        async def watch() -> None:
            url = api.implode_hostname(api.urls["api"]["ws"]["private"]["contract"])
            await api.authenticate(url)
            await api.watch_topics(url, ["account"], TOPICS, {})

        async def be_watched() -> None:
            url = api.implode_hostname(api.urls["api"]["ws"]["private"]["contract"])
            await api.authenticate(url)
            request = {"op": "subscribe", "req_id": WATCHED, "args": [WATCHED]}
            await api.watch(url, WATCHED, request, WATCHED)

        return (watch, be_watched)

    def hear(self, message: Any) -> Heard:
        """{"topic":"order","data":[…]}, or {"op":"subscribe","success":true,…}."""
        topic, operation = message.get("topic"), message.get("op")
        if message.get("req_id") == WATCHED:
            if message.get("success") is False:
                _log.warning("not watched by the venue", extra={"words": message.get("ret_msg")})
            return ()
        if message.get("success") is False:
            words = str(message.get("ret_msg"))
            return LoginRejected(words) if operation == "auth" else StreamClosed(words)
        if operation == "subscribe":
            return Taken("topics")
        if topic == "order":
            return [order_of(row) for row in message["data"] if _is_spot(row)]
        if topic == "execution":
            rows = [row for row in message["data"] if _is_spot(row)]
            return [fill_of(row) for row in rows if row["execType"] == "Trade"]
        if topic == "wallet":
            return [one for row in message["data"] for one in balances_of(row)]
        return None


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"orderId":"…","orderLinkId":"…","symbol":"BTCUSDT","price":"61000","qty":"0.1",
    "side":"Buy","orderStatus":"New","rejectReason":"EC_NoError","avgPrice":"","cumExecQty":"0",
    "orderType":"Limit","triggerPrice":"0","marketUnit":"","updatedTime":"1684738540561",…}. A stop
    does not say from which side it wakes: each is told as a stop."""
    filled = read.amount(row["cumExecQty"])
    state, reason = STATES[row["orderStatus"]], orders_pb2.REJECT_REASON_UNSPECIFIED
    why = row.get("rejectReason") or "EC_NoError"
    if state in read.FINAL and state != orders_pb2.ORDER_STATE_FILLED:
        state, reason = ENDINGS.get(why, (state, reason))
    is_limit = row["orderType"] == "Limit"
    stop_price = read.given(row.get("triggerPrice"))
    kind = read.plain_type(is_limit)
    if stop_price is not None:
        kind = orders_pb2.ORDER_TYPE_STOP_LIMIT if is_limit else orders_pb2.ORDER_TYPE_STOP
    by_value = not is_limit and row.get("marketUnit") == "quoteCoin"
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=row["orderId"],
        client_order_id=read.ours(row.get("orderLinkId")),
        side=read.side(row["side"]),
        type=kind,
        size=filled if by_value else read.amount(row["qty"]),
        price=read.given(row["price"]) if is_limit else None,
        state=state,
        filled_size=filled,
        average_price=read.mean(read.amount(row.get("cumExecValue")), filled)
        or read.given(row.get("avgPrice")),
        venue_time_ns=read.time_ns(row["updatedTime"]),
        reject_reason=reason,
        detail="" if why == "EC_NoError" else why,
        stop_price=stop_price,
    )


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"symbol":"ETHUSDT","orderId":"…","orderLinkId":"…","side":"Sell","execId":"…",
    "execPrice":"1183.54","execQty":"0.4","execFee":"0.0026","feeCurrency":"USDT",
    "execTime":"1672282722429","isMaker":false,"execType":"Trade",…}"""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=row["execId"],
        venue_order_id=row["orderId"],
        client_order_id=read.ours(row.get("orderLinkId")),
        side=read.side(row["side"]),
        price=read.amount(row["execPrice"]),
        size=read.amount(row["execQty"]),
        fees=(Fee(row["feeCurrency"], read.amount(row["execFee"])),)
        if row.get("feeCurrency")
        else (),
        liquidity=read.liquidity(row["isMaker"]),
        venue_time_ns=read.time_ns(row["execTime"]),
    )


def balances_of(row: Mapping[str, Any]) -> list[VenueBalance]:
    """{"accountType":"UNIFIED","coin":[{"coin":"BTC","walletBalance":"1.5","locked":"0.5",…}]}"""
    found = []
    for coin in row["coin"]:
        total = read.amount(coin["walletBalance"])
        free = total - read.amount(coin.get("locked"))
        found.append(VenueBalance(coin["coin"], total, free))
    return found


def _is_spot(row: Mapping[str, Any]) -> bool:
    return bool(row.get("category", "spot") == "spot")
