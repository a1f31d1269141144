"""Compares the stop of a position with what the position holds, as the venue's process reports."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import positions
from core.inspector.positions import OrderRole, Position, StrategyOrder
from kit.accounting.amounts import ZERO, add, plain, subtract, total
from kit.execution.request_ids import ATTEMPT_MARK

if TYPE_CHECKING:
    State: TypeAlias = risk_reports_pb2.ProtectionState.ValueType

WORKING = frozenset(
    {
        orders_pb2.ORDER_STATE_ACKNOWLEDGED,
        orders_pb2.ORDER_STATE_OPEN,
        orders_pb2.ORDER_STATE_PARTLY_FILLED,
    }
)
"""States of an order that triggers: at the venue, or in its process (``held_here``)."""
TRIGGERED = "its stop has triggered, and is not filled"
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
UNCONFIRMED = risk_reports_pb2.PROTECTION_STATE_UNCONFIRMED
CLOSING = risk_reports_pb2.PROTECTION_STATE_CLOSING
UNPROTECTED = risk_reports_pb2.PROTECTION_STATE_UNPROTECTED
NOTHING_HELD = risk_reports_pb2.PROTECTION_STATE_NOTHING_HELD
UNKNOWN = risk_reports_pb2.PROTECTION_STATE_UNKNOWN


@dataclass(frozen=True, slots=True)
class Protection:
    """Whether a position has its stop."""

    held: Decimal | None
    """What it holds, negative if short; None if it is not known."""
    problem: str = ""
    """What is wrong with its stop; "": nothing."""
    is_triggered: bool = False
    """Whether its stop has triggered, and waits to be sent: the position was to end by now."""

    @property
    def is_certain(self) -> bool:
        return self.held is not None


def compare(
    position: Position, orders: Sequence[StrategyOrder], reported: Iterable[orders_pb2.Order]
) -> Protection:
    """Compare a position with its orders at the venue. ``orders``: as they are stored.
    ``reported``: by the venue's process, among others of the account."""
    held, covered, triggers = positions.held(orders), ZERO, set[str]()
    is_triggered = False
    for first, known, one in own_orders(orders, reported):
        held = add(held, _not_stored(position, known, first, one))
        if first.role != OrderRole.STOP or one.state not in WORKING:
            continue
        if one.is_triggered:
            is_triggered = True
        elif _is_at_its_price(position, one):
            covered = add(covered, _open_size(one))
        else:
            triggers.add(one.content.stop_price)
    needed = position.tradable(abs(held))
    if covered >= needed:
        return Protection(held)
    problem = _problem(position, needed, covered, triggers)
    return Protection(held, TRIGGERED if is_triggered else problem, is_triggered)


def own_orders(
    orders: Sequence[StrategyOrder], reported: Iterable[orders_pb2.Order]
) -> Iterator[tuple[StrategyOrder, StrategyOrder | None, orders_pb2.Order]]:
    """The reported orders of a position. Each with its first attempt, and with what is stored of
    itself."""
    stored = {order.client_order_id: order for order in orders}
    by_name = {order.request_id: order for order in orders}
    for one in reported:
        known = stored.get(one.client_order_id)
        first = known or by_name.get(one.request_id.partition(ATTEMPT_MARK)[0])
        if first is not None:
            yield first, known, one


def _is_at_its_price(position: Position, stop: orders_pb2.Order) -> bool:
    """A stop of a position that trails may have moved towards the market."""
    price = stop.content.stop_price
    if not price or not position.stop_price:
        return True
    moved = subtract(Decimal(price), Decimal(position.stop_price))
    if not position.trailing_offset:
        return not moved
    return moved >= ZERO if stop.content.side == types_pb2.SIDE_SELL else moved <= ZERO


def state_of(position: Position, found: Protection, *, is_moving: bool) -> "State":
    """The state of a position's stop. ``is_moving``: orders of it are on their way."""
    if position.is_closing:
        return CLOSING
    if found.held is None:
        return UNKNOWN
    if found.problem:
        return UNCONFIRMED if is_moving else UNPROTECTED
    return PROTECTED if position.tradable(abs(found.held)) else NOTHING_HELD


def unreported(
    orders: Iterable[StrategyOrder], listed: Mapping[str, orders_pb2.Order]
) -> list[StrategyOrder]:
    """The orders whose end is not stored and which are not open either."""
    return [one for one in orders if not one.is_complete and one.client_order_id not in listed]


def _problem(position: Position, needed: Decimal, covered: Decimal, triggers: set[str]) -> str:
    if triggers:
        found = ", ".join(sorted(triggers))
        return f"its stop triggers at {found}, not at {position.stop_price}"
    if covered:
        return f"its stop is for {plain(covered)} of {plain(needed)}"
    return "it has no stop"


def _open_size(order: orders_pb2.Order) -> Decimal:
    return subtract(Decimal(order.content.size), Decimal(order.filled_size or 0))


def _not_stored(
    position: Position,
    known: StrategyOrder | None,
    first: StrategyOrder,
    reported: orders_pb2.Order,
) -> Decimal:
    """The change of the position by fills that are not stored. ``first``: the first attempt of an
    order; ``known``: the order, if it is stored."""
    size, fee = (ZERO, ZERO) if known is None else (known.fills_size, known.base_fee)
    missing = subtract(Decimal(reported.filled_size or 0), size)
    if missing <= ZERO:
        return ZERO
    fees = total(
        Decimal(one.amount)
        for one in reported.fees
        if position.base_asset and one.asset == position.base_asset
    )
    change = missing if first.is_buy else subtract(ZERO, missing)
    return subtract(change, max(subtract(fees, fee), ZERO))
