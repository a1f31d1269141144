"""What Deribit tells of orders, fills and balances, over the websocket as over REST.

A stop is an order of its own, whose id begins SLT. When its price is reached it is "triggered",
and makes another order, with another id, that names it as ``trigger_order_id``. Whether that has
the stop's label, too, is not said.
https://docs.deribit.com/subscriptions/user/userordersinstrument_nameraw
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders import venue_text as read
from kit.connector.orders.user_stream import Heard, LoginRejected, StreamClosed, Taken, Watch
from kit.execution.contract import (
    Fee,
    OrderState,
    OrderType,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

ORDERS, FILLS = "user.orders.any.any.raw", "user.trades.any.any.raw"
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
"""Of those that wait for a price."""
TRIGGERED = "triggered"
"""A stop that has made its order, which is told by itself."""
STOPS_MAX = 10_000
AT_MARKET = frozenset({"market", "stop_market", "take_market", "trailing_stop"})
IMMEDIATE = frozenset({"immediate_or_cancel", "fill_or_kill"})
NOT_LET_IN = frozenset({"13004", "13009", "10000"})


class DeribitUserStreamDecoder:
    """Orders and fills of all instruments, and balances."""

    subscriptions = 1

    def __init__(self) -> None:
        self.currencies: Sequence[str] = ("btc", "eth", "usdc", "usdt")
        """In lower case, whose balances are told."""
        self._stops: dict[str, str] = {}
        """Our ids of stops, by the venue's."""

    def whose(self, row: Mapping[str, Any]) -> str:
        """Our id of an order: by its label, or by that of the stop that has made it, if it was
        seen."""
        own = read.ours(row.get("label"))
        if own and row["order_type"] in TYPES:
            self._stops[row["order_id"]] = own
            if len(self._stops) > STOPS_MAX:
                del self._stops[next(iter(self._stops))]
        return own or self._stops.get(row.get("trigger_order_id") or "", "")

    def orders_of(self, rows: Sequence[Mapping[str, Any]]) -> list[VenueOrder]:
        """Without stops that have made their orders."""
        told = [(row, self.whose(row)) for row in rows]
        return [order_of(row, own) for row, own in told if row["order_state"] != TRIGGERED]

    def watches(self, api: Any) -> Sequence[Watch]:
        """All channels in one request; ccxt's own methods make one for each."""

        async def watch() -> None:
            await api.authenticate()
            portfolios = [f"user.portfolio.{currency}" for currency in self.currencies]
            message = {
                "jsonrpc": "2.0",
                "id": api.request_id(),
                "method": "private/subscribe",
                "params": {"channels": [ORDERS, FILLS, *portfolios]},
            }
            await api.watch(api.urls["api"]["ws"], ORDERS, message, ORDERS)

        return (watch,)

    def hear(self, message: Any) -> Heard:
        """{"method":"subscription","params":{"channel":"user.orders.any.any.raw","data":{…}}}. What
        the venue refuses to subscribe to, it leaves out of its answer."""
        error = message.get("error")
        if error is not None:
            words = f"{error.get('code')} {error.get('message')}"
            return (
                LoginRejected(words)
                if str(error.get("code")) in NOT_LET_IN
                else StreamClosed(words)
            )
        result = message.get("result")
        if isinstance(result, list):
            if {ORDERS, FILLS} <= set(result):
                return Taken("channels")
            return LoginRejected(f"only {', '.join(result) or 'nothing'} may be followed")
        if message.get("method") != "subscription":
            return None
        channel, data = message["params"]["channel"], message["params"]["data"]
        rows = data if isinstance(data, list) else [data]
        if channel == ORDERS:
            return self.orders_of(rows)
        if channel == FILLS:
            return [fill_of(row) for row in rows]
        return [balance_of(row) for row in rows]


def order_of(row: Mapping[str, Any], client_order_id: str = "") -> VenueOrder:
    """{"order_id":"4008699030","order_state":"open","label":"…","instrument_name":"BTC-PERPETUAL",
    "direction":"buy","order_type":"limit","price":61000.5,"amount":50.0,"filled_amount":0.0,
    "average_price":0.0,"time_in_force":"good_til_cancelled","last_update_timestamp":…,…}. The price
    of a market order is the text "market_price". ``client_order_id``: where it has no label."""
    filled = read.amount(row.get("filled_amount"))
    state = read.state(STATES[row["order_state"]], filled)
    if state == orders_pb2.ORDER_STATE_CANCELLED and row.get("time_in_force") in IMMEDIATE:
        state = orders_pb2.ORDER_STATE_EXPIRED
    at_market = row["order_type"] in AT_MARKET
    return VenueOrder(
        symbol=row["instrument_name"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("label")) or client_order_id,
        side=read.side(row["direction"]),
        type=TYPES.get(row["order_type"]) or read.plain_type(not at_market),
        size=read.amount(row["amount"]),
        price=None if at_market else read.given(row.get("price")),
        state=state,
        filled_size=filled,
        average_price=read.given(row.get("average_price")),
        venue_time_ns=read.time_ns(row["last_update_timestamp"]),
        detail=str(row.get("cancel_reason") or ""),
        stop_price=read.given(row.get("trigger_price")),
    )


def fill_of(row: Mapping[str, Any]) -> VenueFill:
    """{"trade_id":"40015","order_id":"4008699030","label":"…","instrument_name":"BTC-PERPETUAL",
    "direction":"buy","price":61000.5,"amount":50.0,"fee":1e-8,"fee_currency":"BTC",
    "liquidity":"M","timestamp":1550219749176,…}"""
    return VenueFill(
        symbol=row["instrument_name"],
        fill_id=row["trade_id"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("label")),
        side=read.side(row["direction"]),
        price=read.amount(row["price"]),
        size=read.amount(row["amount"]),
        fees=(Fee(row["fee_currency"], read.amount(row["fee"])),),
        liquidity=read.liquidity(row.get("liquidity") == "M"),
        venue_time_ns=read.time_ns(row["timestamp"]),
    )


def balance_of(row: Mapping[str, Any]) -> VenueBalance:
    """{"currency":"BTC","balance":1.5,"equity":1.50001,"available_funds":1.2,…}"""
    total, free = read.amount(row["balance"]), read.amount(row["available_funds"])
    return VenueBalance(row["currency"].upper(), total, free)
