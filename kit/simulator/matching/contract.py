"""What the dialect of an exchange asks of the engine, and what it hears of it.

Amounts are ``Decimal`` in the units in which the exchange lists them (its tick and lot); the engine
counts ticks and lots. All of it is deterministic: the same seed and the same calls at the same
times give the same fills. Calls are synchronous and instantaneous; latency is the server's matter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from kit.accounting.fees import FeeAsset, FeeTier


class OrderKind(StrEnum):
    """How an order finds its price."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop limit"
    TAKE_PROFIT = "take profit"
    TAKE_PROFIT_LIMIT = "take profit limit"
    TRAILING_STOP = "trailing stop"


PRICED = frozenset({OrderKind.LIMIT, OrderKind.STOP_LIMIT, OrderKind.TAKE_PROFIT_LIMIT})
"""They have a price of their own; all others take what there is."""
STOPS = frozenset(OrderKind) - {OrderKind.MARKET, OrderKind.LIMIT}
"""They wait for a price before they come to the book."""
STOP_PRICED = STOPS - {OrderKind.TRAILING_STOP}
"""… and for one that does not move."""


class Lifetime(StrEnum):
    """How long it waits."""

    GOOD_TILL_CANCEL = "good till cancel"
    IMMEDIATE_OR_CANCEL = "immediate or cancel"
    FILL_OR_KILL = "fill or kill"
    GOOD_TILL_TIME = "good till time"


class Status(StrEnum):
    """Where an order stands."""

    UNTRIGGERED = "untriggered"
    """It waits for its stop price."""
    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """What an immediate order left, or the time was over."""
    REJECTED = "rejected"


FINAL = frozenset({Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.REJECTED})


class RejectCode(StrEnum):
    """Why the engine does not do something. Dialects put it into their own words."""

    UNKNOWN_SYMBOL = "unknown symbol"
    HALTED = "halted"
    TICK = "price is no multiple of the tick"
    LOT = "size is no multiple of the lot"
    SIZE_MIN = "size too small"
    NOTIONAL_MIN = "notional too small"
    PRICE_BAND = "price too far from the market"
    FUNDS = "insufficient funds"
    WOULD_TAKE = "post-only order would take"
    WOULD_NOT_FILL = "fill-or-kill order cannot be filled"
    REDUCE_ONLY = "would not reduce"
    STOP_WOULD_TRIGGER = "stop would trigger at once"
    DUPLICATE_ID = "client id in use"
    UNKNOWN_ORDER = "no such order"
    FINISHED = "order is not open any more"
    TOO_MANY = "too many open orders"
    SELF_TRADE = "would trade with an order of its own account"
    MALFORMED = "malformed"


class OrderRejected(Exception):
    """Raised by the house; nothing was done."""

    def __init__(self, refusal: RejectCode, words: str = "") -> None:
        self.refusal = refusal
        self._words = words

    def __str__(self) -> str:
        return self._words or self.refusal.value


class SelfTrade(StrEnum):
    """What becomes of two orders of one account that meet."""

    ALLOW = "allow"
    CANCEL_NEWEST = "cancel newest"
    CANCEL_OLDEST = "cancel oldest"
    CANCEL_BOTH = "cancel both"


class IdScope(StrEnum):
    """Among which orders of an account a client id must be the only one."""

    NONE = "none"
    OPEN = "open"
    EVER = "ever"
    RETURNS = "ever, and the first order is given again"


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """An order as a client asks for it."""

    symbol: str
    buys: bool
    kind: OrderKind
    size: Decimal
    """In base units or contracts. 0 where ``value`` is set; the engine works it out."""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    """Distance of a trailing stop, in price units."""
    lifetime: Lifetime = Lifetime.GOOD_TILL_CANCEL
    expires_ns: int = 0
    post_only: bool = False
    reduce_only: bool = False
    client_id: str = ""
    value: Decimal | None = None
    """For so much of the quote currency, of a market order, instead of a size."""
    self_trade: SelfTrade | None = None
    """None: as the house rules say."""


class OrderView(msgspec.Struct, frozen=True, gc=False):
    """An order as it is at one moment. Immutable: each change gives a new one."""

    order_id: int
    """Consecutive per venue; a dialect may dress it up."""
    account: str
    ticket: OrderTicket
    """As it is after amendments."""
    status: Status
    filled: Decimal
    filled_value: Decimal
    """Sum of price times size of its fills, in quote units (times the contract size)."""
    created_ns: int
    updated_ns: int
    why: RejectCode | None = None
    """Why it was rejected, cancelled or has expired, when not by its owner."""
    amended: int = 0
    """How often it was changed."""
    triggered: bool = False
    """Whether its stop price was reached; it has come to the book then."""
    average_price: Decimal | None = None
    """Harmonic average price of an inverse contract's fills. None for other kinds, whose average is
    ``filled_value`` by ``filled`` and the contract size."""

    @property
    def is_final(self) -> bool:
        """Whether it will change no more."""
        return self.status in FINAL

    @property
    def left(self) -> Decimal:
        """What is not filled."""
        return self.ticket.size - self.filled


class FillView(msgspec.Struct, frozen=True, gc=False):
    """A part of an order has met another one. Its trade is in the public tape under trade_id."""

    trade_id: int
    order: OrderView
    """As it is after it."""
    price: Decimal
    size: Decimal
    fee: Decimal
    """Negative: received."""
    fee_asset: str
    is_maker: bool
    time_ns: int


