"""The recorder's side of PostgreSQL: positions, instruments, and chunks in one transaction each."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import psycopg

from core.recorder.chunk import Chunk
from core.recorder.tables import InstrumentIds, Rows, rows_of
from kit import telemetry
from kit.cursor import Cursor, StreamKey
from kit.database import Connection, Database, load_positions, save_positions

CONSUMER = "recorder"
"""Under this name its positions are kept, here and in Redis."""

_log = telemetry.logger("recorder")


CopyInto = Callable[[Connection, Rows], Awaitable[int]]
"""Returns how many rows were there already."""


@dataclass(frozen=True, slots=True)
class Load:
    """A chunk that is ready to be written."""

    chunk: Chunk
    tables: list[Rows]


class Store:
    """Writes what was read from the streams. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._instrument_ids: dict[tuple[str, str], int] = {}

    async def positions(self) -> dict[StreamKey, Cursor]:
        """The last entry of each stream that was recorded."""
        async with self._database.transaction() as connection:
            return await load_positions(connection, CONSUMER)

    async def prepare(self, chunk: Chunk) -> Load:
        """Encode a chunk."""
        ids = await self._ids_of(chunk.symbols())
        return Load(chunk, rows_of(chunk, ids))

    async def write(self, load: Load) -> int:
        """All rows and the positions, or nothing. Returns how many rows were there already.

        Raises PositionMoved when another recorder was faster; what is in memory is then worthless.
        """
        try:
            await self._write(load, _copy)
        except psycopg.errors.UniqueViolation as error:
            _log.debug("rows that are recorded already", extra={"detail": str(error)})
            return await self._write(load, _copy_new)
        return 0

    async def _write(self, load: Load, copy: CopyInto) -> int:
        chunk = load.chunk
        async with self._database.transaction() as connection:
            await save_positions(connection, CONSUMER, chunk.positions, chunk.before)
            return sum([await copy(connection, rows) for rows in load.tables])

    async def _ids_of(self, wanted: Iterable[tuple[str, str]]) -> InstrumentIds:
        """In a transaction of its own, so that what was learned stays true."""
        unknown = sorted(pair for pair in wanted if pair not in self._instrument_ids)
        if unknown:
            columns = [[venue for venue, _ in unknown], [symbol for _, symbol in unknown]]
            async with self._database.transaction() as connection:
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


async def _copy(connection: Connection, rows: Rows) -> int:
    """The fast way. Raises UniqueViolation when one row is there already."""
    await _send(connection, rows, rows.table)
    return 0


async def _copy_new(connection: Connection, rows: Rows) -> int:
    """The slow way, which passes over rows that are there."""
    staging = f"new_{rows.table}"
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {rows.table})".encode()
    )
    await connection.execute(f"TRUNCATE {staging}".encode())
    await _send(connection, rows, staging)
    new = await connection.execute(
        f"INSERT INTO {rows.table} ({rows.columns}) SELECT {rows.columns} FROM {staging}"
        " ON CONFLICT DO NOTHING".encode()
    )
    return rows.row_count - new.rowcount


async def _send(connection: Connection, rows: Rows, table: str) -> None:
    statement = f"COPY {table} ({rows.columns}) FROM STDIN (FORMAT BINARY)".encode()
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await rows.send(copy)
