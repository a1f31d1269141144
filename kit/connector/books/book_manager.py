"""Keep all books of a venue: rows of updates go in, batches to publish come out."""

import asyncio
from collections.abc import Container, Iterable
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn, rescale
from kit.base.numbers import NumberError
from kit.connector.books.batch_builder import BookBatchBuilder, Publish
from kit.connector.books.book_events import BookEvent, VenueBookUpdate
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, BookSnapshot, SequenceNumbers, UpdateOrdering
from kit.marketdata.book.levels import BookCheck, SideChanges, TruncatedLevels
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import (
    BookRows,
    NumberColumn,
    PriceLevels,
    Scale,
    SymbolColumn,
    instrument_entry,
    zeros,
)


class BookManager:
    """Keeps every book, and publishes updates, snapshots and gaps in batches."""

    def __init__(self, rules: BookRules, publish: Publish) -> None:
        self.books: dict[str, SynchronizedBook] = {}
        self.snapshot_wanted = asyncio.Event()
        self._rules = rules
        self._publish = publish
        self._suspended: set[str] = set()
        self._waits_for_peer = False

    def add(self, symbols: Iterable[str]) -> None:
        """Start to keep the books of these symbols."""
        for symbol in symbols:
            book = self.books.setdefault(symbol, SynchronizedBook(symbol, self._rules))
            book.waits_for_peer = self._waits_for_peer

    def remove(self, symbols: Iterable[str]) -> None:
        """Drop the books of these symbols."""
        for symbol in symbols:
            self._suspended.discard(symbol)
            self.books.pop(symbol, None)

    def wanting_snapshot(self) -> list[str]:
        """Symbols of the books that need a snapshot."""
        return [
            symbol
            for symbol, book in self.books.items()
            if book.wanted_since_ns and symbol not in self._suspended
        ]

    def suspend(self, symbol: str) -> None:
        """Ask for no snapshot of this book: the venue does not list it now."""
        self._suspended.add(symbol)

    def resume(self, symbol: str) -> None:
        """Ask for snapshots of this book again."""
        self._suspended.discard(symbol)
        self.snapshot_wanted.set()

    def in_doubt_count(self) -> int:
        """Number of books in doubt. Safe to call from other threads, as metrics do."""
        return sum(_is_in_doubt(book) for book in list(self.books.values()))

    def in_doubt(self) -> list[str]:
        """Symbols of the books that need a snapshot, or that have brought nothing in time."""
        return [
            symbol
            for symbol, book in self.books.items()
            if _is_in_doubt(book) and symbol not in self._suspended
        ]

    def on_rows(self, rows: BookRows, ahead: Container[str] = ()) -> None:
        """Take updates from the feed, of added symbols. Raises NumberError before any change.
        ``ahead``: symbols whose updates come from the peer replica, which may be ahead of our own
        connection.

        A book whose updates all join, the usual case, applies them in one run; other books check
        update by update.
        """
        if rows.snapshot.any():
            self._reset_scales(rows)
        sheet = _Sheet(rows, *self._scaled(rows.symbols, rows.bids, rows.asks))
        good: list[IntColumn] = []
        left: list[IntColumn] = []
        dropped: list[tuple[TruncatedLevels, TruncatedLevels]] = []
        parts = self._synchronized(sheet)
        builder = BookBatchBuilder(self._publish)
        for book, part in parts:
            part = _without_old(book, rows, part)
            if not self._joins(book, rows, part):
                left.append(part)
                continue
            done, verdict = book.apply_run(part, sheet.bids, sheet.asks, rows.checksum)
            if self._rules.depth:
                dropped.append(book.book.dropped_levels())
            if done:
                good.append(part[:done])
                book.note_applied(sheet.update(int(part[done - 1])))
            if verdict is not BookCheck.GOOD:
                builder.take(book, book.on_failed_check(verdict, sheet.update(int(part[done]))))
                left.append(part[done + 1 :])
        if good:
            self._publish_run(sheet.removing(dropped), good)
        self._follow_each(sheet, left, builder, ahead)

    def on_peer_snapshots(self, rows: BookRows) -> None:
        """Use snapshots of the peer replica for books that need one. Raises NumberError."""
        for row, symbol in enumerate(rows.symbols.per_row()):
            if self.books[symbol].state is not BookState.SYNCHRONIZED:
                one = rows.take(np.array([row]))
                received_time_ns = int(one.received_time_ns[0])
                last = int(one.last_sequence[0])
                self.on_snapshot(symbol, BookSnapshot(last, one.bids, one.asks, received_time_ns))

    def wait_for_peer(self, waits: bool) -> None:
        """Whether a missing update may come from the peer replica."""
        self._waits_for_peer = waits
        for book in self.books.values():
            book.waits_for_peer = waits

    def expire_waits(self, now_ns: int) -> None:
        """Stop waiting for updates that the peer replica has not brought in time."""
        builder = BookBatchBuilder(self._publish)
        for book in self.books.values():
            builder.take(book, book.expire_wait(now_ns))
        builder.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def mark_overdue(self, symbols: Iterable[str], now_ns: int) -> None:
        """Nothing of these books has come in time after their subscription."""
        builder = BookBatchBuilder(self._publish)
        for symbol in symbols:
            builder.take(self.books[symbol], [self.books[symbol].mark_overdue(now_ns)])
        builder.publish()

    def awaited(self) -> list[str]:
        """Symbols of the books of which nothing has come, and which are not overdue."""
        return [
            symbol
            for symbol, book in self.books.items()
            if book.state is BookState.EMPTY
            and not _is_in_doubt(book)
            and symbol not in self._suspended
        ]

    def expect_snapshots(self, symbols: Iterable[str]) -> None:
        """Our own connection is lost while the peer replica goes on. The snapshots with which the
        next connection begins are no reset of the venue."""
        for symbol in symbols:
            if symbol in self.books:
                self.books[symbol].expects_snapshot = True

    def on_snapshot(self, symbol: str, snapshot: BookSnapshot) -> bool:
        """Take a snapshot from REST. Returns whether the book is synchronized now. Raises
        NumberError."""
        if symbol not in self.books:
            return True
        bids, asks = self._scaled(SymbolColumn.of([symbol]), snapshot.bids, snapshot.asks)
        book = self.books[symbol]
        numbers = SequenceNumbers(snapshot.last_sequence, snapshot.last_sequence, 0)
        whole = VenueBookUpdate(numbers, 0, snapshot.received_time_ns, bids.of(0), asks.of(0))
        builder = BookBatchBuilder(self._publish)
        builder.take(book, book.on_snapshot(whole))
        builder.publish()
        return book.state is BookState.SYNCHRONIZED

    def not_contained(self, rows: BookRows) -> BookRows:
        """Leave out updates that a book ordered by time contains. Where updates are numbered, the
        sequence rule sees them itself."""
        if self._rules.sequence.ordering is not UpdateOrdering.TIME:
            return rows
        newest = [self.books[name].last_sequence for name in rows.symbols.names]
        contained = rows.last_sequence < np.array(newest, dtype=np.int64)[rows.symbols.row]
        return rows.take(np.flatnonzero(~contained))

    def take_over(self, others: "BookManager", now_ns: int) -> None:
        """Continue with the books of another connection. Each begins a new epoch; a book that is
        not synchronized there is in doubt from now on."""
        builder = BookBatchBuilder(self._publish)
        for symbol, other in others.books.items():
            if symbol in self.books:
                builder.take(
                    self.books[symbol], self._succession(self.books[symbol], other, now_ns)
                )
        builder.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def mark_in_doubt(
        self,
        symbols: Iterable[str],
        reason: "types_pb2.GapReason.ValueType",
        now_ns: int,
        detail: str,
    ) -> None:
        """Updates of these books may have been missed."""
        builder = BookBatchBuilder(self._publish)
        for symbol in symbols:
            if symbol in self.books:
                book = self.books[symbol]
                builder.take(book, book.mark_in_doubt(reason, now_ns, detail))
        builder.publish()

    def _succession(
        self, book: SynchronizedBook, other: SynchronizedBook, now_ns: int
    ) -> Iterable[BookEvent]:
        detail = "no snapshot yet on the new connection"
        if other.state is BookState.SYNCHRONIZED:
            try:
                self._grow(book, other.scale.price, other.scale.size)
                self._grow(other, book.scale.price, book.scale.size)
                return book.succeed(other)
            except NumberError as error:
                detail = str(error)
        return book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, now_ns, detail)

    def _joins(self, book: SynchronizedBook, rows: BookRows, part: IntColumn) -> bool:
        return (
            bool(len(part))
            and not rows.snapshot[part].any()
            and book.joins(
                rows.first_sequence[part], rows.last_sequence[part], rows.previous_sequence[part]
            )
        )

    def _publish_run(self, sheet: "_Sheet", good: list[IntColumn]) -> None:
        """Publish the updates that joined, as they came."""
        kept = sum(map(len, good))
        if kept < len(sheet.rows):
            sheet = sheet.take(np.sort(np.concatenate(good)))
        rows = sheet.rows
        books = [self.books[name] for name in rows.symbols.names]
        epochs = np.array([book.epoch for book in books], dtype=np.int64)
        columns = encode.book(
            sheet.bids,
            sheet.asks,
            instrument=rows.symbols.row,
            first_sequence=rows.first_sequence,
            last_sequence=rows.last_sequence,
            snapshot=zeros(len(rows)),
            book_epoch=epochs[rows.symbols.row],
            venue_time_ns=rows.venue_time_ns,
            received_time_ns=rows.received_time_ns,
        )
        entries = [instrument_entry(book.symbol, book.scale) for book in books]
        received_time_ns = int(rows.received_time_ns[-1])
        self._publish(BatchDraft(entries, rows.symbols.counts(), columns, received_time_ns))

    def _synchronized(self, sheet: "_Sheet") -> list[tuple[SynchronizedBook, IntColumn]]:
        """Each book with the updates that are left once it is synchronized: many updates behind a
        snapshot then still take the fast path."""
        builder = BookBatchBuilder(self._publish)
        parts: list[tuple[SynchronizedBook, IntColumn]] = []
        for name, part in sheet.rows.symbols.rows_of():
            book, done = self.books[name], 0
            while done < len(part) and (
                sheet.rows.snapshot[part[done]] or book.state is not BookState.SYNCHRONIZED
            ):
                builder.take(book, _take(book, sheet, int(part[done])))
                done += 1
            parts.append((book, part[done:]))
        builder.publish()
        return parts

    def _follow_each(
        self,
        sheet: "_Sheet",
        left: list[IntColumn],
        builder: BookBatchBuilder,
        ahead: Container[str],
    ) -> None:
        names = sheet.rows.symbols.names
        for row in sorted(row for part in left for row in part.tolist()):
            book = self.books[names[sheet.rows.symbols.row[row]]]
            builder.take(book, _take(book, sheet, row, book.symbol in ahead))
        builder.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def _reset_scales(self, rows: BookRows) -> None:
        """Start a book in doubt with the decimal places of its snapshot: a venue may write fewer
        than before, and a checksum covers the text as written."""
        for name, part in rows.symbols.rows_of():
            book = self.books[name]
            if rows.snapshot[part].any() and book.state is not BookState.SYNCHRONIZED:
                book.reset()

    def _scaled(
        self, symbols: SymbolColumn, *sides: PriceLevels
    ) -> "tuple[SideChanges, SideChanges]":
        """The levels at the scales of their books, which grow where needed."""
        owners = [SymbolColumn(symbols.names, np.repeat(symbols.row, side.count)) for side in sides]
        prices = [owner.most([side.price]) for owner, side in zip(owners, sides, strict=True)]
        sizes = [owner.most([side.size]) for owner, side in zip(owners, sides, strict=True)]
        scales = [
            self._grow(self.books[name], max(price), max(size))
            for name, price, size in zip(
                symbols.names, zip(*prices, strict=True), zip(*sizes, strict=True), strict=True
            )
        ]
        bids, asks = (
            SideChanges(
                _at_scales(side.price, [scale.price for scale in scales], owner.row),
                _at_scales(side.size, [scale.size for scale in scales], owner.row),
                side.count,
            )
            for owner, side in zip(owners, sides, strict=True)
        )
        return bids, asks

    def _grow(self, book: SynchronizedBook, price_places: int, size_places: int) -> Scale:
        if price_places > book.scale.price or size_places > book.scale.size:
            price = max(price_places, book.scale.price)
            book.rescale(Scale(price, max(size_places, book.scale.size)))
        return book.scale


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Updates of several books, with their levels at the scales of the books."""

    rows: BookRows
    bids: SideChanges
    asks: SideChanges

    def update(self, row: int) -> VenueBookUpdate:
        """The update of a row."""
        rows = self.rows
        return VenueBookUpdate(
            _numbers(rows, row),
            int(rows.venue_time_ns[row]),
            int(rows.received_time_ns[row]),
            self.bids.of(row),
            self.asks.of(row),
            None if rows.checksum is None else int(rows.checksum[row]),
        )

    def removing(self, dropped: list[tuple[TruncatedLevels, TruncatedLevels]]) -> "_Sheet":
        """The same, with the removal of levels beyond the depth."""
        if not dropped:
            return self
        bids, asks = (
            TruncatedLevels(*map(np.concatenate, zip(*side, strict=True)))
            for side in zip(*dropped, strict=True)
        )
        return _Sheet(self.rows, self.bids.removing(bids), self.asks.removing(asks))

    def take(self, kept: IntColumn) -> "_Sheet":
        return _Sheet(self.rows.take(kept), self.bids.take(kept), self.asks.take(kept))


def _numbers(rows: BookRows, row: int) -> SequenceNumbers:
    return SequenceNumbers(
        int(rows.first_sequence[row]),
        int(rows.last_sequence[row]),
        int(rows.previous_sequence[row]),
    )


def _is_in_doubt(book: SynchronizedBook) -> bool:
    return book.wanted_since_ns > 0 or book.is_overdue


def _take(
    book: SynchronizedBook, sheet: _Sheet, row: int, is_ahead: bool = False
) -> Iterable[BookEvent]:
    if sheet.rows.snapshot[row]:
        return book.on_feed_snapshot(sheet.update(row))
    return book.on_update(sheet.update(row), is_ahead)


def _without_old(book: SynchronizedBook, rows: BookRows, part: IntColumn) -> IntColumn:
    """The updates of a book, from the first one that it does not contain."""
    for place, row in enumerate(part.tolist()):
        if rows.snapshot[row] or not book.ignores(_numbers(rows, row)):
            return part[place:]
    return part[:0]


def _at_scales(numbers: NumberColumn, scales: list[int], owner: IntColumn) -> IntColumn:
    """The numbers of levels, each at the scale of its book."""
    if scales.count(scales[0]) == len(scales):
        return rescale(numbers.unscaled, numbers.decimals, scales[0])
    each = np.array(scales, dtype=np.int64)[owner]
    return rescale(numbers.unscaled, numbers.decimals, each)
