"""Book updates of many instruments, in the order in which they were published."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale
from kit.marketdata.model.columns import instrument_entry


@dataclass(frozen=True, slots=True)
class BookEvents:
    """Book updates in the order in which they were published."""

    instruments: list[InstrumentScale]
    """What the column "instrument" refers to."""
    updates: BookUpdates
    times_ns: IntColumn
    """When each update counts as received: never before the update that it follows."""

    def __len__(self) -> int:
        return len(self.updates)

    def part(self, start: int, stop: int) -> Self:
        updates = self.updates.between(start, stop)
        return type(self)(self.instruments, updates, self.times_ns[start:stop])

    def and_then(self, later: Sequence[Self]) -> Self:
        parts = [self, *later]
        instruments, updates = joined((part.instruments, part.updates) for part in parts)
        times_ns = np.concatenate([part.times_ns for part in parts])
        return type(self)(instruments, updates, np.maximum.accumulate(times_ns))

    def drafts(self) -> Iterator[BatchDraft]:
        if not len(self):
            return
        counts = np.bincount(self.updates.instrument, minlength=len(self.instruments))
        # In an order that does not depend on how the updates were read.
        used = np.array(sorted(np.flatnonzero(counts).tolist(), key=self.instruments.__getitem__))
        positions = np.zeros(len(self.instruments), dtype=np.int64)
        positions[used] = np.arange(len(used))
        yield BatchDraft(
            [instrument_entry(*self.instruments[position]) for position in used.tolist()],
            counts[used].tolist(),
            encode.book_updates(self.updates.renumbered(positions)),
            int(self.times_ns[-1]),
        )


def joined(
    parts: Iterable[tuple[Sequence[InstrumentScale], BookUpdates]],
) -> tuple[list[InstrumentScale], BookUpdates]:
    """One part after another, with one list of instruments."""
    positions: dict[InstrumentScale, int] = {}
    updates = []
    for instruments, part in parts:
        found = [positions.setdefault(one, len(positions)) for one in instruments]
        updates.append(part.renumbered(np.array(found, dtype=np.int64)))
    return list(positions), BookUpdates.joined(updates)
