"""The connector on a pretended OKX: what a venue process is made of, without its services."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.clock import SystemClock
from kit.cursor import CHANNELS, Channel
from kit.telemetry import Meter
from kit.venue.books.books import BookState, GuardedBook
from kit.venue.books.resync import Resync
from kit.venue.connections.session import Session
from kit.venue.connections.subscriptions import Subscriptions
from kit.venue.contract import Place
from kit.venue.hub import Hub
from kit.venue.intake import Intake
from venues.okx.catalog import VENUES

WAIT_S = 20.0


class Connector:
    """What it has heard, and what became of it."""

    def __init__(self, base: str) -> None:
        clock = SystemClock()
        address, _, venue_id = base.rpartition("/")
        self.meter = Meter(venue_id)
        self.venue = VENUES[venue_id](Place("simulate", address))
        self.hub = Hub(venue_id, 1, clock, self.meter)
        self.subscriptions = Subscriptions(CHANNELS)
        self.intake = Intake(self.venue, self.hub, self.subscriptions, self.meter, clock)
        self.session = Session(self.venue, self.intake, self.meter, clock)
        books, rules = self.intake.bookkeeper, self.venue.book
        renew = self.session.renew_book
        self.resync = Resync(books, rules.snapshots, self.venue.history, renew, clock)
        self.batches: list[batch_pb2.MarketDataBatch] = []
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self._heard = asyncio.Event()

    @property
    def channels(self) -> set[Channel]:
        """All that the venue has."""
        return {channel for wire in self.venue.wires for channel in wire.channels}

    @property
    def gaps(self) -> list[types_pb2.Gap]:
        """In the order in which they were published."""
        return [gap for batch in self.batches for gap in batch.gaps]

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these too."""
        fresh = list(symbols)
        self.subscriptions.add(fresh)
        self.intake.bookkeeper.add(fresh)
        self.session.add(fresh)

    def book(self, symbol: str) -> GuardedBook:
        """One book."""
        return self.intake.bookkeeper.books[symbol]

    def proven(self) -> bool:
        """Whether every book is."""
        books = self.intake.bookkeeper.books.values()
        return all(book.state is BookState.PROVEN for book in books)

    def columns(self, channel: Channel) -> list[tuple[batch_pb2.MarketDataBatch, object]]:
        """The batches of a channel that have rows, each with its columns."""
        return [
            (batch, getattr(batch, kind))
            for batch in self.batches
            if batch.channel == channel and (kind := batch.WhichOneof("columns")) is not None
        ]

    def rows(self, channel: Channel) -> int:
        """How many have been published."""
        return sum(len(columns.instrument) for _, columns in self.columns(channel))

    def trade_ids(self, symbol: str) -> list[int]:
        """In the order in which they were published."""
        return [
            number
            for batch, columns in self.columns(types_pb2.CHANNEL_TRADES)
            for place, number in zip(columns.instrument, columns.trade_id, strict=True)
            if batch.instruments[place].symbol == symbol
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that a batch brings."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await self.next_batch()

    async def next_batch(self) -> None:
        """Wait for whatever comes."""
        self._heard.clear()
        await self._heard.wait()

    async def listen(self) -> None:
        """Endless."""
        async for response in self._reader.responses():
            self.batches += market_data_pb2.SubscribeResponse.FromString(response).batches
            self._heard.set()


@asynccontextmanager
async def connected(base: str, symbols: Iterable[str]) -> AsyncIterator[Connector]:
    """With every book proven."""
    connector = Connector(base)
    connector.add(symbols)
    runs = (connector.session.run, connector.resync.run, connector.listen)
    tasks = [asyncio.create_task(run()) for run in runs]
    try:
        await connector.until(connector.proven)
        yield connector
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connector.venue.history.close()
