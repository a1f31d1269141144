"""Coinbase's account over REST: orders, fills and balances, as its rows state them.

Amounts are texts: ``base_size`` of the configuration, ``filled_size``, ``average_filled_price``; of
a fill ``size``, ``price``, ``commission``. Nothing finds an order by our id but a look at all
orders since it was placed.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/list-orders
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import VenueUnavailable
from kit.connector.orders import fill_pages, text_conversion
from kit.connector.orders.rest_session import OrderNotFound, RestQuerySession
from kit.execution.contract import (
    NO_END_NS,
    Fee,
    FillsPage,
    OrderKey,
    OrderState,
    OrderType,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.marketdata.frames.reference_reader import time_ns

ORDERS_PAGE, FILLS_PAGE, ACCOUNTS_PAGE = 250, 250, 250
SEARCHED_PAGES_MAX = 40
"""Pages of orders that are searched for one."""
CLOCKS_NS = 60 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be behind ours."""
STATES: Mapping[str, OrderState] = {
    "PENDING": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "QUEUED": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "OPEN": orders_pb2.ORDER_STATE_OPEN,
    "CANCEL_QUEUED": orders_pb2.ORDER_STATE_OPEN,
    "EDIT_QUEUED": orders_pb2.ORDER_STATE_OPEN,
    "FILLED": orders_pb2.ORDER_STATE_FILLED,
    "CANCELLED": orders_pb2.ORDER_STATE_CANCELLED,
    "EXPIRED": orders_pb2.ORDER_STATE_EXPIRED,
    "FAILED": orders_pb2.ORDER_STATE_REJECTED,
    "UNKNOWN_ORDER_STATUS": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
}
"""ccxt takes EXPIRED and FAILED for cancelled, and does not know PENDING and QUEUED."""
UP, DOWN = "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"


