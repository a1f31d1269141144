"""Costs of orders as tables for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from rich.table import Table
from venuemesh.history.v1 import order_costs_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from ops.orders.tables import side
from ops.tables import table, time_text, word

REASON, TYPE, REJECT = "UNKNOWN_REASON_", "ORDER_TYPE_", "REJECT_REASON_"
HOUR = "{:02}:00"
MARKOUTS = "1 s / 10 s / 1 min"


def orders(found: Iterable[order_costs_pb2.OrderCosts]) -> Table:
    """One line for each order: slippage, shortfall, fees and mark-outs in bps."""
    names = (
        *("arrival", "id", "strategy", "order", "filled", "slippage", "shortfall"),
        *("fee (expected)", MARKOUTS, "final", "detail"),
    )
    return table(names, map(_order_cells, found))


def groups(found: Iterable[order_costs_pb2.OrderCostsGroup], by: Sequence[str]) -> Table:
    """One line for each group, in bps. Behind a mean is the number of its orders."""
    names = (
        *(*by, "asset", "orders", "rejected", "filled", "notional", "slippage", "shortfall"),
        *("fee", "expected", MARKOUTS, "final", "detail"),
    )
    return table(names, (tuple(_group_cells(one, by)) for one in found))


def truncated(found: order_costs_pb2.SummarizeOrderCostsResponse) -> str:
    """What a person has to know of a summary of a part."""
    since = time_text(found.oldest_time_ns)
    return f"there are more orders: these are the newest {found.orders}, since {since}"


def _order_cells(one: order_costs_pb2.OrderCosts) -> Sequence[str]:
    order = one.order
    slippage = one.trigger_slippage_bps if one.waits_for_price else one.slippage_bps
    markouts = [markout.value_bps for markout in one.markouts]
    kind = word(orders_pb2.OrderType.Name(order.content.type), TYPE)
    figures = (slippage, one.shortfall.total_bps, one.fee_bps, one.expected_fee_bps, *markouts)
    reasons = dict.fromkeys(_reason(figure.unknown_reason) for figure in figures)
    unknown = ", ".join(filter(None, reasons))
    return (
        time_text(order.created_time_ns),
        order.client_order_id or order.venue_order_id,
        one.strategy,
        f"{side(order.content.side)} {order.content.symbol} {kind}",
        _short(one.fill_ratio.value),
        _short(slippage.value),
        _short(one.shortfall.total_bps.value),
        f"{_short(one.fee_bps.value)} ({_short(one.expected_fee_bps.value)})",
        _joined(figure.value for figure in markouts),
        "yes" if one.complete else "not yet",
        f"not known: {unknown}" if unknown else "",
    )


def _group_cells(one: order_costs_pb2.OrderCostsGroup, by: Sequence[str]) -> Iterator[str]:
    keys = {
        "venue": one.venue,
        "strategy": one.strategy,
        "order-type": word(orders_pb2.OrderType.Name(one.order_type), TYPE),
        "hour": HOUR.format(one.hour),
    }
    yield from (keys[name] for name in by)
    yield one.notional_asset
    yield str(one.orders)
    yield ", ".join(
        f"{rejected.orders} {word(orders_pb2.RejectReason.Name(rejected.reason), REJECT)}"
        for rejected in one.rejected
    )
    yield _mean(one.fill_ratio)
    yield one.slippage_bps.notional
    for mean in (one.slippage_bps, one.shortfall_bps, one.fee_bps, one.expected_fee_bps):
        yield _mean(mean)
    yield _joined(markout.value_bps.value for markout in one.markouts)
    yield "yes" if one.complete else "not yet"
    left_out = ", ".join(
        f"{left.orders} {_reason(left.reason)}" for left in one.slippage_bps.left_out
    )
    yield f"without slippage: {left_out}" if left_out else ""


def _reason(reason: "order_costs_pb2.UnknownReason.ValueType") -> str:
    return word(order_costs_pb2.UnknownReason.Name(reason), REASON)


def _mean(mean: order_costs_pb2.WeightedMean) -> str:
    return f"{_short(mean.value)} ({mean.orders})" if mean.orders else ""


def _joined(values: Iterable[str]) -> str:
    return " / ".join(_short(value) for value in values)


def _short(value: str) -> str:
    """A number with two decimal places; "-" for one that is not known."""
    return f"{Decimal(value):.2f}" if value else "-"
