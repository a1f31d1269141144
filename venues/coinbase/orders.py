"""Orders on Coinbase's Advanced Trade: what is sent and what comes back.

Client ids go out as ``client_order_id``, a UUID with hyphens; ccxt would make up one of its own. An
order with an id that is known already is the one that is there. A refusal comes with HTTP 200 and
``success`` false. Amounts are texts: ``base_size`` of the configuration, ``filled_size``,
``average_filled_price``; of a fill ``size``, ``price``, ``commission``. Only the venue's id changes
or cancels an order, and nothing finds one by ours but a look at the newest ones.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import VenueUnavailable
from kit.connector.orders import venue_text as read
from kit.connector.orders.execution_client import CcxtExecutionClient, Unsupported
from kit.connector.orders.rest_session import Absent, Call, RestSession
from kit.execution.approval import plain
from kit.execution.client_order_ids import as_uuid
from kit.execution.contract import (
    Accepted,
    Credentials,
    Fee,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    OrderType,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from kit.marketdata.frames.reference import time_ns
from venues.coinbase.errors import ERRORS, said
from venues.coinbase.user_stream import STATES, CoinbaseUserStreamDecoder

VENUE_ID = "coinbase"
ORDERS_PAGE, FILLS_PAGE, ACCOUNTS_PAGE = 250, 250, 250
SEARCHED_PAGES_MAX = 4
"""Of the newest orders, in which one is looked for."""
LIMITS: Mapping["orders_pb2.TimeInForce.ValueType", str] = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "limit_limit_gtc",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "limit_limit_gtd",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "sor_limit_ioc",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "limit_limit_fok",
}
STOP = "stop_limit_stop_limit_gtc"
TYPES = frozenset(
    {
        orders_pb2.ORDER_TYPE_MARKET,
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    }
)
UP, DOWN = "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"


def desk(credentials: Credentials, base_url: str | None) -> CcxtExecutionClient:
    """The desk of one account; ``base_url``: of the pretended venue."""
    return CcxtExecutionClient(VENUE_ID, CoinbaseOrderApi(), base_url, credentials)


class CoinbaseOrderApi:
    """Spot."""

    exchange = "coinbase"
    one_at_a_time = False
    by_venue_id_only = True
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=TYPES,
        times_in_force=frozenset(LIMITS),
        plain_stops_only=True,
        fills_have_client_id=False,
    )

    def __init__(self) -> None:
        self.hearing = CoinbaseUserStreamDecoder()

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        return {"urls": {"api": {"rest": base_url, "ws": base_url.replace("http", "ws", 1)}}}

    async def prepare(self, line: RestSession) -> None:
        """There is nothing to ask."""

    def place(self, wish: OrderRequest) -> Call:
        """POST orders."""
        if wish.type not in TYPES or wish.reduce_only:
            raise Unsupported("no such order on Coinbase")
        params = {
            "client_order_id": as_uuid(wish.client_order_id),
            "product_id": wish.symbol,
            "side": "BUY" if read.buys(wish) else "SELL",
            "order_configuration": _configuration(wish),
        }
        return Call("v3PrivatePostBrokerageOrders", params)

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """POST orders/edit."""
        params = {"order_id": key.venue_order_id, "size": plain(wish.size)}
        if wish.price is not None:
            params["price"] = plain(wish.price)
        return Call("v3PrivatePostBrokerageOrdersEdit", params)

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """POST orders/batch_cancel."""
        return [
            Call("v3PrivatePostBrokerageOrdersBatchCancel", {"order_ids": [key.venue_order_id]})
        ]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """There is no such call."""
        return ()

    def receipt(self, answer: Any) -> Verdict:
        """{"success":true,"success_response":{"order_id":"…",…},…}, of a cancellation
        {"results":[{"success":true,"order_id":"…"}]}, of an amendment {"success":true}."""
        error = said(answer)
        if error is not None:
            return self.errors.receipt(error)
        if "results" in answer:
            return Accepted(answer["results"][0]["order_id"])
        if answer["success"] is not True:
            raise ValueError("no answer of success")
        return Accepted((answer.get("success_response") or {}).get("order_id", ""))

    def countdown(self, seconds: float) -> Sequence[Call]:
        """There is none."""
        raise Unsupported("Coinbase does not cancel by itself")

    async def rights(self, line: RestSession) -> Sequence[str]:
        """GET key_permissions: {"can_view":true,"can_trade":true,"can_transfer":false,…}."""
        answer = await line.ask(Call("v3PrivateGetBrokerageKeyPermissions"))
        return ["withdraw"] if answer["can_transfer"] else []

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET orders/historical/{order_id}; by our id, a look at the newest ones of the product.
        Raises VenueUnavailable when it may be among the older ones."""
        if key.venue_order_id:
            method = "v3PrivateGetBrokerageOrdersHistoricalOrderId"
            answer = await line.ask(Call(method, {"order_id": key.venue_order_id}))
            return order_of(answer["order"])
        seen = 0
        query = {"product_ids": key.symbol, "limit": ORDERS_PAGE}
        async for row in _pages(line, "OrdersHistoricalBatch", query, "orders"):
            if read.ours(row.get("client_order_id")) == key.client_order_id:
                return order_of(row)
            seen += 1
            if seen >= SEARCHED_PAGES_MAX * ORDERS_PAGE:
                text = f"the order is not among the newest {seen}"
                raise VenueUnavailable(text, venue=line.venue_id, detail=key.client_order_id)
        raise Absent

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET orders/historical/batch."""
        query = {"order_status": "OPEN", "limit": ORDERS_PAGE}
        if symbol:
            query["product_ids"] = symbol
        rows = _pages(line, "OrdersHistoricalBatch", query, "orders")
        return [order_of(row) async for row in rows]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET orders/historical/fills."""
        begin = datetime.fromtimestamp(since_time_ns // NANOSECONDS_PER_SECOND, UTC)
        query = {
            "start_sequence_timestamp": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "limit": FILLS_PAGE,
        }
        if symbol:
            query["product_ids"] = symbol
        return [_fill(row) async for row in _pages(line, "OrdersHistoricalFills", query, "fills")]

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET accounts; an asset may have several."""
        found: dict[str, VenueBalance] = {}
        query = {"limit": ACCOUNTS_PAGE}
        async for row in _pages(line, "Accounts", query, "accounts"):
            name = row["currency"]
            free = read.amount(row["available_balance"]["value"])
            total = free + read.amount(row["hold"]["value"])
            before = found.get(name)
            if before is not None:
                total, free = total + before.total, free + before.free
            found[name] = VenueBalance(name, total, free)
        return list(found.values())

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """There are none."""
        return []


def _configuration(wish: OrderRequest) -> dict[str, Any]:
    size = {"base_size": plain(wish.size)}
    if wish.type == orders_pb2.ORDER_TYPE_MARKET or wish.price is None:
        return {"market_market_ioc": size}
    limit: dict[str, Any] = {**size, "limit_price": plain(wish.price)}
    if wish.type == orders_pb2.ORDER_TYPE_LIMIT:
        kind = LIMITS[wish.time_in_force]
        if wish.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
            end = datetime.fromtimestamp(wish.expire_time_ns // NANOSECONDS_PER_SECOND, UTC)
            limit["end_time"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        if kind in ("limit_limit_gtc", "limit_limit_gtd"):
            limit["post_only"] = wish.post_only
        return {kind: limit}
    rises = read.buys(wish) == (wish.type == orders_pb2.ORDER_TYPE_STOP_LIMIT)
    is_plain = wish.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    if wish.stop_price is None or wish.post_only or not is_plain:
        raise Unsupported("no such stop on Coinbase")
    stop = {"stop_price": plain(wish.stop_price), "stop_direction": UP if rises else DOWN}
    return {STOP: {**limit, **stop}}


async def _pages(
    line: RestSession, name: str, query: Mapping[str, Any], field: str
) -> AsyncIterator[Mapping[str, Any]]:
    cursor = ""
    while True:
        params = {**query, "cursor": cursor} if cursor else query
        answer = await line.ask(Call(f"v3PrivateGetBrokerage{name}", params))
        for row in answer[field]:
            yield row
        cursor = answer.get("cursor") or ""
        if not cursor or not answer[field] or answer.get("has_next") is False:
            return


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"order_id":"…","client_order_id":"…","product_id":"BTC-USD","side":"BUY","status":"OPEN",
    "order_configuration":{"limit_limit_gtc":{"base_size":"0.1","limit_price":"61000",…}},
    "filled_size":"0","average_filled_price":"0","filled_value":"0","created_time":"…",
    "last_fill_time":null,"reject_reason":"…",…}"""
    kind, chosen = next(iter(row["order_configuration"].items()))
    filled = read.amount(row["filled_size"])
    by_value = "base_size" not in chosen
    return VenueOrder(
        symbol=row["product_id"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("client_order_id")),
        side=read.side(row["side"]),
        type=_type(kind, chosen, row["side"]),
        size=filled if by_value else read.amount(chosen["base_size"]),
        price=read.given(chosen.get("limit_price")),
        state=read.state(STATES[row["status"]], filled),
        filled_size=filled,
        average_price=read.given(row.get("average_filled_price")),
        venue_time_ns=time_ns(row.get("last_fill_time") or row["created_time"]),
        detail=row.get("reject_message") or row.get("cancel_message") or "",
        stop_price=read.given(chosen.get("stop_price")),
    )


def _type(kind: str, chosen: Mapping[str, Any], side: str) -> OrderType:
    if kind.startswith("stop_limit"):
        rises = chosen.get("stop_direction") == UP
        if rises == (side == "BUY"):
            return orders_pb2.ORDER_TYPE_STOP_LIMIT
        return orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
    return read.plain_type(not kind.startswith("market"))


def _fill(row: Mapping[str, Any]) -> VenueFill:
    """{"entry_id":"…","trade_id":"…","order_id":"…","trade_time":"2021-05-31T09:59:59.123Z",
    "price":"61000","size":"0.001","commission":"1.25","product_id":"BTC-USD","side":"BUY",
    "liquidity_indicator":"MAKER","size_in_quote":false,…}"""
    price, size = read.amount(row["price"]), read.amount(row["size"])
    if row.get("size_in_quote"):
        size = read.mean(size, price) or size
    return VenueFill(
        symbol=row["product_id"],
        fill_id=row["entry_id"],
        venue_order_id=row["order_id"],
        client_order_id="",
        side=read.side(row["side"]),
        price=price,
        size=size,
        fees=(Fee(row["product_id"].partition("-")[2], read.amount(row["commission"])),),
        liquidity=read.liquidity(row["liquidity_indicator"] == "MAKER"),
        venue_time_ns=time_ns(row["trade_time"]),
    )
