"""Which orders make a group, and which of them are held here at first.

Each error names the field, its value and the allowed values.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.accounting.amounts import plain
from kit.accounting.stop_triggers import triggers_on_rise
from kit.base.errors import BadRequest, InvalidOrder, NotSupported
from kit.execution.approval.verifier import VerifiedOrder
from kit.execution.checks import pre_trade_checks
from kit.execution.client_order_ids import REQUEST_ID
from kit.execution.groups.group_plan import preferred
from kit.execution.order_types import BETTER_PRICES, CONDITIONAL, IMMEDIATE, TYPES
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import content_message
from kit.execution.prices.reference_prices import BestPrices
from kit.execution.sending.submitter import CheckedOrder

MEMBERS_MAX = 4
ENTRY = orders_pb2.GROUP_ROLE_ENTRY
EXIT = orders_pb2.GROUP_ROLE_EXIT
ALTERNATIVE = orders_pb2.GROUP_ROLE_ALTERNATIVE
LIMIT = orders_pb2.ORDER_TYPE_LIMIT
MARKET = orders_pb2.ORDER_TYPE_MARKET
SAME_FIELDS = ("venue", "account", "symbol")


def check(approved: Sequence[signed_pb2.ApprovedOrder]) -> None:
    """Check that these orders make one group; not what each of them is by itself. Raises
    BadRequest, InvalidOrder."""
    if not 2 <= len(approved) <= MEMBERS_MAX:
        allowed = f"2 to {MEMBERS_MAX} orders"
        text = f"a group has {allowed}; the request has {len(approved)}"
        raise BadRequest(text, field="approved", value=len(approved), allowed=allowed)
    contents = [one.content for one in approved]
    _check_names(contents)
    # The limits of the key hold for the group as a whole.
    _check_same("key_id", [one.key_id for one in approved])
    if len({one.request_id for one in approved}) < len(approved):
        allowed = "a different one for each order of a group"
        value = approved[0].request_id[:80]
        text = f"request_id is {value!r} more than once; allowed is {allowed}"
        raise BadRequest(text, field="request_id", value=value, allowed=allowed)
    for field in SAME_FIELDS:
        _check_same(f"{field}", [getattr(content, field) for content in contents])
    _check_same("size", [pre_trade_checks.amount("size", content.size) for content in contents])
    _check_roles(contents)
    _check_types(contents)


def check_alone(content: orders_pb2.OrderContent) -> None:
    """Check that an order has no group. Raises InvalidOrder."""
    if content.HasField("group"):
        text = "the orders of a group are placed together, with PlaceOrderGroup"
        value = content.group.group_id[:80]
        raise InvalidOrder(text, field="group", value=value, allowed="none", nearest="")


def members(
    verified: Sequence[VerifiedOrder],
    inputs: pre_trade_checks.PreTradeCheckInputs,
    *,
    is_reduction: bool = False,
) -> Sequence[CheckedOrder]:
    """Check each order of a group, and decide which are held here at first. ``is_reduction``: they
    are alternatives that only reduce what is held. Raises InvalidOrder, NotSupported."""
    contents = [one.content for one in verified]
    # An exit is sent later: the current price and balances say nothing about it.
    later = replace(inputs, best=None, balances=None)
    turns = [content for content in contents if content.group.role != ENTRY]
    if not inputs.has_prices and any(content.type != LIMIT for content in turns):
        text = "stops in a group need prices, and this process has none"
        raise NotSupported(text, service="TradeFlow", wanted="a group with stops")
    pre_trade_checks.check_live_data(inputs)
    check_exit_sides(contents, inputs.best)
    first = None
    if contents[0].group.role == ALTERNATIVE:
        first = preferred(turns, inputs.capabilities)
    found = []
    for order, content in zip(verified, contents, strict=True):
        is_exit = content.group.role == EXIT
        held_here = pre_trade_checks.check(
            content, later if is_exit else inputs, is_reduction=is_reduction
        )
        if content.group.role != ENTRY:
            held_here = content is not first
        found.append(CheckedOrder(order, held_here, is_reduction))
    return found


def check_exit_sides(contents: Sequence[orders_pb2.OrderContent], best: BestPrices | None) -> None:
    """Check the exits of an entry that has no fill: a stop is beyond the entry's price in the
    direction of a loss, a limit order or a take-profit in the direction of a gain. Otherwise the
    exit would close the position as soon as it is open. Raises InvalidOrder."""
    entry = next((content for content in contents if content.group.role == ENTRY), None)
    opened_at = _entry_price(entry, best) if entry is not None else None
    if entry is None or opened_at is None:
        return
    for content in contents:
        field = "stop_price" if content.stop_price else "price"
        if content is entry or not getattr(content, field):
            # The price of a trailing stop follows the market.
            continue
        buys = content.side == types_pb2.SIDE_BUY
        must_be_above = triggers_on_rise(buys, content.type in BETTER_PRICES)
        value = pre_trade_checks.amount(field, getattr(content, field))
        if (value > opened_at) if must_be_above else (value < opened_at):
            continue
        side = "above" if must_be_above else "below"
        allowed = f"{side} the entry's price {plain(opened_at)}"
        raise _invalid(
            field, plain(value), f"{allowed} for {orders_pb2.OrderType.Name(content.type)}"
        )


def check_amendment(
    order: Order,
    content: orders_pb2.OrderContent,
    members: Sequence[Order],
    best: BestPrices | None,
) -> None:
    """Check the exits of a group after the amendment of one of its orders, until the entry has a
    fill: then an exit may lock in a gain. Raises InvalidOrder."""
    if any(one.content.group.role == ENTRY and one.filled_size for one in members):
        return
    check_exit_sides([content if one is order else content_message(one) for one in members], best)


def _entry_price(entry: orders_pb2.OrderContent, best: BestPrices | None) -> Decimal | None:
    """About the price at which an entry opens its position; None where it is not known."""
    if entry.stop_price:
        return pre_trade_checks.amount("stop_price", entry.stop_price)
    buys = entry.side == types_pb2.SIDE_BUY
    market = (best.ask if buys else best.bid) if best is not None else None
    if entry.type == MARKET:
        return market
    if entry.type != LIMIT:
        return None
    price = pre_trade_checks.amount("price", entry.price)
    # One that crosses the market is filled at its price.
    return price if market is None else (min if buys else max)(price, market)


def _check_names(contents: Sequence[orders_pb2.OrderContent]) -> None:
    for content in contents:
        group = content.group
        if not REQUEST_ID.fullmatch(group.group_id):
            allowed = "1 to 64 of A-Z a-z 0-9 . _ : -"
            raise _invalid("group.group_id", group.group_id[:80], allowed)
        if group.count != len(contents):
            raise _invalid(
                "group.count", str(group.count), f"{len(contents)}, the number of orders"
            )
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
            raise _invalid("side", "the entry's side", "the opposite side for an exit")


def _check_types(contents: Sequence[orders_pb2.OrderContent]) -> None:
    turns = [content for content in contents if content.group.role != ENTRY]
    for content in turns:
        name = orders_pb2.OrderType.Name
        if content.type != LIMIT and content.type not in CONDITIONAL:
            value = name(content.type) if content.type in TYPES else str(content.type)
            raise _invalid("type", value, "a limit order, a stop or a take-profit")
        if content.type == LIMIT and content.time_in_force in IMMEDIATE:
            value = orders_pb2.TimeInForce.Name(content.time_in_force)
            raise _invalid("time_in_force", value, "a time in force with which a limit order rests")
    limits = [content for content in turns if content.type == LIMIT]
    if len(limits) > 1:
        raise _invalid(
            "type", f"{len(limits)} limit orders", "at most one among the alternatives or exits"
        )


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
