"""The journal of one account: typed records over the bytes of ``Journal``."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import msgspec

from kit.base.clock import Clock
from kit.execution.journal import records
from kit.execution.journal.journal import Journal, JournalCorrupted, JournalStorage, Offload
from kit.execution.journal.records import Record

RECORDS_AT_ONCE = 100
"""How many records are read or dumped before other tasks run."""


class AccountJournal:
    """Reads the records of earlier runs once, then appends new ones."""

    def __init__(self, store: JournalStorage, offload: Offload, clock: Clock) -> None:
        self._bytes = Journal(store, offload, clock, self._snapshot, RECORDS_AT_ONCE)
        self._records: Callable[[], Iterable[Record]] = tuple

    async def load(self) -> AsyncIterator[Record]:
        """Yield the records on disk, oldest first. Raises JournalCorrupted and StoreUnavailable."""
        for number, payload in enumerate(await self._bytes.load(), 1):
            if number % RECORDS_AT_ONCE == 0:
                # What is restored stays: garbage collection need not look through all of it.
                gc.freeze()
                await asyncio.sleep(0)
            try:
                yield records.decode(payload)
            except msgspec.DecodeError as error:
                text = f"a record of the journal cannot be decoded: {error}"
                raise JournalCorrupted(text, store="journal") from error

    async def open(self, snapshot: Callable[[], Iterable[Record]]) -> None:
        """Start writing. ``snapshot`` returns all that is known, as records: the file is rewritten
        from it now, when it has grown, and after a failed write. It may yield what has changed
        since it was called: the records of the change are written after it. Raises
        StoreUnavailable; later writes then try again."""
        self._records = snapshot
        await self._bytes.open()

    def append(self, record: Record) -> None:
        """Write a record soon, without waiting. Every later ``commit`` includes it."""
        self._bytes.append(records.encode(record))

    async def commit(self, *found: Record) -> None:
        """Write these records and all appended ones, and wait until they are on disk. Raises
        StoreUnavailable; the records may be on disk or not then."""
        await self._bytes.commit(*map(records.encode, found))

    async def close(self) -> None:
        """Write what was appended, and release the file."""
        await self._bytes.close()

    def _snapshot(self) -> Iterator[bytes]:
        return map(records.encode, self._records())
