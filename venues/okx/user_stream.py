"""What OKX tells of orders, fills, balances and positions, over the websocket as over REST.

A push of the channel ``orders`` has the fill that caused it. Fees are negative when they were paid.
A stop is told by ``orders-algo``, at another address, until its price is reached; then it is an
order like any other, with another id and the stop's client id in ``algoClOrdId``.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
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
from venues.okx.errors import CODES

STATES: Mapping[str, OrderState] = {
    "live": orders_pb2.ORDER_STATE_OPEN,
    "partially_filled": orders_pb2.ORDER_STATE_PARTLY_FILLED,
    "filled": orders_pb2.ORDER_STATE_FILLED,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "mmp_canceled": orders_pb2.ORDER_STATE_CANCELLED,
}
ENDINGS: Mapping[str, tuple[OrderState, RejectReason]] = {
    "13": (orders_pb2.ORDER_STATE_EXPIRED, orders_pb2.REJECT_REASON_WOULD_NOT_FILL),
    "14": (orders_pb2.ORDER_STATE_EXPIRED, orders_pb2.REJECT_REASON_UNSPECIFIED),
    "31": (orders_pb2.ORDER_STATE_REJECTED, orders_pb2.REJECT_REASON_WOULD_TAKE),
    "32": (orders_pb2.ORDER_STATE_CANCELLED, orders_pb2.REJECT_REASON_SELF_TRADE),
}
"""What ``cancelSource`` makes of a cancelled order: a fill-or-kill, immediate, post-only one, and
one that met an order of its own account."""
ALGO_STATES: Mapping[str, OrderState] = {
    "live": orders_pb2.ORDER_STATE_OPEN,
    "pause": orders_pb2.ORDER_STATE_OPEN,
    "effective": orders_pb2.ORDER_STATE_OPEN,
    "partially_effective": orders_pb2.ORDER_STATE_OPEN,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "order_failed": orders_pb2.ORDER_STATE_REJECTED,
    "partially_failed": orders_pb2.ORDER_STATE_REJECTED,
}
"""Of a stop. What becomes of it once it has woken is told of the order that it is then."""
WOKEN = frozenset({"effective", "partially_effective"})
ALGO_PRICES = (
    ("slTriggerPx", "slOrdPx"),
    ("tpTriggerPx", "tpOrdPx"),
    ("triggerPx", "ordPx"),
)
"""How a stop's price to wake at and its limit are called; by its form."""
NOT_LET_IN = frozenset({"60005", "60007", "60009", "60011", "60024", "60032"})
"""Codes of a login that failed."""


class OkxUserStreamDecoder:
    """The channels orders, orders-algo, account and, of swaps, positions."""

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind
        self._channels = [{"channel": "orders", "instType": kind}, {"channel": "account"}]
        if kind == "SWAP":
            self._channels.append({"channel": "positions", "instType": kind})

    @property
    def subscriptions(self) -> int:
        """One for each channel."""
        return len(self._channels) + 1

    def watches(self, api: Any) -> Sequence[Watch]:
        """All channels of an address in one request; ccxt's own methods make one for each."""

        async def watch(access: str, name: str, channels: Sequence[Mapping[str, str]]) -> None:
            await api.authenticate({"access": access})
            message = {"op": "subscribe", "args": channels}
            await api.watch(api.get_url("users", access), name, message, name)

        stops = [{"channel": "orders-algo", "instType": self._kind}]
        return (
            lambda: watch("private", "account", self._channels),
            lambda: watch("business", "orders-algo", stops),
        )

    def hear(self, message: Any) -> Heard:
        """{"arg":{"channel":"orders",…},"data":[…]} or {"event":"subscribe","arg":{…},…}."""
        event, arg = message.get("event"), message.get("arg") or {}
        if event == "subscribe":
            return Taken(arg["channel"])
        if event == "error":
            words = f"{message.get('code')} {message.get('msg')}"
            return (
                LoginRejected(words)
                if str(message.get("code")) in NOT_LET_IN
                else StreamClosed(words)
            )
        if event == "notice":
            return StreamClosed(f"{message.get('code')} {message.get('msg')}")
        if event is not None or "data" not in message:
            return None
        rows = message["data"]
        if arg["channel"] == "orders":
            return [event for row in rows for event in _order_events(row)]
        if arg["channel"] == "orders-algo":
            return [algo_order_of(row) for row in rows if row["state"] not in WOKEN]
        if arg["channel"] == "account":
            return [balance for row in rows for balance in balances_of(row)]
        return [position_of(row) for row in rows]


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"instId":"BTC-USDT","ordId":"3126","clOrdId":"…","px":"61000","sz":"0.1","side":"buy",
    "ordType":"limit","state":"live","accFillSz":"0","avgPx":"","cancelSource":"","tgtCcy":"",
    "algoClOrdId":"","uTime":"1597026383085",…}"""
    filled = read.amount(row["accFillSz"])
    state, reason = STATES[row["state"]], orders_pb2.REJECT_REASON_UNSPECIFIED
    source = row.get("cancelSource") or ""
    if state == orders_pb2.ORDER_STATE_CANCELLED and source in ENDINGS:
        state, reason = ENDINGS[source]
        if filled and state == orders_pb2.ORDER_STATE_REJECTED:
            state = orders_pb2.ORDER_STATE_CANCELLED
    at_market = row["ordType"] in ("market", "optimal_limit_ioc")
    by_value = at_market and row.get("tgtCcy") == "quote_ccy"
    return VenueOrder(
        symbol=row["instId"],
        venue_order_id=row["ordId"],
        client_order_id=read.ours(row.get("clOrdId")) or read.ours(row.get("algoClOrdId")),
        side=read.side(row["side"]),
        type=read.plain_type(not at_market),
        size=filled if by_value else read.amount(row["sz"]),
        price=read.given(row.get("px")),
        state=state,
        filled_size=filled,
        average_price=read.given(row.get("avgPx")),
        venue_time_ns=read.time_ns(row["uTime"]),
        reject_reason=reason,
        detail=row.get("cancelSourceReason") or "",
    )


def algo_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"instId":"BTC-USDT","algoId":"1753184812254216192","algoClOrdId":"…",
    "ordType":"conditional","side":"buy","sz":"0.1","tgtCcy":"base_ccy","slTriggerPx":"61000",
    "slOrdPx":"-1","tpTriggerPx":"","tpOrdPx":"","triggerPx":"","ordPx":"","state":"live",
    "ordIdList":[],"failCode":"","cTime":"1724751378980","uTime":"1724751378980",…}. Of two stop
    prices, which only others' orders have, the one that loses is told."""
    forms = [names for names in ALGO_PRICES if read.given(row.get(names[0]))]
    stop_name, price_name = forms[0] if forms else ALGO_PRICES[-1]
    price = row.get(price_name)
    at_market = price in (None, "", "-1")
    state, reason = ALGO_STATES[row["state"]], orders_pb2.REJECT_REASON_UNSPECIFIED
    fail_code = row.get("failCode") or ""
    if state == orders_pb2.ORDER_STATE_REJECTED:
        reason = CODES.get(fail_code, orders_pb2.REJECT_REASON_OTHER)
    by_value = at_market and row.get("tgtCcy") == "quote_ccy"
    return VenueOrder(
        symbol=row["instId"],
        venue_order_id=row["algoId"],
        client_order_id=read.ours(row.get("algoClOrdId")),
        side=read.side(row["side"]),
        type=_algo_type(row["ordType"], stop_name, at_market),
        size=read.amount(0 if by_value else row["sz"]),
        price=None if at_market else read.amount(price),
        state=state,
        filled_size=read.amount(0),
        venue_time_ns=read.time_ns(row.get("uTime") or row.get("triggerTime") or row["cTime"]),
        reject_reason=reason,
        detail=f"it could not be placed when its price was reached: {fail_code}" if reason else "",
        stop_price=read.given(row.get(stop_name)),
    )


