"""An execution client at the simulated exchange of its venue, followed by a test.

The simulated participants are calmed, so an order rests until the test has another account meet it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import (
    Credentials,
    ExecutionClient,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    StreamInterrupted,
    VenueFill,
    VenueOrder,
)
from kit.execution.tests.answer_suite import listed_fills
from kit.simulator.dialect import Dialect
from kit.simulator.matching.contract import ApiKey, MatchingEngine
from tests.support.waiting import WAIT_SECONDS_MAX


@dataclass(frozen=True)
class ClientUnderTest:
    """What a venue's test states: how to make its client, and how its venue differs."""

    venue_id: str
    symbol: str
    size: Decimal
    make_dialect: Callable[[], Dialect]
    make_client: Callable[[Credentials, str], ExecutionClient]
    """Makes a client of credentials and the exchange's address."""
    credentials: Callable[[ApiKey], Mapping[str, str]]
    """The credentials of a simulated key, by ccxt's names."""
    socket_path: str = ""
    """How faults name the order websocket; empty: orders are sent by REST."""
    is_derivative: bool = False
    publishes_fills: bool = True
    """Whether the account stream has fills."""
    publishes_balances: bool = True
    """Whether the account stream has a balance after a fill."""
    fills_page: str = ""
    """The constant, by module and name, that says how many fills a page has."""
    publishes_positions: bool = False
    """Whether the account stream has a position after a fill."""
    states: frozenset[str] = frozenset()
    """What the venue states of an account besides permissions: "hedge_mode", "leverage", and the
    margin modes "isolated" and "portfolio"."""


@dataclass
class ClientSession:
    """A client, the events of its account stream, and the exchange."""

    subject: ClientUnderTest
    client: ExecutionClient
    engine: MatchingEngine
    exchange: SimulatedExchange
    make_client: Callable[[str], ExecutionClient]
    """Makes a client for another simulated key, by its name."""
    events: list[Any] = field(default_factory=list)
    received: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 0

    @property
    def symbol(self) -> str:
        """The native symbol that is traded."""
        return self.subject.symbol

    @property
    def size(self) -> Decimal:
        """The usual size of an order."""
        return self.subject.size

    @property
    def tick(self) -> Decimal:
        """The price tick."""
        return Decimal(self.exchange.tick_size(self.symbol))

    async def best(self) -> tuple[Decimal, Decimal]:
        """Return the best bid and ask."""
        book = await self.exchange.book(self.symbol)
        return Decimal(book.bids[0][0]), Decimal(book.asks[0][0])

    def request(
        self, price: Decimal | None, size: Decimal | None = None, **changes: Any
    ) -> OrderRequest:
        """A limit order to buy, or without a price a market order, with a new id."""
        self.number += 1
        fields: dict[str, Any] = {
            "client_order_id": client_order_id("test", "main", str(self.number)),
            "symbol": self.symbol,
            "side": types_pb2.SIDE_BUY,
            "type": pb.ORDER_TYPE_MARKET if price is None else pb.ORDER_TYPE_LIMIT,
            "size": self.size if size is None else size,
            "price": price,
        }
        return OrderRequest(**{**fields, **changes})

    async def place(self, request: OrderRequest) -> OrderKey:
        """Place an order that must be accepted. Returns its ids."""
        verdict = await self.client.place(request)
        assert isinstance(verdict, RequestAccepted), verdict
        return OrderKey(self.symbol, request.client_order_id, verdict.venue_order_id)

    async def place_as_other(self, request: OrderRequest) -> None:
        """Have another account place an order that must be accepted."""
        other = self.make_client("other-key")
        try:
            assert isinstance(await other.place(request), RequestAccepted)
        finally:
            await other.close()

    async def fills(self) -> list[VenueFill]:
        """Return all fills of the symbol that the venue lists."""
        return await listed_fills(self.client, self.symbol, 0)

    async def wait_for_socket(self) -> None:
        """Wait until the order websocket is open, where orders are sent over it."""
        if self.subject.socket_path:
            assert isinstance(self.client, CcxtExecutionClient)
            assert self.client.socket is not None
            await self.client.socket.ready.wait()

    async def wait_for(self, matches: Callable[[Any], bool]) -> Any:
        """Wait for an event that matches, and return the first."""
        while True:
            for event in self.events:
                if matches(event):
                    return event
            self.received.clear()
            await self.received.wait()

    async def wait_for_state(self, request: OrderRequest, state: int) -> VenueOrder:
        """Wait until the account stream reports an order in a state."""
        order = await self.wait_for(
            lambda event: (
                isinstance(event, VenueOrder)
                and event.client_order_id == request.client_order_id
                and event.state == state
            )
        )
        assert isinstance(order, VenueOrder)
        return order

    async def query_until(self, key: OrderKey, state: int) -> VenueOrder:
        """Query the order until it is in a state."""
        while True:
            order = await self.client.find(key)
            if order is not None and order.state == state:
                return order
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_session(subject: ClientUnderTest) -> AsyncIterator[ClientSession]:
    """Follow a client of the account "demo" at a calm simulated exchange."""
    venue_id = subject.venue_id
    async with (
        asyncio.timeout(WAIT_SECONDS_MAX),
        exchange(venue_id, subject.make_dialect, 200) as venue,
    ):
        engine = venue._simulator.market_view(venue_id).engine
        assert engine is not None
        keys = {key.key: key for key in engine.keys}

        def make_client(name: str) -> ExecutionClient:
            credentials = Credentials(keys[name].account, subject.credentials(keys[name]))
            return subject.make_client(credentials, f"{venue.url}/{venue_id}")

        client = make_client("demo-key")
        session = ClientSession(subject, client, engine, venue, make_client)

        async def follow() -> None:
            async for event in client.follow():
                session.events.append(event)
                session.received.set()

        following = asyncio.create_task(follow())
        try:
            with venue.calm():
                await session.wait_for(lambda event: isinstance(event, StreamInterrupted))
                await session.wait_for_socket()
                yield session
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await client.close()
