"""Entries that were read from a venue and wait to be written to Redis."""

import asyncio
from collections import deque

from kit.marketdata.delivery.redis_streams import StreamEntry


class PendingEntries:
    """A queue between one reader and one writer, bounded in bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._entries: deque[StreamEntry] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._error: Exception | None = None
        self.bytes = 0

    async def put(self, entries: list[StreamEntry]) -> None:
        """Add entries, then wait until the queue is within its bound."""
        self._entries.extend(entries)
        self.bytes += sum(len(entry.batch) for entry in entries)
        if self._entries:
            self._filled.set()
        while self.bytes > self._bytes_max:
            self._drained.clear()
            await self._drained.wait()

    def end(self, error: Exception) -> None:
        """Close the queue. ``take`` raises this error once the queue is empty."""
        self._error = error
        self._filled.set()

    async def take(self, bytes_max: int) -> list[StreamEntry]:
        """Return the next entries in order: at least one, and more while they fit ``bytes_max``.

        Raises the error that the queue was ended with, once it is empty.
        """
        await self._filled.wait()
        if self._error is not None and not self._entries:
            raise self._error
        taken = [self._entries.popleft()]
        size = len(taken[0].batch)
        while self._entries and size + len(self._entries[0].batch) <= bytes_max:
            taken.append(self._entries.popleft())
            size += len(taken[-1].batch)
        self.bytes -= size
        self._drained.set()
        if not self._entries and self._error is None:
            self._filled.clear()
        return taken
