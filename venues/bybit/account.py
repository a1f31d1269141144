"""Bybit's account over REST: orders, fills and balances, as its rows state them.

The amounts are texts everywhere: ``qty``, ``cumExecQty``, ``avgPrice``, ``cumExecValue``; of a fill
``execQty``, ``execPrice``, ``execFee``. The private websocket has the same rows.
https://bybit-exchange.github.io/docs/v5/order/open-order
https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.connector.orders import fill_pages, text_conversion
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.contract import (
    Fee,
    FillsPage,
    OrderKey,
    OrderState,
    RejectReason,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.execution.orders import order_states

ORDERS_PAGE, FILLS_PAGE = 50, 100
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
"""Longest period of one answer about fills."""
KEPT_DAYS = 104 * 7
"""The venue does not keep older fills."""
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
"""ccxt takes PartiallyFilledCanceled, which only spot has, for filled."""
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
"""State and reason of a cancelled or rejected order, by ``rejectReason``."""


class BybitAccountApi:
    """Spot, of a unified account."""

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET /v5/order/realtime for open and recent orders, then GET /v5/order/history."""
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            answer = await queries.ask(method, {"category": "spot", **key_params(key)})
            rows = answer["result"]["list"]
            if rows:
                return order_of(rows[0])
        return None

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET /v5/order/realtime."""
        query = {"category": "spot", "limit": ORDERS_PAGE}
        if symbol:
            query["symbol"] = symbol
        pages = pages_of_rows(queries, "privateGetV5OrderRealtime", query)
        found = [order_of(row) async for rows in pages for row in rows]
        return [order for order in found if order.state not in order_states.FINAL]

    async def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET /v5/execution/list, week by week, each newest first."""
        query: dict[str, Any] = {"category": "spot", "limit": FILLS_PAGE}
        if symbol:
            query["symbol"] = symbol
        now_ms = queries.exchange.milliseconds()
        last_ms = min(now_ms, text_conversion.milliseconds(until_time_ns))
        first_ms = max(text_conversion.milliseconds(since_time_ns), now_ms - KEPT_DAYS * DAY_MS)
        begin_ns = since_time_ns
        for begin_ms in range(first_ms, last_ms + 1, WEEK_MS):
            end_ms = begin_ms + WEEK_MS
            week = {**query, "startTime": begin_ms, "endTime": end_ms - 1}
            is_last = end_ms > last_ms
            end_ns = until_time_ns if is_last else end_ms * NANOSECONDS_PER_MILLISECOND
            async for page in fill_pages.newest_first(_fills(queries, week), begin_ns, end_ns):
                yield page
            begin_ns = end_ns

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET /v5/account/wallet-balance."""
        query = {"accountType": "UNIFIED"}
        answer = await queries.ask("privateGetV5AccountWalletBalance", query)
        return [one for row in answer["result"]["list"] for one in balances_of(row)]

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """None: spot has no positions."""
        return []


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"orderId":"…","orderLinkId":"…","symbol":"BTCUSDT","price":"61000","qty":"0.1",
    "side":"Buy","orderStatus":"New","rejectReason":"EC_NoError","avgPrice":"","cumExecQty":"0",
    "orderType":"Limit","triggerPrice":"0","marketUnit":"","updatedTime":"1684738540561",…}. The row
    does not say from which side a stop is triggered: each is reported as a stop."""
    filled = text_conversion.amount(row["cumExecQty"])
    state, reason = STATES[row["orderStatus"]], orders_pb2.REJECT_REASON_UNSPECIFIED
    why = row.get("rejectReason") or "EC_NoError"
    if state in order_states.FINAL and state != orders_pb2.ORDER_STATE_FILLED:
        state, reason = ENDINGS.get(why, (state, reason))
    is_limit = row["orderType"] == "Limit"
    stop_price = text_conversion.amount_or_none(row.get("triggerPrice"))
    kind = text_conversion.limit_or_market(is_limit)
    if stop_price is not None:
        kind = orders_pb2.ORDER_TYPE_STOP_LIMIT if is_limit else orders_pb2.ORDER_TYPE_STOP
    by_value = not is_limit and row.get("marketUnit") == "quoteCoin"
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=row["orderId"],
        client_order_id=text_conversion.own_client_order_id(row.get("orderLinkId")),
        side=text_conversion.side(row["side"]),
        type=kind,
        size=filled if by_value else text_conversion.amount(row["qty"]),
        price=text_conversion.amount_or_none(row["price"]) if is_limit else None,
        state=state,
        filled_size=filled,
        average_price=text_conversion.average_price(
            text_conversion.amount(row.get("cumExecValue")), filled
        )
        or text_conversion.amount_or_none(row.get("avgPrice")),
        venue_time_ns=text_conversion.time_ns(row["updatedTime"]),
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
        client_order_id=text_conversion.own_client_order_id(row.get("orderLinkId")),
        side=text_conversion.side(row["side"]),
        price=text_conversion.amount(row["execPrice"]),
        size=text_conversion.amount(row["execQty"]),
        fees=(Fee(row["feeCurrency"], text_conversion.amount(row["execFee"])),)
        if row.get("feeCurrency")
        else (),
        liquidity=text_conversion.liquidity(row["isMaker"]),
        venue_time_ns=text_conversion.time_ns(row["execTime"]),
    )


def balances_of(row: Mapping[str, Any]) -> list[VenueBalance]:
    """{"accountType":"UNIFIED","coin":[{"coin":"BTC","walletBalance":"1.5","locked":"0.5",…}]}"""
    found = []
    for coin in row["coin"]:
        total = text_conversion.amount(coin["walletBalance"])
        free = total - text_conversion.amount(coin.get("locked"))
        found.append(VenueBalance(coin["coin"], total, free))
    return found


def key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name an order: by the venue's id where it is known."""
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "orderLinkId": key.client_order_id}


async def _fills(queries: RestQuerySession, query: Mapping[str, Any]) -> fill_pages.RawPages:
    async for rows in pages_of_rows(queries, "privateGetV5ExecutionList", query):
        yield [fill_of(row) for row in rows if row["execType"] == "Trade"]


async def pages_of_rows(
    queries: RestQuerySession, method: str, query: Mapping[str, Any]
) -> AsyncIterator[Sequence[Any]]:
    cursor = ""
    while True:
        params = {**query, "cursor": cursor} if cursor else query
        result = (await queries.ask(method, params))["result"]
        yield result["list"]
        before, cursor = cursor, result.get("nextPageCursor") or ""
        if cursor in ("", before) or not result["list"]:
            return
