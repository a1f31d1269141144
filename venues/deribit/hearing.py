"""What Deribit tells of orders, fills and balances, over the websocket as over REST.

https://docs.deribit.com/subscriptions/user/userordersinstrument_nameraw
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.orders.ccxt import read as read
from kit.orders.ccxt.stream import Denied, Ended, Heard, Taken, Watch
from kit.orders.contract import AssetBalance, OrderState, Paid, VenueFill, VenueOrder

ORDERS, FILLS = "user.orders.any.any.raw", "user.trades.any.any.raw"
STATES: Mapping[str, OrderState] = {
    "open": orders_pb2.ORDER_STATE_OPEN,
    "untriggered": orders_pb2.ORDER_STATE_OPEN,
    "triggered": orders_pb2.ORDER_STATE_OPEN,
    "filled": orders_pb2.ORDER_STATE_FILLED,
    "rejected": orders_pb2.ORDER_STATE_REJECTED,
    "cancelled": orders_pb2.ORDER_STATE_CANCELLED,
}
IMMEDIATE = frozenset({"immediate_or_cancel", "fill_or_kill"})
NOT_LET_IN = frozenset({"13004", "13009", "10000"})


class Hearing:
    """Orders and fills of all instruments, and balances."""

    subscriptions = 1

    def __init__(self) -> None:
        self.currencies: Sequence[str] = ("btc", "eth", "usdc", "usdt")
        """In lower case, whose balances are told."""

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
            return Denied(words) if str(error.get("code")) in NOT_LET_IN else Ended(words)
        result = message.get("result")
        if isinstance(result, list):
            if {ORDERS, FILLS} <= set(result):
                return Taken("channels")
            return Denied(f"only {', '.join(result) or 'nothing'} may be followed")
        if message.get("method") != "subscription":
            return None
        channel, data = message["params"]["channel"], message["params"]["data"]
        rows = data if isinstance(data, list) else [data]
        if channel == ORDERS:
            return [order_of(row) for row in rows]
        if channel == FILLS:
            return [fill_of(row) for row in rows]
        return [balance_of(row) for row in rows]


def order_of(row: Mapping[str, Any]) -> VenueOrder:
    """{"order_id":"4008699030","order_state":"open","label":"…","instrument_name":"BTC-PERPETUAL",
    "direction":"buy","order_type":"limit","price":61000.5,"amount":50.0,"filled_amount":0.0,
    "average_price":0.0,"time_in_force":"good_til_cancelled","last_update_timestamp":…,…}. The price
    of a market order is the text "market_price"."""
    filled = read.amount(row.get("filled_amount"))
    state = read.state(STATES[row["order_state"]], filled)
    if state == orders_pb2.ORDER_STATE_CANCELLED and row.get("time_in_force") in IMMEDIATE:
        state = orders_pb2.ORDER_STATE_EXPIRED
    at_market = row["order_type"] in ("market", "stop_market", "take_market")
    return VenueOrder(
        symbol=row["instrument_name"],
        venue_order_id=row["order_id"],
        client_order_id=read.ours(row.get("label")),
        side=read.side(row["direction"]),
        type=read.plain_type(not at_market),
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
        fees=(Paid(row["fee_currency"], read.amount(row["fee"])),),
        liquidity=read.liquidity(row.get("liquidity") == "M"),
        venue_time_ns=read.time_ns(row["timestamp"]),
    )


def balance_of(row: Mapping[str, Any]) -> AssetBalance:
    """{"currency":"BTC","balance":1.5,"equity":1.50001,"available_funds":1.2,…}"""
    total, free = read.amount(row["balance"]), read.amount(row["available_funds"])
    return AssetBalance(row["currency"].upper(), total, free)