class BalanceView(msgspec.Struct, frozen=True, gc=False):
    """What an account has of an asset."""

    account: str
    asset: str
    total: Decimal
    locked: Decimal
    """Of it, what open orders or margin hold."""

    @property
    def free(self) -> Decimal:
        """What can be used."""
        return self.total - self.locked


@dataclass(frozen=True, slots=True)
class PositionView:
    """What an account holds of a derivative; negative when sold."""

    account: str
    symbol: str
    size: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized: Decimal
    liquidation_price: Decimal | None
    margin: Decimal
    realized: Decimal
    """Since it was opened, funding included."""


class Cause(StrEnum):
    """What an order's change was."""

    NEW = "new"
    TRIGGERED = "triggered"
    AMENDED = "amended"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrderChanged(msgspec.Struct, frozen=True, gc=False):
    """An order is new or different. A fill's comes with it in ``fill``."""

    order: OrderView
    cause: Cause
    fill: FillView | None = None


class BalanceChanged(msgspec.Struct, frozen=True, gc=False):
    """Of one asset."""

    balance: BalanceView
    why: str
    """"order", "fill", "funding", "liquidation", "deposit"."""


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """Of one derivative."""

    position: PositionView
    why: str


AccountEvent = OrderChanged | BalanceChanged | PositionChanged
Listener = Callable[[AccountEvent], None]


@dataclass(frozen=True, slots=True)
class Key:
    """An API key of the pretended exchange. They are public: nothing real hangs on them."""

    key: str
    secret: str
    password: str
    account: str
    may_withdraw: bool = False


KEYS = (
    Key("demo-key", "demo-secret", "demo-password", "demo"),
    Key("other-key", "other-secret", "other-password", "other"),
    Key("withdraw-key", "withdraw-secret", "withdraw-password", "demo", may_withdraw=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingRules:
    """How an exchange keeps its house."""

    keys: Sequence[Key] = KEYS
    start: Mapping[str, Decimal] = field(default_factory=dict)
    """What a new account has, by asset. Of others it has START_BASE of what is traded, and
    START_QUOTE of what only pays."""
    tiers: Sequence[FeeTier] = (FeeTier(Decimal("0.001"), Decimal("0.001")),)
    """By rising volume; the first begins at 0."""
    fee_asset: FeeAsset = FeeAsset.RECEIVED
    fee_places: int = 8
    """Decimal places of a fee; what is beyond is cut off."""
    id_scope: IdScope = IdScope.OPEN
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    open_orders_max: int = 1_000
    """Of one account."""
    price_band: Decimal | None = None
    """How far a price may be from the last one, as a share of it; None: as far as it likes."""
    outcomes: Mapping[RejectCode, Status] = field(
        default_factory=lambda: {RejectCode.WOULD_NOT_FILL: Status.EXPIRED}
    )
    """What is not answered with Refused, but with an order in this final state that says why."""
    stops_trigger_at_once: bool = False
    """Whether a stop that the price has already passed is taken, and triggers. Otherwise it is
    refused."""
    initial_margin: Decimal = Decimal("0.1")
    """Of a derivative's value, as a share, to open a position."""
    maintenance_margin: Decimal = Decimal("0.005")
    """Below which positions are closed by force."""


START_BASE = Decimal(1_000)
START_QUOTE = Decimal(1_000_000)


class MatchingEngine(Protocol):
    """All accounts of one venue. Methods raise Refused."""

    keys: Sequence[Key]

    def key(self, key: str) -> Key | None:
        """The API key of this name; None: there is none."""

    def place(self, account: str, ticket: OrderTicket) -> OrderView:
        """As it is after what happened at once. A market, IOC or FOK order is final then."""

    def amend(
        self,
        account: str,
        order_id: int,
        size: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None = None,
    ) -> OrderView:
        """Keeps its place in the queue only when the price stays and the size gets smaller."""

    def cancel(self, account: str, order_id: int) -> OrderView:
        """Take it back."""

    def cancel_all(self, account: str, symbol: str = "") -> list[OrderView]:
        """Take all open ones back."""

    def order(self, account: str, order_id: int) -> OrderView:
        """By the engine's id."""

    def by_client_id(self, account: str, client_id: str) -> OrderView | None:
        """The newest with this client id."""

    def open_orders(self, account: str, symbol: str = "") -> list[OrderView]:
        """Oldest first; those that wait for a stop price too."""

    def orders(self, account: str, symbol: str = "", since_ns: int = 0) -> list[OrderView]:
        """All that are remembered, oldest first."""

    def fills(self, account: str, symbol: str = "", since_ns: int = 0) -> list[FillView]:
        """Oldest first."""

    def balances(self, account: str) -> list[BalanceView]:
        """All assets that it has or had."""

    def positions(self, account: str) -> list[PositionView]:
        """All that are not zero."""

    def listen(self, account: str, listener: Listener) -> Callable[[], None]:
        """Hear what happens to an account, in order, at once. Returns what ends it."""

    def cancel_after(self, account: str, seconds: float) -> None:
        """Cancel all when this is not called again within so long; 0 ends it."""
