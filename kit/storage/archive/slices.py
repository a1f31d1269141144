"""Reads a time range in slices that fit in memory.

Slices are read slightly ahead of the consumer, over connections of their own. The length of a slice
follows from the number of rows in the slices before; it does not influence the result.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from itertools import islice, pairwise
from typing import Any, Generic, TypeVar

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.storage.archive.copy_out import ResponseTooLarge

ROWS_USUAL = 100_000
SLICE_BYTES_MAX = 32 * 1024 * 1024
"""A larger slice is split and read again."""
PIECES = 8
"""Parts of a split slice. After a quiet time a slice can be a thousand times too long, so halving
would take too many steps."""
FIRST_SLICE_NS = 60 * NANOSECONDS_PER_SECOND
GROWTH_MAX = 8
AHEAD = 2
"""Slices that are being read or wait for the consumer."""
NO_LIMIT = 1 << 62

RowsT = TypeVar("RowsT")
Read = tuple[RowsT, int]
"""Rows, and their number."""
ReadSlice = Callable[[int, int, int], Coroutine[Any, Any, Read[RowsT]]]
"""Takes start, end and the largest number of bytes; raises ResponseTooLarge."""


class _Span(Generic[RowsT]):
    """A part of the range, and the task that reads it."""

    def __init__(self, start_ns: int, end_ns: int) -> None:
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.task: asyncio.Task[Read[RowsT]] | None = None

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns

    def pieces(self) -> "list[_Span[RowsT]]":
        """The parts of a split span, the last one first."""
        count = min(PIECES, self.length_ns)
        cuts = [self.start_ns + self.length_ns * piece // count for piece in range(count + 1)]
        return [_Span(start, end) for start, end in reversed(list(pairwise(cuts)))]


class TimeSlices(Generic[RowsT]):
    """Reads start <= t < end, in ns, slice by slice."""

    def __init__(
        self,
        read: "ReadSlice[RowsT]",
        start_ns: int,
        end_ns: int,
        rows_usual: int = ROWS_USUAL,
        first_slice_ns: int = FIRST_SLICE_NS,
    ) -> None:
        self._read = read
        self._next_ns = start_ns
        self._end_ns = end_ns
        self._rows_usual = rows_usual
        self._length_ns = first_slice_ns
        self._spans: deque[_Span[RowsT]] = deque()

    async def all(self) -> AsyncGenerator[RowsT, None]:
        """The rows of each slice that has some."""
        try:
            while self._read_ahead():
                first = self._spans[0]
                assert first.task is not None
                try:
                    rows, count = await first.task
                except ResponseTooLarge:
                    self._spans.popleft()
                    self._spans.extendleft(first.pieces())
                    self._length_ns = max(first.length_ns // PIECES, 1)
                    continue
                self._spans.popleft()
                wanted_ns = first.length_ns * self._rows_usual // max(count, 1)
                self._length_ns = max(min(wanted_ns, first.length_ns * GROWTH_MAX), 1)
                if count:
                    yield rows
        finally:
            await self._cancel()

    def _read_ahead(self) -> bool:
        """Start to read the next slices. Returns whether there are any."""
        while len(self._spans) < AHEAD and self._next_ns < self._end_ns:
            start_ns = self._next_ns
            self._next_ns = min(start_ns + self._length_ns, self._end_ns)
            self._spans.append(_Span(start_ns, self._next_ns))
        for span in islice(self._spans, AHEAD):
            if span.task is None:
                # A slice of one nanosecond cannot be split.
                bytes_max = SLICE_BYTES_MAX if span.length_ns > 1 else NO_LIMIT
                reading = self._read(span.start_ns, span.end_ns, bytes_max)
                span.task = asyncio.create_task(reading)
        return bool(self._spans)

    async def _cancel(self) -> None:
        tasks = [span.task for span in self._spans if span.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
