"""The connector on a pretended Binance: what a venue process is made of, without its services."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.clock import SystemClock
from kit.cursor import CHANNELS
from kit.telemetry import Meter
from kit.venue.books.books import BookState, GuardedBook
from kit.venue.books.resync import Resync
from kit.venue.connections.session import Session
from kit.venue.connections.subscriptions import Subscriptions
from kit.venue.contract import Place
from kit.venue.hub import Hub
from kit.venue.intake import Intake
from venues.binance.catalog import VENUES

WAIT_S = 20.0


class Connector:
    """What it has heard, and what became of it."""

    def __init__(self, base: str, options: Mapping[str, str]) -> None:
        """``base``: of the pretended venue, which ends with its id."""
        simulator_url, _, venue_id = base.rpartition("/")
        clock = SystemClock()
        self.meter = meter = Meter(venue_id)
        self.venue = VENUES[venue_id](Place("simulate", simulator_url, options))
        self.hub = Hub(venue_id, 1, clock, meter)
        self.subscriptions = Subscriptions(CHANNELS)
        self.intake = Intake(self.venue, self.hub, self.subscriptions, meter, clock)
        self.session = Session(self.venue, self.intake, meter, clock)
        books, rules = self.intake.bookkeeper, self.venue.book
        renew = self.session.renew_book
        self.resync = Resync(books, rules.snapshots, self.venue.history, renew, clock)
        self.batches: list[batch_pb2.MarketDataBatch] = []
        self.gaps: list[types_pb2.Gap] = []
        self.rows: dict[int, int] = dict.fromkeys(CHANNELS, 0)
        self.trade_ids: dict[str, list[int]] = {}
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self._heard = asyncio.Event()

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

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that a batch brings."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def listen(self) -> None:
        """Endless."""
        async for response in self._reader.responses():
            for batch in market_data_pb2.SubscribeResponse.FromString(response).batches:
                self._hear(batch)
            self._heard.set()

    def _hear(self, batch: batch_pb2.MarketDataBatch) -> None:
        self.batches.append(batch)
        self.gaps += batch.gaps
        kind = batch.WhichOneof("columns")
        if kind is not None:
            self.rows[batch.channel] += len(getattr(batch, kind).instrument)
        numbers = zip(batch.trades.instrument, batch.trades.trade_id, strict=True)
        for instrument, number in numbers:
            symbol = batch.instruments[instrument].symbol
            self.trade_ids.setdefault(symbol, []).append(number)


@asynccontextmanager
async def connected(base: str, symbols: Iterable[str], **options: str) -> AsyncIterator[Connector]:
    """With every book proven."""
    connector = Connector(base, options)
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
