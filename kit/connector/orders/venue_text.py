"""Venues' texts to the contract's types. Pure; raises ValueError for what is no amount."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.client_order_ids import of_uuid
from kit.execution.contract import OrderRequest, OrderState, OrderType, Side

AVERAGE_PLACES = Decimal("1e-16")
_wide = Context(prec=60, rounding=ROUND_HALF_EVEN)

STOPS = frozenset({orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_STOP_LIMIT})
TAKE_PROFITS = frozenset(
    {orders_pb2.ORDER_TYPE_TAKE_PROFIT, orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT}
)
LIMITS = frozenset(
    {
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    }
)
"""Types that have a price."""
FINAL = frozenset(
    {
        orders_pb2.ORDER_STATE_FILLED,
        orders_pb2.ORDER_STATE_CANCELLED,
        orders_pb2.ORDER_STATE_REJECTED,
        orders_pb2.ORDER_STATE_EXPIRED,
    }
)
"""States that do not change any more."""


def amount(value: Any) -> Decimal:
    """A number as text or integer; "" and None are zero. A float is taken at its shortest text."""
    if value is None or value == "":
        return Decimal(0)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"no amount: {str(value)[:40]!r}") from None
    if not found.is_finite():
        raise ValueError(f"no amount: {str(value)[:40]!r}")
    return found


def given(value: Any) -> Decimal | None:
    """As ``amount``; None for zero, by which venues say that there is none."""
    return amount(value) or None


def mean(value: Decimal, size: Decimal) -> Decimal | None:
    """Price of fills that are worth so much; None without fills. To 16 decimal places."""
    if not size:
        return None
    return (_wide.divide(value, size)).quantize(AVERAGE_PLACES, context=_wide).normalize(_wide)


def time_ns(milliseconds: Any) -> int:
    """Of milliseconds since the Unix epoch, as text or integer; 0 where there are none."""
    return int(milliseconds or 0) * NANOSECONDS_PER_MILLISECOND


def milliseconds(time_ns: int) -> int:
    """The first that is not before this time."""
    return -(-time_ns // NANOSECONDS_PER_MILLISECOND)


def ours(client_id: Any) -> str:
    """A client id as it is known here; "" for one that is not ours."""
    return of_uuid(str(client_id or ""))


def side(text: str) -> Side:
    """Of "buy" and "sell", in any case."""
    return {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}[text.lower()]


def buys(wish: OrderRequest) -> bool:
    """Whether it is to buy."""
    return wish.side == types_pb2.SIDE_BUY


def state(known: OrderState, filled: Decimal) -> OrderState:
    """Open orders with fills are partly filled, whatever the venue calls that."""
    if known == orders_pb2.ORDER_STATE_OPEN and filled:
        return orders_pb2.ORDER_STATE_PARTLY_FILLED
    return known


def liquidity(is_maker: bool) -> "orders_pb2.Liquidity.ValueType":
    """Who was there first."""
    return orders_pb2.LIQUIDITY_MAKER if is_maker else orders_pb2.LIQUIDITY_TAKER


def plain_type(is_limit: bool) -> OrderType:
    """Of an order without a stop price."""
    return orders_pb2.ORDER_TYPE_LIMIT if is_limit else orders_pb2.ORDER_TYPE_MARKET
