"""OKX's account over REST: orders, stops, fills, balances and positions, as its rows state them.

Amounts are texts everywhere: ``sz``, ``accFillSz``, ``avgPx``; of a fill ``fillSz``, ``fillPx``,
``fee``, which is negative when it was paid. Stops are algo orders, kept apart, with ids of their
own: ``algoId``, and ``algoClOrdId`` for ours. A triggered stop makes an order with a new ``ordId``
and no ``clOrdId``, which names the stop. The channels of the websocket have the same rows.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-order-details
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import fill_pages, text_conversion
from kit.connector.orders.rest_session import OrderNotFound, RestQuerySession
from kit.execution.contract import (
    NO_END_NS,
    Fee,
    FillsPage,
    OrderKey,
    OrderState,
    OrderType,
    RejectReason,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from venues.okx.errors import CODES

PAGE = 100
RECENT_MS = 3 * 86_400_000
"""Older fills are in fills-history."""
KEPT_DAYS = 90
"""fills-history has those of three months."""
ALGO_KINDS = ("conditional,oco", "trigger", "move_order_stop")
"""Kinds of algo orders; each is listed by itself."""
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
"""States of stops. After the trigger the order that the stop made reports its state."""
TRIGGERED = frozenset({"effective", "partially_effective"})
ALGO_PRICES = (
    ("slTriggerPx", "slOrdPx"),
    ("tpTriggerPx", "tpOrdPx"),
    ("triggerPx", "ordPx"),
)
"""Fields of the stop price and of the limit, by form of the stop."""


class OkxAccountApi:
    """Spot, or swaps."""

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET /api/v5/trade/order; for a stop order-algo, and then the order that it made. An order
        that was cancelled without a fill is found for two hours."""
        try:
            return await _order(queries, key_params(key))
        except OrderNotFound:
            answer = await queries.ask("privateGetTradeOrderAlgo", algo_key_params(key))
        row = answer["data"][0]
        made = row.get("ordIdList") or [row.get("ordId")]
        if row["state"] in TRIGGERED and made[-1]:
            return await _order(queries, {"instId": key.symbol, "ordId": made[-1]})
        return algo_order_of(row)

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET /api/v5/trade/orders-pending and, by kind, orders-algo-pending. The stops first: one
        that is triggered meanwhile is then among the orders, instead of in neither list."""
        query = self._query(symbol)
        found = []
        for kind in ALGO_KINDS:
            waiting = {**query, "ordType": kind}
            pages = pages_of_rows(queries, "privateGetTradeOrdersAlgoPending", waiting, "algoId")
            found += [algo_order_of(row) async for rows in pages for row in rows]
        pages = pages_of_rows(queries, "privateGetTradeOrdersPending", query, "ordId")
        return found + [order_of(row) async for rows in pages for row in rows]

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET /api/v5/trade/fills for three days, fills-history for three months; newest first."""
        since_ms = text_conversion.milliseconds(since_time_ns)
        recent = since_ms > queries.exchange.milliseconds() - RECENT_MS
        method = "privateGetTradeFills" if recent else "privateGetTradeFillsHistory"
        query = {**self._query(symbol), "begin": str(since_ms)}
        if until_time_ns != NO_END_NS:
            query["end"] = str(text_conversion.milliseconds(until_time_ns))
        pages = _fills(queries, method, query)
        return fill_pages.newest_first(pages, since_time_ns, until_time_ns)

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET /api/v5/account/balance."""
        answer = await queries.ask("privateGetAccountBalance")
        return [one for row in answer["data"] for one in balances_of(row)]

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """GET /api/v5/account/positions."""
        answer = await queries.ask("privateGetAccountPositions", {"instType": self._kind})
        return [position_of(row) for row in answer["data"]]

    def _query(self, symbol: str) -> dict[str, str]:
        query = {"instType": self._kind, "limit": str(PAGE)}
        return {**query, "instId": symbol} if symbol else query


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"instId":"BTC-USDT","ordId":"3126","clOrdId":"…","px":"61000","sz":"0.1","side":"buy",
    "ordType":"limit","state":"live","accFillSz":"0","avgPx":"","cancelSource":"","tgtCcy":"",
    "algoClOrdId":"","uTime":"1597026383085",…}"""
    filled = text_conversion.amount(row["accFillSz"])
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
        client_order_id=text_conversion.own_client_order_id(row.get("clOrdId"))
        or text_conversion.own_client_order_id(row.get("algoClOrdId")),
        side=text_conversion.side(row["side"]),
        type=text_conversion.limit_or_market(not at_market),
        size=filled if by_value else text_conversion.amount(row["sz"]),
        price=text_conversion.amount_or_none(row.get("px")),
        state=state,
        filled_size=filled,
        average_price=text_conversion.amount_or_none(row.get("avgPx")),
        venue_time_ns=text_conversion.time_ns(row["uTime"]),
        reject_reason=reason,
        detail=row.get("cancelSourceReason") or "",
        amendment_rejection=_amendment_rejection(row),
    )


def _amendment_rejection(row: Mapping[str, Any]) -> str:
    """{…,"amendResult":"-1","code":"51509","msg":"…"} in a push of the channel ``orders``: the
    amendment failed, and the order is as it was."""
    if row.get("amendResult") != "-1":
        return ""
    return f"{row.get('code', '')} {row.get('msg', '')}".strip() or "amendResult is -1"


