"""Kraken's account over REST: orders, fills and balances, as its rows state them.

ccxt's own reading of an order loses the client id and the status. Amounts are texts: ``vol``,
``vol_exec``, ``cost``, ``fee``. Every order asks for its fees in the quote currency, as trades over
REST do not say in which currency they are.
https://docs.kraken.com/api/docs/rest-api/get-orders-info
"""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
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
from kit.execution.order_types import WITH_STOP_PRICE
from venues.kraken.instruments import ASSETS, native_symbol

PAGE = 50
TYPES: Mapping[str, OrderType] = {
    "market": orders_pb2.ORDER_TYPE_MARKET,
    "limit": orders_pb2.ORDER_TYPE_LIMIT,
    "stop-loss": orders_pb2.ORDER_TYPE_STOP,
    "stop-loss-limit": orders_pb2.ORDER_TYPE_STOP_LIMIT,
    "take-profit": orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    "take-profit-limit": orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    "trailing-stop": orders_pb2.ORDER_TYPE_TRAILING_STOP,
}
FOREIGN_TYPES: Mapping[str, OrderType] = {
    "iceberg": orders_pb2.ORDER_TYPE_LIMIT,
    "settle-position": orders_pb2.ORDER_TYPE_MARKET,
    "trailing-stop-limit": orders_pb2.ORDER_TYPE_TRAILING_STOP,
}
"""Types of orders that are placed elsewhere only, as the type that is most like each."""
STATES: Mapping[str, OrderState] = {
    "pending": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "open": orders_pb2.ORDER_STATE_OPEN,
    "closed": orders_pb2.ORDER_STATE_FILLED,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "expired": orders_pb2.ORDER_STATE_EXPIRED,
}
SELF_TRADE = "Cannot trade with self"
"""Why an order was cancelled that met one of the same account."""


class KrakenRestNames:
    """REST's names of markets and assets, which differ from those of the feed."""

    def __init__(self) -> None:
        self.pairs: dict[str, str] = {}
        """By symbol: "BTC/USDT" is XBTUSDT."""
        self.symbols: dict[str, str] = {}
        """The reverse, for all names that REST has."""
        self.quotes: dict[str, str] = {}
        """The quote currency by symbol."""
        self.assets: dict[str, str] = {}
        """By REST's name: XXBT is BTC."""

    async def load(self, queries: RestQuerySession) -> None:
        """GET Assets and AssetPairs."""
        assets = (await queries.ask("publicGetAssets"))["result"]
        names = {key: str(asset["altname"]) for key, asset in assets.items()}
        self.assets = {key: ASSETS.get(name, name) for key, name in names.items()}
        pairs = (await queries.ask("publicGetAssetPairs"))["result"]
        for key, pair in pairs.items():
            symbol = native_symbol({"info": pair})
            if symbol:
                self.pairs[symbol] = key
                self.symbols |= {key: symbol, pair["altname"]: symbol, pair["wsname"]: symbol}
                self.quotes[symbol] = symbol.partition("/")[2]

    def symbol_of(self, pair: str) -> str:
        """The symbol of a market; REST's own name of one that is not listed, for example of a
        tokenized stock: another program may trade it."""
        return self.symbols.get(pair, pair)


