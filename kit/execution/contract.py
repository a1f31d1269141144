"""What a venue supplies so that orders can be placed: a desk for each account.

A desk is thin. It has no journal and no memory of orders, never repeats a call that places one, and
says honestly what it does not know: the difference between "refused" and "unknown" is what keeps an
order from being sent twice. Amounts are ``Decimal``, exact; times are ns since the Unix epoch.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

Side: TypeAlias = "types_pb2.Side.ValueType"
OrderType: TypeAlias = "orders_pb2.OrderType.ValueType"
TimeInForce: TypeAlias = "orders_pb2.TimeInForce.ValueType"
OrderState: TypeAlias = "orders_pb2.OrderState.ValueType"
RejectReason: TypeAlias = "orders_pb2.RejectReason.ValueType"
Liquidity: TypeAlias = "orders_pb2.Liquidity.ValueType"
Transport: TypeAlias = Literal["websocket", "rest"]
"""How orders go out: over the venue's order websocket where it has one and that is open, otherwise
by REST; or by REST only."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as a venue is to get it; it has passed the checks."""

    client_order_id: str
    """32 hexadecimal digits. What the venue is given may look different (Coinbase wants hyphens),
    but the desk turns it back."""
    symbol: str
    side: Side
    type: OrderType
    size: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    time_in_force: TimeInForce = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    expire_time_ns: int = 0
    post_only: bool = False
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class OrderKey:
    """By which an order is found. One of the ids may be empty."""

    symbol: str
    client_order_id: str
    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee; negative when it was received."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue tells it."""

    symbol: str
    venue_order_id: str
    client_order_id: str
    """Ours; empty when it has none, or one that is not ours."""
    side: Side
    type: OrderType
    size: Decimal
    price: Decimal | None
    state: OrderState
    """OPEN, PARTLY_FILLED or a final one; ACKNOWLEDGED where the venue has only taken it."""
    filled_size: Decimal
    average_price: Decimal | None = None
    venue_time_ns: int = 0
    """Of this state. 0 where the venue does not say."""
    reject_reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
    detail: str = ""
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueFill:
    """A fill as the venue tells it."""

    symbol: str
    fill_id: str
    venue_order_id: str
    client_order_id: str
    """As VenueOrder's; empty also where the venue's fills do not have it."""
    side: Side
    price: Decimal
    size: Decimal
    fees: Sequence[Fee]
    liquidity: Liquidity
    venue_time_ns: int


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """What an account has of an asset."""

    asset: str
    total: Decimal
    free: Decimal


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """What an account holds of a derivative; negative when sold."""

    symbol: str
    size: Decimal
    entry_price: Decimal | None = None
    unrealized_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue has it. ``order``: where its answer tells more than an id."""

    venue_order_id: str
    order: VenueOrder | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue said no, and nothing was done."""

    reason: RejectReason
    words: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """It may have been done or not: a timeout, a lost connection, an error inside the venue."""

    words: str


Verdict = Accepted | Rejected | OutcomeUnknown


@dataclass(frozen=True, slots=True)
class StreamInterrupted:
    """Something may have happened unheard: the stream was cut, and goes on now."""

    words: str


AccountEvent = VenueOrder | VenueFill | VenueBalance | VenuePosition | StreamInterrupted


@dataclass(frozen=True, slots=True)
class OrderCapabilities:
    """What a venue can do by itself. What it cannot is done here, or refused."""

    types: frozenset[OrderType]
    """Those that it has; stops and take-profits that it lacks wait here."""
    times_in_force: frozenset[TimeInForce]
    reduce_only: bool = False
    amends: bool = True
    """Whether an open order can be changed in place."""
    amends_to_smaller_only: bool = False
    """Whether only its size can, and only to a smaller one."""
    amends_stop_price: bool = False
    """Whether the stop price of one that waits at the venue can be changed."""
    plain_stops_only: bool = False
    """Whether the stops that it has are good till cancelled, and never post-only. Others wait
    here."""
    has_positions: bool = False
    finds_by_client_id: bool = True
    """Whether find() works by client id, also for orders that are final. False: only open orders
    and fills can be searched."""
    countdown: bool = False
    """Whether the venue itself cancels all when it does not hear of us (Desk.countdown)."""
    fills_have_client_id: bool = True
    lag_s: float = 2.0
    """So long an order that was just taken may not be found yet."""


class ExecutionClient(Protocol):
    """One account at one venue. Calls spend from the process's budget.

    Methods that ask raise VenueUnavailable and RateLimited; those that act say the same by what
    they return. None of them repeats anything by itself.
    """

    @property
    def rules(self) -> OrderCapabilities:
        """What the venue can do."""

    async def authenticate(self) -> Sequence[str]:
        """Make an authenticated call. Returns what the credentials may do that they need not, for
        example "withdraw". Raises CredentialsRefused, VenueUnavailable."""

    async def place(self, wish: OrderRequest) -> Verdict:
        """Send an order, once."""

    async def amend(self, key: OrderKey, wish: OrderRequest) -> Verdict:
        """Change size, price and stop price of an open order to those of the wish."""

    async def cancel(self, key: OrderKey) -> Verdict:
        """Take an order back. Refused when it is not open any more."""

    async def cancel_all(self, symbol: str = "") -> Verdict:
        """Take back all open orders, of one symbol or of all."""

    async def find(self, key: OrderKey) -> VenueOrder | None:
        """One order; None when the venue says that it knows none. What was just placed may not be
        found yet (OrderCapabilities.lag_s)."""

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        """All that are open, also those that were placed elsewhere."""

    async def fills(self, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """Oldest first, all pages. With an empty symbol those of all symbols; raises NotSupported
        where the venue tells them of one symbol only."""

    async def balances(self) -> list[VenueBalance]:
        """All that are not zero."""

    async def positions(self) -> list[VenuePosition]:
        """All that are not zero; empty where there are none."""

    async def countdown(self, seconds: float) -> None:
        """Have the venue cancel all if it is not asked again within so long; 0 ends that. Only
        where the rules say so."""

    def follow(self) -> AsyncIterator[AccountEvent]:
        """What happens to the account, as it happens, over the venue's own stream. It connects
        again by itself, and says Lost each time; it ends never, and raises CredentialsRefused."""

    async def close(self) -> None:
        """End the connections."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one account. Never printed: ``repr`` shows names only."""

    account: str
    secrets: Mapping[str, str] = field(repr=False)
    """By the names that ccxt uses: apiKey, secret, password."""
