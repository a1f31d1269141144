"""Orders on Bybit's spot market: what is sent, what comes back, what is heard.

Client ids go out as ``orderLinkId``, which stays unique for ever: a second order with it is never
made. An answer says only that the venue has taken the request; the ``order`` topic says the rest.
The amounts are texts everywhere: ``qty``, ``cumExecQty``, ``avgPrice``, ``cumExecValue``; of a fill
``execQty``, ``execPrice``, ``execFee``. A market order's ``qty`` is in the base currency only
because ``marketUnit`` says so.
https://bybit-exchange.github.io/docs/v5/order/create-order
https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.execution_client import CcxtExecutionClient, Unsupported
from kit.connector.orders.rest_session import Call, RestSession
from kit.execution.approval import plain
from kit.execution.contract import (
    Accepted,
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from venues.bybit.errors import ERRORS
from venues.bybit.order_socket import BybitOrderSocketCodec
from venues.bybit.user_stream import BybitSpotUserStreamDecoder, balances_of, fill_of, order_of

VENUE_ID = "bybit"
ORDERS_PAGE, FILLS_PAGE = 50, 100
WEEK_MS = 7 * 86_400_000
"""Fills of a longer time are not given at once."""
KEPT_MS = 104 * WEEK_MS
"""Older fills are not kept."""
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}
WINDOW_S_MIN, WINDOW_S_MAX = 3, 300
"""Of what the venue does when it is cut off."""


def desk(
    credentials: Credentials, base_url: str | None, transport: Transport = "websocket"
) -> CcxtExecutionClient:
    """The desk of one account; ``base_url``: of the pretended venue."""
    return CcxtExecutionClient(
        VENUE_ID, BybitSpotOrderApi(), base_url, credentials, BybitOrderSocketCodec(), transport
    )


class BybitSpotOrderApi:
    """Spot, of a unified account."""

    exchange = "bybit"
    one_at_a_time = False
    by_venue_id_only = False
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=frozenset(
            {orders_pb2.ORDER_TYPE_MARKET} | read.LIMITS | read.STOPS | read.TAKE_PROFITS
        ),
        times_in_force=frozenset(LIFETIMES),
        amends_stop_price=True,
        countdown=True,
    )

    def __init__(self) -> None:
        self.hearing = BybitSpotUserStreamDecoder()

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        feed = base_url.replace("http", "ws", 1)
        names = ("spot", "futures", "v2", "public", "private")
        private = {"contract": f"{feed}/v5/private", "trade": f"{feed}/v5/trade"}
        return {"urls": {"api": {**dict.fromkeys(names, base_url), "ws": {"private": private}}}}

    async def prepare(self, line: RestSession) -> None:
        """There is nothing to ask."""

    def place(self, wish: OrderRequest) -> Call:
        """POST /v5/order/create. A stop has the filter StopOrder; from which side it wakes follows
        from where the market is."""
        if wish.type not in self.capabilities.types or wish.reduce_only:
            raise Unsupported("no such order on Bybit spot")
        if wish.time_in_force not in LIFETIMES:
            raise Unsupported("Bybit has no orders that end at a time")
        params = {
            "category": "spot",
            "symbol": wish.symbol,
            "side": "Buy" if read.buys(wish) else "Sell",
            "qty": plain(wish.size),
            "orderLinkId": wish.client_order_id,
        }
        if wish.type in read.LIMITS and wish.price is not None:
            lifetime = "PostOnly" if wish.post_only else LIFETIMES[wish.time_in_force]
            limit = {"orderType": "Limit", "price": plain(wish.price), "timeInForce": lifetime}
            params |= limit
        else:
            params |= {"orderType": "Market", "marketUnit": "baseCoin"}
        if wish.stop_price is not None:
            params |= {"orderFilter": "StopOrder", "triggerPrice": plain(wish.stop_price)}
        return Call("privatePostV5OrderCreate", params, operation="order.create")

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """POST /v5/order/amend."""
        params = {"category": "spot", **_which(key), "qty": plain(wish.size)}
        if wish.price is not None:
            params["price"] = plain(wish.price)
        if wish.stop_price is not None:
            params["triggerPrice"] = plain(wish.stop_price)
        return Call("privatePostV5OrderAmend", params, operation="order.amend")

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """POST /v5/order/cancel."""
        params = {"category": "spot", **_which(key)}
        return [Call("privatePostV5OrderCancel", params, operation="order.cancel")]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """POST /v5/order/cancel-all, of one kind of orders at a time."""
        params = {"category": "spot", **({"symbol": symbol} if symbol else {})}
        kinds = ("Order", "StopOrder", "tpslOrder")
        method = "privatePostV5OrderCancelAll"
        return [Call(method, {**params, "orderFilter": kind}) for kind in kinds]

    def receipt(self, answer: Any) -> Verdict:
        """{"retCode":0,"result":{"orderId":"…","orderLinkId":"…"},…}: taken, no more than that."""
        return Accepted(str(answer["result"].get("orderId", "")))

    def countdown(self, seconds: float) -> Sequence[Call]:
        """POST /v5/order/disconnected-cancel-all: 3 to 300 seconds. They count from when the
        private websocket is cut, or its pings stop, so that no call is needed to put them off;
        there is no call that ends it."""
        if not seconds:
            raise Unsupported("what Bybit does when it is cut off is set, and not ended")
        window = max(WINDOW_S_MIN, min(WINDOW_S_MAX, -int(-seconds // 1)))
        params = {"product": "SPOT", "timeWindow": window}
        return [Call("privatePostV5OrderDisconnectedCancelAll", params)]

    async def rights(self, line: RestSession) -> Sequence[str]:
        """GET /v5/user/query-api: {"readOnly":0,"permissions":{"Spot":["SpotTrade"],"Wallet":
        ["AccountTransfer","Withdraw"],…},…}."""
        answer = await line.ask(Call("privateGetV5UserQueryApi"))
        wallet = answer["result"].get("permissions", {}).get("Wallet") or []
        return ["withdraw"] if any("Withdraw" in one for one in wallet) else []

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET /v5/order/realtime has what is open, and a little more; history has the rest."""
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            answer = await line.ask(Call(method, {"category": "spot", **_which(key)}))
            rows = answer["result"]["list"]
            if rows:
                return order_of(rows[0])
        return None

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET /v5/order/realtime."""
        query = {"category": "spot", "limit": ORDERS_PAGE}
        if symbol:
            query["symbol"] = symbol
        found = [order_of(row) async for row in _pages(line, "privateGetV5OrderRealtime", query)]
        return [order for order in found if order.state not in read.FINAL]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET /v5/execution/list, week by week."""
        query: dict[str, Any] = {"category": "spot", "limit": FILLS_PAGE}
        if symbol:
            query["symbol"] = symbol
        now_ms = line.api.milliseconds()
        first_ms = max(read.milliseconds(since_time_ns), now_ms - KEPT_MS)
        found: list[VenueFill] = []
        for begin_ms in range(first_ms, now_ms + 1, WEEK_MS):
            week = {**query, "startTime": begin_ms, "endTime": begin_ms + WEEK_MS - 1}
            rows = _pages(line, "privateGetV5ExecutionList", week)
            found += [fill_of(row) async for row in rows if row["execType"] == "Trade"]
        return found

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET /v5/account/wallet-balance."""
        call = Call("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})
        answer = await line.ask(call)
        return [one for row in answer["result"]["list"] for one in balances_of(row)]

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """There are none."""
        return []


async def _pages(line: RestSession, method: str, query: Mapping[str, Any]) -> AsyncIterator[Any]:
    cursor = ""
    while True:
        params = {**query, "cursor": cursor} if cursor else query
        result = (await line.ask(Call(method, params)))["result"]
        for row in result["list"]:
            yield row
        cursor = result.get("nextPageCursor") or ""
        if not cursor or not result["list"]:
            return


def _which(key: OrderKey) -> dict[str, str]:
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "orderLinkId": key.client_order_id}
