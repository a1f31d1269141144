"""Watches TimescaleDB's background jobs, which drop, compress and refresh by themselves."""

from dataclasses import dataclass

import psycopg

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter

INTERVAL_SECONDS = 60.0
JOBS_REASON = "database jobs"
OTHER_WORKERS = 3
"""Background workers that PostgreSQL and TimescaleDB need beside those of jobs and of parallel
queries, as timescaledb-tune counts them."""

# Only policies of tables: TimescaleDB's own jobs may fail, such as the report of its use. A job
# that is not started an hour after it was due will not be started at all.
JOBS = """
SELECT job_id, format('%s of %s', proc_name, jobs.hypertable_name),
    coalesce(last_run_status = 'Failed', false),
    coalesce(job_stats.next_start < now() - interval '1 hour' AND job_status = 'Scheduled', false),
    (SELECT err_message FROM timescaledb_information.job_errors
        WHERE job_errors.job_id = jobs.job_id ORDER BY finish_time DESC LIMIT 1)
FROM timescaledb_information.jobs JOIN timescaledb_information.job_stats USING (job_id)
WHERE jobs.hypertable_name IS NOT NULL ORDER BY job_id
"""
WORKERS = """
SELECT current_setting('max_worker_processes')::int,
    coalesce(current_setting('timescaledb.max_background_workers', true), '0')::int
        + current_setting('max_parallel_workers')::int
"""

_log = telemetry.logger("recorder.jobs")


@dataclass(frozen=True, slots=True)
class BackgroundJob:
    """A policy of a table, and how it ran last."""

    job_id: int
    name: str
    is_failed: bool
    is_overdue: bool
    error: str | None

    def problem(self) -> str:
        """Return what is wrong with it, or ""."""
        if self.is_failed:
            return f"{self.name} failed: {self.error or 'see the log of the database'}"
        return f"{self.name} was not started when it was due" if self.is_overdue else ""


class BackgroundJobMonitor:
    """Reports jobs that fail or are not started. Without TimescaleDB there are none."""

    def __init__(
        self, database: Database, meter: Meter, degraded_reasons: DegradedReasons, clock: Clock
    ) -> None:
        self._database = database
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._failing = meter.gauge(
            "database_job_failing",
            "1: this job of TimescaleDB failed or is overdue",
            "background_job",
        )
        self._shortage = ""

    async def run(self) -> None:
        """Look once a minute, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.debug("jobs not read", extra={"detail": error.message})
            except psycopg.Error as error:
                detail = f"cannot be read: {str(error).partition(chr(10))[0]}"
                self._degraded_reasons.report(JOBS_REASON, detail)
            await self._clock.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Look once. Raises StoreUnavailable and errors of psycopg."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT to_regclass('timescaledb_information.job_stats') IS NOT NULL"
            )
            row = await found.fetchone()
            if row is None or not row[0]:
                return
            jobs = [BackgroundJob(*row) async for row in await connection.execute(JOBS)]
            await self._check_workers(connection)
        self._failing.clear()
        for job in jobs:
            self._failing.labels(job.name).set(bool(job.problem()))
        problems = list(filter(None, (job.problem() for job in jobs)))
        if problems:
            detail = "; ".join(filter(None, (*problems, self._shortage)))
            self._degraded_reasons.report(JOBS_REASON, detail)
        else:
            self._degraded_reasons.clear(JOBS_REASON)

    async def _check_workers(self, connection: Connection) -> None:
        found = await connection.execute(WORKERS)
        row = await found.fetchone()
        assert row is not None
        allowed, used = row
        needed = used + OTHER_WORKERS
        shortage = ""
        if allowed < needed:
            shortage = f"max_worker_processes is {allowed}; set it to {needed} or more"
        if shortage and shortage != self._shortage:
            _log.warning("jobs may find no worker process", extra={"detail": shortage})
        self._shortage = shortage
