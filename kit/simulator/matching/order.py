"""An order as the engine keeps it. Prices count ticks, sizes lots."""

import msgspec

from kit.simulator.matching.contract import (
    Lifetime,
    OrderTicket,
    RejectCode,
    SelfTrade,
    Status,
)

NOBODY = ""
"""The account of those who only make the market."""
# Looking a member up in its enum takes longer than all that is done with it.
OPEN, ALLOW = Status.OPEN, SelfTrade.ALLOW
IMMEDIATE_OR_CANCEL, FILL_OR_KILL = Lifetime.IMMEDIATE_OR_CANCEL, Lifetime.FILL_OR_KILL


class Order:
    """One that changes. Lots in the book that belong to nobody are one as well."""

    __slots__ = (
        "account",
        "amended",
        "buys",
        "created_ns",
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
        """0: at any price."""
        self.lots = self.left = lots
        self.turnover = 0
        """Sum of ticks times lots of its fills."""
        self.locked = 0
        """Atoms of what it would pay with; of a derivative, of what it would move."""
        self.stop_ticks = 0
        self.trail_ticks = 0
        self.waits = False
        """Whether it is in the book."""
        self.status = OPEN
        self.is_final = False
        """Whether it will change no more."""
        self.why: RejectCode | None = None
        self.created_ns = self.updated_ns = time_ns
        self.amended = 0
        self.triggered = False
        self.self_trade = self_trade

    @property
    def rests(self) -> bool:
        """Whether what is not filled at once stays in the book."""
        return self.ticks != 0 and not ends_at_once(self.ticket.lifetime)


def ends_at_once(lifetime: Lifetime) -> bool:
    """Whether an order never waits in the book."""
    return lifetime is IMMEDIATE_OR_CANCEL or lifetime is FILL_OR_KILL


class Fill(msgspec.Struct, frozen=True, gc=False):
    """A part of an order has met another one; the order's numbers as they were after it."""

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
