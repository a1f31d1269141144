"""What a venue supplies so that orders can be placed: an ``ExecutionClient`` for each account.

A client is thin. It has no journal and no memory of orders, it never repeats a call that places an
order, and it separates "rejected" from "outcome unknown": that difference keeps an order from being
sent twice. Amounts are exact ``Decimal`` values; times are ns since the Unix epoch.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec
from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.request_budget import Priority
from kit.execution.account_configuration import AccountConfiguration, ClockOffset
from kit.execution.cash_flows import CashFlowQueries

Side: TypeAlias = "types_pb2.Side.ValueType"
Operation: TypeAlias = "signed_pb2.Operation.ValueType"
OrderType: TypeAlias = "orders_pb2.OrderType.ValueType"
TimeInForce: TypeAlias = "orders_pb2.TimeInForce.ValueType"
OrderState: TypeAlias = "orders_pb2.OrderState.ValueType"
RejectReason: TypeAlias = "orders_pb2.RejectReason.ValueType"
Liquidity: TypeAlias = "orders_pb2.Liquidity.ValueType"
SelfTradePrevention: TypeAlias = "orders_pb2.SelfTradePrevention.ValueType"
Transport: TypeAlias = Literal["websocket", "rest"]
"""How orders are sent. "websocket": over the venue's order websocket while it is open, otherwise by
REST. "rest": by REST only."""


NO_END_NS = (1 << 63) - 1
"""The end of a span of time that has none."""


class OrderRequest(msgspec.Struct, frozen=True, gc=False):
    """An order for a venue. It has passed the checks."""

    client_order_id: str
    """32 hexadecimal digits. The venue may get another spelling (Coinbase: with hyphens); the
    client converts it back."""
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
    worst_price: Decimal | None = None
    """Of a market order: the price beyond which it is not to trade."""
    self_trade_prevention: SelfTradePrevention = orders_pb2.SELF_TRADE_PREVENTION_UNSPECIFIED
    """What the venue is asked to do; UNSPECIFIED: its own rule applies."""
    send_within_s: float = 0
    """From now on; it must not be sent later, as its approval has expired then. 0: at any time."""

    @property
    def buys(self) -> bool:
        """Whether it buys; otherwise it sells."""
        return self.side == types_pb2.SIDE_BUY

    def bounded(self) -> "OrderRequest":
        """Return a market order with a worst price as the limit order that is filled at once up to
        that price, its rest cancelled; any other order as it is."""
        if self.type != orders_pb2.ORDER_TYPE_MARKET or self.worst_price is None:
            return self
        time_in_force = self.time_in_force
        if time_in_force != orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            time_in_force = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
        return structs.replace(
            self,
            type=orders_pb2.ORDER_TYPE_LIMIT,
            price=self.worst_price,
            time_in_force=time_in_force,
            worst_price=None,
        )


@dataclass(frozen=True, slots=True)
class OrderKey:
    """The ids of an order. One of the two ids may be empty."""

    symbol: str
    client_order_id: str
    venue_order_id: str
    placed_time_ns: int = field(default=0, compare=False)
    """It was not placed before, by our clock; 0: not known."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee; negative for a rebate."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue reports it."""

    symbol: str
    venue_order_id: str
    client_order_id: str
    """Our client id; empty for an order without one, or with a foreign one."""
    side: Side
    type: OrderType
    size: Decimal
    price: Decimal | None
    state: OrderState
    """OPEN, PARTLY_FILLED or a final state; ACKNOWLEDGED while the venue has only accepted the
    request."""
    filled_size: Decimal
    average_price: Decimal | None = None
    venue_time_ns: int = 0
    """Time of this state; 0 where the venue does not report it."""
    reject_reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED
    detail: str = ""
    stop_price: Decimal | None = None
    amendment_rejection: str = ""
    """Why the venue did not do an amendment that it had acknowledged; empty for other updates."""


@dataclass(frozen=True, slots=True)
class VenueFill:
    """A fill as the venue reports it."""

    symbol: str
    fill_id: str
    venue_order_id: str
    client_order_id: str
    """As in VenueOrder; also empty where the venue's fills do not carry it."""
    side: Side
    price: Decimal
    size: Decimal
    """Negative, as its fees, where the venue takes back an earlier fill."""
    fees: Sequence[Fee]
    liquidity: Liquidity
    venue_time_ns: int


@dataclass(frozen=True, slots=True)
class FillsPage:
    """A page of the venue's list of fills. With the pages before it, it has all fills from
    ``begin_ns`` on and before ``end_ns``; it may have others too."""

    fills: Sequence[VenueFill]
    """Oldest first."""
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """The balance of one asset."""

    asset: str
    total: Decimal
    free: Decimal


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position in a derivative; a negative size is short."""

    symbol: str
    size: Decimal
    entry_price: Decimal | None = None
    unrealized_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """The venue accepted the request. ``order`` is set where the answer contains the order."""

    venue_order_id: str
    order: VenueOrder | None = None


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """The venue rejected the request, or it was not sent; nothing was done."""

    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The request may have been executed: a timeout, a lost connection, an error inside the
    venue."""

    detail: str


Verdict = RequestAccepted | RequestRejected | OutcomeUnknown


@dataclass(frozen=True, slots=True)
class StreamInterrupted:
    """Events may have been missed: the account stream was interrupted, and continues now."""

    detail: str


AccountEvent = VenueOrder | VenueFill | VenueBalance | VenuePosition | StreamInterrupted


