"""Orders and fills inside the matching engine. Prices count ticks, sizes count lots."""

from decimal import Decimal

import msgspec

from kit.execution.order_types import IMMEDIATE
from kit.simulator.matching.contract import (
    BookingCause,
    OrderStatus,
    OrderTicket,
    RejectCode,
    SelfTradeMode,
)

BACKGROUND = ""
"""The account of the background order flow."""
WEIGHT_SCALE: int = 10**36
WEIGHT_UNIT = Decimal(WEIGHT_SCALE)
"""Of ``MatchingOrder.inverse_weight``."""
# A member of an enum takes longer to look up than to use.
OPEN, ALLOW = OrderStatus.OPEN, SelfTradeMode.ALLOW


class MatchingOrder(msgspec.Struct, eq=False, gc=False):
    """A mutable order, compared by identity. A level's lots of the background order flow are an
    order as well. It refers to no account or book, so the garbage collector need not visit it."""

    number: int
    account: str
    ticket: OrderTicket
    ticks: int
    """0: a market order."""
    lots: int
    created_ns: int
    self_trade: SelfTradeMode = ALLOW
    buys: bool = False
    """As the ticket says."""
    left: int = 0
    updated_ns: int = 0
    turnover: int = 0
    """Sum of ticks times lots of its fills."""
    inverse_weight: int = 0
    """Sum of lots / ticks of its fills, times 10^36; only of an inverse contract."""
    locked: int = 0
    """Reserved atoms of the asset that it pays with; of a derivative, the atoms of value that count
    for margin."""
    stop_ticks: int = 0
    trail_ticks: int = 0
    waits: bool = False
    """Whether it rests in the book."""
    status: OrderStatus = OPEN
    is_final: bool = False
    """Whether it can no longer change."""
    why: RejectCode | None = None
    amended: int = 0
    triggered: bool = False

    def __post_init__(self) -> None:
        self.buys = self.ticket.buys
        self.left = self.lots
        self.updated_ns = self.created_ns

    @property
    def rests(self) -> bool:
        """Whether the part that is not filled at once rests in the book."""
        return self.ticks != 0 and self.ticket.time_in_force not in IMMEDIATE


class MatchingFill(msgspec.Struct, frozen=True, gc=False):
    """An execution, with the order's numbers as they were after it."""

    trade_id: int
    order: MatchingOrder
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    is_maker: bool
    time_ns: int
    filled: int
    turnover: int
    status: OrderStatus
    inverse_weight: int = 0
    profit: int = 0
    """Realised in a derivative, in atoms of the asset that settles it."""


class MatchingCashFlow(msgspec.Struct, frozen=True, gc=False):
    """A change of a balance that is no fill, in atoms."""

    cause: BookingCause
    symbol: str
    asset: str
    amount: int
    time_ns: int
