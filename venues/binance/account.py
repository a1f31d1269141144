"""Binance's accounts over REST, spot and futures: orders, fills, balances and positions, as its
rows state them.

Amounts are texts: sizes are ``origQty`` and ``executedQty``, the average price is
``cummulativeQuoteQty`` by the filled size or ``avgPrice``, fees are ``commission``. Futures keep
stops apart, as conditional orders of the algo service; a triggered one is an order like any other
under the same client id.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import NotSupported
from kit.connector.orders import fill_pages, text_conversion
from kit.connector.orders.rest_session import OrderNotFound, RestQuerySession
from kit.execution.contract import (
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

FILLS_MAX = 1000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
"""Longest period of one answer about fills of futures."""
KEPT_DAYS = 26 * 7
"""Futures do not keep older fills."""
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
"""EXPIRED_IN_MATCH: it would have matched an order of the same account."""
ALGO_STATES: Mapping[str, OrderState] = {
    "NEW": orders_pb2.ORDER_STATE_OPEN,
    "TRIGGERING": orders_pb2.ORDER_STATE_OPEN,
    "TRIGGERED": orders_pb2.ORDER_STATE_OPEN,
    "CANCELED": orders_pb2.ORDER_STATE_CANCELLED,
    "EXPIRED": orders_pb2.ORDER_STATE_EXPIRED,
    "REJECTED": orders_pb2.ORDER_STATE_REJECTED,
}
"""States of conditional orders. After the trigger the order itself reports its state."""
TYPE_NAMES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_LOSS",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP_LOSS_LIMIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
}
TYPES = {name: kind for kind, name in TYPE_NAMES.items()} | {
    "LIMIT_MAKER": orders_pb2.ORDER_TYPE_LIMIT
}
FUTURES_TYPE_NAMES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_MARKET",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
FUTURES_TYPES = {name: kind for kind, name in FUTURES_TYPE_NAMES.items()} | {
    "TRAILING_STOP_MARKET": orders_pb2.ORDER_TYPE_TRAILING_STOP,
    "LIQUIDATION": orders_pb2.ORDER_TYPE_MARKET,
}


class BinanceSpotAccountApi:
    """Spot."""

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET order."""
        return order_of(await queries.ask("privateGetOrder", key_params(key)))

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET openOrders, all in one answer."""
        params = {"symbol": symbol} if symbol else {}
        return [order_of(row) for row in await queries.ask("privateGetOpenOrders", params)]

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET myTrades, oldest first."""
        if not symbol:
            raise NotSupported("fills of one symbol only", service="binance", wanted="all symbols")
        pages = self._fills(queries, symbol, since_time_ns, until_time_ns)
        return fill_pages.oldest_first(pages, since_time_ns, until_time_ns)

    async def _fills(
        self, queries: RestQuerySession, symbol: str, since_ns: int, until_ns: int
    ) -> fill_pages.RawPages:
        """From a time and then on from each id."""
        query: dict[str, Any] = {"startTime": text_conversion.milliseconds(since_ns)}
        while True:
            params = {"symbol": symbol, "limit": FILLS_MAX, **query}
            rows = await queries.ask("privateGetMyTrades", params)
            yield [fill_of(row) for row in rows]
            if len(rows) < FILLS_MAX or text_conversion.time_ns(rows[-1]["time"]) >= until_ns:
                return
            query = {"fromId": int(rows[-1]["id"]) + 1}

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET account: {"balances":[{"asset":"BTC","free":"4.1","locked":"0.2"},…],…}."""
        answer = await queries.ask("privateGetAccount", {"omitZeroBalances": "true"})
        return [balance_of(row["asset"], row["free"], row["locked"]) for row in answer["balances"]]

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """None: spot has no positions."""
        return []


class BinanceFuturesAccountApi:
    """USD-M futures, with one position for both sides."""

    def __init__(self, symbols: set[str]) -> None:
        """``symbols``: with orders; filled here too."""
        self._symbols = symbols

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET order, or algoOrder of one that has not come to the book."""
        try:
            answer = await queries.ask("fapiPrivateGetOrder", futures_key_params(key))
            return futures_order_of(answer)
        except OrderNotFound:
            answer = await queries.ask("fapiPrivateGetAlgoOrder", algo_key_params(key))
            return algo_order_of(answer)

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET openOrders and openAlgoOrders."""
        params = {"symbol": symbol} if symbol else {}
        rows = await queries.ask("fapiPrivateGetOpenOrders", params)
        waiting = await queries.ask("fapiPrivateGetOpenAlgoOrders", params)
        found = [*map(futures_order_of, rows), *map(algo_order_of, waiting)]
        self._symbols |= {order.symbol for order in found}
        return found

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET userTrades, oldest first."""
        if not symbol:
            raise NotSupported(
                "fills of one symbol only", service="binance_futures", wanted="all symbols"
            )
        pages = self._fills(queries, symbol, since_time_ns, until_time_ns)
        return fill_pages.oldest_first(pages, since_time_ns, until_time_ns)

    async def _fills(
        self, queries: RestQuerySession, symbol: str, since_ns: int, until_ns: int
    ) -> fill_pages.RawPages:
        """Week by week to the first, and then on from each id: the two exclude each other."""
        now_ms = queries.exchange.milliseconds()
        last_ms = min(now_ms, text_conversion.milliseconds(until_ns))
        begin_ms = max(text_conversion.milliseconds(since_ns), now_ms - KEPT_DAYS * DAY_MS)
        rows: list[Any] = []
        while begin_ms <= last_ms and not rows:
            end_ms = begin_ms + WEEK_MS - 1
            query = {"startTime": begin_ms, "endTime": end_ms, "limit": FILLS_MAX}
            rows = await queries.ask("fapiPrivateGetUserTrades", {"symbol": symbol, **query})
            yield [fill_of(row) for row in rows]
            begin_ms = end_ms + 1
        is_whole = len(rows) < FILLS_MAX and begin_ms > last_ms
        while rows and not is_whole:
            query = {"fromId": int(rows[-1]["id"]) + 1, "limit": FILLS_MAX}
            rows = await queries.ask("fapiPrivateGetUserTrades", {"symbol": symbol, **query})
            yield [fill_of(row) for row in rows]
            is_whole = len(rows) < FILLS_MAX or int(rows[-1]["time"]) > last_ms

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET balance."""
        answer = await queries.ask("fapiPrivateV3GetBalance")
        return [futures_balance_of(row) for row in answer]

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """GET positionRisk."""
        rows = await queries.ask("fapiPrivateV3GetPositionRisk")
        return [futures_position_of(row) for row in rows]


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"…","price":"0.10","origQty":"1.0",
    "executedQty":"0.0","cummulativeQuoteQty":"0.0","status":"NEW","type":"LIMIT","side":"BUY",
    "stopPrice":"0.0","updateTime":1499827319559,…}. A cancelled one has ours in
    ``origClientOrderId``: ``clientOrderId`` is then the id of the cancelling."""
    filled = text_conversion.amount(row["executedQty"])
    value = text_conversion.amount(row.get("cummulativeQuoteQty"))
    return _order_of(row, TYPES[row["type"]], text_conversion.average_price(value, filled))


