"""Rows on their way into a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import psycopg

from core.recorder.binary_copy import Buffer
from kit.base.database import Connection
from kit.base.numbers import IntColumn

Copy = psycopg.AsyncCopy


DAY_NS = 86_400_000_000_000


class TableWrite(Protocol):
    """Rows of one table, or changes of it."""

    @property
    def table(self) -> str:
        """Its name."""

    @property
    def days_ns(self) -> Sequence[int]:
        """Where the table is cut by day: when the days of these rows begin."""

    async def write(self, connection: Connection, *, careful: bool) -> int:
        """Write all within the caller's transaction. Returns how many were there already.

        Unless it is ``careful``, it may raise UniqueViolation when a row is there; the whole
        transaction is then done again, carefully.
        """


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Many rows, encoded already."""

    table: str
    columns: str
    row_count: int
    data: Sequence[Buffer]
    on_conflict: str = "DO NOTHING"
    staged: bool = False
    """They always go the careful way, as they may change rows that are there."""
    days_ns: Sequence[int] = ()

    async def write(self, connection: Connection, *, careful: bool) -> int:
        """As in Rows."""
        if careful or self.staged:
            return await _write_new(connection, self)
        await self.send(connection, self.table)
        return 0

    async def send(self, connection: Connection, table: str) -> None:
        """Into this table."""
        async with connection.cursor() as cursor, cursor.copy(_copy(table, self.columns)) as copy:
            for part in self.data:
                await copy.write(part)


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Rows that are too few to be worth the trouble, or too different."""

    table: str
    columns: str
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    staged: bool = False
    """As in EncodedRows, and so is what follows."""
    on_conflict: str = "DO NOTHING"
    days_ns: Sequence[int] = ()
    condition: str = ""
    """Which of them are taken, when it is careful: a condition on "new"."""

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    async def write(self, connection: Connection, *, careful: bool) -> int:
        """As in Rows."""
        if careful or self.staged:
            return await _write_new(connection, self)
        await self.send(connection, self.table)
        return 0

    async def send(self, connection: Connection, table: str) -> None:
        """Into this table."""
        async with connection.cursor() as cursor, cursor.copy(_copy(table, self.columns)) as copy:
            copy.set_types(self.types)
            for row in self.rows:
                await copy.write_row(row)


async def _write_new(connection: Connection, rows: EncodedRows | PlainRows) -> int:
    """By a table of our own, which passes over rows that are there."""
    staging = f"new_{rows.table}"
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {rows.table})".encode()
    )
    await connection.execute(f"TRUNCATE {staging}".encode())
    await rows.send(connection, staging)
    where = f"WHERE {rows.condition}" if isinstance(rows, PlainRows) and rows.condition else ""
    new = await connection.execute(
        f"INSERT INTO {rows.table} ({rows.columns}) SELECT {rows.columns} FROM {staging} AS new"
        f" {where} ON CONFLICT {rows.on_conflict}".encode()
    )
    return rows.row_count - new.rowcount


def days_of(times_ns: IntColumn) -> list[int]:
    """When the days begin in which these times are."""
    first, last = int(times_ns.min()) // DAY_NS, int(times_ns.max()) // DAY_NS
    days = [first] if first == last else np.unique(times_ns // DAY_NS).tolist()
    return [day * DAY_NS for day in days]


def _copy(table: str, columns: str) -> bytes:
    return f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()
