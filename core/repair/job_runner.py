"""Runs repair jobs: one at a time per venue, its holes newest first, until none is left.

All state is in the database. An interrupted job resumes: it first waits until the published trades
are recorded, so that none is fetched or counted twice.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core.repair.candle_comparison import CandleComparer
from core.repair.context import RepairContext
from core.repair.hole_finder import HoleFinder
from core.repair.hole_repairer import COMPLETE, HoleRepairer, HoleRepairResult
from core.repair.holes import FILLED, OPEN, QUEUED, UNAVAILABLE, Hole, HoleSpan, RepairJob
from core.repair.job_watchers import JobWatchers
from core.repair.record_reader import TradedInstrument
from core.repair.trade_merge import ExactTrade
from core.repair.venue_clients import Features, PermanentVenueError, RetryableVenueError
from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import START, Cursor
from kit.base.errors import StoreUnavailable
from kit.base.waiting import is_set_within
from kit.marketdata.delivery.redis_streams import StreamAppendConflict

ROUND_HOLES = 16
"""Holes that are filled before waiting until they are recorded."""
LOOK_SECONDS = 1.0
PASSED_LOOK_SECONDS = 0.1
TRIES_MAX = 5
RETRY_SECONDS_MAX = 5.0
SOON_SECONDS = 5.0
"""Delay before the first retry of a hole; it grows fourfold, up to the setting."""
WANTED_MAX = 100
AUTOMATIC = "auto-"

Ask = Callable[[], Awaitable[Sequence[ExactTrade]]]

_log = telemetry.logger("repair.jobs")


class JobRunner:
    """Starts, runs and cancels repair jobs."""

    def __init__(
        self,
        context: RepairContext,
        finder: HoleFinder,
        repairer: HoleRepairer,
        candles: CandleComparer,
        watchers: JobWatchers,
    ) -> None:
        self._store = context.store
        self._record = context.record
        self._venues = context.venues
        self._finder = finder
        self._repairer = repairer
        self._candles = candles
        self._publisher = context.publisher
        self._watchers = watchers
        self._settings = context.settings
        self._metrics = context.metrics
        self._degraded_reasons = context.degraded_reasons
        self._clock = context.clock
        self._owns = context.ownership.owns
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}
        """By venue: the id of the running job, and its task."""
        self._called = asyncio.Event()

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._look()
                    self._degraded_reasons.clear("jobs")
                except StoreUnavailable as error:
                    self._degraded_reasons.report("jobs", error.message)
                self._called.clear()
                await is_set_within(self._called, LOOK_SECONDS)
        finally:
            for _, task in self._running.values():
                task.cancel()

    async def start(
        self, venue: str, symbol: str, start_ns: int, end_ns: int, repair_id: str
    ) -> RepairJob:
        """Queue a requested job. Raises RateLimited when too many are queued."""
        job = self._new(repair_id or uuid.uuid4().hex, venue, symbol, start_ns, end_ns)
        known = await self._store.add_job(job, self._settings.jobs_max)
        self._called.set()
        return known

    async def cancel(self, repair_id: str) -> None:
        """Cancel a job, unless it has ended."""
        await self._store.cancel_job(repair_id, self._clock.time_ns())
        for running, task in list(self._running.values()):
            if running == repair_id:
                task.cancel()
        self._watchers.changed(repair_id)

    async def _look(self) -> None:
        now_ns = self._clock.time_ns()
        if self._settings.automatic:
            for venue, symbol in await self._store.wanted(now_ns, WANTED_MAX):
                if not self._owns(venue):
                    continue
                job = self._new(f"{AUTOMATIC}{uuid.uuid4().hex}", venue, symbol, 0, 0)
                await self._store.add_job(replace(job, automatic=True), self._settings.jobs_max)
        self._running = {venue: pair for venue, pair in self._running.items() if not pair[1].done()}
        jobs = [job for job in await self._store.next_jobs() if self._owns(job.venue)]
        turns = {job.venue: job.repair_id for job in jobs}
        for venue, (repair_id, task) in self._running.items():
            if turns.get(venue) != repair_id:
                # It was cancelled at another process, or the venue is repaired there.
                task.cancel()
        for job in jobs:
            if job.venue not in self._running and self._venues.runs(job.venue):
                task = asyncio.create_task(self._run(job), name=f"repair {job.repair_id}")
                self._running[job.venue] = job.repair_id, task

    def _new(
        self, repair_id: str, venue: str, symbol: str, start_ns: int, end_ns: int
    ) -> RepairJob:
        now_ns = self._clock.time_ns()
        return RepairJob(
            repair_id, venue, symbol, QUEUED, False, start_ns, end_ns, 0, 0, 0, 0, 0, now_ns, 0, 0,
            "waits for its turn",
        )  # fmt: skip

    async def _run(self, job: RepairJob) -> None:
        """Run a job. After any error it is started again a moment later."""
        try:
            await self._run_once(job)
        except (StoreUnavailable, StreamAppendConflict, RetryableVenueError) as error:
            _log.warning("a repair begins again", extra={"detail": str(error)})
            await self._clock.sleep(LOOK_SECONDS)
        except Exception:
            _log.exception("a repair failed", extra={"repair_id": job.repair_id})
            await self._clock.sleep(RETRY_SECONDS_MAX)
        finally:
            self._called.set()
            self._watchers.changed(job.repair_id)

    async def _run_once(self, job: RepairJob) -> None:
        await self._publisher.begin(job.venue)
        instrument = await self._record.instrument(job.venue, job.symbol)
        if instrument is not None and job.state == QUEUED and not job.automatic:
            await self._finder.look_at(instrument, job.start_time_ns, job.end_time_ns)
        await self._store.begin_job(job, self._clock.time_ns())
        self._watchers.changed(job.repair_id)
        if instrument is not None:
            await self._passed(job, await self._publisher.ends(job.venue))
            while holes := await self._store.holes_of(job, ROUND_HOLES):
                await self._round(job, instrument, holes)
        await self._store.end_job(job, self._clock.time_ns())
        _log.info("a repair has ended", extra={"repair_id": job.repair_id, "venue": job.venue})

    async def _round(
        self, job: RepairJob, instrument: TradedInstrument, holes: Sequence[Hole]
    ) -> None:
        features = await self._venues.features(job.venue)
        done: list[HoleRepairResult] = []
        taken: list[HoleSpan] = []
        for hole in holes:
            if any(hole.span.overlaps(span) for span in taken):
                # The other hole must be recorded first, or its trades would be fetched twice.
                continue
            taken.append(hole.span)
            try:
                done.append(await self._fill(job, instrument, hole, features))
            except RetryableVenueError as error:
                await self._retry_later(hole, str(error))
            except (StoreUnavailable, StreamAppendConflict):
                raise
            except Exception:
                # A hole that fails must not keep the others from being filled.
                _log.exception("a hole is not filled", extra={"hole": hole.hole_id})
                await self._retry_later(hole, "a fault of ours: see the log of repair")
        await self._passed(job, max((filled.cursor for filled in done), default=START))
        for filled in done:
            await self._end(instrument, filled)
            self._watchers.changed(job.repair_id)

    async def _fill(
        self, job: RepairJob, instrument: TradedInstrument, hole: Hole, features: Features
    ) -> HoleRepairResult:
        async def retrying(ask: Ask) -> Sequence[ExactTrade]:
            return await self._ask(job, hole, ask)

        return await self._repairer.fill(instrument, hole, features, retrying)

    async def _end(self, instrument: TradedInstrument, filled: HoleRepairResult) -> None:
        hole = filled.hole
        had = await self._record.count(instrument, hole.span) - filled.known_count
        if had < filled.published:
            await self._retry_later(hole, "what was published is not in the record")
            return
        detail = filled.detail
        if filled.outcome == COMPLETE:
            said = await self._candles.compare_again(instrument, hole) if filled.published else ""
            await self._store.end_hole(hole, FILLED, had, "; ".join(filter(None, (detail, said))))
        else:
            await self._store.end_hole(hole, UNAVAILABLE, had, detail, filled.left)
        self._metrics.ended(instrument.venue, filled.outcome == COMPLETE, filled.published)

    async def _retry_later(self, hole: Hole, why: str) -> None:
        """Try a hole again later; after the last attempt it is UNAVAILABLE."""
        if hole.attempt_count + 1 >= self._settings.attempts_max:
            detail = f"not in {hole.attempt_count + 1} attempts: {why}"
            await self._store.end_hole(hole, UNAVAILABLE, 0, detail)
            return
        wait_s = min(SOON_SECONDS * 4**hole.attempt_count, self._settings.retry_s)
        not_before_ns = self._clock.time_ns() + int(wait_s * NANOSECONDS_PER_SECOND)
        await self._store.end_hole(hole, OPEN, 0, why, not_before_ns=not_before_ns)

    async def _ask(self, job: RepairJob, hole: Hole, ask: Ask) -> Sequence[ExactTrade]:
        """Call the venue, wait as long as it says, and retry failures a few times."""
        tries, waits = 0, backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            try:
                reported = await ask()
            except RetryableVenueError as error:
                tries += not error.is_limit
                if tries >= TRIES_MAX:
                    raise
                wait_s = error.seconds if error.is_limit else max(next(waits), error.seconds)
                await self._note(job, f"waits {wait_s:.0f} s: {error}", 1)
                await self._clock.sleep(wait_s)
            except PermanentVenueError:
                await self._note(job, f"was refused {hole.hole_id}", 1)
                raise
            else:
                await self._note(job, f"got {len(reported)} trades of {hole.hole_id}", 1)
                return reported

    async def _passed(self, job: RepairJob, cursor: Cursor) -> None:
        """Wait until all required consumers have read an entry. Raises RetryableVenueError if it is
        lost."""
        while cursor != START:
            if await self._publisher.ends(job.venue) < cursor:
                raise RetryableVenueError("Redis has lost what was published", LOOK_SECONDS)
            readers = await self._publisher.readers(job.venue)
            behind = [name for name in self._settings.wait_for if readers.get(name, START) < cursor]
            if not behind:
                return
            await self._note(job, f"waits for {', '.join(behind)}")
            await self._clock.sleep(PASSED_LOOK_SECONDS)

    async def _note(self, job: RepairJob, detail: str, calls: int = 0) -> None:
        await self._store.note(job, detail, calls)
        self._watchers.changed(job.repair_id)
