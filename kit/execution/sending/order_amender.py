"""Amends open orders: size, price, stop price and trailing offset.

As with a new order, an amendment is written to the journal, synced, and sent once. The outcome of
one without a clear verdict is found out by querying the venue for the order.
"""

import asyncio
from decimal import Decimal
from weakref import WeakValueDictionary

from google.protobuf.descriptor import FieldDescriptor
from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import InvalidOrder, NotSupported, RequestIdReused
from kit.execution.approval.verifier import VerifiedOrder, require_verified
from kit.execution.checks.pre_trade_checks import amount
from kit.execution.contract import OrderRequest, RequestAccepted, RequestRejected
from kit.execution.journal.records import Amendment, AmendmentOutcome
from kit.execution.orders import order_states
from kit.execution.orders.amendments import STOP_REACHED, settle_here
from kit.execution.orders.order import Order
from kit.execution.orders.request_reader import digest_of, read_request
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.venue_calls import verdict_of

AMENDED_FIELDS = ("size", "price", "stop_price", "trailing_offset")
AMENDMENTS_MAX = 10_000
"""Of one order: each amendment is kept as long as the order."""


class OrderAmender:
    """Amends the orders of one account."""

    def __init__(
        self, submitter: OrderSubmitter, resolver: OutcomeResolver, place_timeout_s: float
    ) -> None:
        self._submitter = submitter
        self._client = submitter.client
        self._state = submitter.state
        self._journal = submitter.journal
        self._resolver = resolver
        self._timeout_s = place_timeout_s
        self._under_way: WeakValueDictionary[str, asyncio.Task[None]] = WeakValueDictionary()
        """By order key, the amendment that is written or sent."""

    def find(
        self, order: Order, content: orders_pb2.OrderContent, request_id: str
    ) -> Amendment | None:
        """Return the amendment of a request that was made before. Raises RequestIdReused,
        BadRequest."""
        amendment = order.amendments.get(request_id)
        if amendment is not None and amendment.digest == digest_of(content, request_id):
            return amendment
        if amendment is not None or self._submitter.find(content, request_id) is not None:
            text = f"the request id {request_id} belongs to another request"
            raise RequestIdReused(text, request_id=request_id)
        return None

    def check(self, order: Order, content: orders_pb2.OrderContent) -> None:
        """Check whether an order can be amended so. Raises InvalidOrder and NotSupported."""
        _check_unchangeable(order.content, content)
        size = amount("size", content.size)
        if order.group_id and size not in (order.size, Decimal(order.content.size)):
            allowed = f"{plain(order.size)}: in a group only the price is amended"
            raise _invalid_size(content, allowed)
        if (
            order.state not in (order_states.OPEN, order_states.PARTLY_FILLED)
            or order.cancel_requested
        ):
            state = order_states.name_of(order.state)
            text = f"only an open order can be amended; it is {state}"
            raise InvalidOrder(text, field="state", value=state, allowed="OPEN, PARTLY_FILLED")
        if len(order.amendments) >= AMENDMENTS_MAX:
            text = f"the order was amended {AMENDMENTS_MAX} times"
            raise InvalidOrder(text, field="request_id", value="", allowed="a new order")
        self._check_stop(order, content)

    def _check_stop(self, order: Order, content: orders_pb2.OrderContent) -> None:
        """Check a change of the stop price: an order held here can have one until it is triggered,
        one at the venue where the venue amends stop prices."""
        field = _changed_stop(order, content)
        if not field:
            return
        if order.is_triggered:
            value = getattr(content, field)
            raise InvalidOrder(
                STOP_REACHED, field=field, value=value, allowed="as it was", nearest=""
            )
        amends = self._client.capabilities.amends_stop_price and field == "stop_price"
        if not order.held_here and not amends:
            text = f"the venue does not amend the {field} of an order; cancel it and place another"
            raise NotSupported(text, service="TradeFlow", wanted=field)

    async def amend(self, order: Order, verified: VerifiedOrder) -> None:
        """Amend an order with terms that have passed the checks; once for each request id. Raises
        ApprovalRejected for an approval of another order, and StoreUnavailable; nothing was sent
        then. ``raise_if_rejected`` has the outcome."""
        require_verified(verified, signed_pb2.OPERATION_AMEND, order.key)
        while await self.wait_for_turn(order):
            pass
        if self.find(order, verified.content, verified.request_id) is None:
            task = self._submitter.tasks.start(self._amend(order, verified))
            self._under_way[order.key] = task
            await asyncio.shield(task)

    async def wait_for_turn(self, order: Order) -> bool:
        """Wait until no amendment of an order is written or sent. Returns whether there was one:
        what was checked before may not hold any more."""
        task = self._under_way.get(order.key)
        if task is None or task.done():
            return False
        await asyncio.wait([task])
        return True

    def raise_if_rejected(self, order: Order, request_id: str) -> None:
        """Raises InvalidOrder with the reason for an amendment that was rejected or lapsed."""
        amendment = order.amendments[request_id]
        if amendment.outcome in (AmendmentOutcome.REJECTED, AmendmentOutcome.LAPSED):
            text = f"it was not amended: {amendment.detail}"
            raise InvalidOrder(text, field="content", value="", allowed=amendment.detail)

    async def _amend(self, order: Order, verified: VerifiedOrder) -> None:
        approved = verified.approved
        content, request_id = approved.content, approved.request_id
        self.check(order, content)
        request = read_request(content, order.client_order_id)
        request = self._submitter.requests.labelled(order, request)
        if order.group_id:
            # The group sets the size of its orders, and may have reduced it meanwhile.
            request = structs.replace(request, size=order.size)
        was_held_here = order.held_here
        amendment = Amendment(
            key=order.key,
            request_id=request_id,
            digest=digest_of(content, request_id),
            size=request.size,
            price=request.price,
            outcome=AmendmentOutcome.PENDING,
            detail="",
            stop_price=request.stop_price,
            trailing_offset=request.trailing_offset,
            key_id=approved.key_id,
            signature=approved.signature,
            fencing_epoch=approved.fencing_epoch,
            approval_expires_time_ns=approved.expires_time_ns,
        )
        await self._journal.commit(amendment)
        self._state.record_amendment(order, amendment)
        if order.held_here:
            settle_here(self._state, order)
            await self._journal.commit()
        elif was_held_here:
            self._end(order, amendment, AmendmentOutcome.LAPSED, "it was sent meanwhile")
        else:
            try:
                await self._send(order, request, amendment)
            finally:
                # Before that, no answer of the venue shows the outcome.
                order.amendments_sent_ns[request_id] = self._submitter.clock.monotonic_ns()

    async def _send(self, order: Order, request: OrderRequest, amendment: Amendment) -> None:
        rejected = None
        if request.price != order.price:
            # An amendment carries no self-trade prevention.
            amended = structs.replace(order.venue_request(), price=request.price)
            rejected = await self._submitter.self_trades.clear(order, amended)
        if order.is_final:
            self._end(order, amendment, AmendmentOutcome.LAPSED, "the order has ended")
            return
        if rejected is not None:
            self._end(order, amendment, AmendmentOutcome.REJECTED, rejected.detail)
            return
        left_ns = amendment.approval_expires_time_ns - self._submitter.clock.time_ns()
        if amendment.approval_expires_time_ns:
            within_s = max(1, left_ns) / NANOSECONDS_PER_SECOND
            request = structs.replace(request, send_within_s=within_s)
        call = self._client.amend(order.venue_key, request, order.priority)
        verdict = await verdict_of(call, self._timeout_s)
        if isinstance(verdict, RequestAccepted):
            self._state.set_venue_order_id(order, verdict.venue_order_id)
            if self._client.capabilities.amends_later:
                # The venue's stream or a query says whether it was done.
                self._resolver.watch(order)
                return
            self._end(order, amendment, AmendmentOutcome.DONE)
            if verdict.order is not None:
                self._state.apply_order(verdict.order)
        elif isinstance(verdict, RequestRejected):
            self._end(order, amendment, AmendmentOutcome.REJECTED, verdict.detail)
        else:
            self._resolver.watch(order)

    def _end(
        self, order: Order, amendment: Amendment, outcome: AmendmentOutcome, detail: str = ""
    ) -> None:
        self._state.record_amendment(order, amendment.ended(outcome, detail))


