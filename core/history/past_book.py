"""One book of the past, followed through the recorded batches.

A book is replaced by each snapshot and changed by each update of the same book epoch. No update is
applied over a hole: a gap leaves the levels as they were before it, in doubt, until a snapshot ends
the doubt.

A stored batch holds the rows of many that were published, under the cursor of the first of them. A
gap stands before the first row of what is stored under its cursor, or, when it came without rows,
somewhere among those that are stored before it; then its time tells whether a snapshot ended it.

An update that waited for another is published after it and was received before it. So each update
counts as received when the newest one so far was.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.cursor import START, Cursor
from kit.base.numbers import DIGITS_MAX, IntColumn, NumberError, format_scaled, rescale
from kit.marketdata.book import Book, Levels, Side
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum
from kit.marketdata.model.columns import Scale, elements_of
from kit.storage.archive.book_updates import BookUpdates
from kit.storage.archive.codec import unpack_book

NUMBER_BOUND = 10**DIGITS_MAX


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A row of book_batch_rows."""

    cursor: Cursor
    codec: int
    data: bytes


class _Run(NamedTuple):
    """Updates of one book that follow each other, at one scale; the first may be a snapshot."""

    updates: BookUpdates
    rows: IntColumn
    scale: Scale

    @property
    def is_snapshot(self) -> bool:
        """Whether the book begins anew with it."""
        return bool(self.updates.snapshot[self.rows[0]])

    def sides(self) -> tuple[Side, Side]:
        """Bids and asks of all its updates, in order."""
        updates = self.updates
        # Of each update first the bids, then the asks.
        counts = np.stack((updates.bid_count, updates.ask_count), axis=1).ravel()
        bids, asks = (elements_of(counts, 2 * self.rows + side) for side in (0, 1))
        return (
            Side(updates.price[bids], updates.size[bids]),
            Side(updates.price[asks], updates.size[asks]),
        )


