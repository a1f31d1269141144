"""Orders on Binance's spot market: what is sent, what comes back, what is heard.

Client ids go out as ``newClientOrderId``; the venue keeps them unique among open orders only. An
answer that says -1006, -1007 or 5xx leaves open whether the order is there. The amounts are texts
in every answer: sizes are ``origQty`` and ``executedQty`` (q and z in events), the mean price is
``cummulativeQuoteQty`` (Z) by the filled size, fees are ``commission`` (n).
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.errors import NotSupported
from kit.orders import ccxt_read as read
from kit.orders.approval import plain
from kit.orders.ccxt_desk import CcxtDesk, Unsupported
from kit.orders.ccxt_errors import Errors, Said
from kit.orders.ccxt_line import Call, Line
from kit.orders.ccxt_stream import Denied, Ended, Heard, Taken, Watch
from kit.orders.contract import (
    Accepted,
    AccountEvent,
    AssetBalance,
    Credentials,
    DeskRules,
    HeldPosition,
    OrderKey,
    OrderState,
    OrderType,
    Paid,
    Receipt,
    RejectReason,
    VenueFill,
    VenueOrder,
    Wish,
)

VENUE_ID = "binance"
FILLS_MAX = 1000
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

WORDS: Mapping[str, RejectReason] = {
    "insufficient balance": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "immediately match and take": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "duplicate order sent": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "trigger immediately": orders_pb2.REJECT_REASON_STOP_PRICE,
    "would not be filled": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "price_filter": orders_pb2.REJECT_REASON_PRICE,
    "percent_price": orders_pb2.REJECT_REASON_PRICE,
    "market_lot_size": orders_pb2.REJECT_REASON_SIZE,
    "lot_size": orders_pb2.REJECT_REASON_SIZE,
    "notional": orders_pb2.REJECT_REASON_NOTIONAL,
    "max_num": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "max_position": orders_pb2.REJECT_REASON_SIZE,
    "market is closed": orders_pb2.REJECT_REASON_INSTRUMENT,
    "trading is not enabled": orders_pb2.REJECT_REASON_INSTRUMENT,
    "not supported for this symbol": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "disabled on this account": orders_pb2.REJECT_REASON_PERMISSION,
    "may not place": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid quantity": orders_pb2.REJECT_REASON_SIZE,
    "invalid price": orders_pb2.REJECT_REASON_PRICE,
    "service unavailable from a restricted location": orders_pb2.REJECT_REASON_PERMISSION,
}
"""-2010 and -1013 are all kinds of things: the words tell which."""
CODES: Mapping[str, RejectReason] = {
    "-1002": orders_pb2.REJECT_REASON_PERMISSION,
    "-1003": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1008": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1015": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1016": orders_pb2.REJECT_REASON_MAINTENANCE,
    "-1021": orders_pb2.REJECT_REASON_OTHER,
    "-1022": orders_pb2.REJECT_REASON_PERMISSION,
    "-1121": orders_pb2.REJECT_REASON_INSTRUMENT,
    "-2014": orders_pb2.REJECT_REASON_PERMISSION,
    "-2015": orders_pb2.REJECT_REASON_PERMISSION,
}
UNCLEAR = frozenset({"-1000", "-1001", "-1006", "-1007"})
"""Unknown error, disconnected, unexpected response, timeout: "execution status unknown"."""


def said(answer: Any) -> Said | None:
    """{"code":-2010,"msg":"Account has insufficient balance for requested action."}"""
    if isinstance(answer, dict) and "code" in answer and int(answer["code"]) < 0:
        return Said(str(answer["code"]), str(answer.get("msg", "")))
    return None


def desk(credentials: Credentials, base_url: str | None) -> CcxtDesk:
    """The desk of one account; ``base_url``: of the pretended venue."""
    return CcxtDesk(VENUE_ID, SpotCounter(), base_url, credentials)


async def key_rights(line: Line) -> list[str]:
    """GET /sapi/v1/account/apiRestrictions: {"enableWithdrawals":false,
    "enableInternalTransfer":false,"enableSpotAndMarginTrading":true,…}."""
    answer = await line.ask(Call("sapiGetAccountApiRestrictions"))
    named = {"enableWithdrawals": "withdraw", "enableInternalTransfer": "transfer",
             "permitsUniversalTransfer": "transfer"}  # fmt: skip
    return sorted({right for name, right in named.items() if answer.get(name)})


class SpotCounter:
    """Spot."""

    exchange = "binance"
    one_at_a_time = False
    by_venue_id_only = False
    errors = Errors(
        said, CODES, WORDS, unclear=UNCLEAR, absent=frozenset({"-2011", "-2013"})
    )  # fmt: skip
    rules = DeskRules(
        types=frozenset(TYPES),
        times_in_force=frozenset(LIFETIMES),
        amends_to_smaller_only=True,
        fills_have_client_id=False,
    )
    """A trailing stop of this venue follows in basis points, not at a distance: it waits here."""

    def __init__(self) -> None:
        self.hearing = SpotHearing()

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        options = {"defaultType": "spot", "fetchCurrencies": False}
        config: dict[str, Any] = {"options": options}
        if base_url is not None:
            rest, feed = f"{base_url}/api/v3", base_url.replace("http", "ws", 1)
            config["urls"] = {
                "api": {
                    "public": rest,
                    "private": rest,
                    "sapi": f"{base_url}/sapi/v1",
                    "ws": {"spot": f"{feed}/stream", "ws-api": {"spot": f"{feed}/ws-api/v3"}},
                }
            }
        return config

    async def prepare(self, line: Line) -> None:
        """There is nothing to ask."""

    def place(self, wish: Wish) -> Call:
        """POST order. Post-only is a type of its own, LIMIT_MAKER."""
        kind = TYPES.get(wish.type)
        if kind is None or wish.reduce_only:
            raise Unsupported("no such order on Binance spot")
        params = {
            "symbol": wish.symbol,
            "side": "BUY" if read.buys(wish) else "SELL",
            "type": "LIMIT_MAKER" if wish.post_only else kind,
            "quantity": plain(wish.size),
            "newClientOrderId": wish.client_order_id,
            "newOrderRespType": "RESULT",
        }
        if wish.price is not None:
            params["price"] = plain(wish.price)
        if wish.stop_price is not None:
            params["stopPrice"] = plain(wish.stop_price)
        if wish.type in read.LIMITS and not wish.post_only:
            if wish.time_in_force not in LIFETIMES:
                raise Unsupported("Binance spot has no orders that end at a time")
            params["timeInForce"] = LIFETIMES[wish.time_in_force]
        return Call("privatePostOrder", params)

    def amend(self, key: OrderKey, wish: Wish) -> Call:
        """PUT order/amend/keepPriority. The venue would make up a new client id otherwise."""
        params = {
            **_which(key),
            "newQty": plain(wish.size),
            "newClientOrderId": wish.client_order_id,
        }
        return Call("PUT private", params, path="order/amend/keepPriority")

    def cancel(self, key: OrderKey) -> Call:
        """DELETE order."""
        return Call("privateDeleteOrder", _which(key))

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """DELETE openOrders, of one symbol at a time."""
        return [Call("privateDeleteOpenOrders", {"symbol": symbol})] if symbol else ()

    def receipt(self, answer: Any) -> Receipt:
        """An order; of an amendment {"amendedOrder":{…},…}; of openOrders a list of orders."""
        if isinstance(answer, list):
            return Accepted("")
        row = answer.get("amendedOrder", answer)
        order = order_of(row) if "origQty" in row else None
        return Accepted(str(row["orderId"]), order)

    def countdown(self, seconds: float) -> Call:
        """There is none for spot."""
        raise Unsupported("Binance spot does not cancel by itself")

    async def rights(self, line: Line) -> Sequence[str]:
        """Of the key; the account is asked for as well, as it needs other rights."""
        await line.ask(Call("privateGetAccount", {"omitZeroBalances": "true"}))
        return await key_rights(line)

    async def find(self, line: Line, key: OrderKey) -> VenueOrder | None:
        """GET order."""
        return order_of(await line.ask(Call("privateGetOrder", _which(key))))

    async def open_orders(self, line: Line, symbol: str) -> list[VenueOrder]:
        """GET openOrders, all in one answer."""
        params = {"symbol": symbol} if symbol else {}
        return [order_of(row) for row in await line.ask(Call("privateGetOpenOrders", params))]

    async def fills(self, line: Line, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET myTrades, from a time and then on from each id."""
        if not symbol:
            raise NotSupported("fills of one symbol only", service="binance", wanted="all symbols")
        found: list[VenueFill] = []
        query: dict[str, Any] = {"startTime": read.milliseconds(since_time_ns)}
        while True:
            params = {"symbol": symbol, "limit": FILLS_MAX, **query}
            rows = await line.ask(Call("privateGetMyTrades", params))
            found += [_fill(row) for row in rows]
            if len(rows) < FILLS_MAX:
                return found
            query = {"fromId": int(rows[-1]["id"]) + 1}

    async def balances(self, line: Line) -> list[AssetBalance]:
        """GET account: {"balances":[{"asset":"BTC","free":"4.1","locked":"0.2"},…],…}."""
        answer = await line.ask(Call("privateGetAccount", {"omitZeroBalances": "true"}))
        return [_balance(row["asset"], row["free"], row["locked"]) for row in answer["balances"]]

    async def positions(self, line: Line) -> list[HeldPosition]:
        """There are none."""
        return []


