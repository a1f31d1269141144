"""Book updates of many instruments, in the order in which they were published."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.numbers import IntColumn
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.codec.protobuf_writer import ProtobufWriter
from kit.marketdata.model.columns import Scale, elements_of, instrument_entry
from kit.storage.archive.book_updates import BookUpdates

LEVEL_FIELDS = ("price", "size")
_WRITER = ProtobufWriter("book", batch_pb2.BookColumns)


class Entry(NamedTuple):
    """An instrument with a scale of its numbers."""

    symbol: str
    scale: Scale


@dataclass(frozen=True, slots=True)
class BookEvents:
    """Book updates in the order in which they were published."""

    entries: list[Entry]
    """What the column "instrument" refers to."""
    updates: BookUpdates
    times_ns: IntColumn

    def __len__(self) -> int:
        return len(self.updates)

    def part(self, start: int, stop: int) -> Self:
        updates = self.updates
        ends = np.cumsum(updates.bid_count + updates.ask_count)
        levels = slice(*(int(ends[row - 1]) if row else 0 for row in (start, stop)))
        columns = {
            field.name: getattr(updates, field.name)[
                levels if field.name in LEVEL_FIELDS else slice(start, stop)
            ]
            for field in fields(updates)
        }
        return type(self)(self.entries, BookUpdates(**columns), self.times_ns[start:stop])

    def and_then(self, later: Sequence[Self]) -> Self:
        parts = [self, *later]
        entries, updates = joined((part.entries, part.updates) for part in parts)
        times_ns = np.concatenate([part.times_ns for part in parts])
        return type(self)(entries, updates, np.maximum.accumulate(times_ns))

    def drafts(self) -> Iterator[BatchDraft]:
        if not len(self):
            return
        counts = np.bincount(self.updates.instrument, minlength=len(self.entries))
        # In an order that does not depend on how the updates were read.
        used = np.array(sorted(np.flatnonzero(counts).tolist(), key=self.entries.__getitem__))
        places = np.zeros(len(self.entries), dtype=np.int64)
        places[used] = np.arange(len(used))
        columns = {field.name: getattr(self.updates, field.name) for field in fields(self.updates)}
        columns["instrument"] = places[self.updates.instrument]
        yield BatchDraft(
            [instrument_entry(*self.entries[place]) for place in used.tolist()],
            counts[used].tolist(),
            _WRITER.write(**columns),
            int(self.times_ns[-1]),
        )


def taken(updates: BookUpdates, rows: IntColumn) -> BookUpdates:
    """Only these updates, with their levels."""
    levels = elements_of(updates.bid_count + updates.ask_count, rows)
    return BookUpdates(
        **{
            field.name: getattr(updates, field.name)[levels if field.name in LEVEL_FIELDS else rows]
            for field in fields(updates)
        }
    )


def joined(
    parts: Iterable[tuple[Sequence[Entry], BookUpdates]],
) -> tuple[list[Entry], BookUpdates]:
    """One after another, with one list of instruments."""
    places: dict[Entry, int] = {}
    updates = []
    for entries, part in parts:
        found = [places.setdefault(entry, len(places)) for entry in entries]
        updates.append(part.renumbered(np.array(found, dtype=np.int64)))
    return list(places), BookUpdates.joined(updates)
