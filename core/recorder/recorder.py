"""The loop from the streams to the database."""

import asyncio
from collections import Counter

from core.recorder.chunk import Chunk
from core.recorder.settings import RecorderSettings
from core.recorder.store import CONSUMER, Load, Store
from kit import backoff, telemetry
from kit.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.cursor import START, Cursor, StreamKey, channel_name, gap_reason_name
from kit.database import TROUBLE, PositionMoved
from kit.errors import StoreUnavailable
from kit.streams import Entry, Streams
from kit.telemetry import Meter
from kit.troubles import Troubles

READ_ENTRIES_MAX = 64
"""Entries of each stream that are read in one call."""
IDLE_WAIT_MS = 500
LOOK_INTERVAL_SECONDS = 1.0
RETRY_SECONDS_MAX = 5.0
FINISH_SECONDS_MAX = 3.0

_log = telemetry.logger("recorder")


class Recorder:
    """Records all streams, in runs.

    A run begins at the positions in the database and ends when Redis or PostgreSQL goes away, or
    when another recorder has moved the positions; what is in memory is then dropped, and the next
    run reads it again. Within a run one chunk is written while the next is read.
    """

    def __init__(
        self,
        streams: Streams,
        store: Store,
        settings: RecorderSettings,
        meter: Meter,
        troubles: Troubles,
        clock: Clock,
    ) -> None:
        self._streams = streams
        self._store = store
        self._settings = settings
        self._meter = meter
        self._troubles = troubles
        self._clock = clock
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        self._keys: list[StreamKey] = []
        self._recorded: dict[StreamKey, Cursor] = {}
        self._committed: dict[StreamKey, Cursor] = {}
        self._unreadable = telemetry.OncePerKind(_log)
        self._unreadable_total = meter.counter(
            "unreadable_batches",
            "Batches that could not be read, each of which is a gap",
            "channel",
        )

    async def run(self) -> None:
        """Endless."""
        while True:
            try:
                await self._run_once()
            except* (StoreUnavailable, PositionMoved) as group:
                for error in group.exceptions:
                    self._run_ended(error)
            await self._clock.sleep(next(self._waits))

    async def finish(self) -> None:
        """Record what the streams still hold, at the end of the process. Bounded in time."""
        try:
            async with asyncio.timeout(FINISH_SECONDS_MAX):
                chunk = await self._begin()
                while await self._fill(chunk):
                    await self._write(await self._store.prepare(chunk))
                    chunk = chunk.next()
                await self._commit()
        except (StoreUnavailable, PositionMoved, TimeoutError) as error:
            _log.warning("ended before all was recorded", extra={"detail": str(error)})

    async def _run_once(self) -> None:
        chunk = await self._begin()
        loads: asyncio.Queue[Load] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_after())
            group.create_task(self._read(chunk, loads))
            group.create_task(self._write_all(loads))

    async def _begin(self) -> Chunk:
        self._recorded = await self._store.positions()
        self._committed = {}
        self._keys = await self._streams.keys()
        self._troubles.clear("redis")
        return Chunk(self._recorded)

    async def _read(self, chunk: Chunk, loads: asyncio.Queue[Load]) -> None:
        age_ns = self._settings.chunk_age_ms * NANOSECONDS_PER_MILLISECOND
        while True:
            read = await self._fill(chunk, IDLE_WAIT_MS)
            if not read:
                self._is_well()
                continue
            due_ns = self._clock.monotonic_ns() + age_ns
            while not self._is_full(chunk):
                drained = read < READ_ENTRIES_MAX
                left_ns = due_ns - self._clock.monotonic_ns()
                if left_ns <= 0 and (drained or loads.empty()):
                    break
                if drained:
                    await self._clock.sleep(left_ns / NANOSECONDS_PER_SECOND)
                read = await self._fill(chunk)
            await loads.put(await self._store.prepare(chunk))
            chunk = chunk.next()

    async def _fill(self, chunk: Chunk, block_ms: int | None = None) -> int:
        """Read what comes next. Returns the most entries that any one stream gave."""
        if not self._keys:
            await self._clock.sleep((block_ms or 0) / 1000)
            return 0
        after = {key: chunk.position(key) for key in self._keys}
        entries = await self._streams.read(after, READ_ENTRIES_MAX, block_ms)
        now_ns = self._clock.time_ns()
        for entry in entries:
            self._take(chunk, entry, now_ns)
        return max(Counter(entry.key for entry in entries).values(), default=0)

    def _take(self, chunk: Chunk, entry: Entry, now_ns: int) -> None:
        error = chunk.add(entry, now_ns)
        if error is not None:
            self._unreadable_total.labels(channel_name(entry.key.channel)).inc()
            self._unreadable.warning(
                f"a batch that cannot be read: {error}",
                repr(entry.batch[:200]),
                stream=str(entry.key),
                cursor=str(entry.cursor),
            )

    def _is_full(self, chunk: Chunk) -> bool:
        return (
            chunk.row_count >= self._settings.chunk_rows_max
            or chunk.byte_count >= self._settings.chunk_bytes_max
        )

    async def _write_all(self, loads: asyncio.Queue[Load]) -> None:
        while True:
            await self._write(await loads.get())

    async def _write(self, load: Load) -> None:
        duplicates = await self._store.write(load)
        chunk = load.chunk
        self._recorded.update(chunk.positions)
        self._is_well()
        if duplicates:
            self._meter.count("duplicate_rows_total", duplicates)
        for channel, events in chunk.events:
            self._meter.batch(channel_name(channel), events)
        for found in chunk.gaps:
            self._meter.gap(gap_reason_name(found.gap.reason))
        if chunk.published_time_ns:
            age_ns = self._clock.time_ns() - chunk.published_time_ns
            self._meter.lag(age_ns / NANOSECONDS_PER_MILLISECOND)

    def _is_well(self) -> None:
        """Something was written, or there was nothing to write."""
        self._troubles.clear(TROUBLE)
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)

    def _run_ended(self, error: Exception) -> None:
        if isinstance(error, StoreUnavailable):
            self._troubles.report(error.metadata["store"], error.message)
        else:
            _log.warning("begin again", extra={"detail": str(error)})

    async def _look_after(self) -> None:
        """Once a second: which streams there are, how far behind they are, how far we have got."""
        while True:
            self._keys = await self._streams.keys()
            self._meter.waiting(sum([await self._waiting(key) for key in self._keys]))
            await self._commit()
            await self._clock.sleep(LOOK_INTERVAL_SECONDS)

    async def _waiting(self, key: StreamKey) -> int:
        newest = await self._streams.last(key) or START
        recorded = self._recorded.get(key, START)
        if newest < recorded:
            detail = f"it ends at {newest}, before what is recorded: {recorded}"
            self._troubles.report(str(key), detail)
            return 0
        self._troubles.clear(str(key))
        if newest.epoch == recorded.epoch:
            return newest.sequence - recorded.sequence
        return await self._streams.length(key)

    async def _commit(self) -> None:
        """Let the entries go that are recorded."""
        recorded = {key: self._recorded[key] for key in self._keys if key in self._recorded}
        moved = {key: at for key, at in recorded.items() if self._committed.get(key) != at}
        await self._streams.commit(CONSUMER, moved)
        self._committed = recorded
