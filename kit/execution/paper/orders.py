"""Paper orders, and their forms for the account and for the disk."""

from dataclasses import dataclass, field
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from kit.accounting.amounts import ZERO, add, product, subtract
from kit.accounting.average_prices import average_price, fill_weight
from kit.execution.cash_flows import VenueCashFlow
from kit.execution.contract import (
    Fee,
    OrderRequest,
    OrderState,
    RejectReason,
    VenueFill,
    VenueOrder,
)
from kit.execution.order_types import IMMEDIATE
from kit.execution.orders import order_states
from kit.execution.paper.instrument_terms import PaperInstrumentTerms
from kit.execution.paper.queue_position import QueuePosition
from kit.execution.paper.records import PaperCashFlowRecord, PaperFillRecord, PaperOrderRecord

PREFIX = "paper-"
"""Prefix of order and fill ids, so that they cannot be taken for a real venue's."""
WAITS = "the book is in doubt: the order waits for it"


class PaperOrderRejected(Exception):
    """A request is rejected; nothing has changed."""

    def __init__(self, reason: RejectReason, words: str) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words


@dataclass(slots=True, eq=False)
class PaperOrder:
    """An ``OrderRequest`` at the simulated venue: what the venue alone knows of it, such as its
    queue position and reserved funds. ``as_venue_order`` is what the account sees."""

    number: int
    request: OrderRequest
    """What the client asks for, with all amendments."""
    terms: PaperInstrumentTerms
    created_time_ns: int
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price times size of its fills."""
    inverse_weight: Decimal = ZERO
    """Sum of the fills' weights for the average price; only of an inverse contract."""
    reserved: int = 0
    """Reserved atoms of the asset that it pays with; of a derivative, the atoms of value that count
    for margin."""
    state: OrderState = orders_pb2.ORDER_STATE_OPEN
    reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
    detail: str = ""
    updated_time_ns: int = 0
    is_new: bool = True
    """Whether it has not entered the book yet."""
    queue: QueuePosition | None = field(default=None)
    """None: not in the book yet, or unknown after a restart."""
    joined_time_ns: int = 0
    """The venue's time of the book that it joined. Earlier trades do not reach it."""

    @property
    def symbol(self) -> str:
        return self.terms.symbol

    @property
    def buys(self) -> bool:
        """Whether it buys; otherwise it sells."""
        return self.request.buys

    @property
    def price(self) -> Decimal | None:
        """Its limit price; None for a market order."""
        return self.request.price

    @property
    def left(self) -> Decimal:
        """The size that is not filled."""
        return subtract(self.request.size, self.filled)

    @property
    def is_final(self) -> bool:
        """Whether it can no longer change."""
        return self.state in order_states.FINAL

    @property
    def rests(self) -> bool:
        """Whether the part that is not filled at once rests in the book."""
        return self.price is not None and self.request.time_in_force not in IMMEDIATE

    @property
    def average_price(self) -> Decimal | None:
        """The average price of its fills, or None before the first. It is the harmonic mean
        of an inverse contract's prices."""
        if not self.filled:
            return None
        is_inverse = self.inverse_weight > ZERO
        weight = self.inverse_weight if is_inverse else self.value
        return average_price(weight, self.filled, is_inverse=is_inverse)

    def add_fill(self, price: Decimal, size: Decimal, time_ns: int) -> None:
        self.filled = add(self.filled, size)
        self.value = add(self.value, product(price, size))
        if self.terms.contract.is_inverse:
            weight = fill_weight(price, size, is_inverse=True)
            self.inverse_weight = add(self.inverse_weight, weight)
        self.updated_time_ns = time_ns
        is_filled = self.left <= ZERO
        partly, filled = orders_pb2.ORDER_STATE_PARTLY_FILLED, orders_pb2.ORDER_STATE_FILLED
        self.state = filled if is_filled else partly

    @property
    def rank(self) -> tuple[Decimal, int]:
        """Priority among orders of one side: by price, then by age; the smaller rank is first."""
        price = self.price or ZERO
        return (-price if self.buys else price, self.number)

    def reaches(self, price: Decimal) -> bool:
        """Whether its limit allows a price."""
        if self.price is None:
            return True
        return price <= self.price if self.buys else price >= self.price

    def as_venue_order(self) -> VenueOrder:
        """Return the order as a venue reports it."""
        waits = self.is_new and not self.is_final
        return VenueOrder(
            symbol=self.symbol,
            venue_order_id=f"{PREFIX}{self.number}",
            client_order_id=self.request.client_order_id,
            side=self.request.side,
            type=self.request.type,
            size=self.request.size,
            price=self.price,
            state=orders_pb2.ORDER_STATE_ACKNOWLEDGED if waits else self.state,
            filled_size=self.filled,
            average_price=self.average_price,
            venue_time_ns=self.updated_time_ns,
            reject_reason=self.reason,
            detail=WAITS if waits else self.detail,
        )

    def record(self) -> PaperOrderRecord:
        request = self.request
        return PaperOrderRecord(
            number=self.number,
            client_order_id=request.client_order_id,
            symbol=self.symbol,
            side=request.side,
            type=request.type,
            size=request.size,
            price=request.price,
            time_in_force=request.time_in_force,
            expire_time_ns=request.expire_time_ns,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            state=self.state,
            reason=self.reason,
            detail=self.detail,
            filled=self.filled,
            value=self.value,
            is_new=self.is_new,
            created_time_ns=self.created_time_ns,
            updated_time_ns=self.updated_time_ns,
            inverse_weight=self.inverse_weight,
        )


