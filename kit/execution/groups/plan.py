"""What is to be done with the orders of a group, from how they stand.

Nothing else is remembered: after a crash the same orders lead to the same plan. Of the alternatives
or exits, here both called exits, at most one is at the venue. What another one is sent with is what
is left when that one has ended, and its end is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution import amounts
from kit.execution.amounts import ZERO
from kit.execution.approval import plain
from kit.execution.checks import is_had, least_of
from kit.execution.contract import OrderCapabilities
from kit.execution.groups import exit_retry
from kit.execution.orders import states
from kit.execution.orders.order import Order

FILLS_WAIT_NS = 10 * NANOSECONDS_PER_SECOND
"""So long the fills of an entry that has ended are waited for, as they tell what it paid in what it
has bought. Then it is better to close roughly than not at all."""
PREFERRED = (
    orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_STOP,
    orders_pb2.ORDER_TYPE_STOP_LIMIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
)
"""Which one is to be at the venue. A limit order can be nowhere else; a stop of the venue's own
lives on when this process does not, and what limits a loss is worth more than what takes a gain."""
NO_FILL = "the entry has ended without a fill"
DONE = "the others of the group have filled all of it"


@dataclass(slots=True)
class Plan:
    """What is to be done now; often nothing."""

    size: Decimal | None = None
    """That of those that wait here."""
    ends: dict[str, str] = field(default_factory=dict)
    """Those that wait for nothing any more, by key, and why."""
    cancels: list[Order] = field(default_factory=list)
    """To be taken back at the venue; what follows has to wait for their ends."""
    sends: Order | None = None
    """To be sent."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a plan is made from besides the orders."""

    instrument: types_pb2.Instrument
    rules: OrderCapabilities
    """What the venue has."""
    now_ns: int
    is_placing: Callable[[Order], bool]
    """Whether an order is on its way without an answer."""


def entry_of(members: Sequence[Order]) -> Order | None:
    """The entry; None of alternatives."""
    role = orders_pb2.GROUP_ROLE_ENTRY
    return next((one for one in members if one.content.group.role == role), None)


def exits_of(members: Sequence[Order]) -> list[Order]:
    """All but the entry."""
    return [one for one in members if one.takes_turns]


def preferred(
    contents: Sequence[orders_pb2.OrderContent], rules: OrderCapabilities
) -> orders_pb2.OrderContent | None:
    """Which one is to be at the venue; None when all wait here."""
    had = [one for one in contents if is_had(one, rules)]
    return min(
        (one for one in had if one.type in PREFERRED),
        key=lambda one: PREFERRED.index(one.type),
        default=None,
    )


def left_of(members: Sequence[Order], instrument: types_pb2.Instrument) -> Decimal:
    """How much there is to do for the exits: a whole number of steps, not below zero."""
    filled = amounts.total(one.filled for one in exits_of(members))
    left = amounts.subtract(_to_close(members, instrument), filled)
    if instrument.size_step and Decimal(instrument.size_step) > ZERO:
        left = amounts.floor_to(left, Decimal(instrument.size_step))
    return max(left, ZERO)


def make(members: Sequence[Order], scene: Scene) -> Plan:
    """What is to be done now."""
    plan = Plan()
    if any(one.state == states.INTENDED for one in members):
        return plan
    entry = entry_of(members)
    waiting = [
        one
        for one in exits_of(members)
        if one.held and one.state == states.OPEN and not scene.is_placing(one)
    ]
    left = left_of(members, scene.instrument)
    if left > ZERO:
        plan.size = left
    if entry is not None and not entry.is_final:
        if left > ZERO and any(one.is_triggered for one in waiting):
            _take_back(plan, [entry])
    elif entry is not None and not entry.filled:
        plan.ends = dict.fromkeys((one.key for one in waiting), NO_FILL)
    elif entry is None or not _awaits_fills(entry, scene):
        _take_turns(plan, members, waiting, left, scene)
    return plan


def _take_turns(
    plan: Plan, members: Sequence[Order], waiting: list[Order], left: Decimal, scene: Scene
) -> None:
    """What is to be closed stands fast."""
    out = [one for one in exits_of(members) if not one.is_final and one not in waiting]
    awake = [one for one in waiting if not exit_retry.rests(one, scene.now_ns)]
    due = next((one for one in awake if one.is_triggered), None)
    if not left:
        plan.ends = dict.fromkeys((one.key for one in waiting), DONE)
        _take_back(plan, [one for one in out if one.filled < one.size])
    elif out:
        # More than one can only be out when one has come back that was taken for lost.
        kept = next((one for one in out if one.is_triggered), out[0])
        _take_back(plan, [one for one in out if due is not None or one is not kept])
    else:
        for one in waiting:
            least = least_of(scene.instrument, one.price or one.stop_price)
            if left < least:
                plan.ends[one.key] = (
                    f"what is left is {plain(left)}; the venue takes no less than {plain(least)}"
                )
        able = [one for one in awake if one.key not in plan.ends]
        plan.sends = due if due in able else _to_rest(members, able, scene)


def _to_rest(members: Sequence[Order], able: list[Order], scene: Scene) -> Order | None:
    """Who is to be at the venue without having been woken. A stop goes there as the first one only:
    when the venue did not keep that one, it waits safer here."""
    chosen = preferred([one.content for one in able], scene.rules)
    was_out = any(not one.held for one in exits_of(members))
    if chosen is None or (was_out and chosen.type != orders_pb2.ORDER_TYPE_LIMIT):
        return None
    return next(one for one in able if one.content is chosen)


def _take_back(plan: Plan, entries: list[Order]) -> None:
    plan.cancels = [one for one in entries if not one.cancel_wanted]


def _to_close(members: Sequence[Order], instrument: types_pb2.Instrument) -> Decimal:
    entry = entry_of(members)
    if entry is None:
        return Decimal(members[0].content.size)
    if not _pays_in_base(entry, instrument):
        return entry.filled
    return amounts.subtract(entry.filled, max(entry.fees.get(instrument.base, ZERO), ZERO))


def _pays_in_base(entry: Order, instrument: types_pb2.Instrument) -> bool:
    """Whether a fee may be taken out of what was bought."""
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    return is_spot and entry.content.side == types_pb2.SIDE_BUY


def _awaits_fills(entry: Order, scene: Scene) -> bool:
    if not entry.lacks_fills or not _pays_in_base(entry, scene.instrument):
        return False
    return scene.now_ns - entry.updated_time_ns < FILLS_WAIT_NS
