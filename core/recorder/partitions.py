"""Daily partitions: makes future ones, drops expired ones, and measures the tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from core.recorder.settings import StorageSettings
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter

DAY_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
ROUND_SECONDS = 300.0
ROUND_DAYS_MAX = 32
"""Most days of a table that one round drops, or makes for rows without a partition."""
PACKED_TABLES = ("trade_rows", "quote_rows", "ticker_rows", "mark_rows")
"""Tables that TimescaleDB may compress by columns."""
STORAGE_REASON = "storage"

_log = telemetry.logger("recorder")


@dataclass(frozen=True, slots=True)
class PartitioningMode:
    """Whether PostgreSQL partitions the tables natively, or TimescaleDB by policies."""

    native: bool
    policies: bool


class PartitionManager:
    """Maintains the tables in rounds. Several managers may run at the same time."""

    def __init__(
        self,
        database: Database,
        settings: StorageSettings,
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._settings = settings
        self._meter = meter
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._bytes = meter.gauge("storage_bytes", "Size of a table with its indexes", "table")
        self._days = meter.gauge("storage_days", "Daily partitions of a table", "table")
        self._other = meter.gauge(
            "storage_other_bytes", "Size of rows outside all daily partitions", "table"
        )
        self._dropped = meter.counter("storage_dropped_days", "Daily partitions dropped", "table")

    async def run(self) -> None:
        """Run until cancelled. A round that fails is retried at the next interval."""
        while True:
            try:
                await self.round()
            except StoreUnavailable as error:
                _log.debug("round skipped", extra={"detail": error.message})
                if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                    self._degraded_reasons.report(STORAGE_REASON, error.message)
            except psycopg.Error as error:
                self._degraded_reasons.report(STORAGE_REASON, str(error).partition("\n")[0])
            else:
                self._degraded_reasons.clear(STORAGE_REASON)
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Maintain all tables once. Raises StoreUnavailable and errors of psycopg."""
        kind = await self._kind()
        for table, days in self._settings.keep_days().items():
            if kind.native:
                await self._make_days(table)
            if kind.policies:
                await self._set_policies(table, days * DAY_NS)
            elif days:
                await self._drop_days(kind, table, self._clock.time_ns() - days * DAY_NS)
        await self._measure()

    async def _kind(self) -> PartitioningMode:
        async with self._database.reading() as connection:
            found = await connection.execute("SELECT is_native('trade_rows'), has_policies()")
            row = await found.fetchone()
        assert row is not None
        return PartitioningMode(*row)

    async def _make_days(self, table: str) -> None:
        """Make the partitions of today, of tomorrow, and of rows outside all partitions."""
        now_ns = self._clock.time_ns()
        async with self._database.reading() as connection:
            await connection.execute(
                "SELECT make_days(%s, %s || days_of_other_rows(%s, %s))",
                [table, [now_ns, now_ns + DAY_NS], table, ROUND_DAYS_MAX],
            )

    async def _drop_days(self, kind: PartitioningMode, table: str, before_ns: int) -> None:
        if not kind.native:
            async with self._database.reading() as connection:
                await connection.execute("SELECT drop_chunks_before(%s, %s)", [table, before_ns])
            return
        for _ in range(ROUND_DAYS_MAX):
            async with self._database.reading() as connection:
                found = await connection.execute(
                    "SELECT drop_oldest_day(%s, %s)", [table, before_ns]
                )
                row = await found.fetchone()
            if row is None or row[0] is None:
                break
            self._dropped.labels(table).inc()
            _log.info("partition dropped", extra={"table": table, "start_ns": row[0]})
        async with self._database.reading() as connection:
            await connection.execute("SELECT drop_other_rows(%s, %s)", [table, before_ns])

    async def _set_policies(self, table: str, keep_ns: int) -> None:
        async with self._database.reading() as connection:
            await connection.execute("SELECT set_policy(%s, 'retention', %s)", [table, keep_ns])
            if table in PACKED_TABLES:
                after_ns = self._settings.columnstore_after_days * DAY_NS
                await connection.execute(
                    "SELECT set_policy(%s, 'columnstore', %s)", [table, after_ns]
                )

    async def _measure(self) -> None:
        async with self._database.reading() as connection:
            rows = await connection.execute(
                "SELECT table_name, sum(total_bytes)::bigint, count(start_ns),"
                " coalesce(sum(total_bytes) FILTER (WHERE start_ns IS NULL), 0)::bigint"
                " FROM list_days() GROUP BY table_name"
            )
            found: Mapping[str, tuple[int, int, int]] = {
                name: (total, days, other) async for name, total, days, other in rows
            }
        for table, (total, days, other) in found.items():
            self._bytes.labels(table).set(total)
            self._days.labels(table).set(days)
            self._other.labels(table).set(other)
        self._meter.counters["storage_bytes"] = sum(total for total, _, _ in found.values())
