"""Build batches from the events of books."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.number_columns import IntColumn
from kit.connector.books.book_events import BookEvent, UpdateEvent
from kit.connector.books.synchronized_book import SynchronizedBook
from kit.marketdata.book.levels import SideChanges
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import Scale, instrument_entry

Publish = Callable[[BatchDraft], object]


class BookBatchBuilder:
    """Gathers events into batches. A gap closes a batch, because gaps stand before the rows."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._gaps: list[types_pb2.Gap] = []
        self._rows: list[tuple[SynchronizedBook, Scale, UpdateEvent]] = []

    def take(self, book: SynchronizedBook, events: Iterable[BookEvent]) -> None:
        """Add events of one book."""
        for event in events:
            if isinstance(event, UpdateEvent):
                self._rows.append((book, book.scale, event))
            else:
                if self._rows:
                    self.publish()
                self._gaps.append(event.gap)

    def publish(self) -> None:
        """Publish the gathered events, if any."""
        if self._rows or self._gaps:
            draft = self._draft() if self._rows else BatchDraft()
            self._publish(draft.after(self._gaps))
            self._gaps, self._rows = [], []

    def _draft(self) -> BatchDraft:
        entries = Counter((book.symbol, scale) for book, scale, _ in self._rows)
        position = {entry: index for index, entry in enumerate(entries)}
        events = [event for _, _, event in self._rows]
        updates = [event.update for event in events]
        columns = encode.book(
            SideChanges.joined([update.bids for update in updates]),
            SideChanges.joined([update.asks for update in updates]),
            instrument=_column(position[book.symbol, scale] for book, scale, _ in self._rows),
            first_sequence=_column(update.numbers.first for update in updates),
            last_sequence=_column(update.numbers.last for update in updates),
            snapshot=_column(event.snapshot for event in events),
            book_epoch=_column(event.epoch for event in events),
            venue_time_ns=_column(update.venue_time_ns for update in updates),
            received_time_ns=_column(update.received_time_ns for update in updates),
        )
        return BatchDraft(
            [instrument_entry(*entry) for entry in entries],
            list(entries.values()),
            columns,
            updates[-1].received_time_ns,
        )


def _column(values: Iterable[int]) -> IntColumn:
    return np.fromiter(values, dtype=np.int64)
