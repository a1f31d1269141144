"""The interface between the matching engine and the dialects of the exchanges.

An order is the ``OrderRequest`` of the order model with the terms of an exchange's own interface.
The views are the engine's own: an exchange knows more than it reports to a client, such as stops
that wait, its own reject codes and the accounts. Amounts are ``Decimal`` in the units in which the
exchange lists them (its tick and lot). The engine is deterministic: the same seed and the same
calls at the same times give the same fills. Calls take no simulated time; the server adds latency.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from kit.accounting.fees import FeeAsset, FeeTier
from kit.execution.account_configuration import MarginMode
from kit.execution.contract import OrderRequest


class OrderStatus(StrEnum):
    """The state of an order."""

    UNTRIGGERED = "untriggered"
    OPEN = "open"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """An immediate order was not filled completely, or the expiry time has come."""
    REJECTED = "rejected"


FINAL = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
)


class RejectCode(StrEnum):
    """Why the engine rejects a request. Dialects translate it into their error codes."""

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
    """The engine rejects a request; nothing has changed."""

    def __init__(self, refusal: RejectCode, words: str = "") -> None:
        self.refusal = refusal
        self._words = words

    def __str__(self) -> str:
        return self._words or self.refusal.value


class SelfTradeMode(StrEnum):
    """Self-trade prevention: which of two matching orders of one account is cancelled."""

    ALLOW = "allow"
    CANCEL_NEWEST = "cancel newest"
    CANCEL_OLDEST = "cancel oldest"
    CANCEL_BOTH = "cancel both"


class ClientIdScope(StrEnum):
    """Among which orders of an account a client id must be unique."""

    NONE = "none"
    OPEN = "open"
    EVER = "ever"
    RETURNS = "ever, and the first order is given again"


class OrderTicket(OrderRequest, frozen=True, kw_only=True, gc=False):
    """An order as a client of the exchange requests it: an ``OrderRequest`` with the terms that
    only the exchange's own interface has. Its client order id is the client's text as it came."""

    client_order_id: str = ""
    value: Decimal | None = None
    """Amount of the quote asset that a market order is for, instead of a size; ``size`` is 0
    then."""
    self_trade: SelfTradeMode | None = None
    """None: as the rules of the exchange say."""


class OrderView(msgspec.Struct, frozen=True, gc=False):
    """An immutable snapshot of an order."""

    order_id: int
    """Consecutive per venue. A dialect may format it."""
    account: str
    ticket: OrderTicket
    """The request with all amendments."""
    status: OrderStatus
    filled: Decimal
    filled_value: Decimal
    """Sum of price times size of its fills, in quote units (times the contract size)."""
    created_ns: int
    updated_ns: int
    why: RejectCode | None = None
    """The reason if it became final for another reason than a request of its owner."""
    amended: int = 0
    """Number of amendments."""
    triggered: bool = False
    """Whether its stop price was reached, so that it has entered the book."""
    average_price: Decimal | None = None
    """Harmonic average price of an inverse contract's fills. None for other kinds, whose average is
    ``filled_value`` by ``filled`` and the contract size."""

    @property
    def is_final(self) -> bool:
        """Whether it can no longer change."""
        return self.status in FINAL

    @property
    def left(self) -> Decimal:
        """The size that is not filled."""
        return self.ticket.size - self.filled


class FillView(msgspec.Struct, frozen=True, gc=False):
    """An execution. The public trades list it under the same trade id."""

    trade_id: int
    order: OrderView
    """The order after this fill."""
    price: Decimal
    size: Decimal
    fee: Decimal
    """Negative: a rebate."""
    fee_asset: str
    is_maker: bool
    time_ns: int
    profit: Decimal = Decimal(0)
    """Realised by it in a derivative, without its fee."""


class BookingCause(StrEnum):
    """Why a balance has changed."""

    FILL = "fill"
    TRANSFER = "transfer"
    """Into the account, or out of it; the initial balances too."""
    FUNDING = "funding"
    SETTLEMENT = "settlement"
    LIQUIDATION = "liquidation"
    """The exchange has paid what was owed after a liquidation."""


class BookingView(msgspec.Struct, frozen=True, gc=False):
    """One change of one balance, by ``amount`` less ``fee``. A fill on spot makes two."""

    number: int
    """Grows with each booking of an account."""
    cause: BookingCause
    symbol: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal
    """After it."""
    time_ns: int
    fill: FillView | None = None


class BalanceView(msgspec.Struct, frozen=True, gc=False):
    """The balance of one asset, and the profit that is paid with the next settlement."""

    account: str
    asset: str
    total: Decimal
    locked: Decimal
    """The part reserved by open orders and margin."""
    unsettled: Decimal = Decimal(0)

    @property
    def free(self) -> Decimal:
        """The part that can be used."""
        return self.total - self.locked


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position in a derivative. ``size`` is negative for a short position."""

    account: str
    symbol: str
    size: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized: Decimal
    liquidation_price: Decimal | None
    margin: Decimal
    realized: Decimal
    """Realised profit since it was opened, funding included."""


class OrderEventCause(StrEnum):
    """The cause of an order event."""

    NEW = "new"
    TRIGGERED = "triggered"
    AMENDED = "amended"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class OrderChanged(msgspec.Struct, frozen=True, gc=False):
    """An order is new or has changed. ``fill`` is set if the cause is FILLED."""

    order: OrderView
    cause: OrderEventCause
    fill: FillView | None = None


