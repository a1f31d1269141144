"""PostgreSQL: positions, instruments, and chunks in one transaction each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from core.recorder.chunk import Chunk
from core.recorder.column_buffer import InstrumentIds
from core.recorder.stream_shares import AllStreams, StreamOwnership
from core.recorder.table_writes import TableWrite
from kit.base import telemetry
from kit.base.cursor import Cursor, StreamKey
from kit.base.database import Connection, Database, load_positions, save_positions

CONSUMER = "recorder"
"""Name of the recorder's positions in PostgreSQL and Redis."""

MAKE_DAYS = """
SELECT make_days(name, array_agg(start_ns))
FROM unnest(%s::text[], %s::bigint[]) AS wanted (name, start_ns) GROUP BY name
"""
WITH_DAYS = """
SELECT name, start_ns FROM unnest(%s::text[], %s::bigint[]) AS wanted (name, start_ns)
WHERE NOT is_native(name) OR to_regclass(day_table(name, start_ns)) IS NOT NULL
"""

_log = telemetry.logger("recorder")


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk encoded for PostgreSQL."""

    chunk: Chunk
    tables: list[TableWrite]


class RecorderStore:
    """Writes chunks. Methods raise StoreUnavailable."""

    def __init__(self, database: Database, ownership: StreamOwnership | None = None) -> None:
        """``ownership``: by default that of a recorder that is alone."""
        self._database = database
        self.ownership = ownership or AllStreams()
        self._instrument_ids: dict[tuple[str, str], int] = {}
        self._days: set[tuple[str, int]] = set()
        """Tables and days known to have a partition."""

    async def positions(self) -> dict[StreamKey, Cursor]:
        """The last entry of each stream that was recorded."""
        async with self._database.transaction() as connection:
            return await load_positions(connection, CONSUMER)

    async def prepare(self, chunk: Chunk) -> EncodedChunk:
        """Encode a chunk, in a thread: most of the work releases the GIL, and meanwhile the chunk
        before is sent to the server. Raises LeaseLost."""
        ids = await self._ids_of(chunk)
        encoded = EncodedChunk(chunk, await asyncio.to_thread(chunk.rows, ids))
        await self._make_days(encoded)
        return encoded

    async def write(self, encoded: EncodedChunk) -> int:
        """Write all rows and the positions, or nothing. Returns how many rows were there already.

        Raises LeaseLost when another recorder has taken one of the streams, and
        ConsumerPositionConflict when it has written; the state in memory is then invalid.
        """
        try:
            return await self._write(encoded, careful=False)
        except psycopg.errors.UniqueViolation as error:
            _log.debug("rows already recorded", extra={"detail": str(error)})
            return await self._write(encoded, careful=True)

    async def _write(self, encoded: EncodedChunk, *, careful: bool) -> int:
        chunk = encoded.chunk
        async with self._holding(chunk) as connection:
            await save_positions(connection, CONSUMER, chunk.positions, chunk.before)
            return sum([await rows.write(connection, careful=careful) for rows in encoded.tables])

    @asynccontextmanager
    async def _holding(self, chunk: Chunk) -> AsyncIterator[Connection]:
        """A transaction for a chunk. All that a recorder locks, it locks as the owner of streams:
        one that is frozen then keeps nothing from its successor."""
        async with self._database.transaction() as connection:
            await self.ownership.hold(connection, chunk.positions)
            yield connection

    async def _make_days(self, encoded: EncodedChunk) -> None:
        """Make missing partitions, in a transaction of their own: they stay, and their locks do not
        last while rows are written."""
        wanted = {(rows.table, day_ns) for rows in encoded.tables for day_ns in rows.days_ns}
        missing = sorted(wanted - self._days)
        if missing:
            names, days_ns = map(list, zip(*missing, strict=True))
            async with self._holding(encoded.chunk) as connection:
                await connection.execute(MAKE_DAYS, [names, days_ns])
                found = await connection.execute(WITH_DAYS, [names, days_ns])
                self._days.update([(row[0], row[1]) async for row in found])

    async def _ids_of(self, chunk: Chunk) -> InstrumentIds:
        """The ids of instruments, in a transaction of its own so that cached ids stay valid."""
        wanted = chunk.symbols()
        unknown = sorted(pair for pair in wanted if pair not in self._instrument_ids)
        if unknown:
            columns = [[venue for venue, _ in unknown], [symbol for _, symbol in unknown]]
            async with self._holding(chunk) as connection:
                await connection.execute(
                    "INSERT INTO instruments (venue, symbol)"
                    " SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING",
                    columns,
                )
                found = await connection.execute(
                    "SELECT venue, symbol, instrument_id FROM instruments"
                    " JOIN unnest(%s::text[], %s::text[]) AS wanted (venue, symbol)"
                    " USING (venue, symbol)",
                    columns,
                )
                learned = {(row[0], row[1]): row[2] async for row in found}
            self._instrument_ids.update(learned)
        return self._instrument_ids