def algo_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"instId":"BTC-USDT","algoId":"1753184812254216192","algoClOrdId":"…",
    "ordType":"conditional","side":"buy","sz":"0.1","tgtCcy":"base_ccy","slTriggerPx":"61000",
    "slOrdPx":"-1","tpTriggerPx":"","tpOrdPx":"","triggerPx":"","ordPx":"","state":"live",
    "ordIdList":[],"failCode":"","cTime":"1724751378980","uTime":"1724751378980",…}. Orders placed
    elsewhere may have two stop prices: the stop-loss is reported."""
    forms = [names for names in ALGO_PRICES if text_conversion.amount_or_none(row.get(names[0]))]
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
        client_order_id=text_conversion.own_client_order_id(row.get("algoClOrdId")),
        side=text_conversion.side(row["side"]),
        type=_algo_type(row["ordType"], stop_name, at_market),
        size=text_conversion.amount(0 if by_value else row["sz"]),
        price=None if at_market else text_conversion.amount(price),
        state=state,
        filled_size=text_conversion.amount(0),
        venue_time_ns=text_conversion.time_ns(
            row.get("uTime") or row.get("triggerTime") or row["cTime"]
        ),
        reject_reason=reason,
        detail=f"it could not be placed when its price was reached: {fail_code}" if reason else "",
        stop_price=text_conversion.amount_or_none(row.get(stop_name)),
    )


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"instId":"BTC-USDT","tradeId":"123","ordId":"3126","clOrdId":"…","billId":"…",
    "fillPx":"61000","fillSz":"0.02","side":"buy","execType":"M","feeCcy":"BTC",
    "fee":"-0.00002","ts":"1597026383085",…}"""
    return VenueFill(
        symbol=row["instId"],
        fill_id=row["tradeId"],
        venue_order_id=row["ordId"],
        client_order_id=text_conversion.own_client_order_id(row.get("clOrdId")),
        side=text_conversion.side(row["side"]),
        price=text_conversion.amount(row["fillPx"]),
        size=text_conversion.amount(row["fillSz"]),
        fees=fees_of(row["feeCcy"], row["fee"]),
        liquidity=text_conversion.liquidity(row["execType"] == "M"),
        venue_time_ns=text_conversion.time_ns(row.get("fillTime") or row["ts"]),
    )


def balances_of(row: Mapping[str, Any]) -> list[VenueBalance]:
    """{"details":[{"ccy":"BTC","cashBal":"1.5","availBal":"1","frozenBal":"0.5",…}],…}"""
    return [
        VenueBalance(
            coin["ccy"],
            text_conversion.amount(coin["cashBal"]),
            text_conversion.amount(coin.get("availBal") or coin.get("availEq")),
        )
        for coin in row["details"]
    ]


def position_of(row: Mapping[str, Any]) -> VenuePosition:
    """{"instId":"BTC-USDT-SWAP","pos":"-3","posSide":"net","avgPx":"61000","upl":"12.5",
    "liqPx":"",…}. The position of one side alone has no sign."""
    size = text_conversion.amount(row["pos"])
    return VenuePosition(
        symbol=row["instId"],
        size=-abs(size) if row.get("posSide") == "short" else size,
        entry_price=text_conversion.amount_or_none(row.get("avgPx")),
        unrealized_profit=text_conversion.amount(row["upl"]) if row.get("upl") else None,
        liquidation_price=text_conversion.amount_or_none(row.get("liqPx")),
    )


def key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name an order: by the venue's id where it is known."""
    if key.venue_order_id:
        return {"instId": key.symbol, "ordId": key.venue_order_id}
    return {"instId": key.symbol, "clOrdId": key.client_order_id}


def algo_key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name a stop: the client id, as a triggered stop has another venue id."""
    if key.client_order_id:
        return {"instId": key.symbol, "algoClOrdId": key.client_order_id}
    return {"instId": key.symbol, "algoId": key.venue_order_id}


def _algo_type(name: str, stop_name: str, at_market: bool) -> OrderType:
    if name == "move_order_stop":
        return orders_pb2.ORDER_TYPE_TRAILING_STOP
    if stop_name == "tpTriggerPx":
        kinds = orders_pb2.ORDER_TYPE_TAKE_PROFIT, orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
    else:
        kinds = orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_STOP_LIMIT
    return kinds[not at_market]


def fees_of(asset: str, fee: str) -> tuple[Fee, ...]:
    """The fee of a fill, positive when it was paid; empty where the row states no asset."""
    return (Fee(asset, -text_conversion.amount(fee)),) if asset else ()


async def _order(queries: RestQuerySession, which: Mapping[str, str]) -> VenueOrder:
    """Raises OrderNotFound."""
    answer = await queries.ask("privateGetTradeOrder", which)
    if not answer["data"]:
        raise OrderNotFound
    return order_of(answer["data"][0])


async def _fills(
    queries: RestQuerySession, method: str, query: Mapping[str, str]
) -> fill_pages.RawPages:
    async for rows in pages_of_rows(queries, method, query, "billId"):
        yield [fill_of(row) for row in rows]


async def pages_of_rows(
    queries: RestQuerySession, method: str, query: Mapping[str, str], number: str
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """Newest first, each page after the last row of the one before."""
    after = ""
    while True:
        params = {**query, "after": after} if after else query
        rows = (await queries.ask(method, params))["data"]
        yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1][number]
