"""All books of a venue: rows in, published batches out, snapshots fetched where one is needed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit import backoff, encode, telemetry
from kit.book import Side
from kit.clock import Clock
from kit.columns import BookRows, Numbers, Scale, Symbols, instrument_entry
from kit.encode import Draft
from kit.errors import VenuemeshError
from kit.numbers import IntColumn, NumberError, Places, rescale
from kit.venue.books import BookState, Changed, GuardedBook, Outcome, Update
from kit.venue.contract import BookSnapshot, History, SequenceRule, UpdateNumbers

SNAPSHOTS_AT_ONCE_MAX = 4

_log = telemetry.logger("venue.books")


Publish = Callable[[Draft], object]


class Bookkeeper:
    """Keeps every book and publishes what changes."""

    def __init__(self, rule: SequenceRule, publish: Publish) -> None:
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
        """Updates from the feed, of added symbols. Raises NumberError before any change.

        Books whose updates all join, which is the usual case, take them as one; the others are
        looked at update by update.
        """
        levels = self._scaled(rows.symbols, rows.price, rows.size, rows.level_counts())
        starts = np.cumsum(rows.level_counts()) - rows.level_counts()
        joining = [
            number
            for number, (name, part) in enumerate(rows.symbols.rows_of())
            if self._run_joins(self.books[name], rows, part)
        ]
        if len(joining) == len(rows.symbols.names):
            self._follow_runs(rows, levels)
            return
        run = np.isin(rows.symbols.row, joining)
        if joining:
            level_run = np.repeat(run, rows.level_counts())
            kept = _Levels(levels.price[level_run], levels.size[level_run])
            self._follow_runs(rows.take(np.flatnonzero(run)), kept)
        self._follow_each(rows, np.flatnonzero(~run).tolist(), starts, levels)

    def on_snapshot(self, symbol: str, snapshot: BookSnapshot) -> bool:
        """A book from REST. Returns whether the book is proven now. Raises NumberError."""
        if symbol not in self.books:
            return True
        symbols = Symbols.of([symbol])
        counts = np.array([len(snapshot.price)], dtype=np.int64)
        levels = self._scaled(symbols, snapshot.price, snapshot.size, counts)
        book = self.books[symbol]
        bids, asks = levels.sides(0, snapshot.bid_count, len(snapshot.price))
        numbers = UpdateNumbers(snapshot.last_sequence, snapshot.last_sequence, 0)
        pen = _Pen(self._publish)
        pen.take(book, book.on_snapshot(Update(numbers, 0, snapshot.received_time_ns, bids, asks)))
        pen.publish()
        return book.state is BookState.PROVEN

    def doubt(
        self,
        symbols: Iterable[str],
        reason: "types_pb2.GapReason.ValueType",
        now_ns: int,
        detail: str,
    ) -> None:
        """Updates of these may have been missed."""
        pen = _Pen(self._publish)
        for symbol in symbols:
            if symbol in self.books:
                book = self.books[symbol]
                pen.take(book, book.doubt(reason, now_ns, detail))
        pen.publish()

    def _run_joins(self, book: GuardedBook, rows: BookRows, part: slice | IntColumn) -> bool:
        return book.state is BookState.PROVEN and self._rule.run_joins(
            book.last_sequence,
            rows.first_sequence[part],
            rows.last_sequence[part],
            rows.previous_sequence[part],
        )

    def _follow_runs(self, rows: BookRows, levels: "_Levels") -> None:
        """Updates that all join: each book takes its own as one, and they are published as is."""
        is_bid = _bid_levels(rows)
        owner = np.repeat(rows.symbols.row, rows.level_counts())
        epochs = np.empty(len(rows), dtype=np.int64)
        entries = []
        for number, (name, part) in enumerate(rows.symbols.rows_of()):
            book = self.books[name]
            mine = owner == number
            last = rows.last_sequence[part][-1]
            book.follow_run(
                Update(
                    UpdateNumbers(int(rows.first_sequence[part][0]), int(last), 0),
                    int(rows.venue_time_ns[part][-1]),
                    int(rows.received_time_ns[part][-1]),
                    levels.side(mine & is_bid),
                    levels.side(mine & ~is_bid),
                )
            )
            epochs[part] = book.epoch
            entries.append(instrument_entry(name, book.scale))
        columns = encode.book_columns(
            instrument=rows.symbols.row,
            first_sequence=rows.first_sequence,
            last_sequence=rows.last_sequence,
            snapshot=np.zeros(len(rows), dtype=np.int64),
            book_epoch=epochs,
            venue_time_ns=rows.venue_time_ns,
            received_time_ns=rows.received_time_ns,
            bid_count=rows.bid_count,
            ask_count=rows.ask_count,
            price=levels.price,
            size=levels.size,
        )
        received_time_ns = int(rows.received_time_ns[-1])
        self._publish(Draft(entries, rows.symbols.counts(), columns, received_time_ns))

    def _follow_each(
        self, rows: BookRows, chosen: list[int], starts: IntColumn, levels: "_Levels"
    ) -> None:
        pen = _Pen(self._publish)
        symbols = rows.symbols.per_row()
        for row in chosen:
            middle = int(starts[row] + rows.bid_count[row])
            bids, asks = levels.sides(int(starts[row]), middle, middle + int(rows.ask_count[row]))
            update = Update(
                UpdateNumbers(
                    int(rows.first_sequence[row]),
                    int(rows.last_sequence[row]),
                    int(rows.previous_sequence[row]),
                ),
                int(rows.venue_time_ns[row]),
                int(rows.received_time_ns[row]),
                bids,
                asks,
            )
            book = self.books[symbols[row]]
            pen.take(book, book.on_update(update))
            if book.wanted_since_ns:
                self.snapshot_wanted.set()
        pen.publish()

    def _scaled(
        self, symbols: Symbols, price: Numbers, size: Numbers, counts: IntColumn
    ) -> "_Levels":
        """Level numbers at the scale of their books, which grow where they have to."""
        owner = np.repeat(symbols.row, counts)
        places = zip(
            symbols.names,
            Symbols(symbols.names, owner).most([price]),
            Symbols(symbols.names, owner).most([size]),
            strict=True,
        )
        scales = [self._grow(self.books[symbol], *needed) for symbol, *needed in places]
        price_scales = np.array([scale.price for scale in scales], dtype=np.int64)
        size_scales = np.array([scale.size for scale in scales], dtype=np.int64)
        return _Levels(
            rescale(price.unscaled, price.decimals, _one_or_each(price_scales, owner)),
            rescale(size.unscaled, size.decimals, _one_or_each(size_scales, owner)),
        )

    def _grow(self, book: GuardedBook, price_places: int, size_places: int) -> Scale:
        if price_places > book.scale.price or size_places > book.scale.size:
            price = max(price_places, book.scale.price)
            book.rescale(Scale(price, max(size_places, book.scale.size)))
        return book.scale


@dataclass(frozen=True, slots=True)
class _Levels:
    """Levels of many updates one after another, at the scale of their books."""

    price: IntColumn
    size: IntColumn

    def side(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Side:
        """Those of a mask."""
        return Side(self.price[chosen], self.size[chosen])

    def sides(self, start: int, middle: int, stop: int) -> tuple[Side, Side]:
        """Two neighbouring ranges: the bids and the asks of an update."""
        return (
            Side(self.price[start:middle], self.size[start:middle]),
            Side(self.price[middle:stop], self.size[middle:stop]),
        )


class _Pen:
    """Writes outcomes into batches. A gap closes a batch, as gaps stand before the rows."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._gaps: list[types_pb2.Gap] = []
        self._rows: list[tuple[GuardedBook, Scale, Changed]] = []

    def take(self, book: GuardedBook, outcomes: Iterable[Outcome]) -> None:
        """Write what happened to one book."""
        for outcome in outcomes:
            if isinstance(outcome, Changed):
                self._rows.append((book, book.scale, outcome))
            else:
                if self._rows:
                    self.publish()
                self._gaps.append(outcome.gap)

    def publish(self) -> None:
        """Publish what was written, if anything."""
        if self._rows or self._gaps:
            draft = self._draft() if self._rows else Draft()
            self._publish(draft.after(self._gaps))
            self._gaps, self._rows = [], []

    def _draft(self) -> Draft:
        entries = Counter((book.symbol, scale) for book, scale, _ in self._rows)
        position = {entry: index for index, entry in enumerate(entries)}
        changes = [changed for _, _, changed in self._rows]
        updates = [changed.update for changed in changes]
        sides = [side for update in updates for side in (update.bids, update.asks)]
        columns = encode.book_columns(
            instrument=_column(position[book.symbol, scale] for book, scale, _ in self._rows),
            first_sequence=_column(update.numbers.first for update in updates),
            last_sequence=_column(update.numbers.last for update in updates),
            snapshot=_column(changed.snapshot for changed in changes),
            book_epoch=_column(changed.epoch for changed in changes),
            venue_time_ns=_column(update.venue_time_ns for update in updates),
            received_time_ns=_column(update.received_time_ns for update in updates),
            bid_count=_column(len(update.bids.price) for update in updates),
            ask_count=_column(len(update.asks.price) for update in updates),
            price=np.concatenate([side.price for side in sides]),
            size=np.concatenate([side.size for side in sides]),
        )
        return Draft(
            [instrument_entry(*entry) for entry in entries],
            list(entries.values()),
            columns,
            updates[-1].received_time_ns,
        )


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


def _column(values: Iterable[int]) -> IntColumn:
    return np.fromiter(values, dtype=np.int64)


def _bid_levels(rows: BookRows) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """For each level whether it is a bid."""
    runs = np.column_stack((rows.bid_count, rows.ask_count)).ravel()
    return np.repeat(np.tile([True, False], len(rows)), runs)


def _one_or_each(scales: IntColumn, owner: IntColumn) -> Places:
    return int(scales[0]) if (scales == scales[0]).all() else scales[owner]