class SpotHearing:
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
            return [_balance(row["a"], row["f"], row["l"]) for row in event["B"]]
        if kind in ("eventStreamTerminated", "serverShutdown"):
            return Ended(kind)
        # balanceUpdate tells a difference; the balance itself comes with it. Lists are of orders.
        return ()


def not_taken(error: Any) -> Ended | Denied:
    """{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"""
    heard = said(error) or Said("", str(error))
    if CODES.get(heard.code) == orders_pb2.REJECT_REASON_PERMISSION:
        return Denied(heard.words)
    return Ended(f"{heard.code} {heard.words}")


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


def _fill(row: Mapping[str, Any]) -> VenueFill:
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


def _fees(asset: str | None, paid: str) -> tuple[Paid, ...]:
    return (Paid(asset, read.amount(paid)),) if asset else ()


def _balance(asset: str, free: str, locked: str) -> AssetBalance:
    available = read.amount(free)
    return AssetBalance(asset, available + read.amount(locked), available)


def _self_trade(status: str) -> RejectReason:
    if status == "EXPIRED_IN_MATCH":
        return orders_pb2.REJECT_REASON_SELF_TRADE
    return orders_pb2.REJECT_REASON_UNSPECIFIED


def _which(key: OrderKey) -> dict[str, str]:
    """By the venue's id where it is known: the client id may have been used before."""
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "origClientOrderId": key.client_order_id}
