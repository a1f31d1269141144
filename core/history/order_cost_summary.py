"""Adds up the costs of orders: means that are weighted by notional."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from venuemesh.history.v1 import order_costs_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.history import order_cost_messages as messages
from core.history.order_pricing import PricedOrder, is_final, waits_for_price
from kit.accounting.amounts import EXACT, plain
from kit.accounting.costed_orders import Figure, Unknown
from kit.accounting.order_costs import AMOUNT_PLACES, BPS_PLACES, RATIO_PLACES
from kit.base.clock import NANOSECONDS_PER_SECOND

HOUR_NS = 3_600 * NANOSECONDS_PER_SECOND
HOURS = 24

Grouping = order_costs_pb2.OrderCostsGrouping
Group = order_costs_pb2.OrderCostsGroup
Message = order_costs_pb2.OrderCosts


class GroupKey(NamedTuple):
    """What the orders of a group have in common. None: not grouped by it."""

    venue: str | None
    strategy: str | None
    order_type: int | None
    hour: int | None
    asset: str


GROUPINGS: dict[int, tuple[str, Callable[[Message], str | int]]] = {
    order_costs_pb2.ORDER_COSTS_GROUPING_VENUE: ("venue", lambda one: one.order.content.venue),
    order_costs_pb2.ORDER_COSTS_GROUPING_STRATEGY: ("strategy", lambda one: one.strategy),
    order_costs_pb2.ORDER_COSTS_GROUPING_ORDER_TYPE: (
        "order_type",
        lambda one: one.order.content.type,
    ),
    order_costs_pb2.ORDER_COSTS_GROUPING_HOUR: (
        "hour",
        lambda one: one.order.created_time_ns // HOUR_NS % HOURS,
    ),
}
"""By value: the field of the key, and its value."""


@dataclass(slots=True)
class _Mean:
    """A mean, so far."""

    weighted: Fraction = Fraction(0)
    weight: Fraction = Fraction(0)
    orders: int = 0
    left_out: Counter[Unknown] = field(default_factory=Counter)

    def add(self, figure: Figure, weight: Figure) -> None:
        for part in (figure, weight):
            if isinstance(part, Unknown):
                self.left_out[part] += 1
                return
        self.weighted += Fraction(Decimal(figure)) * Fraction(Decimal(weight))
        self.weight += Fraction(Decimal(weight))
        self.orders += 1

    def message(self, places: int) -> order_costs_pb2.WeightedMean:
        found = order_costs_pb2.WeightedMean(orders=self.orders)
        if self.weight:
            found.value = _text(self.weighted / self.weight, places)
            found.notional = _text(self.weight, AMOUNT_PLACES)
        for why in sorted(self.left_out):
            found.left_out.add(reason=messages.reason(why), orders=self.left_out[why])
        return found


@dataclass(slots=True)
class _Sums:
    """What is added up of a group."""

    states: Counter[str] = field(default_factory=Counter)
    rejected: Counter[int] = field(default_factory=Counter)
    means: dict[str, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    markouts: Sequence[_Mean] = field(
        default_factory=lambda: [_Mean() for _ in messages.HORIZONS_MS]
    )
    orders: int = 0
    is_complete: bool = True

    def add(self, one: PricedOrder) -> None:
        costs, shortfall, order = one.costs, one.costs.shortfall, one.stored.order
        self.orders += 1
        self.is_complete &= costs.is_complete
        self._count(one)
        # What an open order has cost so far is not what it will have cost.
        has_ended = is_final(order)

        def add(mean: _Mean, figure: Figure, weight: Figure = costs.notional) -> None:
            mean.add(figure if has_ended else Unknown.NOT_YET, weight)

        add(self.means["fill_ratio"], costs.fill_ratio, costs.arrival_notional)
        add(self.means["slippage_bps"], costs.slippage_bps)
        add(self.means["trigger_slippage_bps"], costs.trigger_slippage_bps)
        add(self.means["shortfall_bps"], shortfall.total_bps, shortfall.notional)
        add(self.means["fee_bps"], costs.fee_bps)
        add(self.means["expected_fee_bps"], costs.expected_fee_bps)
        for mean, figure in zip(self.markouts, costs.markouts_bps, strict=True):
            add(mean, figure)
        add(self.means["first_fill_ns"], _duration(one, costs.first_fill_ns))
        add(self.means["completion_ns"], _duration(one, costs.completion_ns))

    def message(self, key: GroupKey) -> Group:
        found = Group(
            venue=key.venue or "",
            strategy=key.strategy or "",
            hour=key.hour,
            notional_asset=key.asset,
            orders=self.orders,
            filled_orders=self.states["filled"],
            partly_filled_orders=self.states["partly filled"],
            open_orders=self.states["open"],
            complete=self.is_complete,
        )
        if key.order_type is not None:
            found.order_type = orders_pb2.OrderType.ValueType(key.order_type)
        for why in sorted(self.rejected):
            number = orders_pb2.RejectReason.ValueType(why)
            found.rejected.add(reason=number, orders=self.rejected[why])
        for name, mean in self.means.items():
            getattr(found, name).CopyFrom(mean.message(_places(name)))
        for horizon_ms, mean in zip(messages.HORIZONS_MS, self.markouts, strict=True):
            found.markouts.add(horizon_ms=horizon_ms, value_bps=mean.message(BPS_PLACES))
        return found

    def _count(self, one: PricedOrder) -> None:
        order = one.stored.order
        if order.state == orders_pb2.ORDER_STATE_REJECTED:
            self.rejected[order.reject_reason] += 1
        elif not is_final(order):
            self.states["open"] += 1
        elif one.message.is_partly_filled:
            self.states["partly filled"] += 1
        elif one.costs.fill_ratio == 1:
            self.states["filled"] += 1


class OrderCostSummary:
    """Groups of orders. ``groupings`` are those of the contract."""

    def __init__(self, groupings: Collection[int]) -> None:
        self._groupings = groupings
        self._sums: dict[GroupKey, _Sums] = defaultdict(_Sums)
        self.orders = 0

    def add(self, one: PricedOrder) -> None:
        """Add the costs of an order."""
        values: dict[str, str | int | None] = dict.fromkeys(GroupKey._fields)
        for grouping in self._groupings:
            name, value_of = GROUPINGS[grouping]
            values[name] = value_of(one.message)
        values["asset"] = one.notional_asset
        self._sums[GroupKey(**values)].add(one)  # type: ignore[arg-type]  # fields by their names
        self.orders += 1

    def groups(self) -> list[Group]:
        """By venue, strategy, order type, hour and asset."""
        keys = sorted(self._sums, key=_order)
        return [self._sums[key].message(key) for key in keys]


def _order(key: GroupKey) -> tuple[str, str, int, int, str]:
    return key.venue or "", key.strategy or "", key.order_type or 0, key.hour or 0, key.asset


def _duration(one: PricedOrder, duration_ns: int | None) -> Figure:
    """A duration as a figure."""
    if duration_ns is not None:
        return Decimal(duration_ns)
    return Unknown.WAITS_FOR_PRICE if waits_for_price(one.stored.order) else Unknown.NOT_FILLED


def _places(name: str) -> int:
    """Decimal places of a mean."""
    if name.endswith("_ns"):
        return 0
    return BPS_PLACES if name.endswith("_bps") else RATIO_PLACES


def _text(value: Fraction, places: int) -> str:
    return plain(EXACT.scaleb(Decimal(round(value * 10**places)), -places))