def futures_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"orderId":22542179,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"…","price":"61000",
    "avgPrice":"0.00","origQty":"10","executedQty":"0","type":"LIMIT","origType":"LIMIT",
    "side":"BUY","stopPrice":"0","updateTime":1566818724722,…}"""
    average_price = text_conversion.amount_or_none(row["avgPrice"])
    return _order_of(row, FUTURES_TYPES[row["origType"]], average_price)


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """Spot: {"symbol":"BNBBTC","id":28457,"orderId":100234,"price":"4.0","qty":"12.0",
    "commission":"10.1","commissionAsset":"BNB","time":1499865549590,"isBuyer":true,
    "isMaker":false,…}. Futures have "side":"SELL" and "maker":false instead."""
    return VenueFill(
        symbol=row["symbol"],
        fill_id=str(row["id"]),
        venue_order_id=str(row["orderId"]),
        client_order_id=_client_order_id(row),
        side=text_conversion.side(row.get("side") or ("buy" if row["isBuyer"] else "sell")),
        price=text_conversion.amount(row["price"]),
        size=text_conversion.amount(row["qty"]),
        fees=fees_of(row["commissionAsset"], row["commission"]),
        liquidity=text_conversion.liquidity(row["maker"] if "maker" in row else row["isMaker"]),
        venue_time_ns=text_conversion.time_ns(row["time"]),
    )


def balance_of(asset: str, free: str, locked: str) -> VenueBalance:
    """A balance of the free and the locked amount."""
    available = text_conversion.amount(free)
    return VenueBalance(asset, available + text_conversion.amount(locked), available)


def algo_order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"algoId":3358,"clientAlgoId":"…","orderType":"STOP","symbol":"BTCUSDT","side":"BUY",
    "quantity":"0.002","algoStatus":"NEW","triggerPrice":"100000.00","price":"102000.00",
    "updateTime":1763458576201,…}"""
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=str(row["algoId"]),
        client_order_id=text_conversion.own_client_order_id(row["clientAlgoId"]),
        side=text_conversion.side(row["side"]),
        type=FUTURES_TYPES[row["orderType"]],
        size=text_conversion.amount(row["quantity"]),
        price=text_conversion.amount_or_none(row["price"]),
        state=ALGO_STATES[row["algoStatus"]],
        filled_size=text_conversion.amount(0),
        venue_time_ns=text_conversion.time_ns(row["updateTime"]),
        stop_price=text_conversion.amount_or_none(row["triggerPrice"]),
    )


