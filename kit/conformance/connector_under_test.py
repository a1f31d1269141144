"""A connector without its services, and what it has published."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import CHANNELS, Channel
from kit.base.telemetry import Meter
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import Venue
from kit.connector.feed.websocket_feed import WebsocketFeed
from kit.connector.process.book_snapshot_requester import BookSnapshotRequester
from kit.connector.process.book_verification import BookVerifier
from kit.connector.process.trade_backfill import TradeBackfill
from kit.connector.publishing.feed_handler import FeedHandler
from kit.connector.publishing.listing_publisher import ListingPublisher
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import BookSide, Levels
from kit.marketdata.model.batches import Batch, columns_of
from kit.marketdata.model.columns import Scale

WAIT_SECONDS_MAX = 30.0
REFILL_SECONDS = 5.0


class ConnectorUnderTest:
    """The feed of a venue, from its sockets to its hub, and a reader of all that it publishes."""

    def __init__(self, venue: Venue) -> None:
        clock = SystemClock()
        self.venue = venue
        self.meter = Meter(venue.venue_id)
        self.feed_handler = FeedHandler.of(venue, self.meter, clock)
        self.hub = self.feed_handler.hub
        self.subscriptions = self.feed_handler.subscriptions
        self.feed = WebsocketFeed(self.feed_handler)
        self.resync = BookSnapshotRequester(
            self.feed_handler.book_manager,
            venue.book.snapshots,
            venue.history,
            self.feed.renew_book,
            clock,
        )
        trades = self.feed_handler.trade_sequencer
        self.refill = TradeBackfill(trades, venue.history, REFILL_SECONDS, self.meter, clock)
        self.listing = ListingPublisher(self.feed_handler, self.feed)
        self.verification = BookVerifier(self.feed_handler)
        self.batches: list[Batch] = []
        """All that was published."""
        self.tasks: list[asyncio.Task[None]] = []
        """The running parts, while the connector runs."""
        self._reader = self.hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())
        self._received = asyncio.Event()

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that the venue has."""
        return self.venue.channels

    @property
    def skipped(self) -> int:
        """Number of frames that were left out."""
        return int(self.meter.counters.get("skipped_frames_total", 0))

    def add(self, symbols: Iterable[str]) -> None:
        added = list(symbols)
        self.feed_handler.subscribe(added)
        self.feed.add(added)

    def book(self, symbol: str) -> SynchronizedBook:
        """The book of an instrument."""
        return self.feed_handler.book_manager.books[symbol]

    def synchronized(self, symbol: str = "") -> bool:
        """Whether a book is synchronized, or without a symbol, whether all are."""
        books = [self.book(symbol)] if symbol else self.feed_handler.book_manager.books.values()
        return all(book.state is BookState.SYNCHRONIZED for book in books)

    @property
    def all_gaps(self) -> list[types_pb2.Gap]:
        """The gaps of all channels and instruments, in the order of publication, without those of
        books that wait for their first snapshot."""
        return [
            gap
            for batch in self.batches
            for gap in batch.gaps
            if gap.reason != types_pb2.GAP_REASON_UNPROVEN
        ]

    def gaps(self, channel: Channel, symbol: str, since: int = 0) -> list[types_pb2.Gap]:
        """The gaps of a channel that concern an instrument, from a position in ``batches`` on."""
        return [
            gap
            for batch in self.batches[since:]
            if batch.channel == channel
            for gap in batch.gaps
            if gap.symbol in ("", symbol)
        ]

    def rows(self, channel: Channel, symbol: str, since: int = 0) -> Iterator[tuple[Any, int]]:
        """Each row of an instrument: the columns, and the row number in them."""
        for _, columns, row in self.scaled_rows(channel, symbol, since):
            yield columns, row

    def scaled_rows(
        self, channel: Channel, symbol: str, since: int = 0
    ) -> Iterator[tuple[Scale, Any, int]]:
        """Each row of an instrument, with the scale of its numbers."""
        for batch in self.batches[since:]:
            columns = columns_of(batch)
            if batch.channel != channel or columns is None:
                continue
            for row, place in enumerate(columns.instrument):
                entry = batch.instruments[place]
                if entry.symbol == symbol:
                    yield Scale(entry.price_scale, entry.size_scale, entry.rate_scale), columns, row

    def row_count(self, channel: Channel, symbol: str, since: int = 0) -> int:
        """Number of rows of an instrument that were published."""
        return sum(1 for _ in self.rows(channel, symbol, since))

    def count(self, channel: Channel) -> int:
        """Number of rows of all instruments that were published."""
        found = (columns_of(batch) for batch in self.batches if batch.channel == channel)
        return sum(len(columns.instrument) for columns in found if columns is not None)

    def trade_ids(self, symbol: str) -> list[int]:
        """Trade ids of an instrument, in the order of publication."""
        return [
            number
            for batch in self.batches
            for place, number in zip(batch.trades.instrument, batch.trades.trade_id, strict=True)
            if batch.instruments[place].symbol == symbol
        ]

    def followed(self, symbol: str) -> "FollowedBook":
        """The book of a reader who knows only what was published."""
        return FollowedBook(self.batches, symbol)

    def now_s(self) -> float:
        """A monotonic time, in seconds."""
        return asyncio.get_running_loop().time()

    async def until(self, condition: Callable[[], object], what: str = "a batch") -> None:
        """Wait until a condition holds that batches bring about. Raises TimeoutError, which names
        ``what`` was waited for."""
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not condition():
                    await self.next_batch()
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {WAIT_SECONDS_MAX:.0f} s") from None

    async def next_batch(self) -> None:
        """Wait for the next batch."""
        self._received.clear()
        await self._received.wait()

    async def listen(self) -> None:
        """Read all batches; runs until cancelled."""
        async for response in self._reader.responses():
            self.batches += market_data_pb2.SubscribeResponse.FromString(response).batches
            self._received.set()


