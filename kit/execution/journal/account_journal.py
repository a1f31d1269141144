"""The journal of one account: typed records over the bytes of ``Journal``."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from kit.base.clock import Clock
from kit.execution.journal import records
from kit.execution.journal.journal import Journal, JournalCorrupted, JournalStorage, Offload
from kit.execution.journal.records import Record


class AccountJournal:
    """Reads the records of earlier runs once, then appends new ones."""

    def __init__(self, store: JournalStorage, offload: Offload, clock: Clock) -> None:
        self._bytes = Journal(store, offload, clock, self._snapshot)
        self._records: Callable[[], Iterable[Record]] = tuple

    def load(self) -> Iterator[Record]:
        """Yield the records on disk, oldest first. Blocks. Raises JournalCorrupted and
        StoreUnavailable."""
        for payload in self._bytes.load():
            try:
                yield records.decode(payload)
            except msgspec.DecodeError as error:
                text = f"a record of the journal cannot be decoded: {error}"
                raise JournalCorrupted(text, store="journal") from error

    async def open(self, snapshot: Callable[[], Iterable[Record]]) -> None:
        """Start writing. ``snapshot`` returns all that is known, as records: the file is rewritten
        from it now, when it has grown, and after a failed write. Raises StoreUnavailable; later
        writes then try again."""
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
