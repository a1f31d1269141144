"""Kinds of orders, and the fills of an order."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OrderType
from kit.simulator.matching.contract import FillView, MatchingEngine, OrderView


def stop_kind(takes_profit: bool, at_market: bool) -> OrderType:
    """The kind of an order that waits for a price."""
    if takes_profit:
        return (
            orders_pb2.ORDER_TYPE_TAKE_PROFIT
            if at_market
            else orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT
        )
    return orders_pb2.ORDER_TYPE_STOP if at_market else orders_pb2.ORDER_TYPE_STOP_LIMIT


def fills_of(order: OrderView, engine: MatchingEngine) -> list[FillView]:
    """The fills of one order, oldest first."""
    return list(fills_by_order([order], engine).get(order.order_id, ()))


def fills_by_order(
    orders: Sequence[OrderView], engine: MatchingEngine
) -> Mapping[int, Sequence[FillView]]:
    """The fills of orders of one account, by the engine's number, oldest first. An order without
    fills has no entry."""
    fills: defaultdict[int, list[FillView]] = defaultdict(list)
    filled = {order.order_id: order for order in orders if order.filled}
    if not filled:
        return fills
    symbols = {order.ticket.symbol for order in filled.values()}
    symbol = symbols.pop() if len(symbols) == 1 else ""
    account = next(iter(filled.values())).account
    begun_ns = min(order.created_ns for order in filled.values())
    for fill in engine.fills(account, symbol, begun_ns):
        if fill.order.order_id in filled:
            fills[fill.order.order_id].append(fill)
    return fills
