"""The order books that conflated subscribers look at, and no others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import numpy as np
from venuemesh.marketdata.v1 import batch_pb2

from core.bridge.follower import BookUpdate, Follower, FollowerState
from core.bridge.venues import Venues
from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import VenuemeshError
from kit.marketdata.book import Side
from kit.marketdata.delivery.conflated_state import BookTop
from kit.marketdata.delivery.conflation import ConflatedBuffer
from kit.marketdata.delivery.subscription import Publication, SymbolFilter
from kit.marketdata.model.columns import Scale

FETCHES_AT_ONCE_MAX = 8
RETRY_SECONDS_MAX = 5.0

_log = telemetry.logger("books")


class Books:
    """Followers by channel and symbol, for as long as somebody wants them."""

    def __init__(
        self, venues: Venues, position: Callable[[StreamKey], Cursor], clock: Clock
    ) -> None:
        self._venues = venues
        self._position = position
        self._clock = clock
        self._wanted_by: dict[StreamKey, dict[ConflatedBuffer, SymbolFilter]] = {}
        self._followers: dict[StreamKey, dict[str, Follower]] = {}
        self._fetch_wanted = asyncio.Event()
        self._fetching: set[Follower] = set()
        self._free = asyncio.Semaphore(FETCHES_AT_ONCE_MAX)

    @contextmanager
    def followed(
        self, key: StreamKey, symbols: SymbolFilter, mailbox: ConflatedBuffer
    ) -> Iterator[None]:
        """Keep these books (none named: all that change); tell the mailbox when one is there."""
        self._wanted_by.setdefault(key, {})[mailbox] = symbols
        followers = self._followers.setdefault(key, {})
        for symbol in symbols:
            self._follow(key, symbol)
        for symbol in symbols or followers:
            mailbox.book_changed(key, symbol)
        try:
            yield
        finally:
            del self._wanted_by[key][mailbox]
            self._let_go(key)

    def top(self, key: StreamKey, symbol: str, depth: int) -> BookTop | None:
        """The best levels of a book, None while it is not proven."""
        follower = self._followers.get(key, {}).get(symbol)
        return follower.top(depth) if follower is not None else None

    def apply(self, publication: Publication) -> None:
        """The next batch of a stream, before its subscribers get it."""
        key = publication.key
        if key not in self._followers:
            return
        batch = publication.message
        followers = self._followers[key]
        for gap in batch.gaps:
            for symbol in [gap.symbol] if gap.symbol else list(followers):
                if symbol in followers:
                    followers[symbol].on_gap(publication.cursor)
        if any(not symbols for symbols in self._wanted_by[key].values()):
            for entry in batch.instruments:
                self._follow(key, entry.symbol)
        for symbol, update in _updates(batch, followers):
            follower = followers[symbol]
            follower.on_update(publication.cursor, update)
            if follower.state is FollowerState.WANTED:
                self._fetch_wanted.set()

    def entries_lost(self, key: StreamKey) -> None:
        """The stream has a hole that the venue knows nothing of."""
        for follower in self._followers.get(key, {}).values():
            follower.want(self._position(key))
            self._fetch_wanted.set()

    async def run(self) -> None:
        """Fetch the snapshots that are wanted. Endless."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._fetch_wanted.wait()
                self._fetch_wanted.clear()
                for key, followers in self._followers.items():
                    for symbol, follower in followers.items():
                        wanted = follower.state is FollowerState.WANTED
                        if wanted and follower not in self._fetching:
                            self._fetching.add(follower)
                            group.create_task(self._fetch(key, symbol, follower))

    def _follow(self, key: StreamKey, symbol: str) -> None:
        if symbol not in self._followers[key]:
            self._followers[key][symbol] = Follower(self._position(key))
            self._fetch_wanted.set()

    def _let_go(self, key: StreamKey) -> None:
        """Forget the books that nobody wants any more."""
        wanted_by = self._wanted_by[key]
        if not wanted_by:
            del self._wanted_by[key], self._followers[key]
        elif all(wanted_by.values()):
            wanted = frozenset().union(*wanted_by.values())
            for symbol in self._followers[key].keys() - wanted:
                del self._followers[key][symbol]

    def _is_wanted(self, key: StreamKey, symbol: str, follower: Follower) -> bool:
        current = self._followers.get(key, {}).get(symbol)
        return current is follower and follower.state is FollowerState.WANTED

    async def _fetch(self, key: StreamKey, symbol: str, follower: Follower) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        try:
            while self._is_wanted(key, symbol, follower):
                if not await self._fetch_once(key, symbol, follower):
                    await self._clock.sleep(next(waits))
        finally:
            self._fetching.discard(follower)
        for mailbox, symbols in self._wanted_by.get(key, {}).items():
            if not symbols or symbol in symbols:
                mailbox.book_changed(key, symbol)

    async def _fetch_once(self, key: StreamKey, symbol: str, follower: Follower) -> bool:
        try:
            async with self._free:
                response = await self._venues.order_book(
                    key.venue, symbol, self._position(key).epoch
                )
        except (VenuemeshError, grpc.aio.AioRpcError) as error:
            detail = {"stream": str(key), "symbol": symbol, "detail": str(error)}
            _log.info("no snapshot", extra=detail)
            return False
        return follower.on_fetched(response)


def _updates(
    batch: batch_pb2.MarketDataBatch, followers: dict[str, Follower]
) -> Iterator[tuple[str, BookUpdate]]:
    """The rows of the books that are followed."""
    rows = batch.book
    price, size = np.array(rows.price, dtype=np.int64), np.array(rows.size, dtype=np.int64)
    start = 0
    for row, instrument in enumerate(rows.instrument):
        middle = start + rows.bid_count[row]
        stop = middle + rows.ask_count[row]
        entry = batch.instruments[instrument]
        if entry.symbol in followers:
            update = BookUpdate(
                scale=Scale(entry.price_scale, entry.size_scale),
                snapshot=rows.snapshot[row],
                epoch=rows.book_epoch[row],
                last_sequence=rows.last_sequence[row],
                venue_time_ns=rows.venue_time_ns[row],
                received_time_ns=rows.received_time_ns[row],
                bids=Side(price[start:middle], size[start:middle]),
                asks=Side(price[middle:stop], size[middle:stop]),
            )
            yield entry.symbol, update
        start = stop