def futures_balance_of(row: Mapping[str, Any]) -> VenueBalance:
    """{"asset":"USDT","balance":"122.6","availableBalance":"23.7",…}"""
    total, free = (
        text_conversion.amount(row["balance"]),
        text_conversion.amount(row["availableBalance"]),
    )
    return VenueBalance(row["asset"], total, free)


def futures_position_of(row: Mapping[str, Any]) -> VenuePosition:
    """{"symbol":"BTCUSDT","positionAmt":"-0.01","entryPrice":"61000.5","unRealizedProfit":"1.2",
    "liquidationPrice":"0",…}"""
    return VenuePosition(
        symbol=row["symbol"],
        size=text_conversion.amount(row["positionAmt"]),
        entry_price=text_conversion.amount_or_none(row["entryPrice"]),
        unrealized_profit=text_conversion.amount(row["unRealizedProfit"]),
        liquidation_price=text_conversion.amount_or_none(row.get("liquidationPrice")),
    )


def _order_of(
    row: Mapping[str, Any], order_type: OrderType, average_price: Decimal | None
) -> VenueOrder:
    filled = text_conversion.amount(row["executedQty"])
    return VenueOrder(
        symbol=row["symbol"],
        venue_order_id=str(row["orderId"]),
        client_order_id=_client_order_id(row),
        side=text_conversion.side(row["side"]),
        type=order_type,
        size=text_conversion.amount(row["origQty"]),
        price=text_conversion.amount_or_none(row.get("price")),
        state=STATES[row["status"]],
        filled_size=filled,
        average_price=average_price if filled else None,
        venue_time_ns=text_conversion.time_ns(row.get("updateTime") or row.get("transactTime")),
        stop_price=text_conversion.amount_or_none(row.get("stopPrice")),
        reject_reason=self_trade_reason(row["status"]),
    )


def _client_order_id(row: Mapping[str, Any]) -> str:
    """Our id. A cancelled order has it in ``origClientOrderId``."""
    given = row.get("origClientOrderId") or row.get("clientOrderId")
    return text_conversion.own_client_order_id(given)


def fees_of(asset: str | None, paid: str) -> tuple[Fee, ...]:
    """The fee of a fill; empty where the row states no asset."""
    return (Fee(asset, text_conversion.amount(paid)),) if asset else ()


def self_trade_reason(status: str) -> RejectReason:
    """SELF_TRADE for an order that expired as it would have met one of the same account."""
    if status == "EXPIRED_IN_MATCH":
        return orders_pb2.REJECT_REASON_SELF_TRADE
    return orders_pb2.REJECT_REASON_UNSPECIFIED


def key_params(key: OrderKey) -> dict[str, str]:
    """By the venue's id where it is known: the client id may have been used before."""
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "origClientOrderId": key.client_order_id}


def futures_key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name an order: the client id, as a trigger changes the venue id."""
    if key.client_order_id:
        return {"symbol": key.symbol, "origClientOrderId": key.client_order_id}
    return {"symbol": key.symbol, "orderId": key.venue_order_id}


def algo_key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name a conditional order."""
    if key.client_order_id:
        return {"clientAlgoId": key.client_order_id}
    return {"algoId": key.venue_order_id}
