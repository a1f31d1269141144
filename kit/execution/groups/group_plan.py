"""The next actions of a group, from the states of its orders.

Nothing else is remembered: after a crash the same orders lead to the same plan. Of the alternatives
or exits, here both called exits, at most one is at the venue. Another one is sent with the size
that is left, once the one before it has ended and its filled size is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.checks.pre_trade_checks import is_supported, size_min_of
from kit.execution.contract import OrderCapabilities
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.sending.attempts import is_pausing

FILLS_WAIT_NS = 10 * NANOSECONDS_PER_SECOND
"""How long the fills of an entry that has ended are waited for: they say which fee was paid in what
was bought. After that it is better to close a slightly wrong size than nothing."""
PREFERRED = (
    orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_STOP,
    orders_pb2.ORDER_TYPE_STOP_LIMIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
)
"""Which exit is at the venue, the first of these. A limit order can rest only there; a stop of the
venue works without this process, and limiting a loss matters more than taking a profit."""
NO_FILL = "the entry ended without a fill"
DONE = "the other orders of the group have filled all of it"


@dataclass(slots=True)
class GroupPlan:
    """The next actions of a group; often none."""

    size: Decimal | None = None
    """The size for the orders that are held here."""
    ends: dict[str, str] = field(default_factory=dict)
    """Orders held here that are to be cancelled, by key, and why."""
    cancels: list[Order] = field(default_factory=list)
    """Orders to cancel at the venue; nothing is sent before they have ended."""
    sends: Order | None = None
    """The order to send."""


@dataclass(frozen=True, slots=True)
class GroupPlanInputs:
    """What a plan is made from, besides the orders."""

    instrument: types_pb2.Instrument
    capabilities: OrderCapabilities
    now_ns: int
    is_placing: Callable[[Order], bool]
    """Whether an order is being sent and has no verdict yet."""


def entry_of(members: Sequence[Order]) -> Order | None:
    """The entry; None in a group of alternatives."""
    role = orders_pb2.GROUP_ROLE_ENTRY
    return next((one for one in members if one.content.group.role == role), None)


def exits_of(members: Sequence[Order]) -> list[Order]:
    """All orders but the entry."""
    return [one for one in members if one.takes_turns]


def preferred(
    contents: Sequence[orders_pb2.OrderContent], capabilities: OrderCapabilities
) -> orders_pb2.OrderContent | None:
    """Return the one that is to be at the venue; None when all are held here."""
    supported = [one for one in contents if is_supported(one, capabilities)]
    return min(
        (one for one in supported if one.type in PREFERRED),
        key=lambda one: PREFERRED.index(one.type),
        default=None,
    )


def left_of(members: Sequence[Order], instrument: types_pb2.Instrument) -> Decimal:
    """Return the size that is left for the exits: a multiple of the size step, not below zero."""
    filled_size = amounts.total(one.filled_size for one in exits_of(members))
    left = amounts.subtract(_size_to_close(members, instrument), filled_size)
    if instrument.size_step and Decimal(instrument.size_step) > ZERO:
        left = amounts.floor_to(left, Decimal(instrument.size_step))
    return max(left, ZERO)


def make(members: Sequence[Order], inputs: GroupPlanInputs) -> GroupPlan:
    """Return the next actions for the orders of a group."""
    plan = GroupPlan()
    if any(one.state == order_states.INTENDED for one in members):
        return plan
    entry = entry_of(members)
    waiting = [
        one
        for one in exits_of(members)
        if one.held_here and one.state == order_states.OPEN and not inputs.is_placing(one)
    ]
    left = left_of(members, inputs.instrument)
    if left > ZERO:
        plan.size = left
    if entry is not None and not entry.is_final:
        if left > ZERO and any(one.is_triggered for one in waiting):
            _cancel(plan, [entry])
    elif entry is not None and not entry.filled_size:
        plan.ends = dict.fromkeys((one.key for one in waiting), NO_FILL)
    elif entry is None or not _awaits_fills(entry, inputs):
        _plan_exits(plan, members, waiting, left, inputs)
    return plan


def _plan_exits(
    plan: GroupPlan,
    members: Sequence[Order],
    waiting: list[Order],
    left: Decimal,
    inputs: GroupPlanInputs,
) -> None:
    """Plan the exits of a group whose size to close is final."""
    at_venue = [one for one in exits_of(members) if not one.is_final and one not in waiting]
    sendable = [one for one in waiting if not is_pausing(one, inputs.now_ns)]
    due = next((one for one in sendable if one.is_triggered), None)
    if not left:
        plan.ends = dict.fromkeys((one.key for one in waiting), DONE)
        _cancel(plan, [one for one in at_venue if one.filled_size < one.size])
    elif at_venue:
        # There is more than one only if an order that counted as never arrived is there.
        kept = next((one for one in at_venue if one.is_triggered), at_venue[0])
        _cancel(plan, [one for one in at_venue if due is not None or one is not kept])
    else:
        for one in waiting:
            size_min = size_min_of(inputs.instrument, one.price or one.stop_price)
            if left < size_min:
                plan.ends[one.key] = (
                    f"the size left is {plain(left)}; the venue's minimum is {plain(size_min)}"
                )
        sendable = [one for one in sendable if one.key not in plan.ends]
        plan.sends = due if due in sendable else _resting(members, sendable, inputs)


def _resting(
    members: Sequence[Order], sendable: list[Order], inputs: GroupPlanInputs
) -> Order | None:
    """The exit that is to be at the venue without being triggered. A stop is sent there only as the
    first exit: when the venue did not keep that one, it is safer here."""
    chosen = preferred([one.content for one in sendable], inputs.capabilities)
    was_any_sent = any(not one.held_here for one in exits_of(members))
    if chosen is None or (was_any_sent and chosen.type != orders_pb2.ORDER_TYPE_LIMIT):
        return None
    return next(one for one in sendable if one.content is chosen)


def _cancel(plan: GroupPlan, orders: list[Order]) -> None:
    plan.cancels = [one for one in orders if not one.cancel_requested]


def _size_to_close(members: Sequence[Order], instrument: types_pb2.Instrument) -> Decimal:
    entry = entry_of(members)
    if entry is None:
        return Decimal(members[0].content.size)
    if not _may_pay_fee_in_base(entry, instrument):
        return entry.filled_size
    fee = max(entry.fees.get(instrument.base, ZERO), ZERO)
    return amounts.subtract(entry.filled_size, fee)


def _may_pay_fee_in_base(entry: Order, instrument: types_pb2.Instrument) -> bool:
    """Whether the fee may be taken out of what was bought."""
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    return is_spot and entry.side == types_pb2.SIDE_BUY


def _awaits_fills(entry: Order, inputs: GroupPlanInputs) -> bool:
    if not entry.lacks_fills or not _may_pay_fee_in_base(entry, inputs.instrument):
        return False
    return 0 <= inputs.now_ns - entry.updated_time_ns < FILLS_WAIT_NS
