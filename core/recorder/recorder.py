"""The loop from the streams to the database."""

import asyncio
from collections import Counter

from core.recorder.chunk import Chunk
from core.recorder.chunk_buffers import RowAndBlockBuffers
from core.recorder.recording_progress import RecordingProgress
from core.recorder.settings import RecorderSettings
from core.recorder.store import EncodedChunk, RecorderStore
from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import channel_name, gap_reason_name
from kit.base.database import POSTGRESQL, ConsumerPositionConflict
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.events.leases import LeaseLost
from kit.events.shared_work import WorkRun
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry

READ_ENTRIES_MAX = 64
"""Entries of each stream that are read in one call."""
IDLE_WAIT_MS = 500
RETRY_SECONDS_MAX = 5.0
FINISH_SECONDS_MAX = 3.0
RUN_ENDS = (StoreUnavailable, ConsumerPositionConflict, LeaseLost)

_log = telemetry.logger("recorder")


class Recorder:
    """Records the streams that it owns in runs.

    A run starts at the positions in the database. It ends when Redis or PostgreSQL fails, or when
    another recorder has taken a stream; the rows in memory are then dropped, and the next run reads
    them again. It also ends, after its rows are written, when other streams are due to this
    recorder. Within a run, one chunk is written while the next one is read.
    """

    def __init__(
        self,
        streams: RedisStreams,
        store: RecorderStore,
        settings: RecorderSettings,
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._streams = streams
        self._store = store
        self._settings = settings
        self._meter = meter
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self.progress = RecordingProgress(streams, meter, degraded_reasons, clock)
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        self._unreadable = telemetry.LogDeduplicator(_log)
        self._unreadable_total = meter.counter(
            "unreadable_batches",
            "Batches that could not be read, each of which is a gap",
            "channel",
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.progress.run())
            group.create_task(self._run_on())

    async def finish(self) -> None:
        """Record the remaining entries of the streams at the end of the process. Bounded in
        time."""
        try:
            async with asyncio.timeout(FINISH_SECONDS_MAX), self._store.ownership.run() as run:
                buffers = await self._begin(run)
                while await self._fill(buffers):
                    await self._write_waiting(buffers)
                await self.progress.commit()
        except (*RUN_ENDS, TimeoutError) as error:
            _log.warning("ended before all was recorded", extra={"detail": str(error)})

    async def _write_waiting(self, buffers: RowAndBlockBuffers) -> None:
        for buffer in buffers.waiting():
            await self._write(await self._store.prepare(buffer.take()))

    async def _run_on(self) -> None:
        while True:
            async with self._store.ownership.run() as run:
                try:
                    await self._run_once(run)
                    self.progress.end()
                    continue
                except* RUN_ENDS as group:
                    for error in group.exceptions:
                        self._run_ended(error)
            await self._clock.sleep(next(self._waits))

    async def _run_once(self, run: WorkRun) -> None:
        buffers = await self._begin(run)
        loads: asyncio.Queue[EncodedChunk | None] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(run, buffers, loads))
            group.create_task(self._write_all(loads))

    async def _begin(self, run: WorkRun) -> RowAndBlockBuffers:
        recorded = await self._store.positions()
        await self.progress.begin(recorded, run)
        self._degraded_reasons.clear("redis")
        return RowAndBlockBuffers(recorded, self._settings)

    async def _read(
        self,
        run: WorkRun,
        buffers: RowAndBlockBuffers,
        loads: asyncio.Queue[EncodedChunk | None],
    ) -> None:
        while not run.ends:
            read = await self._fill(buffers, None if buffers.waiting() else IDLE_WAIT_MS)
            if not read and not buffers.waiting():
                self._is_well()
            drained = read < READ_ENTRIES_MAX
            now_ns = self._clock.monotonic_ns()
            for chunk in buffers.due(now_ns, patient=not drained and not loads.empty()):
                await loads.put(await self._store.prepare(chunk))
            if drained and buffers.waiting():
                await self._clock.sleep(self._pause_ns(buffers) / NANOSECONDS_PER_SECOND)
        for buffer in buffers.waiting():
            await loads.put(await self._store.prepare(buffer.take()))
        await loads.put(None)

    def _pause_ns(self, buffers: RowAndBlockBuffers) -> int:
        """Wait until a chunk is due, at most as long as new rows may wait."""
        now_ns = self._clock.monotonic_ns()
        left_ns = min(buffer.left_ns(now_ns) for buffer in buffers.waiting())
        return max(0, min(left_ns, self._settings.chunk_age_ms * NANOSECONDS_PER_MILLISECOND))

    async def _fill(self, buffers: RowAndBlockBuffers, block_ms: int | None = None) -> int:
        """Read the next entries. Returns the largest number of entries of one stream."""
        keys = self.progress.keys
        if not keys:
            await self._clock.sleep((block_ms or 0) / 1000)
            return 0
        after = {key: buffers.position(key) for key in keys}
        entries = await self._streams.read(after, READ_ENTRIES_MAX, block_ms)
        now_ns, monotonic_ns = self._clock.time_ns(), self._clock.monotonic_ns()
        for entry in entries:
            self._take(buffers, entry, now_ns, monotonic_ns)
        return max(Counter(entry.key for entry in entries).values(), default=0)

    def _take(
        self, buffers: RowAndBlockBuffers, entry: StreamEntry, now_ns: int, monotonic_ns: int
    ) -> None:
        error = buffers.of(entry.key.channel).add(entry, now_ns, monotonic_ns)
        if error is not None:
            self._unreadable_total.labels(channel_name(entry.key.channel)).inc()
            self._unreadable.warning(
                f"a batch that cannot be read: {error}",
                repr(entry.batch[:200]),
                stream=str(entry.key),
                cursor=str(entry.cursor),
            )

    async def _write_all(self, loads: asyncio.Queue[EncodedChunk | None]) -> None:
        while load := await loads.get():
            await self._write(load)

    async def _write(self, load: EncodedChunk) -> None:
        duplicates = await self._store.write(load)
        self._is_well()
        if duplicates:
            self._meter.count("duplicate_rows_total", duplicates)
        self._count(load.chunk)

    def _count(self, chunk: Chunk) -> None:
        self.progress.wrote(chunk.positions, chunk.published_time_ns)
        for channel, events in chunk.events:
            self._meter.batch(channel_name(channel), events)
        for found in chunk.gaps:
            self._meter.gap(gap_reason_name(found.gap.reason))

    def _is_well(self) -> None:
        """Note that a chunk was written, or that there was none to write."""
        self._degraded_reasons.clear(POSTGRESQL)
        self._waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)

    def _run_ended(self, error: Exception) -> None:
        if isinstance(error, StoreUnavailable):
            self.progress.interrupt()
            self._degraded_reasons.report(error.metadata["store"], error.message)
        else:
            self.progress.end()
            _log.warning("begin again", extra={"detail": str(error)})