class KrakenAccountApi:
    """Spot."""

    def __init__(self, names: KrakenRestNames) -> None:
        self._names = names

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """POST QueryOrders by the venue's id; OpenOrders and ClosedOrders by ours."""
        if key.venue_order_id:
            query = {"txid": key.venue_order_id}
            return self._first((await queries.ask("privatePostQueryOrders", query))["result"])
        query = {"cl_ord_id": key.client_order_id}
        for method, part in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            answer = await queries.ask(f"privatePost{method}", query)
            found = self._first(answer["result"][part])
            if found is not None:
                return found
        raise OrderNotFound

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """POST OpenOrders, all in one answer."""
        answer = await queries.ask("privatePostOpenOrders")
        found = [order_of(name, row, self._names) for name, row in answer["result"]["open"].items()]
        return [order for order in found if symbol in ("", order.symbol)]

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """POST TradesHistory, newest first."""
        pages = self._fills(queries, since_time_ns, until_time_ns)
        return fill_pages.newest_first(pages, since_time_ns, until_time_ns)

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """POST BalanceEx: {"XXBT":{"balance":"1.5","hold_trade":"0.5"},…}."""
        answer = await queries.ask("privatePostBalanceEx")
        found = []
        for name, row in answer["result"].items():
            total = text_conversion.amount(row["balance"])
            free = total - text_conversion.amount(row.get("hold_trade"))
            found.append(VenueBalance(self._names.assets.get(name, name), total, free))
        return found

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """None: spot has no positions."""
        return []

    async def _fills(
        self, queries: RestQuerySession, since_ns: int, until_ns: int
    ) -> fill_pages.RawPages:
        """Of all symbols, in pages. Without an end, new trades shift rows to later pages."""
        query = {"start": str(max(0, since_ns // NANOSECONDS_PER_SECOND - 1))}
        if until_ns != NO_END_NS:
            query["end"] = str(until_ns // NANOSECONDS_PER_SECOND + 1)
        skipped = 0
        while True:
            page = {**query, "ofs": skipped}
            result = (await queries.ask("privatePostTradesHistory", page))["result"]
            yield [fill_of(name, row, self._names) for name, row in result["trades"].items()]
            skipped += len(result["trades"])
            if not result["trades"] or skipped >= int(result["count"]):
                return

    def _first(self, rows: Mapping[str, Any]) -> VenueOrder | None:
        return next((order_of(name, row, self._names) for name, row in rows.items()), None)


def order_of(name: str, row: Mapping[str, Any], names: KrakenRestNames) -> VenueOrder:
    """{"status":"open","cl_ord_id":"…","opentm":1688148493.7708,"descr":{"pair":"XBTUSDT",
    "type":"buy","ordertype":"limit","price":"61000.0","price2":"0",…},"vol":"1.25",
    "vol_exec":"0.375","cost":"22875.00000","closetm":…,"reason":null,…}"""
    described = row["descr"]
    kind = type_of(described["ordertype"])
    stops = kind in WITH_STOP_PRICE
    first, second = (
        None
        if str(described[field]).startswith(("+", "-"))
        else text_conversion.amount_or_none(described[field])
        for field in ("price", "price2")
    )
    filled = text_conversion.amount(row["vol_exec"])
    return VenueOrder(
        symbol=names.symbol_of(described["pair"]),
        venue_order_id=name,
        client_order_id=text_conversion.own_client_order_id(row.get("cl_ord_id")),
        side=text_conversion.side(described["type"]),
        type=kind,
        size=text_conversion.amount(row["vol"]),
        price=second if stops else first,
        state=text_conversion.order_state(STATES[row["status"]], filled),
        filled_size=filled,
        average_price=text_conversion.average_price(text_conversion.amount(row["cost"]), filled),
        venue_time_ns=time_ns(row.get("closetm") or row["opentm"]),
        reject_reason=reject_reason_of(row),
        detail=str(row.get("reason") or ""),
        stop_price=first if stops else None,
    )


def type_of(name: str) -> OrderType:
    """The type of an order; UNSPECIFIED if it is not known: another program may place any."""
    return TYPES.get(name) or FOREIGN_TYPES.get(name, orders_pb2.ORDER_TYPE_UNSPECIFIED)


def reject_reason_of(row: Mapping[str, Any]) -> RejectReason:
    """SELF_TRADE for an order that was cancelled as it met one of the same account."""
    if row.get("reason") == SELF_TRADE:
        return orders_pb2.REJECT_REASON_SELF_TRADE
    return orders_pb2.REJECT_REASON_UNSPECIFIED


def fill_of(name: str, row: Mapping[str, Any], names: KrakenRestNames) -> VenueFill:
    """{"ordertxid":"OQCLML-…","pair":"XBTUSDT","time":1688667796.8802,"type":"buy",
    "price":"61000.0","fee":"0.16","vol":"0.02","maker":true,…}"""
    symbol = names.symbol_of(row["pair"])
    quote = names.quotes.get(symbol)
    return VenueFill(
        symbol=symbol,
        fill_id=name,
        venue_order_id=row["ordertxid"],
        client_order_id="",
        side=text_conversion.side(row["type"]),
        price=text_conversion.amount(row["price"]),
        size=text_conversion.amount(row["vol"]),
        fees=(Fee(quote, text_conversion.amount(row["fee"])),) if quote else (),
        liquidity=text_conversion.liquidity(row["maker"]),
        venue_time_ns=time_ns(row["time"]),
    )


def key_params(key: OrderKey) -> dict[str, str]:
    """The parameters that name an order: by the venue's id where it is known."""
    if key.venue_order_id:
        return {"txid": key.venue_order_id}
    return {"cl_ord_id": key.client_order_id}


def time_ns(seconds: Any) -> int:
    return int(Decimal(str(seconds)) * NANOSECONDS_PER_SECOND)
