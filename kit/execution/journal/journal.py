"""An append-only file of records, each with a checksum.

``commit`` returns when its records are on disk; callers that wait at the same time share one sync,
which runs off the event loop. ``append`` does not wait: it is for what the venue can report again.

After a kill the end of the file may be torn. Each record has the number of the last record that was
on disk when it was written, so a torn end, on which nobody relied, differs from damage; only a torn
end is cut off. After a failed write the content of the file is unknown: it is rewritten from memory
to a new file, which is renamed, before the next record is written. The same compacts a file that
has grown.
"""

import asyncio
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import StoreUnavailable

MAGIC = 0x4A56
HEADER = struct.Struct("<HIIQQ")
"""Magic, length of the payload, checksum, number of the record, number of the last record that was
certainly on disk."""
NUMBERS = struct.Struct("<IQQ")
RECORD_BYTES_MAX = 1 << 20
COMPACT_BYTES_MIN = 8 << 20
REPAIR_PAUSE_NS = NANOSECONDS_PER_SECOND
LINGER_S = 0.005
"""How long appended records may stay in memory."""

_log = telemetry.logger("orders.journal")


class JournalStorage(Protocol):
    """The storage of a journal. It is called from one thread at a time, off the event loop. Every
    method raises OSError."""

    def load(self) -> bytes:
        """Return all bytes; zeros at the end have no meaning."""

    def write(self, position: int, data: bytes, *, sync: bool) -> None:
        """Write bytes at a position, and sync them to disk if ``sync``."""

    def replace(self, data: bytes) -> None:
        """Replace all bytes, synced to disk, or fail and change nothing."""

    def close(self) -> None:
        """Release the storage."""


