"""All books of a venue: rows in, published batches out, snapshots fetched where one is needed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit import backoff, columns, telemetry
from kit.clock import Clock
from kit.columns import Batch, BookRows, Numbers, Scale
from kit.errors import VenuemeshError
from kit.numbers import NumberError, Places, most, rescale
from kit.venue.books import BookState, Changed, GuardedBook, Outcome, Update
from kit.venue.contract import BookSnapshot, History, SequenceRule, UpdateNumbers

SNAPSHOTS_AT_ONCE_MAX = 4

_log = telemetry.logger("venue.books")


class Bookkeeper:
    """Keeps every book and publishes what changes."""

    def __init__(self, rule: SequenceRule, publish: Callable[[Batch], object]) -> None:
        self.books: dict[str, GuardedBook] = {}
        self.snapshot_wanted = asyncio.Event()
        self._rule = rule
        self._publish = publish

    def add(self, symbols: Iterable[str]) -> None:
        """Keep books for these too."""
        for symbol in symbols:
            self.books.setdefault(symbol, GuardedBook(symbol, self._rule))

    def remove(self, symbols: Iterable[str]) -> None:
        """Forget these."""
        for symbol in symbols:
            self.books.pop(symbol, None)

    def wanting_snapshot(self) -> list[str]:
        """Symbols whose book cannot go on without one."""
        return [symbol for symbol, book in self.books.items() if book.wanted_since_ns]

    def doubted_count(self) -> int:
        """Number of these. Safe to ask from another thread, as metrics are."""
        return sum(book.wanted_since_ns > 0 for book in list(self.books.values()))

    def on_rows(self, rows: BookRows) -> None:
        """Updates from the feed, of added symbols. Raises NumberError before any change."""
        counts = rows.level_counts()
        price, size = self._scaled(rows.symbol, rows.price, rows.size, counts)
        draft = _Draft(self._publish)
        start = 0
        for row, symbol in enumerate(rows.symbol):
            stop = start + rows.bid_count[row] + rows.ask_count[row]
            update = Update(
                UpdateNumbers(
                    rows.first_sequence[row], rows.last_sequence[row], rows.previous_sequence[row]
                ),
                rows.venue_time_ns[row],
                rows.received_time_ns[row],
                rows.bid_count[row],
                price[start:stop],
                size[start:stop],
            )
            start = stop
            book = self.books[symbol]
            draft.take(book, book.on_update(update))
            if book.wanted_since_ns:
                self.snapshot_wanted.set()
        draft.publish()

    def on_snapshot(self, symbol: str, snapshot: BookSnapshot) -> bool:
        """A book from REST. Returns whether the book is proven now. Raises NumberError."""
        if symbol not in self.books:
            return True
        counts = [len(snapshot.price)]
        price, size = self._scaled([symbol], snapshot.price, snapshot.size, counts)
        book = self.books[symbol]
        draft = _Draft(self._publish)
        numbers = UpdateNumbers(snapshot.last_sequence, snapshot.last_sequence, 0)
        update = Update(numbers, 0, snapshot.received_time_ns, snapshot.bid_count, price, size)
        draft.take(book, book.on_snapshot(update))
        draft.publish()
        return book.state is BookState.PROVEN

    def doubt(
        self,
        symbols: Iterable[str],
        reason: "types_pb2.GapReason.ValueType",
        now_ns: int,
        detail: str,
    ) -> None:
        """Updates of these may have been missed."""
        draft = _Draft(self._publish)
        for symbol in symbols:
            if symbol in self.books:
                book = self.books[symbol]
                draft.take(book, book.doubt(reason, now_ns, detail))
        draft.publish()

    def _scaled(
        self, symbols: Sequence[str], price: Numbers, size: Numbers, counts: list[int]
    ) -> tuple[list[int], list[int]]:
        """Level numbers at the scale of their books, which grow where they have to."""
        places = zip(symbols, _places(price, counts), _places(size, counts), strict=True)
        scales = [self._grow(self.books[symbol], *needed) for symbol, *needed in places]
        return (
            _at_scales(price, [scale.price for scale in scales], counts),
            _at_scales(size, [scale.size for scale in scales], counts),
        )

    def _grow(self, book: GuardedBook, price_places: int, size_places: int) -> Scale:
        if price_places > book.scale.price or size_places > book.scale.size:
            price = max(price_places, book.scale.price)
            book.rescale(Scale(price, max(size_places, book.scale.size)))
        return book.scale


class _Draft:
    """The batch that is being written. A gap closes it, as gaps stand before the rows of theirs."""

    def __init__(self, publish: Callable[[Batch], object]) -> None:
        self._publish = publish
        self._begin()

    def take(self, book: GuardedBook, outcomes: Iterable[Outcome]) -> None:
        """Write what happened to one book."""
        for outcome in outcomes:
            if isinstance(outcome, Changed):
                self._rows.append((self._entry(book), outcome))
            else:
                if self._rows:
                    self.publish()
                self._batch.gaps.append(outcome.gap)

    def publish(self) -> None:
        """Publish what was written, if anything."""
        if self._rows or self._batch.gaps:
            if self._rows:
                self._batch.book.CopyFrom(self._columns())
            self._publish(self._batch)
            self._begin()

    def _begin(self) -> None:
        self._batch = Batch()
        self._entries: dict[tuple[str, Scale], int] = {}
        self._rows: list[tuple[int, Changed]] = []

    def _columns(self) -> batch_pb2.BookColumns:
        updates = [changed.update for _, changed in self._rows]
        return batch_pb2.BookColumns(
            instrument=[entry for entry, _ in self._rows],
            first_sequence=[update.numbers.first for update in updates],
            last_sequence=[update.numbers.last for update in updates],
            snapshot=[changed.snapshot for _, changed in self._rows],
            book_epoch=[changed.epoch for _, changed in self._rows],
            venue_time_ns=[update.venue_time_ns for update in updates],
            received_time_ns=[update.received_time_ns for update in updates],
            bid_count=[update.bid_count for update in updates],
            ask_count=[len(update.price) - update.bid_count for update in updates],
            price=list(chain.from_iterable([update.price for update in updates])),
            size=list(chain.from_iterable([update.size for update in updates])),
        )

    def _entry(self, book: GuardedBook) -> int:
        key = (book.symbol, book.scale)
        if key not in self._entries:
            self._entries[key] = len(self._entries)
            self._batch.instruments.append(columns.instrument_entry(*key))
        return self._entries[key]


class Resync:
    """Fetches a snapshot for each book that wants one, again and again until it is proven."""

    def __init__(self, bookkeeper: Bookkeeper, history: History, clock: Clock) -> None:
        self._bookkeeper = bookkeeper
        self._history = history
        self._clock = clock
        self._free = asyncio.Semaphore(SNAPSHOTS_AT_ONCE_MAX)
        self._running: set[str] = set()

    async def run(self) -> None:
        """Endless."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._bookkeeper.snapshot_wanted.wait()
                self._bookkeeper.snapshot_wanted.clear()
                for symbol in self._bookkeeper.wanting_snapshot():
                    if symbol not in self._running:
                        self._running.add(symbol)
                        group.create_task(self._prove(symbol))

    async def _prove(self, symbol: str) -> None:
        waits = backoff.delays(first_seconds=0.25)
        try:
            while symbol in self._bookkeeper.wanting_snapshot():
                if not await self._fetch(symbol):
                    await self._clock.sleep(next(waits))
        finally:
            self._running.discard(symbol)

    async def _fetch(self, symbol: str) -> bool:
        async with self._free:
            try:
                snapshot = await self._history.book(symbol)
                return self._bookkeeper.on_snapshot(symbol, snapshot)
            except (VenuemeshError, NumberError) as error:
                _log.warning("no snapshot", extra={"symbol": symbol, "detail": str(error)})
                return False


def _places(levels: Numbers, counts: list[int]) -> list[int]:
    """The most decimal places among the levels of each update."""
    if isinstance(levels.decimals, int):
        return [levels.decimals] * len(counts)
    return [most(part) for part in np.split(levels.decimals, np.cumsum(counts)[:-1])]


def _at_scales(levels: Numbers, scales: list[int], counts: list[int]) -> list[int]:
    scale: Places = scales[0] if len(set(scales)) == 1 else np.repeat(scales, counts)
    scaled: list[int] = rescale(levels.unscaled, levels.decimals, scale).tolist()
    return scaled
