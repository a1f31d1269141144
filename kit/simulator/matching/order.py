"""Orders and fills inside the matching engine. Prices count ticks, sizes count lots."""

from decimal import Decimal

import msgspec

from kit.simulator.matching.contract import (
    Lifetime,
    OrderTicket,
    RejectCode,
    SelfTrade,
    Status,
)

BACKGROUND = ""
"""The account of the background order flow."""
WEIGHT_SCALE: int = 10**36
WEIGHT_UNIT = Decimal(WEIGHT_SCALE)
"""Of ``Order.inverse_weight``."""
# A member of an enum takes longer to look up than to use.
OPEN, ALLOW = Status.OPEN, SelfTrade.ALLOW
IMMEDIATE_OR_CANCEL, FILL_OR_KILL = Lifetime.IMMEDIATE_OR_CANCEL, Lifetime.FILL_OR_KILL


class Order:
    """A mutable order. A level's lots of the background order flow are an order as well."""

    __slots__ = (
        "account",
        "amended",
        "buys",
        "created_ns",
        "inverse_weight",
        "is_final",
        "left",
        "locked",
        "lots",
        "number",
        "self_trade",
        "status",
        "stop_ticks",
        "ticket",
        "ticks",
        "trail_ticks",
        "triggered",
        "turnover",
        "updated_ns",
        "waits",
        "why",
    )

    def __init__(
        self,
        number: int,
        account: str,
        ticket: OrderTicket,
        ticks: int,
        lots: int,
        time_ns: int,
        self_trade: SelfTrade = ALLOW,
    ) -> None:
        self.number = number
        self.account = account
        self.ticket = ticket
        self.buys = ticket.buys
        self.ticks = ticks
        """0: a market order."""
        self.lots = self.left = lots
        self.turnover = 0
        """Sum of ticks times lots of its fills."""
        self.inverse_weight = 0
        """Sum of lots / ticks of its fills, times 10^36; only of an inverse contract."""
        self.locked = 0
        """Reserved atoms of the asset that it pays with; of a derivative, the atoms of value that
        count for margin."""
        self.stop_ticks = 0
        self.trail_ticks = 0
        self.waits = False
        """Whether it rests in the book."""
        self.status = OPEN
        self.is_final = False
        """Whether it can no longer change."""
        self.why: RejectCode | None = None
        self.created_ns = self.updated_ns = time_ns
        self.amended = 0
        self.triggered = False
        self.self_trade = self_trade

    @property
    def rests(self) -> bool:
        """Whether the part that is not filled at once rests in the book."""
        return self.ticks != 0 and not ends_at_once(self.ticket.lifetime)


def ends_at_once(lifetime: Lifetime) -> bool:
    """Whether an order never rests in the book."""
    return lifetime is IMMEDIATE_OR_CANCEL or lifetime is FILL_OR_KILL


class Fill(msgspec.Struct, frozen=True, gc=False):
    """An execution, with the order's numbers as they were after it."""

    trade_id: int
    order: Order
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    is_maker: bool
    time_ns: int
    filled: int
    turnover: int
    status: Status
    inverse_weight: int = 0
