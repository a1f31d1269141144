"""What was recorded in one channel, in the order in which it was received."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

import numpy as np

from kit.base.numbers import IntColumn
from kit.marketdata.codec.encode import BatchDraft
from kit.storage.archive.decoded import Table
from kit.storage.archive.tables import TIME, Source, symbols_of


class Events(Protocol):
    """Some rows of a channel."""

    def __len__(self) -> int:
        """Rows; a book update is one."""

    @property
    def times_ns(self) -> IntColumn:
        """When each was received, ascending."""

    def part(self, start: int, stop: int) -> Self:
        """The rows from one position to another."""

    def and_then(self, later: Sequence[Self]) -> Self:
        """These rows and those."""

    def drafts(self) -> Iterator[BatchDraft]:
        """As batches without numbers; more than one where one cannot hold them all. Raises
        NumberError when a number does not fit."""


@dataclass(frozen=True, slots=True)
class TypedEvents:
    """Rows of one of the tables of typed rows."""

    source: Source
    names: Sequence[str]
    """The symbols that are read, in order."""
    table: Table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def times_ns(self) -> IntColumn:
        return self.table.integers(TIME)

    def part(self, start: int, stop: int) -> Self:
        return type(self)(self.source, self.names, self.table.take(slice(start, stop)))

    def and_then(self, later: Sequence[Self]) -> Self:
        joined = Table.joined([self.table, *(events.table for events in later)])
        return type(self)(self.source, self.names, joined)

    def drafts(self) -> Iterator[BatchDraft]:
        bounds = [0, *self._changes(), len(self)]
        for start, stop in pairwise(bounds):
            if start < stop:
                table = self.table.take(slice(start, stop))
                yield self.source.draft(table, symbols_of(table, self.names))

    def _changes(self) -> list[int]:
        """Where rows begin that cannot be in one batch with those before."""
        if not self.source.alike:
            return []
        nulls = self.table.nulls(self.source.alike)
        changes: list[int] = (np.flatnonzero(nulls[1:] != nulls[:-1]) + 1).tolist()
        return changes


async def in_portions(slices: AsyncIterator[Events], rows_max: int) -> AsyncGenerator[Events, None]:
    """The same rows, so many at a time, however they came."""
    waiting: list[Events] = []
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
