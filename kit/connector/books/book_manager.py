"""All books of a venue: rows in, published batches out."""

import asyncio
from collections.abc import Container, Iterable
from dataclasses import dataclass

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.numbers import IntColumn, NumberError, rescale
from kit.connector.books.batch_builder import BookBatchBuilder, Publish
from kit.connector.books.outcomes import Outcome, Update
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, BookSnapshot, UpdateNumbers
from kit.marketdata.book import Changes, DroppedLevels, Verdict
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import (
    BookRows,
    Levels,
    Numbers,
    Scale,
    Symbols,
    instrument_entry,
    zeros,
)


class BookManager:
    """Keeps every book and publishes what changes."""

    def __init__(self, rules: BookRules, publish: Publish) -> None:
        self.books: dict[str, SynchronizedBook] = {}
        self.snapshot_wanted = asyncio.Event()
        self._rules = rules
        self._publish = publish
        self._resting: set[str] = set()
        self._is_patient = False

    def add(self, symbols: Iterable[str]) -> None:
        """Keep books for these too."""
        for symbol in symbols:
            book = self.books.setdefault(symbol, SynchronizedBook(symbol, self._rules))
            book.is_patient = self._is_patient

    def remove(self, symbols: Iterable[str]) -> None:
        """Forget these."""
        for symbol in symbols:
            self._resting.discard(symbol)
            self.books.pop(symbol, None)

    def wanting_snapshot(self) -> list[str]:
        """Symbols whose book cannot go on without one."""
        return [
            symbol
            for symbol, book in self.books.items()
            if book.wanted_since_ns and symbol not in self._resting
        ]

    def rest(self, symbol: str) -> None:
        """Want no snapshot of this one: the venue has no such book now."""
        self._resting.add(symbol)

    def wake(self, symbol: str) -> None:
        """End its rest."""
        self._resting.discard(symbol)
        self.snapshot_wanted.set()

    def doubted_count(self) -> int:
        """Number of these. Safe to ask from another thread, as metrics are."""
        return sum(book.wanted_since_ns > 0 for book in list(self.books.values()))

    def on_rows(self, rows: BookRows, ahead: Container[str] = ()) -> None:
        """Updates from the feed, of added symbols. Raises NumberError before any change. ``ahead``:
        symbols whose updates come from the twin, and may be ahead of those of our own connection.

        Books whose updates all join, which is the usual case, take them as one; the others are
        looked at update by update.
        """
        if rows.snapshot.any():
            self._forget_scales(rows)
        sheet = _Sheet(rows, *self._scaled(rows.symbols, rows.bids, rows.asks))
        good: list[IntColumn] = []
        left: list[IntColumn] = []
        fallen: list[tuple[DroppedLevels, DroppedLevels]] = []
        parts = self._begun(sheet)
        pen = BookBatchBuilder(self._publish)
        for book, part in parts:
            part = _without_old(book, rows, part)
            if not self._joins(book, rows, part):
                left.append(part)
                continue
            done, verdict = book.follow_run(part, sheet.bids, sheet.asks, rows.checksum)
            if self._rules.depth:
                fallen.append(book.book.fallen())
            if done:
                good.append(part[:done])
                book.followed(sheet.update(int(part[done - 1])))
            if verdict is not Verdict.GOOD:
                pen.take(book, book.broken(verdict, sheet.update(int(part[done]))))
                left.append(part[done + 1 :])
        if good:
            self._publish_run(sheet.removing(fallen), good)
        self._follow_each(sheet, left, pen, ahead)

    def on_twin_snapshots(self, rows: BookRows) -> None:
        """Whole books of the twin: of use where ours wants one. Raises NumberError."""
        for row, symbol in enumerate(rows.symbols.per_row()):
            if self.books[symbol].state is not BookState.PROVEN:
                one = rows.take(np.array([row]))
                received_time_ns = int(one.received_time_ns[0])
                last = int(one.last_sequence[0])
                self.on_snapshot(symbol, BookSnapshot(last, one.bids, one.asks, received_time_ns))

    def be_patient(self, is_patient: bool) -> None:
        """Whether a missing update may come from the twin."""
        self._is_patient = is_patient
        for book in self.books.values():
            book.is_patient = is_patient

    def end_waits(self, now_ns: int) -> None:
        """Tell what was waited for in vain."""
        pen = BookBatchBuilder(self._publish)
        for book in self.books.values():
            pen.take(book, book.end_wait(now_ns))
        pen.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def expect_snapshots(self, symbols: Iterable[str]) -> None:
        """Our own connection is lost, and the twin goes on: the whole books with which the next one
        begins are no surprise."""
        for symbol in symbols:
            if symbol in self.books:
                self.books[symbol].expects_snapshot = True

    def on_snapshot(self, symbol: str, snapshot: BookSnapshot) -> bool:
        """A book from REST. Returns whether the book is proven now. Raises NumberError."""
        if symbol not in self.books:
            return True
        bids, asks = self._scaled(Symbols.of([symbol]), snapshot.bids, snapshot.asks)
        book = self.books[symbol]
        numbers = UpdateNumbers(snapshot.last_sequence, snapshot.last_sequence, 0)
        whole = Update(numbers, 0, snapshot.received_time_ns, bids.of(0), asks.of(0))
        pen = BookBatchBuilder(self._publish)
        pen.take(book, book.on_snapshot(whole))
        pen.publish()
        return book.state is BookState.PROVEN

    def take_over(self, others: "BookManager", now_ns: int) -> None:
        """Go on with the books of another connection. Each begins a new epoch; one that is not
        proven there is in doubt from now on."""
        pen = BookBatchBuilder(self._publish)
        for symbol, other in others.books.items():
            if symbol in self.books:
                pen.take(self.books[symbol], self._succeeded(self.books[symbol], other, now_ns))
        pen.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def doubt(
        self,
        symbols: Iterable[str],
        reason: "types_pb2.GapReason.ValueType",
        now_ns: int,
        detail: str,
    ) -> None:
        """Updates of these may have been missed."""
        pen = BookBatchBuilder(self._publish)
        for symbol in symbols:
            if symbol in self.books:
                book = self.books[symbol]
                pen.take(book, book.doubt(reason, now_ns, detail))
        pen.publish()

    def _succeeded(
        self, book: SynchronizedBook, other: SynchronizedBook, now_ns: int
    ) -> Iterable[Outcome]:
        detail = "not whole yet on the new connection"
        if other.state is BookState.PROVEN:
            try:
                self._grow(book, other.scale.price, other.scale.size)
                self._grow(other, book.scale.price, book.scale.size)
                return book.succeed(other)
            except NumberError as error:
                detail = str(error)
        return book.doubt(types_pb2.GAP_REASON_RECONNECT, now_ns, detail)

    def _joins(self, book: SynchronizedBook, rows: BookRows, part: IntColumn) -> bool:
        return (
            bool(len(part))
            and not rows.snapshot[part].any()
            and book.joins(
                rows.first_sequence[part], rows.last_sequence[part], rows.previous_sequence[part]
            )
        )

    def _publish_run(self, sheet: "_Sheet", good: list[IntColumn]) -> None:
        """Updates that joined are published as they came."""
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

    def _begun(self, sheet: "_Sheet") -> list[tuple[SynchronizedBook, IntColumn]]:
        """Each book with the updates that are left when it is proven: a snapshot that comes with
        many updates behind it must not make all of them slow."""
        pen = BookBatchBuilder(self._publish)
        parts: list[tuple[SynchronizedBook, IntColumn]] = []
        for name, part in sheet.rows.symbols.rows_of():
            book, done = self.books[name], 0
            while done < len(part) and (
                sheet.rows.snapshot[part[done]] or book.state is not BookState.PROVEN
            ):
                pen.take(book, _take(book, sheet, int(part[done])))
                done += 1
            parts.append((book, part[done:]))
        pen.publish()
        return parts

    def _follow_each(
        self, sheet: "_Sheet", left: list[IntColumn], pen: BookBatchBuilder, ahead: Container[str]
    ) -> None:
        names = sheet.rows.symbols.names
        for row in sorted(row for part in left for row in part.tolist()):
            book = self.books[names[sheet.rows.symbols.row[row]]]
            pen.take(book, _take(book, sheet, row, book.symbol in ahead))
        pen.publish()
        if self.wanting_snapshot():
            self.snapshot_wanted.set()

    def _forget_scales(self, rows: BookRows) -> None:
        """A doubtful book that begins anew begins with the decimal places of its snapshot: a venue
        may write fewer than before, and a checksum is over what it writes."""
        for name, part in rows.symbols.rows_of():
            book = self.books[name]
            if rows.snapshot[part].any() and book.state is not BookState.PROVEN:
                book.forget()

    def _scaled(self, symbols: Symbols, *sides: Levels) -> "tuple[Changes, Changes]":
        """Level numbers at the scale of their books, which grow where they have to."""
        owners = [Symbols(symbols.names, np.repeat(symbols.row, side.count)) for side in sides]
        prices = [owner.most([side.price]) for owner, side in zip(owners, sides, strict=True)]
        sizes = [owner.most([side.size]) for owner, side in zip(owners, sides, strict=True)]
        scales = [
            self._grow(self.books[name], max(price), max(size))
            for name, price, size in zip(
                symbols.names, zip(*prices, strict=True), zip(*sizes, strict=True), strict=True
            )
        ]
        bids, asks = (
            Changes(
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
    """Updates of several books, their levels at the scales of the books."""

    rows: BookRows
    bids: Changes
    asks: Changes

    def update(self, row: int) -> Update:
        """One of them."""
        rows = self.rows
        return Update(
            _numbers(rows, row),
            int(rows.venue_time_ns[row]),
            int(rows.received_time_ns[row]),
            self.bids.of(row),
            self.asks.of(row),
            None if rows.checksum is None else int(rows.checksum[row]),
        )

    def removing(self, fallen: list[tuple[DroppedLevels, DroppedLevels]]) -> "_Sheet":
        """The same, and the removal of what fell out of the depth."""
        if not fallen:
            return self
        bids, asks = (
            DroppedLevels(*map(np.concatenate, zip(*side, strict=True)))
            for side in zip(*fallen, strict=True)
        )
        return _Sheet(self.rows, self.bids.removing(bids), self.asks.removing(asks))

    def take(self, kept: IntColumn) -> "_Sheet":
        """Only these rows."""
        return _Sheet(self.rows.take(kept), self.bids.take(kept), self.asks.take(kept))


def _numbers(rows: BookRows, row: int) -> UpdateNumbers:
    return UpdateNumbers(
        int(rows.first_sequence[row]),
        int(rows.last_sequence[row]),
        int(rows.previous_sequence[row]),
    )


def _take(
    book: SynchronizedBook, sheet: _Sheet, row: int, is_ahead: bool = False
) -> Iterable[Outcome]:
    if sheet.rows.snapshot[row]:
        return book.on_feed_snapshot(sheet.update(row))
    return book.on_update(sheet.update(row), is_ahead)


def _without_old(book: SynchronizedBook, rows: BookRows, part: IntColumn) -> IntColumn:
    """The updates of a book from the first on that it does not contain already."""
    for place, row in enumerate(part.tolist()):
        if rows.snapshot[row] or not book.ignores(_numbers(rows, row)):
            return part[place:]
    return part[:0]


def _at_scales(numbers: Numbers, scales: list[int], owner: IntColumn) -> IntColumn:
    """The numbers of levels, each at the scale of its owner."""
    if scales.count(scales[0]) == len(scales):
        return rescale(numbers.unscaled, numbers.decimals, scales[0])
    each = np.array(scales, dtype=np.int64)[owner]
    return rescale(numbers.unscaled, numbers.decimals, each)
