"""Costs of orders as messages."""

from decimal import Decimal

from venuemesh.history.v1 import order_costs_pb2

from core.history.mid_prices import MidPrice
from kit.accounting.amounts import plain
from kit.accounting.costed_orders import Figure, Unknown
from kit.accounting.order_costs import OrderCosts, Shortfall

PREFIX = "UNKNOWN_REASON_"
HORIZONS_MS = (1_000, 10_000, 60_000)
"""Of mark-outs."""

Reason = order_costs_pb2.UnknownReason


def reason(unknown: Unknown) -> "Reason.ValueType":
    """The value of the contract."""
    return Reason.Value(f"{PREFIX}{unknown.name}")


def figure(value: Figure) -> order_costs_pb2.Figure:
    """A number or the reason."""
    if isinstance(value, Decimal):
        return order_costs_pb2.Figure(value=plain(value))
    return order_costs_pb2.Figure(unknown_reason=reason(value))


def mid(time_ns: int, found: MidPrice) -> order_costs_pb2.Mid:
    """A mid that is wanted for a time."""
    return order_costs_pb2.Mid(
        price=figure(found.price), time_ns=time_ns, quote_time_ns=found.quote_time_ns
    )


def costs(found: OrderCosts) -> order_costs_pb2.OrderCosts:
    """The figures of an order; without the order itself."""
    return order_costs_pb2.OrderCosts(
        average_price=figure(found.average_price),
        notional=figure(found.notional),
        slippage_bps=figure(found.slippage_bps),
        trigger_slippage_bps=figure(found.trigger_slippage_bps),
        shortfall=_shortfall(found.shortfall),
        fill_ratio=figure(found.fill_ratio),
        fill_count=found.fill_count,
        first_fill_ns=found.first_fill_ns,
        completion_ns=found.completion_ns,
        fee=figure(found.fee),
        fee_bps=figure(found.fee_bps),
        expected_fee=figure(found.expected_fee),
        expected_fee_bps=figure(found.expected_fee_bps),
        markouts=[
            order_costs_pb2.Markout(horizon_ms=horizon_ms, value_bps=figure(value))
            for horizon_ms, value in zip(HORIZONS_MS, found.markouts_bps, strict=True)
        ],
        complete=found.is_complete,
    )


def _shortfall(found: Shortfall) -> order_costs_pb2.Shortfall:
    return order_costs_pb2.Shortfall(
        price_cost=figure(found.price_cost),
        fee_cost=figure(found.fee_cost),
        unfilled_cost=figure(found.unfilled_cost),
        total_cost=figure(found.total_cost),
        total_bps=figure(found.total_bps),
        notional=figure(found.notional),
    )
