"""Deribit's account over REST: orders, fills, balances and positions, as its rows state them.

Amounts are bare numbers, kept as the texts that they are: ``amount``, ``filled_amount``,
``average_price``; of a fill ``amount``, ``price``, ``fee``. A stop is an order of its own, whose id
begins with SLT. When it is triggered it makes another order, with another id, that names the stop
as ``trigger_order_id``; whether that order has the stop's label too is not documented. The channels
of the websocket have the same rows.
https://docs.deribit.com/api-reference/trading/private-get_order_state
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import fill_pages, text_conversion
from kit.connector.orders.rest_session import OrderNotFound, RestQuerySession
from kit.execution.contract import (
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

FILLS_PAGE = 1000
HISTORY_PAGE = 100
RECENT_MS = 25 * 3_600_000
"""Fills of 24 hours are in the list of recent ones, older ones in the historical list."""
STOPS_MAX = 10_000
STATES: Mapping[str, OrderState] = {
    "open": orders_pb2.ORDER_STATE_OPEN,
    "untriggered": orders_pb2.ORDER_STATE_OPEN,
    "triggered": orders_pb2.ORDER_STATE_OPEN,
    "filled": orders_pb2.ORDER_STATE_FILLED,
    "rejected": orders_pb2.ORDER_STATE_REJECTED,
    "cancelled": orders_pb2.ORDER_STATE_CANCELLED,
}
TYPES: Mapping[str, OrderType] = {
    "stop_market": orders_pb2.ORDER_TYPE_STOP,
    "stop_limit": orders_pb2.ORDER_TYPE_STOP_LIMIT,
    "take_market": orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    "take_limit": orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    "trailing_stop": orders_pb2.ORDER_TYPE_TRAILING_STOP,
}
"""Types of untriggered orders."""
TRIGGERED = "triggered"
"""State of a stop that has made its order; that order is reported by itself."""
AT_MARKET = frozenset({"market", "stop_market", "take_market", "trailing_stop"})
IMMEDIATE = frozenset({"immediate_or_cancel", "fill_or_kill"})


class DeribitAccountApi:
    """All instruments of an account."""

    def __init__(self) -> None:
        self.currencies: Sequence[str] = ("BTC", "ETH", "USDC", "USDT")
        """Currencies of the venue; all of them after ``prepare``."""
        self._stop_client_ids: dict[str, str] = {}
        """Our client ids of stops, by the venue's ids."""

    async def prepare(self, queries: RestQuerySession) -> None:
        """GET public/get_currencies."""
        answer = await queries.ask("publicGetGetCurrencies")
        self.currencies = [row["currency"] for row in answer["result"]]

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """GET private/get_order_state, or ..._by_label for recent orders, or the history. For a
        triggered stop, the order that it made, once the venue lists it."""
        if key.venue_order_id:
            row = await _state(queries, key.venue_order_id)
            if row["order_state"] != TRIGGERED:
                return await self._order(queries, row)
        else:
            row = await self._labelled(queries, key)
        if row["order_state"] == TRIGGERED:
            row = await _made_by(queries, row) or row
        return await self._order(queries, row)

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """GET private/get_open_orders, or ..._by_instrument; stops included."""
        if symbol:
            named = {"instrument_name": symbol}
            answer = await queries.ask("privateGetGetOpenOrdersByInstrument", named)
        else:
            answer = await queries.ask("privateGetGetOpenOrders")
        rows = answer["result"]
        # The stops first: they identify the orders that they made.
        rows.sort(key=lambda row: row["order_type"] not in TYPES)
        return [await self._order(queries, row) for row in rows if row["order_state"] != TRIGGERED]

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """GET private/get_user_trades_by_..._and_time, oldest first."""
        method, kind = "privateGetGetUserTradesByCurrencyAndTime", "currency"
        names = self.currencies
        if symbol:
            method, kind = "privateGetGetUserTradesByInstrumentAndTime", "instrument_name"
            names = [symbol]
        now_ms = queries.exchange.milliseconds()
        span_ms = (
            text_conversion.milliseconds(since_time_ns),
            min(now_ms + 1, text_conversion.milliseconds(until_time_ns)),
        )
        lists = [
            fill_pages.oldest_first(
                _fills(queries, method, {kind: name}, span_ms, now_ms),
                since_time_ns,
                until_time_ns,
            )
            for name in names
        ]
        return fill_pages.merged(lists, since_time_ns)

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """GET private/get_account_summaries."""
        answer = await queries.ask("privateGetGetAccountSummaries")
        return [balance_of(row) for row in answer["result"]["summaries"]]

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """GET private/get_positions, by currency."""
        found = []
        for currency in self.currencies:
            answer = await queries.ask("privateGetGetPositions", {"currency": currency})
            found += [position_of(row) for row in answer["result"]]
        return found

    def client_order_id(self, row: Mapping[str, Any]) -> str:
        """Return our client id of an order: its label, or the label of the stop that made it, if
        that stop was seen; otherwise ""."""
        own = text_conversion.own_client_order_id(row.get("label"))
        if own and row["order_type"] in TYPES:
            self._stop_client_ids[row["order_id"]] = own
            if len(self._stop_client_ids) > STOPS_MAX:
                del self._stop_client_ids[next(iter(self._stop_client_ids))]
        return own or self._stop_client_ids.get(row.get("trigger_order_id") or "", "")

    async def _order(self, queries: RestQuerySession, row: Mapping[str, Any]) -> VenueOrder:
        """The order with our client id, also where only the stop that made it has the label."""
        own, stop = self.client_order_id(row), row.get("trigger_order_id")
        if not own and stop:
            try:
                own = self.client_order_id(await _state(queries, stop))
            except OrderNotFound:
                own = ""
        return order_of(row, own)

    async def _labelled(self, queries: RestQuerySession, key: OrderKey) -> Mapping[str, Any]:
        """Raises OrderNotFound."""
        query = {"currency": _currency(key.symbol), "label": key.client_order_id}
        rows = (await queries.ask("privateGetGetOrderStateByLabel", query))["result"]
        if not rows:
            past = {
                "instrument_name": key.symbol,
                "count": HISTORY_PAGE,
                "include_unfilled": "true",
            }
            answer = await queries.ask("privateGetGetOrderHistoryByInstrument", past)
            rows = [row for row in answer["result"] if row.get("label") == key.client_order_id]
        if not rows:
            raise OrderNotFound
        return _newest(rows)


