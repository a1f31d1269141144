"""Orders on OKX, spot and swaps: what is sent and what comes back.

Client ids go out as ``clOrdId``. The answer to an order is about a list of one: its own code is
``sCode``, and only "0" there means that it was taken; what became of it, the channel says. Amounts
are texts everywhere: ``sz``, ``accFillSz``, ``avgPx``; of a fill ``fillSz``, ``fillPx``, ``fee``,
which is negative when it was paid. Sizes of swaps count contracts, those of spot base units, as
``tgtCcy`` says. Stops are orders of another kind, kept apart, with ids of their own: ``algoId``,
and ``algoClOrdId`` for ours. When its price is reached, a stop makes an order with a new ``ordId``
and no ``clOrdId``, which names the stop. It goes as ``conditional``, which says whether it waits
for a rise or a fall; ``trigger`` leaves that to the last price.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-post-place-algo-order
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.execution_client import CcxtExecutionClient, Unsupported
from kit.connector.orders.rest_session import Absent, Call, RestSession
from kit.execution.approval import plain
from kit.execution.contract import (
    Accepted,
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    OrderType,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from venues.okx.errors import ERRORS, said
from venues.okx.order_socket import OkxOrderSocketCodec
from venues.okx.user_stream import (
    WOKEN,
    OkxUserStreamDecoder,
    algo_order_of,
    balances_of,
    fill_of,
    order_of,
    position_of,
)

PAGE = 100
RECENT_MS = 3 * 86_400_000
"""Fills of a longer time are among the past ones."""
COUNTDOWN_S_MIN, COUNTDOWN_S_MAX = 10, 120
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "limit",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "ioc",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fok",
}
"""The type of an order says how long it waits."""
STOPS: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_STOP: "sl",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "sl",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "tp",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "tp",
}
"""How the words of a stop begin."""
ALGO_KINDS = ("conditional,oco", "trigger", "move_order_stop")
"""Each has a list of its own; the first two share one."""


def desk(
    venue_id: str,
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
) -> CcxtExecutionClient:
    """The desk of one account at ``okx`` or ``okx_futures``; ``base_url``: of the pretended
    venue."""
    counter = OkxOrderApi(venue_id == "okx_futures")
    speaking = OkxOrderSocketCodec(counter.kind)
    return CcxtExecutionClient(venue_id, counter, base_url, credentials, speaking, transport)


class OkxOrderApi:
    """Spot without borrowing, or swaps with cross margin and one position for both sides."""

    exchange = "okx"
    one_at_a_time = False
    by_venue_id_only = False
    errors = ERRORS

    def __init__(self, is_swap: bool) -> None:
        self._is_swap = is_swap
        self.kind = "SWAP" if is_swap else "SPOT"
        self.hearing = OkxUserStreamDecoder(self.kind)
        self.capabilities = OrderCapabilities(
            types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT, *STOPS}),
            times_in_force=frozenset(LIFETIMES),
            amends_stop_price=True,
            plain_stops_only=True,
            reduce_only=is_swap,
            has_positions=is_swap,
            countdown=True,
        )

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        return {
            "urls": {"api": {"rest": base_url, "ws": f"{base_url.replace('http', 'ws', 1)}/ws/v5"}}
        }

    async def prepare(self, line: RestSession) -> None:
        """There is nothing to ask."""

    def place(self, wish: OrderRequest) -> Call:
        """POST /api/v5/trade/order, or order-algo of what waits for a price."""
        if wish.type not in self.capabilities.types or wish.time_in_force not in LIFETIMES:
            raise Unsupported("no such order on OKX")
        params: dict[str, Any] = {
            "instId": wish.symbol,
            "tdMode": "cross" if self._is_swap else "cash",
            "side": "buy" if read.buys(wish) else "sell",
            "sz": plain(wish.size),
        }
        if wish.reduce_only:
            params["reduceOnly"] = True
        if wish.type in STOPS:
            return Call("privatePostTradeOrderAlgo", params | self._stop(wish))
        params["clOrdId"] = wish.client_order_id
        if wish.type == orders_pb2.ORDER_TYPE_LIMIT and wish.price is not None:
            kind = "post_only" if wish.post_only else LIFETIMES[wish.time_in_force]
            params |= {"ordType": kind, "px": plain(wish.price)}
        else:
            params["ordType"] = "market"
            if not self._is_swap:
                params["tgtCcy"] = "base_ccy"
        return Call("privatePostTradeOrder", params, operation="order")

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """POST /api/v5/trade/amend-order; amend-algos of a stop, which does not find it when it has
        woken."""
        if wish.type in STOPS:
            words = {"newSz": plain(wish.size), **_prices(wish, is_new=True)}
            return Call("privatePostTradeAmendAlgos", {**_which_algo(key), **words})
        params = {**_which(key), "newSz": plain(wish.size)}
        if wish.price is not None:
            params["newPx"] = plain(wish.price)
        return Call("privatePostTradeAmendOrder", params, operation="amend-order")

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """POST /api/v5/trade/cancel-order, or cancel-algos, which wants a list."""
        return [
            Call("privatePostTradeCancelOrder", _which(key), operation="cancel-order"),
            Call("privatePostTradeCancelAlgos", [_which_algo(key)]),
        ]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """There is no such call for these."""
        return ()

    def receipt(self, answer: Any) -> Verdict:
        """{"code":"0","data":[{"ordId":"3126","clOrdId":"…","sCode":"0",…}],"msg":""}; of stops
        {"algoId":"1753184812254216192","algoClOrdId":"…",…}."""
        error = said(answer)
        if error is not None:
            return self.errors.receipt(error)
        row = answer["data"][0]
        return Accepted(row["algoId"] if row.get("algoId") else row["ordId"])

    def countdown(self, seconds: float) -> Sequence[Call]:
        """POST /api/v5/trade/cancel-all-after: 0, or 10 to 120 seconds."""
        chosen = max(COUNTDOWN_S_MIN, min(COUNTDOWN_S_MAX, -int(-seconds // 1))) if seconds else 0
        return [Call("privatePostTradeCancelAllAfter", {"timeOut": str(chosen)})]

    async def rights(self, line: RestSession) -> Sequence[str]:
        """GET /api/v5/account/config: {"perm":"read_only,withdraw,trade",…}."""
        answer = await line.ask(Call("privateGetAccountConfig"))
        rights = answer["data"][0].get("perm", "").split(",")
        return [right for right in rights if right == "withdraw"]

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET /api/v5/trade/order, or order-algo of a stop and then of the order that it has made.
        One that was cancelled without a fill is found for two hours."""
        try:
            return await _order(line, _which(key))
        except Absent:
            answer = await line.ask(Call("privateGetTradeOrderAlgo", _which_algo(key)))
        row = answer["data"][0]
        made = row.get("ordIdList") or [row.get("ordId")]
        if row["state"] in WOKEN and made[-1]:
            return await _order(line, {"instId": key.symbol, "ordId": made[-1]})
        return algo_order_of(row)

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET /api/v5/trade/orders-pending and, by kind, orders-algo-pending. The stops first: one
        that wakes meanwhile is then among the orders, instead of in neither list."""
        query = self._query(symbol)
        found = []
        for kind in ALGO_KINDS:
            waiting = {**query, "ordType": kind}
            rows = _pages(line, "privateGetTradeOrdersAlgoPending", waiting, "algoId")
            found += [algo_order_of(row) async for row in rows]
        rows = _pages(line, "privateGetTradeOrdersPending", query, "ordId")
        return found + [order_of(row) async for row in rows]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET /api/v5/trade/fills for three days, fills-history for three months."""
        since_ms = read.milliseconds(since_time_ns)
        recent = since_ms > line.api.milliseconds() - RECENT_MS
        method = "privateGetTradeFills" if recent else "privateGetTradeFillsHistory"
        query = {**self._query(symbol), "begin": str(since_ms)}
        return [fill_of(row) async for row in _pages(line, method, query, "billId")]

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET /api/v5/account/balance."""
        answer = await line.ask(Call("privateGetAccountBalance"))
        return [one for row in answer["data"] for one in balances_of(row)]

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """GET /api/v5/account/positions."""
        answer = await line.ask(Call("privateGetAccountPositions", {"instType": self.kind}))
        return [position_of(row) for row in answer["data"]]

    def _stop(self, wish: OrderRequest) -> dict[str, Any]:
        """Raises Unsupported."""
        is_plain = wish.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
        if wish.post_only or not is_plain:
            raise Unsupported("no such stop on OKX")
        words = {"ordType": "conditional", "algoClOrdId": wish.client_order_id, **_prices(wish)}
        if not self._is_swap and wish.price is None and read.buys(wish):
            words["tgtCcy"] = "base_ccy"
        return words

    def _query(self, symbol: str) -> dict[str, str]:
        query = {"instType": self.kind, "limit": str(PAGE)}
        return {**query, "instId": symbol} if symbol else query


def _prices(wish: OrderRequest, *, is_new: bool = False) -> dict[str, str]:
    """Where a stop wakes, and at what price it goes on then. Raises Unsupported."""
    if wish.stop_price is None:
        raise Unsupported("no such stop on OKX")
    form = STOPS[wish.type]
    part = f"new{form.capitalize()}" if is_new else form
    return {
        f"{part}TriggerPx": plain(wish.stop_price),
        f"{part}TriggerPxType": "last",
        f"{part}OrdPx": "-1" if wish.price is None else plain(wish.price),
    }


async def _order(line: RestSession, which: Mapping[str, str]) -> VenueOrder:
    """Raises Absent."""
    answer = await line.ask(Call("privateGetTradeOrder", which))
    if not answer["data"]:
        raise Absent
    return order_of(answer["data"][0])


async def _pages(
    line: RestSession, method: str, query: Mapping[str, str], number: str
) -> AsyncIterator[Mapping[str, Any]]:
    """Newest first, each page after the last row of the one before."""
    after = ""
    while True:
        params = {**query, "after": after} if after else query
        rows = (await line.ask(Call(method, params)))["data"]
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = rows[-1][number]


def _which(key: OrderKey) -> dict[str, str]:
    if key.venue_order_id:
        return {"instId": key.symbol, "ordId": key.venue_order_id}
    return {"instId": key.symbol, "clOrdId": key.client_order_id}


def _which_algo(key: OrderKey) -> dict[str, str]:
    """By the client id: the venue's is another one once a stop has woken."""
    if key.client_order_id:
        return {"instId": key.symbol, "algoClOrdId": key.client_order_id}
    return {"instId": key.symbol, "algoId": key.venue_order_id}
