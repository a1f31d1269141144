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

from kit.orders import ccxt_read as read
from kit.orders.approval import plain
from kit.orders.ccxt_desk import CcxtDesk, Unsupported
from kit.orders.ccxt_errors import STATUSES, Errors, Said
from kit.orders.ccxt_line import Call, Line
from kit.orders.ccxt_stream import Denied, Ended, Heard, Taken, Watch
from kit.orders.contract import (
    Accepted,
    AssetBalance,
    Credentials,
    DeskRules,
    HeldPosition,
    OrderKey,
    OrderState,
    Paid,
    Receipt,
    RejectReason,
    VenueFill,
    VenueOrder,
    Wish,
)

VENUE_ID = "bybit"
ORDERS_PAGE, FILLS_PAGE = 50, 100
WEEK_MS = 7 * 86_400_000
"""Fills of a longer time are not given at once."""
KEPT_MS = 104 * WEEK_MS
"""Older fills are not kept."""
TOPICS = ["order", "execution", "wallet"]
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
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}
FINAL = frozenset(
    {
        orders_pb2.ORDER_STATE_FILLED,
        orders_pb2.ORDER_STATE_CANCELLED,
        orders_pb2.ORDER_STATE_REJECTED,
        orders_pb2.ORDER_STATE_EXPIRED,
    }
)
CODES: Mapping[str, RejectReason] = {
    "10001": orders_pb2.REJECT_REASON_OTHER,
    "10002": orders_pb2.REJECT_REASON_OTHER,
    "10003": orders_pb2.REJECT_REASON_PERMISSION,
    "10004": orders_pb2.REJECT_REASON_PERMISSION,
    "10005": orders_pb2.REJECT_REASON_PERMISSION,
    "10006": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10010": orders_pb2.REJECT_REASON_PERMISSION,
    "10018": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10429": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "33004": orders_pb2.REJECT_REASON_PERMISSION,
    "110007": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110012": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110017": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "110072": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "170005": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "170115": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170116": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170121": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170124": orders_pb2.REJECT_REASON_SIZE,
    "170131": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170132": orders_pb2.REJECT_REASON_PRICE,
    "170133": orders_pb2.REJECT_REASON_PRICE,
    "170134": orders_pb2.REJECT_REASON_PRICE,
    "170135": orders_pb2.REJECT_REASON_SIZE,
    "170136": orders_pb2.REJECT_REASON_SIZE,
    "170137": orders_pb2.REJECT_REASON_SIZE,
    "170139": orders_pb2.REJECT_REASON_OTHER,
    "170140": orders_pb2.REJECT_REASON_NOTIONAL,
    "170141": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "170151": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170193": orders_pb2.REJECT_REASON_PRICE,
    "170194": orders_pb2.REJECT_REASON_PRICE,
    "170218": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "170227": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170234": orders_pb2.REJECT_REASON_MAINTENANCE,
    "170810": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
}
UNCLEAR = frozenset({"10000", "10016", "10019", "170001", "170007", "170146", "170147"})
"""Timeouts and errors inside the venue, and its restarts."""


def said(answer: Any) -> Said | None:
    """{"retCode":170131,"retMsg":"Insufficient balance.","result":{},"time":1}: always HTTP 200."""
    if isinstance(answer, dict) and str(answer.get("retCode", "0")) != "0":
        return Said(str(answer["retCode"]), str(answer.get("retMsg", "")))
    return None


def desk(credentials: Credentials, base_url: str | None) -> CcxtDesk:
    """The desk of one account; ``base_url``: of the pretended venue."""
    return CcxtDesk(VENUE_ID, SpotCounter(), base_url, credentials)