@dataclass(frozen=True, slots=True)
class OrderCapabilities:
    """What a venue supports. What it does not support is done in this process, or rejected."""

    types: frozenset[OrderType]
    """Supported order types; stops and take-profits that are missing here wait in this process."""
    times_in_force: frozenset[TimeInForce]
    reduce_only: bool = False
    amends_to_smaller_only: bool = False
    """Whether an amendment can only reduce the size."""
    amends_later: bool = False
    """Whether the venue acknowledges an amendment before it is done, and may still reject it."""
    amends_stop_price: bool = False
    """Whether the stop price of an untriggered order at the venue can be amended."""
    plain_stops_only: bool = False
    """Whether stops at the venue must be good till cancelled and not post-only. Other stops wait in
    this process."""
    has_positions: bool = False
    profit_at_settlement: bool = False
    """Whether the profit of a fill in a derivative changes the balance with the venue's next
    settlement, which is a cash flow. Otherwise it changes the balance at once."""
    finds_by_client_id: bool = True
    """Whether find() works by client id, for final orders too. False: only open orders and fills
    can be searched."""
    countdown: bool = False
    """Whether the venue can cancel all orders when it is not called in time
    (OrderEntry.countdown), until 0 seconds end that without cancelling anything."""
    fills_have_client_id: bool = True
    waits_for_book: bool = False
    """Whether an order that arrives while the book is in doubt waits for a proven one (paper)."""
    self_trade_prevention: frozenset[SelfTradePrevention] = frozenset()
    """What an order can ask the venue to do when it meets one of the same account."""
    self_trade_prevention_not_in: frozenset[TimeInForce] = frozenset()
    """Times in force of orders for which the venue does not do it."""
    batch_max: int = 1
    """Most orders of one ``BatchOrderEntry`` call; 1: the client has no such calls."""
    lag_s: float = 2.0
    """How long an accepted order may be missing from the venue's answers."""
    fills_kept_days: int = 3650
    """How long the venue lists a fill. Default: the venue states no limit."""


class OrderEntry(Protocol):
    """Requests that change orders.

    Each is sent at most once. Errors are reported by the verdict, not raised. Cancellations and the
    countdown wait for their turn with Priority.CANCEL.
    """

    async def place(self, request: OrderRequest, priority: Priority = Priority.NEW) -> Verdict:
        """Send an order, once. ``priority``: NEW, or PROTECT for an order that limits a loss."""

    async def amend(
        self, key: OrderKey, request: OrderRequest, priority: Priority = Priority.NEW
    ) -> Verdict:
        """Change size, price and stop price of an open order to those of ``request``.
        ``priority``: as for ``place``."""

    async def cancel(self, key: OrderKey) -> Verdict:
        """Cancel an order. Rejected if it is no longer open."""

    async def cancel_all(self, symbol: str = "") -> Verdict:
        """Cancel all open orders of one symbol, or of all symbols."""

    async def countdown(self, seconds: float) -> None:
        """Have the venue cancel all orders unless this is called again within ``seconds``; 0 stops
        the countdown. Raises NotSupported, VenueUnavailable, RateLimited."""


@runtime_checkable
class BatchOrderEntry(Protocol):
    """Requests that change several orders, for clients whose ``batch_max`` is above 1. Each is sent
    at most once, and has a verdict for each order, in their order."""

    async def place_many(
        self, requests: Sequence[OrderRequest], priority: Priority = Priority.NEW
    ) -> Sequence[Verdict]:
        """Send orders. ``priority``: as for ``place``."""

    async def cancel_many(self, keys: Sequence[OrderKey]) -> Sequence[Verdict]:
        """Cancel orders."""


class AccountQueries(Protocol):
    """Questions about an account. They raise VenueUnavailable, RateLimited and
    CredentialsRejected, and are not repeated. Questions about orders have Priority.PROTECT, the
    others Priority.QUESTION."""

    async def find(self, key: OrderKey) -> VenueOrder | None:
        """Return one order, or None when the venue does not know it. A new order may be missing for
        OrderCapabilities.lag_s."""

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        """Return all open orders, including those that were placed elsewhere."""

    def fills(
        self, symbol: str, since_time_ns: int, until_time_ns: int = NO_END_NS
    ) -> AsyncIterator[FillsPage]:
        """Yield all fills from a time on and before another, page by page; the pages need not come
        in the order of time. Each page waits for its own turn. With an empty symbol: of all
        symbols; raises NotSupported where the venue lists fills by symbol only."""

    async def balances(self) -> list[VenueBalance]:
        """Return all balances that are not zero."""

    async def positions(self) -> list[VenuePosition]:
        """Return all positions that are not zero, one per symbol; [] on spot venues."""


class ConfigurationQueries(Protocol):
    """Questions about the configuration of an account and the venue's clock, as AccountQueries."""

    async def configuration(self, symbols: Collection[str] = ()) -> AccountConfiguration:
        """Return what the venue states of the configuration of the account and the permissions of
        its key, by calls that need the key. ``symbols``: whose settings are wanted, where the venue
        has settings by symbol."""

    async def clock_offset(self) -> ClockOffset | None:
        """Return how far the venue's clock is ahead of ours, by a call that needs no key; None for
        a venue without a clock."""


class AccountStream(Protocol):
    """The credentials of an account, and the connections made with them."""

    def follow(self) -> AsyncIterator[AccountEvent]:
        """Yield the account's events from the venue's own stream, endlessly. The stream reconnects
        by itself, and yields StreamInterrupted each time. Raises CredentialsRejected."""

    async def close(self) -> None:
        """Close the connections."""


class ExecutionClient(
    OrderEntry, AccountQueries, CashFlowQueries, ConfigurationQueries, AccountStream, Protocol
):
    """One account at one venue. Its calls wait for their turn in the venue's request budget."""

    @property
    def capabilities(self) -> OrderCapabilities:
        """What the venue supports."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one account. ``repr`` does not show the secrets."""

    account: str
    secrets: Mapping[str, str] = field(repr=False)
    """By ccxt's names: apiKey, secret, password."""