class PastBook:
    """The book of one instrument up to a moment."""

    def __init__(self, symbol: str, time_ns: int) -> None:
        self.received_time_ns = 0
        """Of the last update that was applied."""
        self._symbol = symbol
        self._time_ns = time_ns
        self._expected: deque[history_pb2.RecordedGap] = deque()
        self._doubt: history_pb2.RecordedGap | None = None
        self._book = Book()
        self._snapshot_time_ns = 0
        self._scale = Scale()
        self._cursor = START
        self._book_epoch = 0
        self._last_sequence = 0
        self._venue_time_ns = 0

    def begin(self, batch: StoredBatch) -> bool:
        """Start with the last snapshot of a batch. Returns False when it has none that is old
        enough."""
        runs = list(self._runs(batch))
        first = next((n for n in reversed(range(len(runs))) if runs[n].is_snapshot), None)
        if first is None:
            return False
        self._apply(batch, runs[first:])
        return True

    def expect_gaps(self, gaps: Iterable[history_pb2.RecordedGap]) -> None:
        """Those whose cursor is beyond that of the batch that the book begins with, in order."""
        self._expected.extend(gaps)
        if self._cursor != START:
            self._drop_ended(self._snapshot_time_ns)

    def follow(self, batches: Sequence[StoredBatch]) -> None:
        """The next batches, in the order of their cursors."""
        for batch in batches:
            self._pass_gaps(batch.cursor)
            self._apply(batch, self._runs(batch))

    def finish(self) -> None:
        """There are no more batches."""
        if self._expected:
            self._doubt = self._expected.pop()
            self._expected.clear()

    def answer(self, depth: int) -> history_pb2.GetOrderBookAtResponse:
        """The book, without its names."""
        scale = self._scale
        book = market_data_pb2.GetOrderBookResponse(
            state=self._state(),
            book_epoch=self._book_epoch,
            last_sequence=self._last_sequence,
            venue_time_ns=self._venue_time_ns,
            bids=_levels(self._book.bids(depth), scale),
            asks=_levels(self._book.asks(depth), scale),
        )
        if self._cursor != START:
            book.cursor.CopyFrom(self._cursor.message())
            best = self._book.bids(TOP_LEVELS), self._book.asks(TOP_LEVELS)
            book.checksum = top_checksum(*best, scale)
        return history_pb2.GetOrderBookAtResponse(
            book=book, received_time_ns=self.received_time_ns, doubt=self._doubt
        )

    def _state(self) -> "market_data_pb2.BookState.ValueType":
        if self._cursor == START:
            return market_data_pb2.BOOK_STATE_EMPTY
        if self._doubt is not None:
            return market_data_pb2.BOOK_STATE_IN_DOUBT
        return market_data_pb2.BOOK_STATE_PROVEN

    def _pass_gaps(self, cursor: Cursor) -> None:
        while self._expected and Cursor.of(self._expected[0].cursor) <= cursor:
            self._doubt = self._expected.popleft()

    def _runs(self, batch: StoredBatch) -> Iterator[_Run]:
        """The rows of this book that are not after the moment."""
        head, updates = unpack_book(batch.codec, batch.data)
        own = [entry.symbol == self._symbol for entry in head.instruments]
        in_time = np.maximum.accumulate(updates.received_time_ns) <= self._time_ns
        rows = np.flatnonzero(np.array(own, dtype=bool)[updates.instrument] & in_time)
        if not len(rows):
            return
        place = updates.instrument[rows]
        begins = (updates.snapshot[rows] != 0) | (np.diff(place, prepend=place[0]) != 0)
        for run in np.split(rows, np.flatnonzero(begins[1:]) + 1):
            yield _Run(updates, run, _scale(head.instruments[updates.instrument[run[0]]]))

    def _apply(self, batch: StoredBatch, runs: Iterable[_Run]) -> None:
        for run in runs:
            if run.is_snapshot:
                self._begin_anew(run)
            if self._doubt is None:
                self._follow_run(batch, run)

    def _begin_anew(self, run: _Run) -> None:
        self._book = Book()
        self._scale = run.scale
        self._book_epoch = int(run.updates.book_epoch[run.rows[0]])
        self._snapshot_time_ns = int(run.updates.received_time_ns[run.rows[0]])
        self._doubt = None
        self._drop_ended(self._snapshot_time_ns)

    def _drop_ended(self, time_ns: int) -> None:
        """A snapshot was received at this time."""
        while self._expected and self._expected[0].gap.detected_time_ns < time_ns:
            self._expected.popleft()

    def _follow_run(self, batch: StoredBatch, run: _Run) -> None:
        """Updates of the same book; where they are not, they are not applied."""
        if (run.updates.book_epoch[run.rows] != self._book_epoch).any():
            self._doubt = _found(batch, self._symbol, "updates of another book without a snapshot")
            return
        try:
            self._grow(run.scale)
            bids, asks = (_at_scale(side, run.scale, self._scale) for side in run.sides())
        except NumberError as error:
            self._doubt = _found(batch, self._symbol, str(error))
            return
        self._book.apply(bids, asks)
        last = run.rows[-1]
        self._cursor = batch.cursor
        self._last_sequence = int(run.updates.last_sequence[last])
        self._venue_time_ns = int(run.updates.venue_time_ns[last]) or self._venue_time_ns
        self.received_time_ns = int(run.updates.received_time_ns[last])

    def _grow(self, scale: Scale) -> None:
        """The scale of a book is the largest that came, so that every level is an integer.

        Raises NumberError when its numbers would not fit.
        """
        grown = Scale(max(scale.price, self._scale.price), max(scale.size, self._scale.size))
        if grown == self._scale:
            return
        price_factor = 10 ** (grown.price - self._scale.price)
        size_factor = 10 ** (grown.size - self._scale.size)
        if not self._book.fits(price_factor, size_factor, NUMBER_BOUND):
            raise NumberError(f"the book does not fit {grown}")
        self._book.rescale(price_factor, size_factor)
        self._scale = grown


def _scale(entry: batch_pb2.InstrumentEntry) -> Scale:
    return Scale(entry.price_scale, entry.size_scale)


def _at_scale(side: Side, scale: Scale, wanted: Scale) -> Side:
    """Raises NumberError when a number would not fit."""
    return Side(
        rescale(side.price, scale.price, wanted.price),
        rescale(side.size, scale.size, wanted.size),
    )


def _found(batch: StoredBatch, symbol: str, detail: str) -> history_pb2.RecordedGap:
    """A hole that no gap tells of."""
    return history_pb2.RecordedGap(
        channel=types_pb2.CHANNEL_BOOK,
        cursor=batch.cursor.message(),
        gap=types_pb2.Gap(symbol=symbol, reason=types_pb2.GAP_REASON_MALFORMED, detail=detail),
    )


def _levels(levels: Levels, scale: Scale) -> list[market_data_pb2.Level]:
    return [
        market_data_pb2.Level(
            price=format_scaled(price, scale.price), size=format_scaled(size, scale.size)
        )
        for price, size in levels
    ]
