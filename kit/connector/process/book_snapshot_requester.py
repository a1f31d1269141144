"""Request snapshots for books that need one, over REST or from the feed."""

import asyncio
from collections.abc import Callable

from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.base.numbers import NumberError
from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import NEEDS_REQUEST
from kit.connector.contract.venue import SnapshotSource, VenueHistory

SNAPSHOTS_AT_ONCE_MAX = 4
FIRST_WAIT_S = 0.25
SNAPSHOT_WAIT_S = 3.0
"""How long a snapshot of the feed may take after a subscription before it is requested again."""
LOOK_AGAIN_S = 0.05

_log = telemetry.logger("venue.resync")


class BookSnapshotRequester:
    """Requests a snapshot of each book that needs one, with backoff, until it is synchronized."""

    def __init__(
        self,
        book_manager: BookManager,
        snapshots: SnapshotSource,
        history: VenueHistory,
        renew_book: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """``renew_book`` asks the feed for the book of an instrument."""
        self._book_manager = book_manager
        self._from_feed = snapshots is SnapshotSource.FEED
        self._request = self._renew if self._from_feed else self._fetch
        self._history = history
        self._renew_book = renew_book
        self._clock = clock
        self._free = asyncio.Semaphore(SNAPSHOTS_AT_ONCE_MAX)
        self._running: set[str] = set()

    async def run(self) -> None:
        """Serve all books; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._book_manager.snapshot_wanted.wait()
                self._book_manager.snapshot_wanted.clear()
                for symbol in self._book_manager.wanting_snapshot():
                    if symbol not in self._running:
                        self._running.add(symbol)
                        group.create_task(self._prove(symbol))

    async def _prove(self, symbol: str) -> None:
        waits = backoff.delays(first_seconds=FIRST_WAIT_S)
        try:
            if self._from_feed and not self._must_request(symbol):
                await self._snapshot_came(symbol)
            while symbol in self._book_manager.wanting_snapshot():
                if self._must_wait(symbol):
                    await self._clock.sleep(FIRST_WAIT_S)
                elif not await self._request(symbol):
                    await self._clock.sleep(next(waits))
        finally:
            self._running.discard(symbol)

    def _must_wait(self, symbol: str) -> bool:
        return not self._from_feed and self._book_manager.books[symbol].needs_update_first

    def _must_request(self, symbol: str) -> bool:
        book = self._book_manager.books.get(symbol)
        return book is not None and book.wanted_because in NEEDS_REQUEST

    async def _fetch(self, symbol: str) -> bool:
        async with self._free:
            try:
                snapshot = await self._history.book(symbol)
                return self._book_manager.on_snapshot(symbol, snapshot)
            except (VenuemeshError, NumberError) as error:
                _log.warning("no snapshot", extra={"symbol": symbol, "detail": str(error)})
                return False

    async def _renew(self, symbol: str) -> bool:
        if symbol in self._book_manager.books:
            self._book_manager.books[symbol].snapshot_requested()
        self._renew_book(symbol)
        return await self._snapshot_came(symbol)

    async def _snapshot_came(self, symbol: str) -> bool:
        """Wait until the feed's snapshot has come, or should have. Returns whether the book needs
        none now: it may have come and the book be in doubt again."""
        books = self._book_manager.books
        epoch = books[symbol].epoch if symbol in books else 0
        for _ in range(round(SNAPSHOT_WAIT_S / LOOK_AGAIN_S)):
            wanted = symbol in self._book_manager.wanting_snapshot()
            if not wanted or books[symbol].epoch != epoch:
                break
            await self._clock.sleep(LOOK_AGAIN_S)
        return symbol not in self._book_manager.wanting_snapshot()
