"""What a venue's folder supplies so that orders can be placed there through ccxt.

The parts of ``VenueApi`` and the files that hold them:

orders.py        OrderApi, which requests place, amend and cancel orders, and what answers mean;
                 BatchApi, where the venue has calls for several orders
account.py       AccountApi, the questions about orders, fills, balances and positions
cash_flows.py    CashFlowApi, the lists of what else has changed balances
configuration.py ConfigurationApi, the questions about modes, permissions and the venue's clock
user_stream.py   UserStreamDecoder, the messages of the account's stream
order_socket.py  OrderSocketCodec, requests and answers on the order websocket
errors.py        ErrorTable, the venue's error codes
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kit.connector.orders.batch_calls import BatchApi
from kit.connector.orders.cash_flow_spans import CashFlowApi
from kit.connector.orders.order_socket import OrderSocketCodec
from kit.connector.orders.rest_session import OrderApiRequest, RestQuerySession
from kit.connector.orders.server_time import ServerTimeQuery
from kit.connector.orders.user_stream import UserStreamDecoder
from kit.execution.account_configuration import AccountConfiguration
from kit.execution.contract import (
    FillsPage,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    VenueBalance,
    VenueOrder,
    VenuePosition,
    Verdict,
)


class UnsupportedRequest(Exception):
    """The venue has no such order, or cannot amend it so. The text names what is missing."""


class OrderApi(Protocol):
    """How orders become requests, and answers verdicts. Pure."""

    @property
    def capabilities(self) -> OrderCapabilities:
        """What the venue supports."""

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """The request that places an order. Raises UnsupportedRequest, UnknownInstrument."""

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """The request that amends an order. Raises UnsupportedRequest."""

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """The requests that may cancel an order. They are sent one after the other until one finds
        it: a venue may keep stops apart."""

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """The requests that together cancel all orders. Empty: the venue has none, and each order
        is cancelled by itself."""

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """The requests that together start the venue's countdown. Raises UnsupportedRequest."""

    def verdict(self, answer: Any) -> Verdict:
        """The verdict in an answer to one of these. Raises LookupError, ValueError and the like
        for one that is not as it should be."""


class AccountApi(Protocol):
    """The questions about an account. Any of them may raise OrderNotFound, VenuemeshError, and
    LookupError, ValueError and the like for an answer that is not as it should be."""

    async def find(self, queries: RestQuerySession, key: OrderKey) -> VenueOrder | None:
        """Return one order."""

    async def open_orders(self, queries: RestQuerySession, symbol: str) -> list[VenueOrder]:
        """Return all pages."""

    def fills(
        self, queries: RestQuerySession, symbol: str, since_time_ns: int, until_time_ns: int
    ) -> AsyncIterator[FillsPage]:
        """Yield the pages from a time on and before another (``fill_pages``), each of fills in any
        order; those of other times, and the same fills again, may be among them."""

    async def balances(self, queries: RestQuerySession) -> list[VenueBalance]:
        """Return all balances; zeros may be among them."""

    async def positions(self, queries: RestQuerySession) -> list[VenuePosition]:
        """Return all positions; zeros may be among them."""


class ConfigurationApi(Protocol):
    """The questions about the configuration of an account. They raise as those of AccountApi."""

    @property
    def server_time(self) -> ServerTimeQuery:
        """How the venue is asked for its time."""

    async def read(
        self, queries: RestQuerySession, symbols: Collection[str]
    ) -> AccountConfiguration:
        """Return what the venue states of the account and its key, by calls that need the key.
        ``symbols``: whose settings are wanted, where the venue has settings by symbol."""


async def nothing_to_prepare(queries: RestQuerySession) -> None:
    """For a venue whose requests need nothing that must be asked first."""


@dataclass(frozen=True, slots=True)
class VenueApi:
    """The private API of one venue, for one account."""

    orders: OrderApi
    account: AccountApi
    configuration: ConfigurationApi
    stream: UserStreamDecoder
    socket: OrderSocketCodec | None = None
    """None: the venue takes orders by REST only."""
    batches: BatchApi | None = None
    """None: the venue has no calls for several orders."""
    cash_flows: CashFlowApi | None = None
    """None: what else has changed balances cannot be listed."""
    needs_venue_order_id: bool = False
    """Whether an order can be amended and cancelled by the venue's id alone."""
    prepare: Callable[[RestQuerySession], Awaitable[None]] = nothing_to_prepare
    """Asks for what the others need to know, once, before anything else."""
