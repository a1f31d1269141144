"""A book at a past time, rebuilt from recorded batches.

A snapshot replaces the book; updates of the same book epoch change it. No update is applied after a
gap: the levels stay as they were before it, and the book is in doubt, until the next snapshot.

A stored batch holds the rows of many published batches, under the cursor of the first. A gap stands
before the first row stored under its cursor. A gap that came without rows has the cursor of a batch
among those stored before it; its detection time then tells whether a snapshot ended it.

An update that waited for another one is published after it although it was received before it. So
the received time of an update counts as at least that of the updates before it.
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
from kit.marketdata.book.checksum import TOP_LEVELS, top_checksum
from kit.marketdata.book.levels import Levels
from kit.marketdata.book.local_book import LocalBook, LocalBookUpdate, updates_by_book
from kit.marketdata.model.book_updates import InstrumentScale
from kit.marketdata.model.columns import Scale
from kit.storage.archive.codec import unpack_book


@dataclass(frozen=True, slots=True)
class StoredBookBatch:
    """A row of book_batch_rows."""

    cursor: Cursor
    codec: int
    data: bytes


class HistoricalBook:
    """The book of one instrument up to a time."""

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

    def begin(self, batch: StoredBookBatch) -> bool:
        """Start with the last snapshot of a batch. Returns False when it has none before the wanted
        time."""
        updates = list(self._updates(batch))
        first = next((n for n in reversed(range(len(updates))) if updates[n].snapshot), None)
        if first is None:
            return False
        self._apply(batch, updates[first:])
        return True

    def expect_gaps(self, gaps: Iterable[history_pb2.RecordedGap]) -> None:
        """Add the gaps whose cursor is beyond the batch that the book begins with, in order."""
        self._expected.extend(gaps)
        if self._cursor != START:
            self._drop_ended(self._snapshot_time_ns)

    def follow(self, batches: Sequence[StoredBookBatch]) -> None:
        """Apply the next batches, in the order of their cursors."""
        for batch in batches:
            self._pass_gaps(batch.cursor)
            self._apply(batch, self._updates(batch))

    def finish(self) -> None:
        """Apply the gaps after the last batch."""
        if self._expected:
            self._doubt = self._expected.pop()
            self._expected.clear()

    def answer(self, depth: int) -> history_pb2.GetOrderBookAtResponse:
        """The response, without venue and symbol."""
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

    def _updates(self, batch: StoredBookBatch) -> Iterator[LocalBookUpdate]:
        """The updates of this book up to the wanted time."""
        head, updates = unpack_book(batch.codec, batch.data)
        in_time = np.maximum.accumulate(updates.received_time_ns) <= self._time_ns
        if not in_time.all():
            updates = updates.take(np.flatnonzero(in_time))
        instruments = list(map(InstrumentScale.of, head.instruments))
        for _, update in updates_by_book(instruments, updates, [self._symbol]):
            yield update

    def _apply(self, batch: StoredBookBatch, updates: Iterable[LocalBookUpdate]) -> None:
        for update in updates:
            if update.snapshot:
                self._snapshot_time_ns = update.received_time_ns
                self._doubt = None
                self._drop_ended(self._snapshot_time_ns)
            elif self._doubt is not None:
                continue
            self._doubt = self._apply_one(batch, update)

    def _apply_one(
        self, batch: StoredBookBatch, update: LocalBookUpdate
    ) -> history_pb2.RecordedGap | None:
        """Returns why the update does not apply, or None."""
        if not update.snapshot and update.epoch != self._book.epoch:
            return _unrecorded_gap(
                batch, self._symbol, "updates of another book without a snapshot"
            )
        try:
            self._book.apply(update)
        except NumberError as error:
            return _unrecorded_gap(batch, self._symbol, str(error))
        self._cursor = batch.cursor
        return None

    def _drop_ended(self, time_ns: int) -> None:
        """Drop the gaps that a snapshot received at this time ended."""
        while self._expected and self._expected[0].gap.detected_time_ns < time_ns:
            self._expected.popleft()


def _unrecorded_gap(batch: StoredBookBatch, symbol: str, detail: str) -> history_pb2.RecordedGap:
    """A gap found here, which was not recorded."""
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
