"""The connector on a simulated exchange that ccxt.pro takes for a real one: feed, books and hub of
a venue process, without its services."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import CHANNELS
from kit.base.telemetry import Meter
from kit.conformance.simulated_exchange import SimulatedExchange, exchange
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import Environment, Venue
from kit.connector.process.book_snapshot_requester import BookSnapshotRequester
from kit.connector.publishing.feed_handler import FeedHandler
from kit.simulator.dialect import find_dialects
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.ccxt import catalog
from venues.ccxt.feed import CcxtFeed


def addresses(name: str, base: str) -> dict:
    """Settings with which ccxt connects to a simulated exchange."""
    feed = base.replace("http", "ws")
    if name == "binance":
        keys = ("public", "private", "v1", "sapi", "fapiPublic", "dapiPublic")
        paths = ("/api/v3", "/api/v3", "/api/v1", "/sapi/v1", "/fapi/v1", "/dapi/v1")
        rest = {key: base + path for key, path in zip(keys, paths, strict=True)}
        return {**rest, "ws": {"spot": f"{feed}/stream/ws"}}
    if name == "kraken":
        return {"public": base, "private": base, "ws": {"publicV2": f"{feed}/v2"}}
    if name == "okx":
        return {"rest": base, "ws": f"{feed}/ws/v5"}
    if name == "bybit":
        rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), base)
        return {**rest, "ws": {"public": {"spot": f"{feed}/v5/public/spot"}}}
    if name == "coinbase":
        return {"rest": base, "ws": feed}
    return {"rest": base, "ws": f"{feed}/ws/api/v2"}


def venue(name: str, base: str, trades_max: int | None = None, **options: str) -> Venue:
    """The venue of an exchange that is simulated at this address."""
    chosen: dict = {"fetchMarkets": {"types": ["spot"]}} if name == "binance" else {}
    if trades_max is not None:
        chosen["tradesLimit"] = trades_max
    urls = {"api": addresses(name, base)}
    config = {"enableRateLimit": False, "urls": urls, "options": chosen}
    place = Environment("simulate", "", {"config": json.dumps(config), **options})
    return catalog.named(name)(place)


class Connector:
    """A connector with its published batches."""

    def __init__(self, made: Venue) -> None:
        clock, meter = SystemClock(), Meter(made.venue_id)
        self.venue = made
        self.feed_handler = FeedHandler.of(made, meter, clock)
        self.hub = self.feed_handler.hub
        self.subscriptions = self.feed_handler.subscriptions
        assert made.row_feed is not None
        feed = made.row_feed.feed(self.feed_handler.row_publisher, clock)
        assert isinstance(feed, CcxtFeed)
        self.feed = feed
        self.resync = BookSnapshotRequester(
            self.feed_handler.book_manager,
            made.book.snapshots,
            made.history,
            feed.renew_book,
            clock,
        )
        self.batches: list[batch_pb2.MarketDataBatch] = []
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self._heard = asyncio.Event()

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these too."""
        added = list(symbols)
        self.feed_handler.subscribe(added)
        self.feed.add(added)

    def book(self, symbol: str) -> SynchronizedBook:
        """One book."""
        return self.feed_handler.book_manager.books[symbol]

    def followed(self) -> bool:
        """Whether nothing is known to be wrong with any book."""
        books = self.feed_handler.book_manager.books.values()
        return all(book.state is BookState.SYNCHRONIZED for book in books)

    def rows(self, channel: int, since: int = 0) -> int:
        """Of a channel, from a position in ``batches`` on."""
        chosen = [batch for batch in self.batches[since:] if batch.channel == channel]
        kinds = [batch.WhichOneof("columns") for batch in chosen]
        return sum(
            len(getattr(batch, kind).instrument)
            for batch, kind in zip(chosen, kinds, strict=True)
            if kind
        )

    def gaps(self, channel: int, since: int = 0) -> list[types_pb2.Gap]:
        """The published gaps."""
        chosen = [batch for batch in self.batches[since:] if batch.channel == channel]
        return [gap for batch in chosen for gap in batch.gaps]

    def trade_ids(self, symbol: str, since: int = 0) -> list[str]:
        """As the exchange writes them."""
        found: list[str] = []
        for batch in self.batches[since:]:
            rows = zip(batch.trades.instrument, batch.trades.trade_id_text, strict=True)
            found += [text for place, text in rows if batch.instruments[place].symbol == symbol]
        return found

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that a batch brings."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def listen(self) -> None:
        """Endless."""
        async for response in self._reader.responses():
            self.batches += market_data_pb2.SubscribeResponse.FromString(response).batches
            self._heard.set()


@asynccontextmanager
async def connected(
    name: str,
    symbols: Iterable[str],
    adjust: Callable[[Venue], Venue] = lambda made: made,
    **options: Any,
) -> AsyncIterator[tuple[Connector, SimulatedExchange]]:
    """With every book there."""
    async with exchange(name, find_dialects()[name], events_per_second=200) as simulated:
        made = adjust(venue(name, f"{simulated.url}/{name}", **options))
        await made.history.instruments()
        connector = Connector(made)
        connector.add(symbols)
        runs = (connector.feed.run, connector.resync.run, connector.listen)
        tasks = [asyncio.create_task(run()) for run in runs]
        try:
            await connector.until(connector.followed)
            yield connector, simulated
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await made.history.close()