Offload = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a blocking function off the event loop, and waits for it."""


class JournalContents(NamedTuple):
    """The content of a journal."""

    payloads: list[bytes]
    last_number: int
    torn_bytes: int
    """Bytes at the end that are no whole record."""


class JournalCorrupted(StoreUnavailable):
    """A record that was certainly on disk cannot be read."""


class Journal:
    """A journal of payloads. ``dump`` returns payloads that replace all those written so far."""

    def __init__(
        self,
        store: JournalStorage,
        offload: Offload,
        clock: Clock,
        dump: Callable[[], Iterable[bytes]],
        dumped_at_once: int = 0,
    ) -> None:
        """``dumped_at_once``: how many payloads are taken from ``dump`` before other tasks run; 0:
        all. What is appended meanwhile is written after the dump. So a dump in parts needs payloads
        that say the same when they are read again after later ones."""
        self._store = store
        self._offload = offload
        self._clock = clock
        self._dump = dump
        self._dumped_at_once = dumped_at_once
        self._file_lock = asyncio.Lock()
        self._buffer: list[bytes] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._linger: asyncio.Task[None] | None = None
        self._number = 0
        self._durable = 0
        self._position = 0
        self._compact_at = COMPACT_BYTES_MIN
        self._repaired_ns = -REPAIR_PAUSE_NS
        self._was_read = False
        self.broken = "not open"
        """Why nothing can be written; empty while it can."""

    @property
    def durable_number(self) -> int:
        """The number of the last record that is certainly on disk."""
        return self._durable

    async def load(self) -> list[bytes]:
        """Return the payloads on disk. Raises JournalCorrupted, StoreUnavailable."""
        found: list[JournalContents] = []
        try:
            await self._offload(lambda: found.append(read(self._store.load())))
        except OSError as error:
            raise _unavailable(str(error)) from error
        (contents,) = found
        self._number = self._durable = contents.last_number
        if contents.torn_bytes:
            _log.warning("torn end cut off", extra={"bytes": contents.torn_bytes})
        return contents.payloads

    async def open(self) -> None:
        """Rewrite the file without a torn end, and start writing. Raises StoreUnavailable."""
        self._was_read = True
        async with self._file_lock:
            await self._rewrite()

    def append(self, *payloads: bytes) -> None:
        """Write records with the next commit, or after LINGER_S. Not at once: the write would delay
        the commit of the next order. Raises StoreUnavailable for a record that is too large."""
        _check_sizes(payloads)
        self._buffer += payloads
        if self._linger is None or self._linger.done():
            self._linger = asyncio.get_running_loop().create_task(self._write_soon())

    async def commit(self, *payloads: bytes) -> None:
        """Write records and all appended ones, and wait until they are on disk. Raises
        StoreUnavailable; they may be on disk or not then. A record that is too large to be read
        again is not written, nor are those with it."""
        _check_sizes(payloads)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer += payloads
        self._waiters.append(waiter)
        self._wake()
        await waiter

    async def close(self) -> None:
        """Write everything to disk, and release the storage."""
        if self._linger is not None:
            self._linger.cancel()
        try:
            await self.commit()
        except StoreUnavailable as error:
            _log.warning("journal closed unwritten", extra={"detail": error.message})
        self.broken = "closed"
        self._store.close()

    async def _write_soon(self) -> None:
        await self._clock.sleep(LINGER_S)
        self._wake()

    def _wake(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        while self._buffer or self._waiters:
            payloads, self._buffer = self._buffer, []
            waiters, self._waiters = self._waiters, []
            try:
                async with self._file_lock:
                    await self._write(payloads, sync=bool(waiters))
            except StoreUnavailable as error:
                _settle(waiters, error)
            except Exception as error:
                # No waiter may wait for ever, even after a bug.
                _log.exception("journal failed")
                self.broken = f"{type(error).__name__}: {error}"
                _settle(waiters, _unavailable(self.broken))
            else:
                _settle(waiters, None)
                async with self._file_lock:
                    await self._compact_if_due()

    async def _write(self, payloads: list[bytes], *, sync: bool) -> None:
        if not self._was_read:
            # A file that could not be read must not be replaced from memory.
            raise _unavailable(self.broken)
        if self.broken:
            # Appended records are in memory too, and so in the next rewrite.
            if not sync:
                return
            await self._repair()
        data = b"".join(self._framed(payloads, self._durable))
        position = self._position
        try:
            await self._offload(lambda: self._store.write(position, data, sync=sync))
        except OSError as error:
            self.broken = str(error)
            _log.error("journal failed", extra={"detail": self.broken})
            raise _unavailable(self.broken) from error
        self._position += len(data)
        if sync:
            self._durable = self._number

    async def _repair(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._repaired_ns < REPAIR_PAUSE_NS:
            raise _unavailable(self.broken)
        self._repaired_ns = now_ns
        await self._rewrite()

    async def _rewrite(self) -> None:
        payloads: list[bytes] = []
        for payload in self._dump():
            payloads.append(payload)
            if self._dumped_at_once and len(payloads) % self._dumped_at_once == 0:
                await asyncio.sleep(0)
        length = 0

        def replace() -> None:
            nonlocal length
            # The file is valid once it is renamed, and all of it is on disk then.
            data = b"".join(self._framed(payloads, self._number + len(payloads)))
            length = len(data)
            self._store.replace(data)

        try:
            await self._offload(replace)
        except OSError as error:
            self.broken = str(error)
            raise _unavailable(self.broken) from error
        self.broken = ""
        self._durable = self._number
        self._position = length
        self._compact_at = max(COMPACT_BYTES_MIN, 2 * length)

    async def _compact_if_due(self) -> None:
        if self._position < self._compact_at:
            return
        try:
            await self._rewrite()
        except StoreUnavailable as error:
            _log.error("journal not compacted", extra={"detail": error.message})

    def _framed(self, payloads: Iterable[bytes], durable: int) -> Iterator[bytes]:
        for payload in payloads:
            self._number += 1
            yield frame(payload, self._number, durable)


def frame(payload: bytes, number: int, durable: int) -> bytes:
    """Return a record as it is in the file."""
    check = zlib.crc32(payload, zlib.crc32(NUMBERS.pack(len(payload), number, durable)))
    return HEADER.pack(MAGIC, len(payload), check, number, durable) + payload


def read(data: bytes) -> JournalContents:
    """Read the records of a file. Raises JournalCorrupted when a record is missing that was
    certainly on disk."""
    payloads: list[bytes] = []
    position = last = durable = 0
    while (found := _record(data, position)) is not None:
        payload, number, known = found
        if payloads and number != last + 1:
            break
        payloads.append(payload)
        last, durable = number, max(durable, known)
        position += HEADER.size + len(payload)
    rest = data[position:].rstrip(b"\0")
    if max(durable, _durable_after(rest)) > last:
        text = f"record {last + 1} was on disk, and cannot be read"
        raise JournalCorrupted(text, store="journal")
    return JournalContents(payloads, last, len(rest))


def _record(data: bytes, position: int) -> tuple[bytes, int, int] | None:
    """Payload, number and last durable number of a record; None where there is no whole one."""
    if position + HEADER.size > len(data):
        return None
    magic, length, check, number, durable = HEADER.unpack_from(data, position)
    start = position + HEADER.size
    if magic != MAGIC or length > RECORD_BYTES_MAX or start + length > len(data):
        return None
    payload = data[start : start + length]
    if zlib.crc32(payload, zlib.crc32(NUMBERS.pack(length, number, durable))) != check:
        return None
    return payload, number, durable


def _durable_after(rest: bytes) -> int:
    """The highest durable number in whole records after a tear."""
    mark = MAGIC.to_bytes(2, "little")
    highest = 0
    place = rest.find(mark)
    while place >= 0:
        found = _record(rest, place)
        highest = max(highest, found[2] if found is not None else 0)
        place = rest.find(mark, place + 1)
    return highest


def _check_sizes(payloads: Iterable[bytes]) -> None:
    largest = max(map(len, payloads), default=0)
    if largest > RECORD_BYTES_MAX:
        text = f"a record has {largest} bytes; the largest that is written has {RECORD_BYTES_MAX}"
        raise StoreUnavailable(text, store="journal")


def _settle(waiters: list[asyncio.Future[None]], error: StoreUnavailable | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def _unavailable(words: str) -> StoreUnavailable:
    return StoreUnavailable(f"the journal cannot be written: {words}", store="journal")