def order_of(record: PaperOrderRecord, terms: PaperInstrumentTerms) -> PaperOrder:
    """Return the order of a record. Its queue position is lost."""
    request = OrderRequest(
        client_order_id=record.client_order_id,
        symbol=record.symbol,
        side=types_pb2.Side.ValueType(record.side),
        type=orders_pb2.OrderType.ValueType(record.type),
        size=record.size,
        price=record.price,
        time_in_force=orders_pb2.TimeInForce.ValueType(record.time_in_force),
        expire_time_ns=record.expire_time_ns,
        post_only=record.post_only,
        reduce_only=record.reduce_only,
    )
    return PaperOrder(
        number=record.number,
        request=request,
        terms=terms,
        created_time_ns=record.created_time_ns,
        filled=record.filled,
        value=record.value,
        inverse_weight=record.inverse_weight,
        state=orders_pb2.OrderState.ValueType(record.state),
        reason=orders_pb2.RejectReason.ValueType(record.reason),
        detail=record.detail,
        updated_time_ns=record.updated_time_ns,
        is_new=record.is_new,
    )


def venue_fill(record: PaperFillRecord) -> VenueFill:
    """Return a fill as a venue reports it."""
    maker, taker = orders_pb2.LIQUIDITY_MAKER, orders_pb2.LIQUIDITY_TAKER
    return VenueFill(
        symbol=record.symbol,
        fill_id=f"{PREFIX}{record.number}",
        venue_order_id=f"{PREFIX}{record.order_number}",
        client_order_id=record.client_order_id,
        side=types_pb2.SIDE_BUY if record.buys else types_pb2.SIDE_SELL,
        price=record.price,
        size=record.size,
        fees=(Fee(record.fee_asset, record.fee),) if record.fee else (),
        liquidity=maker if record.is_maker else taker,
        venue_time_ns=record.time_ns,
    )


def cash_flow_of(record: PaperCashFlowRecord) -> VenueCashFlow:
    """Return a change of a balance as a venue reports it."""
    return VenueCashFlow(
        cash_flow_id=f"{PREFIX}{record.number}",
        kind=cash_flows_pb2.CashFlowKind.ValueType(record.kind),
        symbol=record.symbol,
        asset=record.asset,
        amount=record.amount,
        venue_time_ns=record.time_ns,
    )