def check_size(order: Order, size: Decimal, content: orders_pb2.OrderContent) -> None:
    """Check that an amended size is more than what is filled. Raises InvalidOrder."""
    if size <= order.filled_size:
        raise _invalid_size(content, f"more than the {plain(order.filled_size)} that are filled")


def _invalid_size(content: orders_pb2.OrderContent, allowed: str) -> InvalidOrder:
    text = f"size is {content.size!r}; allowed is {allowed}"
    return InvalidOrder(text, field="size", value=content.size, allowed=allowed, nearest="")


def _check_unchangeable(before: orders_pb2.OrderContent, after: orders_pb2.OrderContent) -> None:
    """Check that only fields change that an amendment can change. Raises InvalidOrder."""
    for field in before.DESCRIPTOR.fields:
        name = field.name
        if name in AMENDED_FIELDS or getattr(before, name) == getattr(after, name):
            continue
        value, allowed = _shown(after, field), _shown(before, field)
        text = f"{name} is {value!r}; allowed is {allowed!r}, as it was: an amendment changes only "
        text += f"{', '.join(AMENDED_FIELDS)}. Cancel the order and place another one"
        raise InvalidOrder(text, field=name, value=value, allowed=allowed, nearest=allowed)


def _shown(content: orders_pb2.OrderContent, field: FieldDescriptor) -> str:
    value = getattr(content, field.name)
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    return " ".join(str(value).split())[:80]


def _changed_stop(order: Order, content: orders_pb2.OrderContent) -> str:
    """The stop field that would change: "stop_price", "trailing_offset", or "" for none."""
    for field in ("stop_price", "trailing_offset"):
        text = getattr(content, field)
        if bool(text) != (getattr(order, field) is not None):
            # Whether the type has this field is part of the other checks.
            continue
        if text and Decimal(text) != getattr(order, field):
            return field
    return ""
