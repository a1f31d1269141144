"""Order types and times in force that are treated alike, and what a triggered order becomes."""

from collections.abc import Mapping

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OrderType, Side

TRIGGERED_TYPES: Mapping[OrderType, OrderType] = {
    orders_pb2.ORDER_TYPE_STOP: orders_pb2.ORDER_TYPE_MARKET,
    orders_pb2.ORDER_TYPE_STOP_LIMIT: orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: orders_pb2.ORDER_TYPE_MARKET,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP: orders_pb2.ORDER_TYPE_MARKET,
}
"""The type that a conditional order has once its trigger price is reached."""
CONDITIONAL = frozenset(TRIGGERED_TYPES)
"""Types that wait for a trigger price before they enter the book."""
TYPES = CONDITIONAL | {orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT}
WITH_STOP_PRICE = CONDITIONAL - {orders_pb2.ORDER_TYPE_TRAILING_STOP}
"""Conditional types with a fixed trigger price."""
STOPS = frozenset({orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_STOP_LIMIT})
TAKE_PROFITS = WITH_STOP_PRICE - STOPS
BETTER_PRICES = TAKE_PROFITS | {orders_pb2.ORDER_TYPE_LIMIT}
"""Types that wait for a price that is better for them than the market."""
WITH_PRICE = frozenset(
    {
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    }
)
"""Types with a limit price. The others trade at any price."""
IMMEDIATE = frozenset(
    {orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, orders_pb2.TIME_IN_FORCE_FILL_OR_KILL}
)
"""Times in force of orders that never rest in the book."""


def is_protective(content: orders_pb2.OrderContent) -> bool:
    """Whether an order limits a loss, as it was requested: it reduces only, is a stop or a
    take-profit, or is an exit of a group. All others are entries."""
    is_exit = content.group.role == orders_pb2.GROUP_ROLE_EXIT
    return content.reduce_only or content.type in CONDITIONAL or is_exit


def side_of(buys: bool) -> Side:
    """Return the side of an order that buys, or of one that sells."""
    return types_pb2.SIDE_BUY if buys else types_pb2.SIDE_SELL