class FollowedBook:
    """A book that is made of published batches alone."""

    def __init__(self, batches: Sequence[Batch], symbol: str) -> None:
        """``batches`` grow while the book is followed."""
        self._batches = batches
        self._symbol = symbol
        self._read = 0
        self._book, self._scale, self._is_good = Book(), Scale(), False

    def read(self) -> tuple[Levels, Levels, bool]:
        """Read what is new. Returns bids, asks, and whether the reader may rely on them."""
        for batch in self._batches[self._read :]:
            if batch.channel == types_pb2.CHANNEL_BOOK:
                self._apply(batch)
        self._read = len(self._batches)
        return self._book.bids(), self._book.asks(), self._is_good

    def _apply(self, batch: Batch) -> None:
        if any(gap.symbol in ("", self._symbol) for gap in batch.gaps):
            self._is_good = False
        at = 0
        for row, place in enumerate(batch.book.instrument):
            entry, bids = batch.instruments[place], batch.book.bid_count[row]
            start, middle = at, at + bids
            at = middle + batch.book.ask_count[row]
            if entry.symbol != self._symbol:
                continue
            self._rescale(Scale(entry.price_scale, entry.size_scale))
            sides = (
                BookSide.of(list(zip(batch.book.price[a:b], batch.book.size[a:b], strict=True)))
                for a, b in ((start, middle), (middle, at))
            )
            if batch.book.snapshot[row]:
                self._book.replace(*sides)
                self._is_good = True
            elif batch.book.book_epoch[row]:
                self._book.apply(*sides)

    def _rescale(self, grown: Scale) -> None:
        if grown != self._scale:
            self._book.rescale(
                10 ** (grown.price - self._scale.price), 10 ** (grown.size - self._scale.size)
            )
            self._scale = grown


@asynccontextmanager
async def connector(
    venue: Venue, symbols: Iterable[str], *, refills: bool = True
) -> AsyncIterator[ConnectorUnderTest]:
    """A running connector, subscribed to these symbols. ``refills``: whether it fetches lost trades
    over REST."""
    made = ConnectorUnderTest(venue)
    made.add(symbols)
    runs = [made.feed.run, made.resync.run, made.listen, *([made.refill.run] if refills else ())]
    made.tasks = [asyncio.create_task(run(), name=run.__qualname__) for run in runs]
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await venue.history.close()
