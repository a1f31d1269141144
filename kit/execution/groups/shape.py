"""What is a group, and which of its orders waits here at first.

Each refusal says the field, its value, and what is allowed.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import BadRequest, InvalidOrder, NotSupported
from kit.execution import checks
from kit.execution.groups.plan import preferred
from kit.execution.ids import REQUEST_ID
from kit.execution.submitter import Wanted

MEMBERS_MAX = 4
ENTRY = orders_pb2.GROUP_ROLE_ENTRY
EXIT = orders_pb2.GROUP_ROLE_EXIT
ALTERNATIVE = orders_pb2.GROUP_ROLE_ALTERNATIVE
LIMIT = orders_pb2.ORDER_TYPE_LIMIT
WHOSE = ("venue", "account", "symbol")


def check(approved: Sequence[signed_pb2.ApprovedOrder]) -> None:
    """Whether these are the orders of one group. What each of them is by itself is not looked at.
    Raises BadRequest, InvalidOrder."""
    if not 2 <= len(approved) <= MEMBERS_MAX:
        allowed = f"2 to {MEMBERS_MAX} orders"
        text = f"a group has {allowed}; these are {len(approved)}"
        raise BadRequest(text, field="approved", value=len(approved), allowed=allowed)
    contents = [one.content for one in approved]
    _check_names(contents)
    if len({one.request_id for one in approved}) < len(approved):
        allowed = "another one for each order of a group"
        value = approved[0].request_id[:80]
        raise BadRequest(allowed, field="request_id", value=value, allowed=allowed)
    for field in WHOSE:
        _check_same(f"{field}", [getattr(content, field) for content in contents])
    _check_same("size", [checks.amount("size", content.size) for content in contents])
    _check_roles(contents)
    _check_types(contents)


def check_alone(content: orders_pb2.OrderContent) -> None:
    """Raises InvalidOrder for an order that has a group."""
    if content.HasField("group"):
        text = "the orders of a group are placed together, with PlaceOrderGroup"
        value = content.group.group_id[:80]
        raise InvalidOrder(text, field="group", value=value, allowed="none", nearest="")


def wanted(approved: Sequence[signed_pb2.ApprovedOrder], known: checks.Known) -> Sequence[Wanted]:
    """The orders of a group as they are to be placed. Raises InvalidOrder and NotSupported for one
    that cannot be."""
    contents = [one.content for one in approved]
    # What an exit will find is not what there is now.
    later = replace(known, best=None, balances=None)
    turns = [content for content in contents if content.group.role != ENTRY]
    if not known.prices_are_heard and any(content.type != LIMIT for content in turns):
        text = "no prices are heard here to wake the orders of a group by"
        raise NotSupported(text, service="TradeFlow", wanted="a group with stops")
    first = None
    if contents[0].group.role == ALTERNATIVE:
        first = preferred(turns, known.rules)
    found = []
    for one in approved:
        is_exit = one.content.group.role == EXIT
        is_held = checks.check(one.content, later if is_exit else known)
        if one.content.group.role != ENTRY:
            is_held = one.content is not first
        found.append(Wanted(one.content, one.request_id, one.expires_time_ns, is_held))
    return found


def _check_names(contents: Sequence[orders_pb2.OrderContent]) -> None:
    for content in contents:
        group = content.group
        if not REQUEST_ID.fullmatch(group.group_id):
            allowed = "1 to 64 of A-Z a-z 0-9 . _ : -"
            raise _invalid("group.group_id", group.group_id[:80], allowed)
        if group.count != len(contents):
            raise _invalid("group.count", str(group.count), f"{len(contents)}, as many as came")
    _check_same("group.group_id", [content.group.group_id for content in contents])


def _check_roles(contents: Sequence[orders_pb2.OrderContent]) -> None:
    roles = [content.group.role for content in contents]
    is_bracket = roles.count(ENTRY) == 1 and roles.count(EXIT) == len(roles) - 1
    if not is_bracket and roles.count(ALTERNATIVE) != len(roles):
        value = ", ".join(_role(role) for role in roles)
        allowed = "all ALTERNATIVE, or one ENTRY and the others EXIT"
        raise _invalid("group.role", value, allowed)
    _check_same("side", [one.side for one in contents if one.group.role != ENTRY])
    if is_bracket:
        entry = next(one for one in contents if one.group.role == ENTRY)
        if any(one.side == entry.side for one in contents if one is not entry):
            raise _invalid("side", "that of the entry", "the other side for an exit")


def _check_types(contents: Sequence[orders_pb2.OrderContent]) -> None:
    turns = [content for content in contents if content.group.role != ENTRY]
    for content in turns:
        name = orders_pb2.OrderType.Name
        if content.type != LIMIT and content.type not in checks.STOPS:
            value = name(content.type) if content.type in checks.TYPES else str(content.type)
            raise _invalid("type", value, "a limit order, a stop or a take-profit, which can wait")
        if content.type == LIMIT and content.time_in_force in checks.IMMEDIATE:
            value = orders_pb2.TimeInForce.Name(content.time_in_force)
            raise _invalid("time_in_force", value, "one with which a limit order rests")
    limits = [content for content in turns if content.type == LIMIT]
    if len(limits) > 1:
        raise _invalid("type", f"{len(limits)} limit orders", "at most one of those that wait")


def _check_same(field: str, values: Sequence[str | int | Decimal]) -> None:
    if any(value != values[0] for value in values):
        text = ", ".join(map(str, dict.fromkeys(values)))
        raise _invalid(field, text[:160], "the same for all of them")


def _role(role: int) -> str:
    if role not in orders_pb2.GroupRole.values():
        return str(role)
    return orders_pb2.GroupRole.Name(role).removeprefix("GROUP_ROLE_")  # type: ignore[arg-type]


def _invalid(field: str, value: str, allowed: str) -> InvalidOrder:
    text = f"{field} is {value!r}; allowed in a group is {allowed}"
    return InvalidOrder(text, field=field, value=value, allowed=allowed, nearest="")
