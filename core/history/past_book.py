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

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.cursor import START, Cursor
from kit.base.numbers import NumberError, format_scaled
from kit.marketdata.book import Levels
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum
from kit.marketdata.book.local_book import BookUpdate, LocalBook, updates_by_book
from kit.marketdata.model.book_updates import InstrumentScale
from kit.marketdata.model.columns import Scale
from kit.storage.archive.codec import unpack_book


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A row of book_batch_rows."""

    cursor: Cursor
    codec: int
    data: bytes


class PastBook:
    """The book of one instrument up to a moment."""

    def __init__(self, symbol: str, time_ns: int) -> None:
        self._symbol = symbol
        self._time_ns = time_ns
        self._expected: deque[history_pb2.RecordedGap] = deque()
        self._doubt: history_pb2.RecordedGap | None = None
        self._book = LocalBook()
        self._snapshot_time_ns = 0
        self._cursor = START

    @property
    def received_time_ns(self) -> int:
        """When the last applied update was received; 0 before the first."""
        return self._book.received_time_ns

    def begin(self, batch: StoredBatch) -> bool:
        """Start with the last snapshot of a batch. Returns False when it has none that is old
        enough."""
        updates = list(self._updates(batch))
        first = next((n for n in reversed(range(len(updates))) if updates[n].snapshot), None)
        if first is None:
            return False
        self._apply(batch, updates[first:])
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
            self._apply(batch, self._updates(batch))

    def finish(self) -> None:
        """There are no more batches."""
        if self._expected:
            self._doubt = self._expected.pop()
            self._expected.clear()

    def answer(self, depth: int) -> history_pb2.GetOrderBookAtResponse:
        """The book, without its names."""
        scale = self._book.scale
        book = market_data_pb2.GetOrderBookResponse(
            state=self._state(),
            book_epoch=self._book.epoch,
            last_sequence=self._book.last_sequence,
            venue_time_ns=self._book.venue_time_ns,
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

    def _updates(self, batch: StoredBatch) -> Iterator[BookUpdate]:
        """The updates of this book up to the wanted time."""
        head, updates = unpack_book(batch.codec, batch.data)
        in_time = np.maximum.accumulate(updates.received_time_ns) <= self._time_ns
        if not in_time.all():
            updates = updates.take(np.flatnonzero(in_time))
        instruments = list(map(InstrumentScale.of, head.instruments))
        for _, update in updates_by_book(instruments, updates, [self._symbol]):
            yield update

    def _apply(self, batch: StoredBatch, updates: Iterable[BookUpdate]) -> None:
        for update in updates:
            if update.snapshot:
                self._snapshot_time_ns = update.received_time_ns
                self._doubt = None
                self._drop_ended(self._snapshot_time_ns)
            elif self._doubt is not None:
                continue
            self._doubt = self._apply_one(batch, update)

    def _apply_one(self, batch: StoredBatch, update: BookUpdate) -> history_pb2.RecordedGap | None:
        """Returns why the update does not apply, or None."""
        if not update.snapshot and update.epoch != self._book.epoch:
            return _found(batch, self._symbol, "updates of another book without a snapshot")
        try:
            self._book.apply(update)
        except NumberError as error:
            return _found(batch, self._symbol, str(error))
        self._cursor = batch.cursor
        return None

    def _drop_ended(self, time_ns: int) -> None:
        """Drop the gaps that a snapshot received at this time ended."""
        while self._expected and self._expected[0].gap.detected_time_ns < time_ns:
            self._expected.popleft()


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
