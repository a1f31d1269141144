"""One order in memory: what was requested, what the venue reported, and its fills."""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import EXACT, ZERO
from kit.accounting.average_prices import average_price, fill_weight
from kit.accounting.instruments import is_inverse
from kit.accounting.stop_triggers import trailing_price
from kit.base.request_budget import Priority
from kit.execution.contract import (
    OrderKey,
    OrderRequest,
    OrderState,
    OrderType,
    RejectReason,
    Side,
)
from kit.execution.journal.records import (
    Amendment,
    AmendmentOutcome,
    OrderFill,
    OrderIntent,
    OrderUpdate,
)
from kit.execution.order_types import TRIGGERED_TYPES, is_protective
from kit.execution.orders import order_states
from kit.execution.prices.reference_prices import FindInstrument, not_listed

DETAIL_CHARS_MAX = 2000
"""Of a venue's text in the journal. A record that is too large is not written at all."""
ONE_AT_VENUE = (orders_pb2.GROUP_ROLE_ALTERNATIVE, orders_pb2.GROUP_ROLE_EXIT)


@dataclass(slots=True)
class Order:
    """An order of the account. Only ``AccountState`` and the submitter change it."""

    key: str
    """The client order id; another unique text for an external order without one."""
    request: OrderRequest
    """The current terms: as requested, with all amendments done."""
    content: orders_pb2.OrderContent
    """The content as requested. Amendments do not change it."""
    created_time_ns: int
    request_id: str = ""
    digest: bytes = b""
    approval_expires_time_ns: int = 0
    key_id: str = ""
    """The key that approved it; empty for external orders and in journals of older versions."""
    signature: bytes = b""
    fencing_epoch: int = 0
    is_reduction: bool = False
    """Whether it was found to reduce only what is held, when it was placed."""
    external: bool = False
    was_held_here: bool = False
    """Whether it was placed to be held here, for its stop price or its turn in a group."""
    held_here: bool = False
    """Whether it still is."""
    venue_order_id: str = ""
    state: OrderState = order_states.INTENDED
    reported_filled_size: Decimal = ZERO
    """The filled size that the venue reported last; the fills may arrive later."""
    reported_average_price: Decimal | None = None
    reject_reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
    detail: str = ""
    is_end_proven: bool = False
    """Whether a report of the venue, or fills of the whole size, ended it. Not in the journal."""
    cancel_requested: bool = False
    cancel_requested_by: str = ""
    """Who asked first for its cancel, and by which right; empty if this process did."""
    is_without_position: bool = False
    """Whether a stop that only reduces has ended and there was no position for it to reduce."""
    venue_time_ns: int = 0
    updated_time_ns: int = 0
    best_price: Decimal | None = None
    """Of a trailing stop that is held here: the best price since it was placed."""
    is_triggered: bool = False
    """Whether the stop price of an order held here was reached."""
    is_sending: bool = False
    """Whether the journal was given its ``OrderSent``, while its state is still the one before."""
    is_passed_on: bool = False
    """Whether this process gave it to the execution client, while its state may still be the one
    before."""
    awaits_amended_terms: bool = False
    """Whether the venue has not yet reported the terms of the last amendment: the terms in its
    updates may be older."""
    amended_monotonic_ns: int = 0
    """When the last amendment was done, or this process began, by a clock that never jumps."""
    amendments_sent_ns: dict[str, int] = field(default_factory=dict)
    """By request id, since when nothing more of an amendment is sent, by the same clock. One
    without a time is being sent. Not in the journal."""
    fills: dict[str, OrderFill] = field(default_factory=dict)
    """By fill id."""
    fill_size: Decimal = ZERO
    fill_weight: Decimal = ZERO
    """Sum of the fills' weights for the average price, without ``unweighted_fills``."""
    unweighted_fills: list[OrderFill] = field(default_factory=list)
    """Fills that were not weighted yet: their weights depend on the instrument, which may be listed
    later."""
    find_instrument: FindInstrument = field(default=not_listed, repr=False, compare=False)
    fees: dict[str, Decimal] = field(default_factory=dict)
    amendments: dict[str, Amendment] = field(default_factory=dict)
    """By request id."""

    @property
    def client_order_id(self) -> str:
        """The id that the venue was given; empty for an external order without one."""
        return self.request.client_order_id

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def buys(self) -> bool:
        return self.request.buys

    @property
    def type(self) -> OrderType:
        return self.request.type

    @property
    def size(self) -> Decimal:
        return self.request.size

    @property
    def price(self) -> Decimal | None:
        return self.request.price

    @property
    def stop_price(self) -> Decimal | None:
        return self.request.stop_price

    @property
    def trailing_price(self) -> Decimal | None:
        """The trigger price of a trailing stop that is held here; None before the first price."""
        if self.best_price is None or self.trailing_offset is None:
            return None
        with localcontext(EXACT):
            return trailing_price(self.best_price, self.trailing_offset, self.buys)

    @property
    def trailing_offset(self) -> Decimal | None:
        """The current distance of a trailing stop."""
        return self.request.trailing_offset

    @property
    def group_id(self) -> str:
        """The group that it was placed with; empty when it has none."""
        return self.content.group.group_id

    @property
    def is_protective(self) -> bool:
        """Whether it limits a loss, by its content as requested: it reduces only, is a stop or a
        take-profit, or is an exit of a group; or it was taken as a reduction. All others are
        entries."""
        return self.is_reduction or is_protective(self.content)

    @property
    def priority(self) -> Priority:
        """The priority with which it is placed and amended."""
        return Priority.PROTECT if self.is_protective else Priority.NEW

    @property
    def takes_turns(self) -> bool:
        """Whether it is an alternative or an exit: of these, one at a time is at the venue."""
        return self.content.group.role in ONE_AT_VENUE

    @property
    def is_final(self) -> bool:
        """Whether it has ended. Only a report of the venue that it is open changes that."""
        return self.state in order_states.FINAL

    @property
    def filled_size(self) -> Decimal:
        """How much of it is filled, by the venue's report or by its fills."""
        return max(self.reported_filled_size, self.fill_size)

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of its fills: of an inverse contract the harmonic mean. The venue's while
        fills are missing or the instrument is not known. None without fills, or if neither is
        known."""
        if self.lacks_fills and self.reported_average_price is not None:
            return self.reported_average_price
        if not self.fill_size:
            return None
        instrument = self.find_instrument(self.symbol)
        if instrument is None:
            return self.reported_average_price
        inverse = is_inverse(instrument)
        for fill in self.unweighted_fills:
            weight = fill_weight(fill.price, fill.size, is_inverse=inverse)
            self.fill_weight = amounts.add(self.fill_weight, weight)
        self.unweighted_fills.clear()
        return average_price(self.fill_weight, self.fill_size, is_inverse=inverse)

    @property
    def is_amending(self) -> bool:
        """Whether the outcome of an amendment is not known yet."""
        return bool(self.pending_amendments)

    @property
    def pending_amendments(self) -> list[Amendment]:
        """The amendments whose outcome is not known yet."""
        amendments = self.amendments.values()
        return [one for one in amendments if one.outcome == AmendmentOutcome.PENDING]

    @property
    def lacks_fills(self) -> bool:
        """Whether the venue reported more as filled than its fills add up to."""
        return self.reported_filled_size > self.fill_size

    @property
    def is_full(self) -> bool:
        """Whether its fills add up to its size."""
        return self.fill_size >= self.size

    @property
    def was_at_venue(self) -> bool:
        """Whether the venue is known to have had it."""
        return bool(
            self.venue_order_id
            or self.fills
            or self.reported_filled_size
            or self.state in order_states.AT_VENUE
        )

    @property
    def venue_key(self) -> OrderKey:
        """The ids by which the venue finds it."""
        ids = self.symbol, self.client_order_id, self.venue_order_id
        return OrderKey(*ids, placed_time_ns=0 if self.external else self.created_time_ns)

    def venue_request(self) -> OrderRequest:
        """Return the request to send to the venue: a stop that was triggered here is sent as the
        market or limit order that it became."""
        request = self.request
        if not (self.was_held_here and self.is_triggered and request.type in TRIGGERED_TYPES):
            return request
        kind = TRIGGERED_TYPES[request.type]
        time_in_force = request.time_in_force
        if kind == orders_pb2.ORDER_TYPE_MARKET:
            time_in_force = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
        return structs.replace(
            request, type=kind, stop_price=None, trailing_offset=None, time_in_force=time_in_force
        )

    def add_fill(self, fill: OrderFill) -> None:
        self.fills[fill.fill_id] = fill
        self.fill_size = amounts.add(self.fill_size, fill.size)
        self.unweighted_fills.append(fill)
        for asset, amount in fill.fees:
            self.fees[asset] = amounts.add(self.fees.get(asset, ZERO), amount)

    def replace_fees(self, before: OrderFill, after: OrderFill) -> None:
        """Count other fees for a fill that is known."""
        self.fills[after.fill_id] = after
        for asset, amount in before.fees:
            self.fees[asset] = amounts.subtract(self.fees[asset], amount)
        for asset, amount in after.fees:
            self.fees[asset] = amounts.add(self.fees.get(asset, ZERO), amount)

    def was_filled_by(self, amendment: Amendment) -> bool:
        """Whether it was filled with the size of an amendment, which so was done."""
        is_filled = self.state == order_states.FILLED and self.filled_size == amendment.size
        return is_filled and self.size != amendment.size

    def amend(self, amendment: Amendment) -> None:
        """Take over the terms of an amendment that was done."""
        stop_price, offset = amendment.stop_price, amendment.trailing_offset
        self.set_terms(amendment.size, amendment.price, stop_price, offset)
        self.awaits_amended_terms = True

    def set_terms(
        self,
        size: Decimal,
        price: Decimal | None,
        stop_price: Decimal | None,
        trailing_offset: Decimal | None = None,
    ) -> None:
        """Set size and price; a stop price or an offset of None leaves that as it is."""
        self.request = structs.replace(
            self.request,
            size=size,
            price=price,
            stop_price=self.stop_price if stop_price is None else stop_price,
            trailing_offset=self.trailing_offset if trailing_offset is None else trailing_offset,
        )

    def request_cancel(self, requested_by: str = "") -> None:
        """Note that its cancel was asked for; by whom, the first time."""
        if not self.cancel_requested:
            self.cancel_requested, self.cancel_requested_by = True, requested_by

    def intent(self) -> OrderIntent:
        """The order as requested, for the journal."""
        return OrderIntent(
            key=self.key,
            request_id=self.request_id,
            digest=self.digest,
            content=self.content.SerializeToString(),
            created_time_ns=self.created_time_ns,
            approval_expires_time_ns=self.approval_expires_time_ns,
            held_here=self.was_held_here,
            key_id=self.key_id,
            signature=self.signature,
            fencing_epoch=self.fencing_epoch,
            is_reduction=self.is_reduction,
        )

    def update(self) -> OrderUpdate:
        """All that has changed of the order, for the journal."""
        return OrderUpdate(
            key=self.key,
            venue_order_id=self.venue_order_id,
            state=int(self.state),
            size=self.size,
            price=self.price,
            reported_filled_size=self.reported_filled_size,
            reported_average_price=self.reported_average_price,
            reject_reason=int(self.reject_reason),
            detail=self.detail[:DETAIL_CHARS_MAX],
            held_here=self.held_here,
            cancel_requested=self.cancel_requested,
            venue_time_ns=self.venue_time_ns,
            updated_time_ns=self.updated_time_ns,
            best_price=self.best_price,
            is_triggered=self.is_triggered,
            stop_price=self.stop_price,
            trailing_offset=self.trailing_offset,
            cancel_requested_by=self.cancel_requested_by,
            is_without_position=self.is_without_position,
        )

    def restore(self, update: OrderUpdate) -> None:
        """Take over a record of the journal."""
        self.venue_order_id = update.venue_order_id
        self.state = orders_pb2.OrderState.ValueType(update.state)
        self.set_terms(update.size, update.price, update.stop_price, update.trailing_offset)
        self.reported_filled_size = update.reported_filled_size
        self.reported_average_price = update.reported_average_price
        self.reject_reason = orders_pb2.RejectReason.ValueType(update.reject_reason)
        self.detail = update.detail
        self.held_here, self.cancel_requested = update.held_here, update.cancel_requested
        self.cancel_requested_by = update.cancel_requested_by
        self.is_without_position = update.is_without_position
        self.venue_time_ns, self.updated_time_ns = update.venue_time_ns, update.updated_time_ns
        self.best_price, self.is_triggered = update.best_price, update.is_triggered