def order_of(row: Mapping[str, Any], client_order_id: str = "") -> VenueOrder:
    """{"order_id":"4008699030","order_state":"open","label":"…","instrument_name":"BTC-PERPETUAL",
    "direction":"buy","order_type":"limit","price":61000.5,"amount":50.0,"filled_amount":0.0,
    "average_price":0.0,"time_in_force":"good_til_cancelled","last_update_timestamp":…,…}. The price
    of a market order is the text "market_price". ``client_order_id``: for a row without a label."""
    filled = text_conversion.amount(row.get("filled_amount"))
    state = text_conversion.order_state(STATES[row["order_state"]], filled)
    if state == orders_pb2.ORDER_STATE_CANCELLED and row.get("time_in_force") in IMMEDIATE:
        state = orders_pb2.ORDER_STATE_EXPIRED
    at_market = row["order_type"] in AT_MARKET
    return VenueOrder(
        symbol=row["instrument_name"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(row.get("label")) or client_order_id,
        side=text_conversion.side(row["direction"]),
        type=TYPES.get(row["order_type"]) or text_conversion.limit_or_market(not at_market),
        size=text_conversion.amount(row["amount"]),
        price=None if at_market else text_conversion.amount_or_none(row.get("price")),
        state=state,
        filled_size=filled,
        average_price=text_conversion.amount_or_none(row.get("average_price")),
        venue_time_ns=text_conversion.time_ns(row["last_update_timestamp"]),
        detail=str(row.get("cancel_reason") or ""),
        stop_price=text_conversion.amount_or_none(row.get("trigger_price")),
    )


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"trade_id":"40015","order_id":"4008699030","label":"…","instrument_name":"BTC-PERPETUAL",
    "direction":"buy","price":61000.5,"amount":50.0,"fee":1e-8,"fee_currency":"BTC",
    "liquidity":"M","timestamp":1550219749176,…}"""
    return VenueFill(
        symbol=row["instrument_name"],
        fill_id=row["trade_id"],
        venue_order_id=row["order_id"],
        client_order_id=text_conversion.own_client_order_id(row.get("label")),
        side=text_conversion.side(row["direction"]),
        price=text_conversion.amount(row["price"]),
        size=text_conversion.amount(row["amount"]),
        fees=(Fee(row["fee_currency"], text_conversion.amount(row["fee"])),),
        liquidity=text_conversion.liquidity(row.get("liquidity") == "M"),
        venue_time_ns=text_conversion.time_ns(row["timestamp"]),
    )


def balance_of(row: Mapping[str, Any]) -> VenueBalance:
    """{"currency":"BTC","balance":1.5,"equity":1.50001,"available_funds":1.2,…}"""
    total, free = (
        text_conversion.amount(row["balance"]),
        text_conversion.amount(row["available_funds"]),
    )
    return VenueBalance(row["currency"].upper(), total, free)


def position_of(row: Mapping[str, Any]) -> VenuePosition:
    """{"instrument_name":"BTC-PERPETUAL","size":-50,"average_price":61000.5,
    "floating_profit_loss":0.0001,"estimated_liquidation_price":…,…}"""
    return VenuePosition(
        symbol=row["instrument_name"],
        size=text_conversion.amount(row["size"]),
        entry_price=text_conversion.amount_or_none(row.get("average_price")),
        unrealized_profit=text_conversion.amount(row.get("floating_profit_loss")),
        liquidation_price=text_conversion.amount_or_none(row.get("estimated_liquidation_price")),
    )


async def _fills(
    queries: RestQuerySession,
    method: str,
    which: Mapping[str, str],
    span_ms: tuple[int, int],
    now_ms: int,
) -> fill_pages.RawPages:
    """The old ones first, from the list of which recent ones are missing."""
    first_ms, end_ms = span_ms
    recent_ms = now_ms - RECENT_MS
    for historical, begin_ms in (("true", first_ms), ("false", max(first_ms, recent_ms))):
        more = begin_ms <= recent_ms if historical == "true" else begin_ms <= end_ms
        while more:
            query = {
                **which,
                "start_timestamp": begin_ms,
                "end_timestamp": end_ms + 1,
                "count": FILLS_PAGE,
                "sorting": "asc",
                "historical": historical,
            }
            result = (await queries.ask(method, query))["result"]
            rows = result["trades"]
            yield [fill_of(row) for row in rows]
            more = bool(result["has_more"] and rows)
            if more:
                # Ask again from the last millisecond: it may have more fills.
                last_ms = int(rows[-1]["timestamp"])
                if last_ms == begin_ms:
                    raise ValueError(f"{len(rows)} fills or more at {last_ms} ms")
                begin_ms = last_ms


async def _state(queries: RestQuerySession, order_id: str) -> Mapping[str, Any]:
    """Raises OrderNotFound."""
    answer = await queries.ask("privateGetGetOrderState", {"order_id": order_id})
    row: Mapping[str, Any] = answer["result"]
    return row


async def _made_by(queries: RestQuerySession, stop: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The order that a stop made, among the open or the past orders."""
    named = {"instrument_name": stop["instrument_name"]}
    past = {**named, "count": HISTORY_PAGE, "include_unfilled": "true"}
    for method, query in (
        ("privateGetGetOpenOrdersByInstrument", named),
        ("privateGetGetOrderHistoryByInstrument", past),
    ):
        for row in (await queries.ask(method, query))["result"]:
            if row.get("trigger_order_id") == stop["order_id"]:
                found: Mapping[str, Any] = row
                return found
    return None


def _newest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The newest order; a triggered stop only where the order that it made is missing."""
    return max(
        rows,
        key=lambda row: (row["order_state"] != TRIGGERED, int(row["creation_timestamp"])),
    )


def _currency(symbol: str) -> str:
    """BTC of BTC-PERPETUAL, USDC of BTC_USDC-PERPETUAL."""
    return symbol.partition("-")[0].rpartition("_")[2]
