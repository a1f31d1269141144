"""Conversions between a venue's texts and the contract's types. Pure; ValueError for a text that is
no amount."""

from decimal import Decimal, InvalidOperation
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import average_prices
from kit.accounting.amounts import EXACT
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.client_order_ids import of_uuid
from kit.execution.contract import OrderState, OrderType, Side


def amount(value: Any) -> Decimal:
    """A number as text or integer; "" and None are zero. A float counts as its shortest text."""
    if value is None or value == "":
        return Decimal(0)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not an amount: {str(value)[:40]!r}") from None
    if not found.is_finite():
        raise ValueError(f"not an amount: {str(value)[:40]!r}")
    return found


def amount_or_none(value: Any) -> Decimal | None:
    """As ``amount``; None for zero, by which venues say that there is no price."""
    return amount(value) or None


def average_price(value: Decimal, size: Decimal) -> Decimal | None:
    """Return the average price of fills with this total value, or None without fills."""
    return (
        average_prices.average_price(value, size, is_inverse=False).normalize(EXACT)
        if size
        else None
    )


def time_ns(milliseconds: Any) -> int:
    """Milliseconds since the Unix epoch, as text or integer, in ns; 0 for None, "" and 0."""
    return int(milliseconds or 0) * NANOSECONDS_PER_MILLISECOND


def milliseconds(time_ns: int) -> int:
    """The first millisecond that is not before a time."""
    return -(-time_ns // NANOSECONDS_PER_MILLISECOND)


def own_client_order_id(client_id: Any) -> str:
    """A client id in the form in which this process made it; "" for a foreign one."""
    return of_uuid(str(client_id or ""))


def side(text: str) -> Side:
    """The side called "buy" or "sell", in any case."""
    return {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}[text.lower()]


def order_state(state: OrderState, filled_size: Decimal) -> OrderState:
    """The state; PARTLY_FILLED for an open order with fills, whatever the venue calls it."""
    if state == orders_pb2.ORDER_STATE_OPEN and filled_size:
        return orders_pb2.ORDER_STATE_PARTLY_FILLED
    return state


def liquidity(is_maker: bool) -> "orders_pb2.Liquidity.ValueType":
    return orders_pb2.LIQUIDITY_MAKER if is_maker else orders_pb2.LIQUIDITY_TAKER


def limit_or_market(is_limit: bool) -> OrderType:
    """The type of an order without a stop price."""
    return orders_pb2.ORDER_TYPE_LIMIT if is_limit else orders_pb2.ORDER_TYPE_MARKET