def _algo_type(name: str, stop_name: str, at_market: bool) -> OrderType:
    if name == "move_order_stop":
        return orders_pb2.ORDER_TYPE_TRAILING_STOP
    if stop_name == "tpTriggerPx":
        kinds = orders_pb2.ORDER_TYPE_TAKE_PROFIT, orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
    else:
        kinds = orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_STOP_LIMIT
    return kinds[not at_market]


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"instId":"BTC-USDT","tradeId":"123","ordId":"3126","clOrdId":"…","billId":"…",
    "fillPx":"61000","fillSz":"0.02","side":"buy","execType":"M","feeCcy":"BTC",
    "fee":"-0.00002","ts":"1597026383085",…}"""
    return VenueFill(
        symbol=row["instId"],
        fill_id=row["tradeId"],
        venue_order_id=row["ordId"],
        client_order_id=read.ours(row.get("clOrdId")),
        side=read.side(row["side"]),
        price=read.amount(row["fillPx"]),
        size=read.amount(row["fillSz"]),
        fees=_fees(row["feeCcy"], row["fee"]),
        liquidity=read.liquidity(row["execType"] == "M"),
        venue_time_ns=read.time_ns(row.get("fillTime") or row["ts"]),
    )


def balances_of(row: Mapping[str, Any]) -> list[VenueBalance]:
    """{"details":[{"ccy":"BTC","cashBal":"1.5","availBal":"1","frozenBal":"0.5",…}],…}"""
    return [
        VenueBalance(
            coin["ccy"],
            read.amount(coin["cashBal"]),
            read.amount(coin.get("availBal") or coin.get("availEq")),
        )
        for coin in row["details"]
    ]


def position_of(row: Mapping[str, Any]) -> VenuePosition:
    """{"instId":"BTC-USDT-SWAP","pos":"-3","posSide":"net","avgPx":"61000","upl":"12.5",
    "liqPx":"",…}. The position of one side alone has no sign."""
    size = read.amount(row["pos"])
    return VenuePosition(
        symbol=row["instId"],
        size=-abs(size) if row.get("posSide") == "short" else size,
        entry_price=read.given(row.get("avgPx")),
        unrealized_profit=read.amount(row["upl"]) if row.get("upl") else None,
        liquidation_price=read.given(row.get("liqPx")),
    )


def _order_events(row: Mapping[str, Any]) -> list[AccountEvent]:
    """The fill first: {…,"tradeId":"123","fillPx":"61000","fillSz":"0.02","fillFee":"-0.00002",
    "fillFeeCcy":"BTC","execType":"M","fillTime":"1597026383085"}."""
    order = order_of(row)
    if not row.get("tradeId") or not read.amount(row.get("fillSz")):
        return [order]
    fill = VenueFill(
        symbol=order.symbol,
        fill_id=row["tradeId"],
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price=read.amount(row["fillPx"]),
        size=read.amount(row["fillSz"]),
        fees=_fees(row["fillFeeCcy"], row["fillFee"]),
        liquidity=read.liquidity(row.get("execType") == "M"),
        venue_time_ns=read.time_ns(row["fillTime"]),
    )
    return [fill, order]


def _fees(asset: str, fee: str) -> tuple[Fee, ...]:
    return (Fee(asset, -read.amount(fee)),) if asset else ()
