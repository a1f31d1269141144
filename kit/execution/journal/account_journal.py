"""The journal of one account: typed records over the bytes of ``Journal``."""

import asyncio
import gc
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import msgspec

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import StoreUnavailable
from kit.execution.journal import records
from kit.execution.journal.anchor import AnchorFile, JournalAnchor
from kit.execution.journal.journal import Journal, JournalCorrupted, JournalStorage, Offload
from kit.execution.journal.records import (
    ExecutionEpochRecord,
    JournalIdentityRecord,
    Record,
)

RECORDS_AT_ONCE = 100
"""How many records are read or dumped before other tasks run."""
ANCHOR_INTERVAL_S = 30.0

_log = telemetry.logger("orders.journal")


class JournalReplaced(StoreUnavailable):
    """The journal is not the one, or not as new as the one, that was written here last."""


class AccountJournal:
    """Reads the records of earlier runs once, then appends new ones."""

    def __init__(
        self,
        store: JournalStorage,
        offload: Offload,
        clock: Clock,
        anchor: AnchorFile | None = None,
        account: str = "",
    ) -> None:
        """Without an anchor an older copy of the journal is not found out. ``account``: whose
        journal it is, as "venue/account"; empty: not checked."""
        self._bytes = Journal(store, offload, clock, self._snapshot, RECORDS_AT_ONCE)
        self._records: Callable[[], Iterable[Record]] = tuple
        self._offload, self._clock, self._anchor = offload, clock, anchor
        self._account = account
        self._id = ""
        self._epoch = self._anchored_number = 0
        self._lost = self._unwritten = ""
        """Why it is not known whether the journal is the newest one, and why the anchor cannot be
        written now."""

    @property
    def alarm(self) -> str:
        """What a person has to know of the anchor; "" if nothing."""
        return "; ".join(filter(None, (self._lost, self._unwritten)))

    async def load(self) -> AsyncIterator[Record]:
        """Yield the records on disk, oldest first. Raises JournalCorrupted, JournalReplaced and
        StoreUnavailable."""
        epoch = 0
        for number, payload in enumerate(await self._bytes.load(), 1):
            if number % RECORDS_AT_ONCE == 0:
                # What is restored stays: garbage collection need not look through all of it.
                gc.freeze()
                await asyncio.sleep(0)
            try:
                record = records.decode(payload)
            except msgspec.DecodeError as error:
                text = f"a record of the journal cannot be decoded: {error}"
                raise JournalCorrupted(text, store="journal") from error
            if isinstance(record, JournalIdentityRecord):
                self._id = record.journal_id
                self._check_account(record.account)
                continue
            if isinstance(record, ExecutionEpochRecord):
                epoch = max(epoch, record.epoch)
            yield record
        await self._check_anchor(epoch)

    async def open(self, snapshot: Callable[[], Iterable[Record]], epoch: int = 0) -> None:
        """Start writing. ``snapshot`` returns all that is known, as records: the file is rewritten
        from it now, when it has grown, and after a failed write. It may yield what has changed
        since it was called: the records of the change are written after it. ``epoch``: of this run.
        Raises StoreUnavailable; later writes then try again."""
        self._records = snapshot
        self._id = self._id or secrets.token_hex(16)
        self._epoch = epoch
        await self._bytes.open()
        await self._write_anchor()

    async def keep_anchored(self) -> None:
        """Write in the anchor how far the journal is on disk, for ever."""
        while True:
            await self._clock.sleep(ANCHOR_INTERVAL_S)
            await self._write_anchor()

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
        await self._write_anchor()

    async def _write_anchor(self) -> None:
        number = self._bytes.durable_number
        if self._anchor is None or number == self._anchored_number:
            return
        anchor, store = JournalAnchor(self._id, self._epoch, number), self._anchor.store
        try:
            await self._offload(lambda: store(anchor))
        except OSError as error:
            self._unwritten = f"the anchor of the journal cannot be written: {error}"
            _log.error("anchor not written", extra={"detail": self._unwritten})
        else:
            self._anchored_number, self._unwritten = number, ""

    def _check_account(self, written: str) -> None:
        """Raises JournalReplaced. Journals that were swapped together with their anchors agree with
        them."""
        if self._account and written not in ("", self._account):
            raise JournalReplaced(
                f"the journal is of the account {written}, and this is {self._account}: its orders "
                "would be taken for those of another account. Stop the process and put the journal "
                "of this account back",
                store="journal",
            )

    async def _check_anchor(self, epoch: int) -> None:
        """Raises JournalReplaced."""
        if self._anchor is None:
            return
        found: list[JournalAnchor | None] = []
        load, path = self._anchor.load, self._anchor.path
        try:
            await self._offload(lambda: found.append(load()))
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be read: {error}", store="journal") from error
        anchor, number = found[0], self._bytes.durable_number
        if anchor is None:
            if self._id:
                self._lost = (
                    f"{path} was missing or unreadable, and is made anew: whether the journal is "
                    "the newest one is not known; compare orders and positions with the venue"
                )
                _log.error("anchor lost", extra={"detail": self._lost})
            return
        if anchor.journal_id == self._id and number >= anchor.record_number:
            return
        has = f"epoch {epoch}, record {number}" if self._id else f"no id, record {number}"
        problem = "older than" if self._id in ("", anchor.journal_id) else "another one than"
        raise JournalReplaced(
            f"the journal is {problem} the one that {path} names (it has {has}; expected is epoch "
            f"{anchor.epoch}, record {anchor.record_number} or later): what it lacks may be open "
            "at the venue. Stop the process and put the newest journal back; or, if it is lost, "
            "compare orders and positions with the venue and remove the anchor",
            store="journal",
        )

    def _snapshot(self) -> Iterator[bytes]:
        yield records.encode(JournalIdentityRecord(self._id, self._account))
        yield from map(records.encode, self._records())
