"""The schema of the database: its numbered files, and whether a database has what they make.

A database may have files that this program does not know, because a newer one has migrated it. Each
file states the oldest program that can still work with the database after it, by the newest file
that the program knows, in a line of its own::

    -- compatible_from: 10

A file without that line needs a program that knows it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psycopg
from psycopg.rows import TupleRow

SCHEMA_DIR = Path(__file__).resolve().parents[2] / "schema"

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

_COMPATIBLE_FROM = re.compile(r"^-- compatible_from: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A file of the schema."""

    number: int
    name: str
    text: str
    checksum: str
    compatible_from: int
    """A program that knows this file or a later one can use the database after this file."""

    @classmethod
    def read(cls, path: Path) -> "SchemaFile":
        """Read the file NNNN_name.sql."""
        text = path.read_text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        number = int(path.stem.partition("_")[0])
        stated = _COMPATIBLE_FROM.search(text)
        return cls(number, path.name, text, digest, int(stated[1]) if stated else number)


@dataclass(frozen=True, slots=True)
class AppliedFile:
    """A file of the schema that a database has."""

    number: int
    name: str
    checksum: str
    compatible_from: int


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The schema of a database, seen from this program."""

    current: int
    """Number of the newest applied file, 0 if there is none."""
    wanted: int
    """Number of the newest file of this program."""
    compatible_from: int
    """Number that a program must know to use the database."""
    pending: Sequence[SchemaFile]
    """Files of this program that the database does not have, by number."""
    foreign: str
    """Why the schema was not made by files of this program or a newer one; "" if it was."""

    @property
    def is_too_new(self) -> bool:
        return self.wanted < self.compatible_from

    @property
    def is_older(self) -> bool:
        """Whether all that is wrong is that files are pending."""
        return bool(self.pending) and not (self.foreign or self.is_too_new)

    @property
    def problem(self) -> str:
        """Why this program cannot use the database, and what to do; "" if it can."""
        if self.foreign:
            return self.foreign
        if self.is_too_new:
            return (
                f"has schema {self.current}, for programs of schema {self.compatible_from} or "
                f"newer, and this program has schema {self.wanted}: update this program"
            )
        if self.pending:
            return (
                f"has schema {self.current}, and this program needs schema {self.wanted}: run "
                "./venuemesh migrate"
            )
        return ""


def files(folder: Path = SCHEMA_DIR) -> list[SchemaFile]:
    """The files NNNN_*.sql, by number."""
    return [SchemaFile.read(path) for path in sorted(folder.glob("[0-9]*.sql"))]


async def state(connection: Connection, known: Sequence[SchemaFile]) -> SchemaState:
    """Compare the applied files with those of this program. Raises psycopg.Error."""
    applied = await _applied(connection)
    wanted = max((file.number for file in known), default=0)
    return SchemaState(
        current=max(applied, default=0),
        wanted=wanted,
        compatible_from=max(
            (file.compatible_from for file in applied.values() if file.number > wanted), default=0
        ),
        pending=[file for file in known if file.number not in applied],
        foreign=_foreign(applied, {file.number: file for file in known}, wanted),
    )


async def _applied(connection: Connection) -> dict[int, AppliedFile]:
    rows = await connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
    if await rows.fetchone() != (True,):
        return {}
    # A database that an earlier version made may not have the column compatible_from.
    rows = await connection.execute(
        "SELECT number, name, checksum,"
        " coalesce((to_jsonb(migration) ->> 'compatible_from')::int, number)"
        " FROM schema_migrations AS migration ORDER BY number"
    )
    return {row[0]: AppliedFile(*row) async for row in rows}


def _foreign(applied: dict[int, AppliedFile], known: dict[int, SchemaFile], wanted: int) -> str:
    for number, file in applied.items():
        if number > wanted:
            continue
        if number not in known or known[number].checksum != file.checksum:
            difference = "different here" if number in known else "unknown here"
            return f"was made with {file.name}, which is {difference}: name another database"
    return ""