class CoinbaseAccountApi:
    """Spot."""

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET orders/historical/{order_id}; by our id, a search among the orders of the product
        since it was placed. Raises VenueUnavailable when there are too many."""
        if key.venue_order_id:
            method = "v3PrivateGetBrokerageOrdersHistoricalOrderId"
            answer = await queries.ask(method, {"order_id": key.venue_order_id})
            return order_of(answer["order"])
        seen = 0
        query = {"product_ids": key.symbol, "limit": ORDERS_PAGE}
        if key.placed_time_ns:
            query["start_date"] = _instant(key.placed_time_ns - CLOCKS_NS)
        async for rows in pages_of_rows(queries, "OrdersHistoricalBatch", query, "orders"):
            for row in rows:
                own = text_conversion.own_client_order_id(row.get("client_order_id"))
                if own == key.client_order_id:
                    return order_of(row)
            seen += len(rows)
            if seen >= SEARCHED_PAGES_MAX * ORDERS_PAGE:
                text = f"the order is not among {seen} of its time"
                raise VenueUnavailable(
                    text, venue=queries.session.venue_id, detail=key.client_order_id
                )
        raise OrderNotFound

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET orders/historical/batch."""
        query = {"order_status": "OPEN", "limit": ORDERS_PAGE}
        if symbol:
            query["product_ids"] = symbol
        pages = pages_of_rows(queries, "OrdersHistoricalBatch", query, "orders")
        return [order_of(row) async for rows in pages for row in rows]

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET orders/historical/fills, newest first."""
        query = {"start_sequence_timestamp": _instant(since_time_ns), "limit": FILLS_PAGE}
        if until_time_ns != NO_END_NS:
            query["end_sequence_timestamp"] = _instant(until_time_ns + NANOSECONDS_PER_SECOND)
        if symbol:
            query["product_ids"] = symbol
        return fill_pages.newest_first(_fills(queries, query), since_time_ns, until_time_ns)

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET accounts; an asset may have several."""
        found: dict[str, VenueBalance] = {}
        query = {"limit": ACCOUNTS_PAGE}
        pages = pages_of_rows(queries, "Accounts", query, "accounts")
        async for row in (row async for rows in pages for row in rows):
            name = row["currency"]
            free = text_conversion.amount(row["available_balance"]["value"])
            total = free + text_conversion.amount(row["hold"]["value"])
            before = found.get(name)
            if before is not None:
                total, free = total + before.total, free + before.free
            found[name] = VenueBalance(name, total, free)
        return list(found.values())

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """None: spot has no positions."""
        return []


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"order_id":"…","client_order_id":"…","product_id":"BTC-USD","side":"BUY","status":"OPEN",
    "order_configuration":{"limit_limit_gtc":{"base_size":"0.1","limit_price":"61000",…}},
    "filled_size":"0","average_filled_price":"0","filled_value":"0","created_time":"…",
    "last_fill_time":null,"reject_reason":"…","edit_history":[{"price":"60500","size":"0.1",
    "replace_accept_timestamp":"…"}],…}. The terms are those of the newest edit that the venue has
    done, if there is one: the configuration may be that of the placing."""
    kind, chosen = next(iter(row["order_configuration"].items()))
    edit = _newest_edit(row)
    filled = text_conversion.amount(row["filled_size"])
    by_value = "base_size" not in chosen
    return VenueOrder(
        symbol=row["product_id"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(row.get("client_order_id")),
        side=text_conversion.side(row["side"]),
        type=_type(kind, chosen, row["side"]),
        size=filled if by_value else text_conversion.amount(edit["size"] or chosen["base_size"]),
        price=text_conversion.amount_or_none(edit["price"] or chosen.get("limit_price")),
        state=text_conversion.order_state(STATES[row["status"]], filled),
        filled_size=filled,
        average_price=text_conversion.amount_or_none(row.get("average_filled_price")),
        venue_time_ns=time_ns(row.get("last_fill_time") or row["created_time"]),
        detail=row.get("reject_message") or row.get("cancel_message") or "",
        stop_price=text_conversion.amount_or_none(chosen.get("stop_price")),
    )


def _newest_edit(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Size and price of the last edit; empty texts without one. No order of edits is documented."""
    edits: Sequence[Mapping[str, str]] = row.get("edit_history") or ()
    newest: Mapping[str, str] = {}
    if edits:
        newest = max(edits, key=lambda edit: time_ns(edit["replace_accept_timestamp"]))
    return {name: newest.get(name) or "" for name in ("size", "price")}


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"entry_id":"…","trade_id":"…","order_id":"…","trade_time":"2021-05-31T09:59:59.123Z",
    "price":"61000","size":"0.001","commission":"1.25","product_id":"BTC-USD","side":"BUY",
    "liquidity_indicator":"MAKER","size_in_quote":false,"trade_type":"FILL",…}. A row whose
    ``trade_type`` is REVERSAL takes back the FILL with the same order and trade id: a fill of the
    negative size. A CORRECTION is the fill that holds instead."""
    price, size = text_conversion.amount(row["price"]), text_conversion.amount(row["size"])
    fee = text_conversion.amount(row["commission"])
    if row.get("size_in_quote"):
        size = text_conversion.average_price(size, price) or size
    if row.get("trade_type") == "REVERSAL" and size > 0:
        size, fee = -size, -fee
    return VenueFill(
        symbol=row["product_id"],
        fill_id=row["entry_id"],
        venue_order_id=row["order_id"],
        client_order_id="",
        side=text_conversion.side(row["side"]),
        price=price,
        size=size,
        fees=(Fee(row["product_id"].partition("-")[2], fee),),
        liquidity=text_conversion.liquidity(row["liquidity_indicator"] == "MAKER"),
        venue_time_ns=time_ns(row["trade_time"]),
    )


def _type(kind: str, chosen: Mapping[str, Any], side: str) -> OrderType:
    if kind.startswith("stop_limit"):
        rises = chosen.get("stop_direction") == UP
        if rises == (side == "BUY"):
            return orders_pb2.ORDER_TYPE_STOP_LIMIT
        return orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
    return text_conversion.limit_or_market(not kind.startswith("market"))


def _instant(time_ns: int) -> str:
    """The whole second of a time, as text."""
    moment = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def _fills(queries: RestQuerySession, query: Mapping[str, Any]) -> fill_pages.RawPages:
    async for rows in pages_of_rows(queries, "OrdersHistoricalFills", query, "fills"):
        yield [fill_of(row) for row in rows]


async def pages_of_rows(
    queries: RestQuerySession, name: str, query: Mapping[str, Any], field: str
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    cursor = ""
    while True:
        params = {**query, "cursor": cursor} if cursor else query
        answer = await queries.ask(f"v3PrivateGetBrokerage{name}", params)
        yield answer[field]
        cursor = answer.get("cursor") or ""
        if not cursor or not answer[field] or answer.get("has_next") is False:
            return
