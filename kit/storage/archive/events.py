"""Recorded rows of one channel, in the order in which they were received."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

import numpy as np

from kit.base.number_columns import IntColumn
from kit.marketdata.codec.encode import BatchDraft
from kit.storage.archive.copy_rows import CopyRows
from kit.storage.archive.tables import TIME, ArchiveTable


class ChannelEvents(Protocol):
    """Some rows of a channel."""

    def __len__(self) -> int:
        """Number of rows; a book update is one."""

    @property
    def times_ns(self) -> IntColumn:
        """Received time of each row, ascending."""

    def part(self, start: int, stop: int) -> Self:
        """The rows from one position up to another."""

    def and_then(self, later: Sequence[Self]) -> Self:
        """These rows, followed by later ones."""

    def drafts(self) -> Iterator[BatchDraft]:
        """The rows as batches without cursors; more than one where one cannot hold them all.
        Raises NumberError when a number does not fit."""


@dataclass(frozen=True, slots=True)
class TableEvents:
    """Rows of one SQL table."""

    table: ArchiveTable
    names: Sequence[str]
    """The symbols that are read, sorted."""
    rows: CopyRows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def times_ns(self) -> IntColumn:
        return self.rows.integers(TIME)

    def part(self, start: int, stop: int) -> Self:
        return type(self)(self.table, self.names, self.rows.take(slice(start, stop)))

    def and_then(self, later: Sequence[Self]) -> Self:
        rows = CopyRows.joined([self.rows, *(events.rows for events in later)])
        return type(self)(self.table, self.names, rows)

    def drafts(self) -> Iterator[BatchDraft]:
        bounds = sorted({0, len(self), *self._changes()})
        for start, stop in pairwise(bounds):
            yield self.table.draft(self.rows.take(slice(start, stop)), self.names)

    def _changes(self) -> Iterator[int]:
        """Positions of rows that cannot be in one batch with the row before: one has a text in the
        place of a number, the other has not."""
        for name in self.table.text_instead:
            nulls = self.rows.nulls(name)
            yield from (np.flatnonzero(nulls[1:] != nulls[:-1]) + 1).tolist()


async def in_portions(
    slices: AsyncIterator[ChannelEvents], rows_max: int
) -> AsyncGenerator[ChannelEvents, None]:
    """The same rows in portions of ``rows_max``, however many came at a time."""
    waiting: list[ChannelEvents] = []
    count = 0
    async for events in slices:
        waiting.append(events)
        count += len(events)
        if count < rows_max:
            continue
        whole = waiting[0].and_then(waiting[1:])
        start = 0
        while count - start >= rows_max:
            yield whole.part(start, start + rows_max)
            start += rows_max
        waiting, count = [whole.part(start, count)], count - start
    if count:
        yield waiting[0].and_then(waiting[1:])
