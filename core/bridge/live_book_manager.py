"""The order books of conflated subscribers, each spliced from a snapshot and the stream."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from core.bridge.live_book import LiveBook, LiveBookState
from core.bridge.venue_clients import VenueClients
from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import VenuemeshError
from kit.marketdata.book.local_book import updates_by_book
from kit.marketdata.delivery.conflated_state import BookTop
from kit.marketdata.delivery.conflation import ConflatedBuffer
from kit.marketdata.delivery.subscription import PublishedBatch, SymbolFilter
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale

FETCHES_AT_ONCE_MAX = 8
RETRY_SECONDS_MAX = 5.0

_log = telemetry.logger("books")


class LiveBookManager:
    """Keeps books by stream and symbol, while at least one subscriber wants them."""

    def __init__(
        self, venues: VenueClients, position: Callable[[StreamKey], Cursor], clock: Clock
    ) -> None:
        self._venues = venues
        self._position = position
        self._clock = clock
        self._buffers: dict[StreamKey, dict[ConflatedBuffer, SymbolFilter]] = {}
        self._books: dict[StreamKey, dict[str, LiveBook]] = {}
        self._fetch_requested = asyncio.Event()
        self._fetching: set[LiveBook] = set()
        self._free = asyncio.Semaphore(FETCHES_AT_ONCE_MAX)

    @contextmanager
    def keep(
        self, key: StreamKey, symbols: SymbolFilter, buffer: ConflatedBuffer
    ) -> Iterator[None]:
        """Keep these books, or with no symbols all that change. The buffer is notified when the
        snapshot of one has come."""
        self._buffers.setdefault(key, {})[buffer] = symbols
        books = self._books.setdefault(key, {})
        for symbol in symbols:
            self._add(key, symbol)
        for symbol in symbols or books:
            buffer.book_changed(key, symbol)
        try:
            yield
        finally:
            del self._buffers[key][buffer]
            self._drop_unwanted(key)

    def top(self, key: StreamKey, symbol: str, depth: int) -> BookTop | None:
        """The best ``depth`` levels of a book, or None while it is not proven."""
        book = self._books.get(key, {}).get(symbol)
        return book.top(depth) if book is not None else None

    def apply(self, publication: PublishedBatch) -> None:
        """Apply the next batch of a stream, before its subscribers get it."""
        key = publication.key
        if key not in self._books:
            return
        batch = publication.message
        books = self._books[key]
        for gap in batch.gaps:
            for symbol in [gap.symbol] if gap.symbol else list(books):
                if symbol in books:
                    books[symbol].on_gap(publication.cursor)
        if any(not symbols for symbols in self._buffers[key].values()):
            for entry in batch.instruments:
                self._add(key, entry.symbol)
        instruments = [InstrumentScale.of(entry) for entry in batch.instruments]
        updates = BookUpdates.of(batch.book)
        for symbol, update in updates_by_book(instruments, updates, books):
            book = books[symbol]
            book.on_update(publication.cursor, update)
            if book.state is LiveBookState.NEEDS_SNAPSHOT:
                self._fetch_requested.set()

    def entries_lost(self, key: StreamKey) -> None:
        """Entries of a stream were trimmed before they were read: fetch its books again."""
        for book in self._books.get(key, {}).values():
            book.require_snapshot(self._position(key))
            self._fetch_requested.set()

    async def run(self) -> None:
        """Fetch the snapshots that books need. Endless."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._fetch_requested.wait()
                self._fetch_requested.clear()
                for key, books in self._books.items():
                    for symbol, book in books.items():
                        wanted = book.state is LiveBookState.NEEDS_SNAPSHOT
                        if wanted and book not in self._fetching:
                            self._fetching.add(book)
                            group.create_task(self._fetch(key, symbol, book))

    def _add(self, key: StreamKey, symbol: str) -> None:
        if symbol not in self._books[key]:
            self._books[key][symbol] = LiveBook(self._position(key))
            self._fetch_requested.set()

    def _drop_unwanted(self, key: StreamKey) -> None:
        """Drop the books that no subscriber wants."""
        wanted_by = self._buffers[key]
        if not wanted_by:
            del self._buffers[key], self._books[key]
        elif all(wanted_by.values()):
            wanted = frozenset().union(*wanted_by.values())
            for symbol in self._books[key].keys() - wanted:
                del self._books[key][symbol]

    def _needs_snapshot(self, key: StreamKey, symbol: str, book: LiveBook) -> bool:
        current = self._books.get(key, {}).get(symbol)
        return current is book and book.state is LiveBookState.NEEDS_SNAPSHOT

    async def _fetch(self, key: StreamKey, symbol: str, book: LiveBook) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        try:
            while self._needs_snapshot(key, symbol, book):
                if not await self._fetch_once(key, symbol, book):
                    await self._clock.sleep(next(waits))
        finally:
            self._fetching.discard(book)
        for buffer, symbols in self._buffers.get(key, {}).items():
            if not symbols or symbol in symbols:
                buffer.book_changed(key, symbol)

    async def _fetch_once(self, key: StreamKey, symbol: str, book: LiveBook) -> bool:
        try:
            async with self._free:
                response = await self._venues.order_book(
                    key.venue, symbol, self._position(key).epoch
                )
        except (VenuemeshError, grpc.aio.AioRpcError) as error:
            detail = {"stream": str(key), "symbol": symbol, "detail": str(error)}
            _log.info("no snapshot", extra=detail)
            return False
        return book.on_snapshot(response)