class BalanceChanged(msgspec.Struct, frozen=True, gc=False):
    """The balance of an asset has changed."""

    balance: BalanceView
    why: str
    """"order", "fill", "funding", "liquidation", "deposit"."""


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """A position has changed."""

    position: PositionView
    why: str


AccountEvent = OrderChanged | BalanceChanged | PositionChanged
Listener = Callable[[AccountEvent], None]


@dataclass(slots=True)
class AccountSettings:
    """What the owner of an account has set at the exchange. A dialect shows it; matching does not
    depend on it. Tests change it."""

    hedge_mode: bool = False
    margin_mode: MarginMode = "cross"
    leverage: int = 10
    may_trade: bool = True


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of the simulated exchange. The keys are public: nothing real depends on them."""

    key: str
    secret: str
    password: str
    account: str
    may_withdraw: bool = False


KEYS = (
    ApiKey("demo-key", "demo-secret", "demo-password", "demo"),
    ApiKey("other-key", "other-secret", "other-password", "other"),
    ApiKey("withdraw-key", "withdraw-secret", "withdraw-password", "demo", may_withdraw=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingRules:
    """The rules of an exchange."""

    keys: Sequence[ApiKey] = KEYS
    start: Mapping[str, Decimal] = field(default_factory=dict)
    """Initial balances of a new account, by asset. Of other assets it gets START_BASE if they are
    the base of an instrument, else START_QUOTE."""
    tiers: Sequence[FeeTier] = (FeeTier(Decimal("0.001"), Decimal("0.001")),)
    """By rising volume; the first starts at 0."""
    fee_asset: FeeAsset = FeeAsset.RECEIVED
    fee_places: int = 8
    """Decimal places of a fee; digits beyond them are cut off."""
    id_scope: ClientIdScope = ClientIdScope.OPEN
    self_trade: SelfTradeMode = SelfTradeMode.CANCEL_NEWEST
    open_orders_max: int = 1_000
    """Most open orders of one account."""
    price_band: Decimal | None = None
    """Largest distance of a price from the last one, as a share of it; None: no limit."""
    outcomes: Mapping[RejectCode, OrderStatus] = field(
        default_factory=lambda: {RejectCode.WOULD_NOT_FILL: OrderStatus.EXPIRED}
    )
    """Reasons for which no OrderRejected is raised: the order is returned in this final state."""
    stops_trigger_at_once: bool = False
    """Whether a stop whose price is reached is accepted and triggers; else it is rejected."""
    initial_margin: Decimal = Decimal("0.1")
    """Margin that a position needs to be opened, as a share of its value."""
    maintenance_margin: Decimal = Decimal("0.005")
    """Margin below which positions are liquidated, as a share of their value."""
    settlement_time_ns: int | None = None
    """Time of the day, UTC, at which profit of derivatives is paid; None: by each fill."""


START_BASE = Decimal(1_000)
START_QUOTE = Decimal(1_000_000)


class MatchingOrderEntry(Protocol):
    """Requests that change orders. Methods raise OrderRejected."""

    def place(self, account: str, ticket: OrderTicket) -> OrderView:
        """Place an order. Returns it after its immediate fills; a market, IOC or FOK order is final
        then."""

    def amend(
        self,
        account: str,
        order_id: int,
        size: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None = None,
    ) -> OrderView:
        """Change an order. It keeps its queue position only if the price stays and the size
        decreases."""

    def cancel(self, account: str, order_id: int) -> OrderView:
        """Cancel an order."""

    def cancel_all(self, account: str, symbol: str = "") -> list[OrderView]:
        """Cancel all open orders, of one symbol or of all."""

    def cancel_after(self, account: str, seconds: float) -> None:
        """Cancel all orders unless this is called again within the time; 0 ends the countdown."""


class MatchingOrderQueries(Protocol):
    """Orders and fills that are remembered. Methods raise OrderRejected."""

    def order(self, account: str, order_id: int) -> OrderView:
        """Return an order by the engine's id."""

    def by_client_id(self, account: str, client_id: str) -> OrderView | None:
        """Return the newest order with this client id."""

    def open_orders(self, account: str, symbol: str = "") -> list[OrderView]:
        """Return open and untriggered orders, oldest first."""

    def orders(self, account: str, symbol: str = "", since_ns: int = 0) -> list[OrderView]:
        """Return all remembered orders created since a time, oldest first."""

    def fills(self, account: str, symbol: str = "", since_ns: int = 0) -> list[FillView]:
        """Return fills since a time, oldest first."""


class MatchingAccountQueries(Protocol):
    """API keys, settings, balances, positions and events of accounts."""

    keys: Sequence[ApiKey]

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts that exist: one begins to exist when it is asked for."""

    def key(self, key: str) -> ApiKey | None:
        """Return the API key of this name, or None if there is none."""

    def settings(self, account: str) -> AccountSettings:
        """Return the settings of an account, which can be changed."""

    def balances(self, account: str) -> list[BalanceView]:
        """Return the balances of all assets that the account has or had."""

    def positions(self, account: str) -> list[PositionView]:
        """Return all open positions."""

    def bookings(self, account: str) -> list[BookingView]:
        """Return the remembered changes of balances, oldest first."""

    def listen(self, account: str, listener: Listener) -> Callable[[], None]:
        """Call the listener at once with each event of an account. Returns a function that ends
        it."""


class MatchingEngine(MatchingOrderEntry, MatchingOrderQueries, MatchingAccountQueries, Protocol):
    """All accounts of one venue."""
