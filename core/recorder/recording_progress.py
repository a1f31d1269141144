"""Progress of the recorder, for trimming, metrics and Admin."""

from core.recorder.store import CONSUMER
from core.recorder.stream_shares import share_name
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.events.shared_work import WorkRun
from kit.marketdata.delivery.redis_streams import RedisStreams

LOOK_INTERVAL_SECONDS = 1.0
COMMIT_ALL_LOOKS = 10
NO_STREAMS = WorkRun(frozenset())


class RecordingProgress:
    """Positions recorded in each stream, and the entries that wait."""

    def __init__(
        self, streams: RedisStreams, meter: Meter, degraded_reasons: DegradedReasons, clock: Clock
    ) -> None:
        self.keys: list[StreamKey] = []
        """The streams of this run."""
        self._streams = streams
        self._meter = meter
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._recorded: dict[StreamKey, Cursor] = {}
        self._committed: dict[StreamKey, Cursor] = {}
        self._run = NO_STREAMS
        self._is_interrupted = False
        self._looks = 0
        self._written_ns = clock.monotonic_ns()

    def recorded(self, key: StreamKey) -> Cursor:
        """The last entry of a stream that is recorded."""
        return self._recorded.get(key, START)

    async def begin(self, recorded: dict[StreamKey, Cursor], run: WorkRun) -> None:
        """Begin a run at these positions."""
        self._recorded = dict(recorded)
        self._committed = {}
        self._run, self._is_interrupted = run, False
        await self._find()

    def interrupt(self) -> None:
        """A store is away. Until the next run the streams of this one are still measured, but
        positions are not committed: another recorder may have taken the streams."""
        self._is_interrupted = True

    def end(self) -> None:
        """End the run: its streams may be those of another recorder."""
        self._run, self.keys = NO_STREAMS, []

    def wrote(self, positions: dict[StreamKey, Cursor], published_time_ns: int) -> None:
        """Note that entries up to these positions are recorded, the newest published at a time."""
        self._recorded.update(positions)
        self._written_ns = self._clock.monotonic_ns()
        if published_time_ns:
            age_ns = self._clock.time_ns() - published_time_ns
            self._meter.lag(age_ns)

    async def run(self) -> None:
        """Once a second, also while the database is away: find streams, measure lag, and commit
        positions. Runs until cancelled."""
        while True:
            try:
                await self._look()
                self._degraded_reasons.clear("redis")
            except StoreUnavailable as error:
                self._degraded_reasons.report(error.metadata["store"], error.message)
            await self._clock.sleep(LOOK_INTERVAL_SECONDS)

    async def commit(self) -> None:
        """Acknowledge the recorded entries, so that they may be trimmed."""
        recorded = {key: self._recorded[key] for key in self.keys if key in self._recorded}
        moved = {key: at for key, at in recorded.items() if self._committed.get(key) != at}
        await self._streams.commit(CONSUMER, moved)
        self._committed = recorded

    async def _look(self) -> None:
        await self._find()
        waiting = sum([await self.waiting(key) for key in self.keys])
        self._meter.waiting(waiting)
        still_ns = self._clock.monotonic_ns() - self._written_ns
        if waiting and still_ns > LOOK_INTERVAL_SECONDS * 10**9:
            # Nothing is written while entries wait: they are at least this old.
            self._meter.lag_ms = max(self._meter.lag_ms, still_ns / NANOSECONDS_PER_MILLISECOND)
        self._looks += 1
        if self._looks % COMMIT_ALL_LOOKS == 0:
            # Redis may have lost a commit, or have an earlier one of a recorder that was frozen.
            self._committed = {}
        if not self._is_interrupted:
            await self.commit()

    async def _find(self) -> None:
        found = await self._streams.keys()
        self.keys = [key for key in found if self._run.owns(share_name(key))]

    async def waiting(self, key: StreamKey) -> int:
        """Entries of a stream that are not recorded yet."""
        newest = await self._streams.last(key) or START
        recorded = self.recorded(key)
        if newest < recorded:
            detail = f"it ends at {newest}, before what is recorded: {recorded}"
            self._degraded_reasons.report(str(key), detail)
            return 0
        self._degraded_reasons.clear(str(key))
        if newest.epoch == recorded.epoch:
            return newest.sequence - recorded.sequence
        return await self._streams.length(key)