class SpotCounter:
    """Spot, of a unified account."""

    exchange = "bybit"
    one_at_a_time = False
    by_venue_id_only = False
    errors = Errors(
        said,
        CODES,
        unclear=UNCLEAR,
        absent=frozenset({"110001", "170213"}),
        statuses={**STATUSES, 403: orders_pb2.REJECT_REASON_RATE_LIMIT},
    )
    rules = DeskRules(
        types=frozenset(
            {orders_pb2.ORDER_TYPE_MARKET} | read.LIMITS | read.STOPS | read.TAKE_PROFITS
        ),
        times_in_force=frozenset(LIFETIMES),
    )

    def __init__(self) -> None:
        self.hearing = SpotHearing()

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        feed = base_url.replace("http", "ws", 1)
        names = ("spot", "futures", "v2", "public", "private")
        private = {"contract": f"{feed}/v5/private"}
        return {"urls": {"api": {**dict.fromkeys(names, base_url), "ws": {"private": private}}}}

    async def prepare(self, line: Line) -> None:
        """There is nothing to ask."""

    def place(self, wish: Wish) -> Call:
        """POST /v5/order/create. A stop has the filter StopOrder; from which side it wakes follows
        from where the market is."""
        if wish.type not in self.rules.types or wish.reduce_only:
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
        return Call("privatePostV5OrderCreate", params)

    def amend(self, key: OrderKey, wish: Wish) -> Call:
        """POST /v5/order/amend."""
        params = {"category": "spot", **_which(key), "qty": plain(wish.size)}
        if wish.price is not None:
            params["price"] = plain(wish.price)
        if wish.stop_price is not None:
            params["triggerPrice"] = plain(wish.stop_price)
        return Call("privatePostV5OrderAmend", params)

    def cancel(self, key: OrderKey) -> Call:
        """POST /v5/order/cancel."""
        return Call("privatePostV5OrderCancel", {"category": "spot", **_which(key)})

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """POST /v5/order/cancel-all, of one kind of orders at a time."""
        params = {"category": "spot", **({"symbol": symbol} if symbol else {})}
        kinds = ("Order", "StopOrder", "tpslOrder")
        method = "privatePostV5OrderCancelAll"
        return [Call(method, {**params, "orderFilter": kind}) for kind in kinds]

    def receipt(self, answer: Any) -> Receipt:
        """{"retCode":0,"result":{"orderId":"…","orderLinkId":"…"},…}: taken, no more than that."""
        return Accepted(str(answer["result"].get("orderId", "")))

    def countdown(self, seconds: float) -> Call:
        """Bybit cancels when a websocket is cut, not when it is not asked in time."""
        raise Unsupported("Bybit has no countdown that is begun anew by a call")

    async def rights(self, line: Line) -> Sequence[str]:
        """GET /v5/user/query-api: {"readOnly":0,"permissions":{"Spot":["SpotTrade"],"Wallet":
        ["AccountTransfer","Withdraw"],…},…}."""
        answer = await line.ask(Call("privateGetV5UserQueryApi"))
        wallet = answer["result"].get("permissions", {}).get("Wallet") or []
        return sorted({"withdraw" if "Withdraw" in one else "transfer" for one in wallet})

    async def find(self, line: Line, key: OrderKey) -> VenueOrder | None:
        """GET /v5/order/realtime has what is open, and a little more; history has the rest."""
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            answer = await line.ask(Call(method, {"category": "spot", **_which(key)}))
            rows = answer["result"]["list"]
            if rows:
                return order_of(rows[0])
        return None

    async def open_orders(self, line: Line, symbol: str) -> list[VenueOrder]:
        """GET /v5/order/realtime."""
        query = {"category": "spot", "limit": ORDERS_PAGE}
        if symbol:
            query["symbol"] = symbol
        found = [order_of(row) async for row in _pages(line, "privateGetV5OrderRealtime", query)]
        return [order for order in found if order.state not in FINAL]

    async def fills(self, line: Line, symbol: str, since_time_ns: int) -> list[VenueFill]:
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
            found += [_fill(row) async for row in rows if row["execType"] == "Trade"]
        return found

    async def balances(self, line: Line) -> list[AssetBalance]:
        """GET /v5/account/wallet-balance."""
        call = Call("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})
        answer = await line.ask(call)
        return [one for row in answer["result"]["list"] for one in _balances(row)]

    async def positions(self, line: Line) -> list[HeldPosition]:
        """There are none."""
        return []


class SpotHearing:
    """The private websocket."""

    subscriptions = 1

    def watches(self, api: Any) -> Sequence[Watch]:
        """ccxt's own methods ask first which kind of account it is, and subscribe one by one."""

        async def watch() -> None:
            url = api.implode_hostname(api.urls["api"]["ws"]["private"]["contract"])
            await api.authenticate(url)
            await api.watch_topics(url, ["account"], TOPICS, {})

        return (watch,)

    def hear(self, message: Any) -> Heard:
        """{"topic":"order","data":[…]}, or {"op":"subscribe","success":true,…}."""
        topic, operation = message.get("topic"), message.get("op")
        if message.get("success") is False:
            words = str(message.get("ret_msg"))
            return Denied(words) if operation == "auth" else Ended(words)
        if operation == "subscribe":
            return Taken("topics")
        if topic == "order":
            return [order_of(row) for row in message["data"] if _is_spot(row)]
        if topic == "execution":
            rows = [row for row in message["data"] if _is_spot(row)]
            return [_fill(row) for row in rows if row["execType"] == "Trade"]
        if topic == "wallet":
            return [one for row in message["data"] for one in _balances(row)]
        return None


async def _pages(line: Line, method: str, query: Mapping[str, Any]) -> AsyncIterator[Any]:
    cursor = ""
    while True:
        params = {**query, "cursor": cursor} if cursor else query
        result = (await line.ask(Call(method, params)))["result"]
        for row in result["list"]:
            yield row
        cursor = result.get("nextPageCursor") or ""
        if not cursor or not result["list"]:
            return


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"orderId":"…","orderLinkId":"…","symbol":"BTCUSDT","price":"61000","qty":"0.1",
    "side":"Buy","orderStatus":"New","rejectReason":"EC_NoError","avgPrice":"","cumExecQty":"0",
    "orderType":"Limit","triggerPrice":"0","marketUnit":"","updatedTime":"1684738540561",…}. A stop
    does not say from which side it wakes: each is told as a stop."""
    filled = read.amount(row["cumExecQty"])
    state, reason = STATES[row["orderStatus"]], orders_pb2.REJECT_REASON_UNSPECIFIED
    why = row.get("rejectReason") or "EC_NoError"
    if state in FINAL and state != orders_pb2.ORDER_STATE_FILLED:
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


def _fill(row: Mapping[str, Any]) -> VenueFill:
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
        fees=(Paid(row["feeCurrency"], read.amount(row["execFee"])),)
        if row.get("feeCurrency")
        else (),
        liquidity=read.liquidity(row["isMaker"]),
        venue_time_ns=read.time_ns(row["execTime"]),
    )


def _balances(row: Mapping[str, Any]) -> list[AssetBalance]:
    """{"accountType":"UNIFIED","coin":[{"coin":"BTC","walletBalance":"1.5","locked":"0.5",…}]}"""
    found = []
    for coin in row["coin"]:
        total = read.amount(coin["walletBalance"])
        free = total - read.amount(coin.get("locked"))
        found.append(AssetBalance(coin["coin"], total, free))
    return found


def _is_spot(row: Mapping[str, Any]) -> bool:
    return bool(row.get("category", "spot") == "spot")


def _which(key: OrderKey) -> dict[str, str]:
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "orderLinkId": key.client_order_id}
