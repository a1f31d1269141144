"""Writes to the tables: encoded rows, plain rows, and their conflicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import psycopg

from core.recorder.binary_copy import Buffer
from kit.base.database import Connection
from kit.base.number_columns import IntColumn

Copy = psycopg.AsyncCopy


DAY_NS = 86_400_000_000_000


class TableWrite(Protocol):
    """Rows of one table, or updates of it."""

    @property
    def table(self) -> str:
        """Name of the table."""

    @property
    def days_ns(self) -> Sequence[int]:
        """Starts of the days of these rows, where the table is partitioned by day."""

    async def write(self, connection: Connection, *, careful: bool) -> int:
        """Write all rows in the caller's transaction. Returns how many were there already.

        Unless ``careful``, it may raise UniqueViolation when a row is there; the caller then
        repeats the whole transaction carefully.
        """


@dataclass(frozen=True, slots=True)
class BinaryCopyRows:
    """Rows encoded for binary COPY."""

    table: str
    columns: str
    row_count: int
    data: Sequence[Buffer]
    on_conflict: str = "DO NOTHING"
    staged: bool = False
    """Whether they are always written carefully, as they may change existing rows."""
    days_ns: Sequence[int] = ()

    async def write(self, connection: Connection, *, careful: bool) -> int:
        if careful or self.staged:
            return await _write_new(connection, self)
        await self.send(connection, self.table)
        return 0

    async def send(self, connection: Connection, table: str) -> None:
        """COPY the rows into a table."""
        async with connection.cursor() as cursor, cursor.copy(_copy(table, self.columns)) as copy:
            for part in self.data:
                await copy.write(part)


@dataclass(frozen=True, slots=True)
class PythonRows:
    """Rows as Python values, for tables with few rows or with arrays."""

    table: str
    columns: str
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    staged: bool = False
    """As in BinaryCopyRows, like the next two."""
    on_conflict: str = "DO NOTHING"
    days_ns: Sequence[int] = ()
    condition: str = ""
    """Condition on the staged row "new" for rows to write, when careful."""

    @property
    def row_count(self) -> int:
        return len(self.rows)

    async def write(self, connection: Connection, *, careful: bool) -> int:
        if careful or self.staged:
            return await _write_new(connection, self)
        await self.send(connection, self.table)
        return 0

    async def send(self, connection: Connection, table: str) -> None:
        """COPY the rows into a table."""
        async with connection.cursor() as cursor, cursor.copy(_copy(table, self.columns)) as copy:
            copy.set_types(self.types)
            for row in self.rows:
                await copy.write_row(row)


async def _write_new(connection: Connection, rows: BinaryCopyRows | PythonRows) -> int:
    """Write through a staging table, which skips rows that are there."""
    staging = f"new_{rows.table}"
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {rows.table})".encode()
    )
    await connection.execute(f"TRUNCATE {staging}".encode())
    await rows.send(connection, staging)
    where = f"WHERE {rows.condition}" if isinstance(rows, PythonRows) and rows.condition else ""
    new = await connection.execute(
        f"INSERT INTO {rows.table} ({rows.columns}) SELECT {rows.columns} FROM {staging} AS new"
        f" {where} ON CONFLICT {rows.on_conflict}".encode()
    )
    return rows.row_count - new.rowcount


def days_of(times_ns: IntColumn) -> list[int]:
    """The starts of the UTC days of these times, ns."""
    first, last = int(times_ns.min()) // DAY_NS, int(times_ns.max()) // DAY_NS
    days = [first] if first == last else np.unique(times_ns // DAY_NS).tolist()
    return [day * DAY_NS for day in days]


def _copy(table: str, columns: str) -> bytes:
    return f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()
