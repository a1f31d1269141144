"""One order in memory, and how it is told."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.execution import amounts
from kit.execution.amounts import ZERO
from kit.execution.approval import plain, statement
from kit.execution.contract import OrderKey, OrderRequest, OrderState, RejectReason, VenueFill
from kit.execution.journal.records import Amending, Filled, Stood
from kit.execution.orders import states

TURNS = (orders_pb2.GROUP_ROLE_ALTERNATIVE, orders_pb2.GROUP_ROLE_EXIT)


class Outcome(StrEnum):
    """What has become of an amendment."""

    WANTED = "wanted"
    """It may have been done or not."""
    DONE = "done"
    REFUSED = "refused"
    LAPSED = "lapsed"
    """The order ended before."""


@dataclass(slots=True)
class Order:
    """An order. Changed by the ledger only."""

    key: str
    """The client order id; of one placed elsewhere without an id of ours, another text."""
    client_order_id: str
    content: orders_pb2.OrderContent
    """As it was asked for. What an amendment can change stands below."""
    created_time_ns: int
    size: Decimal
    price: Decimal | None
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    request_id: str = ""
    digest: bytes = b""
    approval_ends_ns: int = 0
    external: bool = False
    kept_here: bool = False
    """Whether it was to wait here for its stop price."""
    held: bool = False
    """Whether it does so still."""
    venue_order_id: str = ""
    state: OrderState = states.INTENDED
    filled_told: Decimal = ZERO
    """What the venue said last of how much is filled; its fills may come later."""
    average_told: Decimal | None = None
    reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
    detail: str = ""
    cancel_wanted: bool = False
    venue_time_ns: int = 0
    updated_time_ns: int = 0
    best_price: Decimal | None = None
    is_triggered: bool = False
    """Whether the stop price of one that is held was reached."""
    is_leaving: bool = False
    """Whether the journal was given that it is being sent, while it stands here as before."""
    group_id: str = ""
    """Of the orders that it was placed with; empty when it stands alone."""
    awaits_terms: bool = False
    """Whether the venue has not yet told the size and prices of the last amendment: what it tells
    of them may be from before."""
    terms_time_ns: int = 0
    """When the last amendment was done, as our clock says."""
    told_size: Decimal = ZERO
    """Size and prices as the venue said last when it was asked; not in the journal."""
    told_price: Decimal | None = None
    told_stop_price: Decimal | None = None
    fills: dict[str, Filled] = field(default_factory=dict)
    """By fill id."""
    fill_size: Decimal = ZERO
    fill_value: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    amendments: dict[str, Amending] = field(default_factory=dict)
    """By request id."""

    @property
    def symbol(self) -> str:
        """Native symbol."""
        return self.content.symbol

    @property
    def takes_turns(self) -> bool:
        """Whether it is one of those of a group of which only one may be at the venue."""
        return self.content.group.role in TURNS

    @property
    def is_final(self) -> bool:
        """Whether its state changes no more."""
        return self.state in states.FINAL

    @property
    def filled(self) -> Decimal:
        """How much of it is filled."""
        return max(self.filled_told, self.fill_size)

    @property
    def is_amending(self) -> bool:
        """Whether its size and price are in doubt."""
        return any(one.outcome == Outcome.WANTED for one in self.amendments.values())

    @property
    def lacks_fills(self) -> bool:
        """Whether the venue has said that more is filled than its fills make."""
        return self.filled_told > self.fill_size

    @property
    def is_full(self) -> bool:
        """Whether its fills are as much as it is to be."""
        return self.fill_size >= self.size

    @property
    def was_at_venue(self) -> bool:
        """Whether the venue is known to have had it."""
        return bool(
            self.venue_order_id or self.fills or self.filled_told or self.state in states.AT_VENUE
        )

    @property
    def venue_key(self) -> OrderKey:
        """By which the venue finds it."""
        return OrderKey(self.symbol, self.client_order_id, self.venue_order_id)

    def add(self, fill: Filled) -> None:
        """Count a fill that is new."""
        self.fills[fill.fill_id] = fill
        self.fill_size = amounts.add(self.fill_size, fill.size)
        value = amounts.product(fill.price, fill.size)
        self.fill_value = amounts.add(self.fill_value, value)
        for asset, amount in fill.fees:
            self.fees[asset] = amounts.add(self.fees.get(asset, ZERO), amount)

    def recount(self, before: Filled, after: Filled) -> None:
        """The fees of a fill are other ones."""
        self.fills[after.fill_id] = after
        for asset, amount in before.fees:
            self.fees[asset] = amounts.subtract(self.fees[asset], amount)
        for asset, amount in after.fees:
            self.fees[asset] = amounts.add(self.fees.get(asset, ZERO), amount)

    def stood(self) -> Stood:
        """As it is, for the journal."""
        return Stood(
            key=self.key,
            venue_order_id=self.venue_order_id,
            state=int(self.state),
            size=self.size,
            price=self.price,
            filled_told=self.filled_told,
            average_told=self.average_told,
            reason=int(self.reason),
            detail=self.detail,
            held=self.held,
            cancel_wanted=self.cancel_wanted,
            venue_time_ns=self.venue_time_ns,
            updated_time_ns=self.updated_time_ns,
            best_price=self.best_price,
            is_triggered=self.is_triggered,
            stop_price=self.stop_price,
            trailing_offset=self.trailing_offset,
        )

    def restore(self, stood: Stood) -> None:
        """As it was."""
        self.venue_order_id = stood.venue_order_id
        self.state = orders_pb2.OrderState.ValueType(stood.state)
        self.size, self.price = stood.size, stood.price
        self.filled_told, self.average_told = stood.filled_told, stood.average_told
        self.reason = orders_pb2.RejectReason.ValueType(stood.reason)
        self.detail = stood.detail
        self.held, self.cancel_wanted = stood.held, stood.cancel_wanted
        self.venue_time_ns, self.updated_time_ns = stood.venue_time_ns, stood.updated_time_ns
        self.best_price, self.is_triggered = stood.best_price, stood.is_triggered
        if stood.stop_price is not None:
            self.stop_price = stood.stop_price
        if stood.trailing_offset is not None:
            self.trailing_offset = stood.trailing_offset

    def amend(self, amending: Amending) -> None:
        """An amendment was done: it is so from now on."""
        self.size, self.price = amending.size, amending.price
        if amending.stop_price is not None:
            self.stop_price = amending.stop_price
        if amending.trailing_offset is not None:
            self.trailing_offset = amending.trailing_offset
        self.awaits_terms = True

    def is_told_as(self, amending: Amending) -> bool:
        """Whether the venue has it as an amendment wants it. Where that leaves the stop price as it
        is, it need not be told: a venue may not tell it of a stop whose price was reached."""
        told = self.told_size, self.told_price
        stop_prices = None, self.stop_price, self.told_stop_price
        return told == (amending.size, amending.price) and amending.stop_price in stop_prices

    def terms(self) -> orders_pb2.OrderContent:
        """What is wanted, as amendments have changed it."""
        content = orders_pb2.OrderContent()
        content.CopyFrom(self.content)
        content.size = plain(self.size)
        content.price = _text(self.price)
        content.stop_price = _text(self.stop_price)
        content.trailing_offset = _text(self.trailing_offset)
        return content

    def message(self) -> orders_pb2.Order:
        """As the contract tells it."""
        return orders_pb2.Order(
            content=self.terms(),
            request_id=self.request_id,
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            state=self.state,
            filled_size=plain(self.filled),
            average_price=self._average(),
            fees=[
                orders_pb2.Fee(asset=asset, amount=plain(amount))
                for asset, amount in sorted(self.fees.items())
                if amount
            ],
            reject_reason=self.reason,
            detail=self.detail,
            held_here=self.held,
            external=self.external,
            created_time_ns=self.created_time_ns,
            updated_time_ns=self.updated_time_ns,
        )

    def _average(self) -> str:
        if self.lacks_fills and self.average_told is not None:
            return plain(self.average_told)
        return plain(amounts.mean(self.fill_value, self.fill_size)) if self.fill_size else ""


def digest_of(content: orders_pb2.OrderContent, request_id: str) -> bytes:
    """Of what is wanted: amounts in other digits are the same. Raises ApprovalRefused for what
    cannot be signed."""
    plainly = signed_pb2.ApprovedOrder(content=content, request_id=request_id)
    return hashlib.sha256(statement(plainly)).digest()


def wish_of(
    client_order_id: str,
    content: orders_pb2.OrderContent,
    size: Decimal | None = None,
    price: Decimal | None = None,
) -> OrderRequest:
    """As a venue is to get it. ``content`` has passed the checks; size and price in place of its
    own."""
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=content.symbol,
        side=content.side,
        type=content.type,
        size=size if size is not None else Decimal(content.size),
        price=price if price is not None else given(content.price),
        stop_price=given(content.stop_price),
        trailing_offset=given(content.trailing_offset),
        time_in_force=time_in_force_of(content),
        expire_time_ns=content.expire_time_ns,
        post_only=content.post_only,
        reduce_only=content.reduce_only,
    )


def time_in_force_of(content: orders_pb2.OrderContent) -> "orders_pb2.TimeInForce.ValueType":
    """What is meant where none is said."""
    if content.time_in_force != orders_pb2.TIME_IN_FORCE_UNSPECIFIED:
        return content.time_in_force
    if content.type == orders_pb2.ORDER_TYPE_MARKET:
        return orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    return orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL


def fill_message(venue: str, account: str, fill: Filled) -> orders_pb2.Fill:
    """As the contract tells it: of several fees the first; the order has all."""
    asset, amount = fill.fees[0] if fill.fees else ("", ZERO)
    return orders_pb2.Fill(
        venue=venue,
        account=account,
        symbol=fill.symbol,
        fill_id=fill.fill_id,
        client_order_id=fill.client_order_id,
        venue_order_id=fill.venue_order_id,
        side=fill.side,  # type: ignore[arg-type]  # as the venue said it
        price=plain(fill.price),
        size=plain(fill.size),
        fee=orders_pb2.Fee(asset=asset, amount=plain(amount)) if asset else None,
        liquidity=fill.liquidity,  # type: ignore[arg-type]  # as the venue said it
        venue_time_ns=fill.venue_time_ns,
        received_time_ns=fill.received_time_ns,
    )


def filled_of(entry: Order, news: VenueFill, received_time_ns: int) -> Filled:
    """A fill for the journal."""
    return Filled(
        key=entry.key,
        symbol=news.symbol,
        fill_id=news.fill_id,
        venue_order_id=news.venue_order_id or entry.venue_order_id,
        client_order_id=entry.client_order_id,
        side=int(news.side),
        price=news.price,
        size=news.size,
        fees=tuple((paid.asset, paid.amount) for paid in news.fees),
        liquidity=int(news.liquidity),
        venue_time_ns=news.venue_time_ns,
        received_time_ns=received_time_ns,
    )


def given(text: str) -> Decimal | None:
    """An amount of a content; None where it has none."""
    return Decimal(text) if text else None


def _text(amount: Decimal | None) -> str:
    return plain(amount) if amount is not None else ""
