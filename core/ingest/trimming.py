"""Deletes stream entries: those that all groups have read, and others when Redis is full."""

from collections import deque
from collections.abc import Callable, Collection, Mapping

from venuemesh.common.v1 import types_pb2

from core.ingest.context import IngestContext
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import CHANNEL_REPAIRS, START, Channel, Cursor, StreamKey
from kit.base.errors import StoreUnavailable

INTERVAL_SECONDS = 1.0
FORCED_SHARE = 0.1
"""Part of the largest stream that is deleted at once when Redis is full."""
FORCED_STEPS_MAX = 40
ENTRIES_KEPT = 100
"""A stream is never forced below this length: then something else fills Redis."""

_log = telemetry.logger("trimming")


def read_by_all(groups: Mapping[str, Cursor], required: Collection[str]) -> Cursor | None:
    """Return the last entry that all required groups have read, None if one never committed."""
    if not required or not groups.keys() >= set(required):
        return None
    return min(groups[name] for name in required)


class EntryAgeSamples:
    """When entries were written, one sample per round: cursors do not contain the time."""

    def __init__(self, keep_seconds: float) -> None:
        self._keep_ns = int(keep_seconds * NANOSECONDS_PER_SECOND)
        self._samples: deque[tuple[int, Cursor]] = deque()

    def add(self, now_ns: int, newest: Cursor) -> None:
        """Note the newest entry at this time."""
        if not self._samples or newest != self._samples[-1][1]:
            self._samples.append((now_ns, newest))

    def older_than_kept(self, now_ns: int) -> Cursor | None:
        """Return the newest entry that is older than the time to keep, or None."""
        while len(self._samples) > 1 and self._samples[1][0] <= now_ns - self._keep_ns:
            self._samples.popleft()
        if self._samples and self._samples[0][0] <= now_ns - self._keep_ns:
            return self._samples[0][1]
        return None


class StreamTrimmer:
    """Trims every stream once a second. Of several processes one does; all measure the memory."""

    def __init__(self, context: IngestContext, is_first: Callable[[], bool]) -> None:
        self._is_first = is_first
        settings, meter = context.settings, context.meter
        self._streams = context.streams
        self._memory = context.memory
        self._keep_seconds = settings.keep_seconds
        self._required: dict[Channel, tuple[str, ...]] = {
            types_pb2.CHANNEL_TRADES: settings.trades_groups,
            types_pb2.CHANNEL_QUOTES: settings.quotes_groups,
            types_pb2.CHANNEL_BOOK: settings.book_groups,
            CHANNEL_REPAIRS: settings.repairs_groups,
        }
        self._required_elsewhere = settings.other_groups
        self._degraded = context.degraded
        self._clock = context.clock
        self._ages: dict[StreamKey, EntryAgeSamples] = {}
        self._used = meter.gauge("redis_used_bytes", "Memory that Redis uses")
        limit = meter.gauge("redis_limit_bytes", "Memory from which Redis counts as full")
        limit.set(self._memory.bytes_max)
        self._trimmed = meter.counter(
            "trimmed_entries", "Entries deleted after all groups read them"
        )
        self._forced = meter.counter(
            "forced_entries", "Entries deleted because Redis was full, read or not", "venue"
        )

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.debug("not trimmed", extra={"detail": str(error)})
            await self._clock.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Run one round: delete entries that were read, then check the memory bound."""
        keys = await self._streams.keys() if self._is_first() else []
        for key in keys:
            await self._trim_read(key)
        await self._measure()
        if self._memory.is_full and not self._memory.waits:
            await self._make_room(keys)
        self._report()

    async def _trim_read(self, key: StreamKey) -> None:
        now_ns = self._clock.monotonic_ns()
        ages = self._ages.setdefault(key, EntryAgeSamples(self._keep_seconds))
        ages.add(now_ns, await self._streams.last(key) or START)
        required = self._required.get(key.channel, self._required_elsewhere)
        read = read_by_all(await self._streams.groups(key), required)
        if read is None:
            return
        if self._memory.used_bytes < self._memory.bytes_max // 2:
            old = ages.older_than_kept(now_ns)
            if old is None:
                return
            read = min(read, old)
        self._trimmed.inc(await self._streams.trim_before(key, read))

    async def _measure(self) -> None:
        self._memory.measure(await self._streams.memory_bytes())
        self._used.set(self._memory.used_bytes)

    async def _make_room(self, keys: list[StreamKey]) -> None:
        """Delete from the largest stream first: usually a book, which is the least loss."""
        gone: dict[StreamKey, int] = {}
        for _ in range(FORCED_STEPS_MAX):
            sizes = {key: await self._streams.stream_bytes(key) for key in keys}
            lengths = {key: await self._streams.length(key) for key in keys}
            candidates = [key for key in keys if lengths[key] > ENTRIES_KEPT]
            if not candidates or not self._memory.is_full:
                break
            largest = max(candidates, key=lambda key: sizes[key])
            left = max(ENTRIES_KEPT, int(lengths[largest] * (1 - FORCED_SHARE)))
            count = await self._streams.trim_to_length(largest, left)
            gone[largest] = gone.get(largest, 0) + count
            await self._measure()
        for key, count in gone.items():
            self._forced.labels(key.venue).inc(count)
            _log.error(
                "Redis is full: entries were deleted that may not have been read",
                extra={"stream": str(key), "entries": count, "used_bytes": self._memory.used_bytes},
            )

    def _report(self) -> None:
        if not self._memory.is_full:
            self._degraded.clear("redis memory")
            return
        what = "the venues wait for memory" if self._memory.waits else "the oldest entries go"
        self._degraded.report(
            "redis memory", f"{self._memory.bytes_max} bytes are used; {what}, see the readers' lag"
        )
