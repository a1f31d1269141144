"""Order requests of persons: their validation, the facts about them, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.venue_processes import CallRefused, NoAnswer
from core.inspector.verdicts import (
    NOTED,
    CheckedVerdict,
    ProposedEntry,
    RiskState,
    valued_price,
    verdict_on_entry,
    verdict_on_reduction,
)
from kit.accounting.amounts import plain
from kit.accounting.instruments import spot_base
from kit.base.errors import BadRequest
from kit.execution.client_order_ids import check_request_id
from kit.execution.groups import group_rules
from kit.risk.order_checks import amount
from kit.risk.policy import Policy

PLACE = signed_pb2.OPERATION_PLACE
AMEND = signed_pb2.OPERATION_AMEND
CANCEL = signed_pb2.OPERATION_CANCEL
FLATTEN = signed_pb2.OPERATION_FLATTEN
OPERATIONS = (PLACE, AMEND, CANCEL, FLATTEN)
WITHOUT_TERMS = (CANCEL, FLATTEN)
"""Operations whose content only says where they are done."""
LOCATION_FIELDS = ("venue", "account", "symbol")
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
ENTRY, EXIT = orders_pb2.GROUP_ROLE_ENTRY, orders_pb2.GROUP_ROLE_EXIT

Request = inspector_pb2.SubmitManualRequest


class VenueFacts(Protocol):
    """Queries the venues' processes."""

    async def instrument(self, venue: str, symbol: str) -> types_pb2.Instrument | None:
        """The terms of an instrument; None if they are unknown."""

    async def best_price(self, venue: str, symbol: str, *, is_buy: bool) -> Decimal | None:
        """The best price for a purchase or a sale; None without a good book."""

    async def free_balance(self, venue: str, account: str, asset: str) -> Decimal | None:
        """The free balance of an asset that the venue reported; None if it is unknown."""

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        """An order, or None if it is unknown. Raises NoAnswer and CallRefused."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """Facts about the orders of a request. None: unknown, or not needed."""

    instrument: types_pb2.Instrument | None = None
    best_price: Decimal | None = None
    free: Decimal | None = None
    """Free balance of the base asset that a sale on spot sells."""
    target: orders_pb2.Order | None = None
    """The order to amend."""


def contents(request: Request) -> Sequence[orders_pb2.OrderContent]:
    """The orders of a request."""
    return [request.content, *request.others]


def check(request: Request) -> None:
    """Raises BadRequest and InvalidOrder for an invalid request."""
    check_request_id(request.request_id)
    if request.operation not in OPERATIONS:
        allowed = ", ".join(signed_pb2.Operation.Name(one) for one in OPERATIONS)
        text = f"operation is {request.operation}; allowed is {allowed}"
        raise BadRequest(text, field="operation", value=request.operation, allowed=allowed)
    for name in LOCATION_FIELDS:
        may_be_empty = name == "symbol" and request.operation == FLATTEN
        if not (getattr(request.content, name) or may_be_empty):
            text = f"content.{name} is empty; name the {name} of the order"
            raise BadRequest(text, field=f"content.{name}", value="", allowed="a name")
    if bool(request.target_client_order_id) == (request.operation in (PLACE, FLATTEN)):
        text = "target_client_order_id names the order to amend or to cancel, and no other"
        value = request.target_client_order_id
        allowed = "none for this operation" if value else "a client order id"
        raise BadRequest(text, field="target_client_order_id", value=value, allowed=allowed)
    if request.operation != PLACE:
        if request.others:
            text = "others are placed with content: only OPERATION_PLACE has any"
            raise BadRequest(text, field="others", value=len(request.others), allowed="none")
        if request.operation in WITHOUT_TERMS:
            _check_without_terms(request)
    elif request.others:
        group_rules.check(
            [
                signed_pb2.ApprovedOrder(content=content, request_id=str(place))
                for place, content in enumerate(contents(request))
            ]
        )
    else:
        group_rules.check_alone(request.content)


def _check_without_terms(request: Request) -> None:
    """A cancel that carried a size would look like one of a part of its order."""
    for field, value in request.content.ListFields():
        if field.name not in LOCATION_FIELDS:
            operation = signed_pb2.Operation.Name(request.operation)
            text = f"content.{field.name} is set, and {operation} has no terms: leave it out"
            allowed = f"none; only {', '.join(LOCATION_FIELDS)}"
            raise BadRequest(text, field=f"content.{field.name}", value=value, allowed=allowed)


async def facts(request: Request, venues: VenueFacts) -> OrderFacts:
    """Query the facts that the verdict on a request needs."""
    if request.operation in WITHOUT_TERMS:
        return OrderFacts()
    entry = _entry(request)
    venue, account, symbol = entry.venue, entry.account, entry.symbol
    instrument = await venues.instrument(venue, symbol)
    if request.operation == AMEND:
        try:
            target = await venues.find(venue, account, request.target_client_order_id)
        except (NoAnswer, CallRefused):
            target = None
        if _is_exit(target):
            return OrderFacts(instrument, target=target)
    free, base = None, spot_base(instrument)
    if base and request.operation == PLACE and entry.side == SELL:
        free = await venues.free_balance(venue, account, base)
    best = None
    if entry.side != BUY or None in _stated(request):
        best = await venues.best_price(venue, symbol, is_buy=entry.side == BUY)
    return OrderFacts(instrument, best, free)


def reduction_checks(request: Request, known: OrderFacts) -> Sequence[checks_pb2.Check] | None:
    """The checks of a request that only reduces; None for one that may open a position."""
    # The venue enforces reduce-only, whatever the position is.
    is_labelled = all(content.reduce_only for content in contents(request))
    if request.operation in WITHOUT_TERMS or is_labelled or _is_exit(known.target):
        return []
    size = amount(_entry(request).size)
    if known.free is None or size is None or size > known.free:
        return None
    check = checks_pb2.Check(
        name="free_balance",
        observed=plain(known.free),
        projected=plain(known.free - size),
        unit=spot_base(known.instrument),
        result=NOTED,
        detail="a sale of what the account holds",
    )
    return [check]


def verdict(
    request: Request, policy: Policy, state: RiskState, known: OrderFacts, strategy: str = ""
) -> CheckedVerdict:
    """The verdict on a request. ``strategy``: of the order to amend; "": an order of a person."""
    checks = reduction_checks(request, known)
    if checks is not None:
        return verdict_on_reduction(state, checks)
    entry = _entry(request)
    is_buy = entry.side == BUY
    stated = [known.best_price if price is None else price for price in _stated(request)]
    proposed = ProposedEntry(
        entry.venue,
        entry.account,
        entry.symbol,
        entry.size,
        valued_price(stated, known.best_price, is_buy=is_buy),
        is_of_strategy=False,
        strategy=strategy,
        is_buy=is_buy,
        stated_prices=tuple(stated),
    )
    return verdict_on_entry(policy, state, proposed)


def _entry(request: Request) -> orders_pb2.OrderContent:
    """The order that may open a position; for alternatives, the first."""
    roles = {content.group.role: content for content in contents(request)}
    return roles.get(ENTRY, request.content)


def _is_exit(order: orders_pb2.Order | None) -> bool:
    """Whether an order of the venue's process only closes or reduces a position."""
    if order is None:
        return False
    return order.content.reduce_only or order.content.group.role == EXIT


def _stated(request: Request) -> list[Decimal | None]:
    """The prices of the orders that may open a position."""
    entry = _entry(request)
    members = [entry] if entry.group.role == ENTRY else contents(request)
    return [amount(content.price or content.stop_price) for content in members]
