"""Migrations of the database: who applies the files of the schema, and who waits for that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from kit.base import schema, telemetry
from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, UNAVAILABLE, connect, database_name, translated
from kit.base.degradation import DegradedReasons
from kit.base.errors import SettingError, StoreUnavailable
from kit.base.schema import SCHEMA_DIR, Connection, SchemaFile, SchemaState

if TYPE_CHECKING:
    from kit.base.runtime import Task

DATABASE_SETTING = "mesh.database_url"
GRANTS_FILE = "grants.sql"
"""In the folder of the schema: the rights of the roles."""
MIGRATION_LOCK = 7_466_083_219_551
"""Key of the advisory lock; nothing else in the database uses it."""

_log = telemetry.logger("migration")
_MAY_READ_ALL = (
    "SELECT bool_and(has_table_privilege(oid, 'SELECT')) FROM pg_class"
    " WHERE relkind IN ('r', 'p') AND NOT relispartition AND (relnamespace, relowner) ="
    " (SELECT relnamespace, relowner FROM pg_class WHERE oid = 'schema_migrations'::regclass)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """The outcome of a migration."""

    before: int
    """Schema of the database before, 0 if it was empty."""
    after: int
    wanted: int
    """Schema of this program."""
    applied: Sequence[str]
    """Names of the applied files."""


async def migrate(url: str, schema_dir: Path = SCHEMA_DIR) -> Migration:
    """Bring the database to the schema of this program; create it if the server has none.

    The files ``NNNN_*.sql`` are applied in the order of their numbers, each once and in its own
    transaction, and then ``grants.sql`` gives the roles their rights. Of several processes that
    call it at the same time, one applies them and the others wait. A newer schema that this program
    can use stays as it is. Raises SettingError when this program cannot use the schema of the
    database, or when a file fails, which is then rolled back; StoreUnavailable when the database is
    unavailable, or rejects the role.
    """
    database = database_name(url)
    with translated(url):
        try:
            connection = await connect(url)
        except psycopg.OperationalError as error:
            if f'database "{database}" does not exist' not in str(error):
                raise
            await _create_database(url)
            connection = await connect(url)
        async with connection:
            await _lock(connection)
            done = await _apply(connection, schema_dir, database)
            await _grant(connection, schema_dir)
            return done


async def grant(url: str) -> None:
    """Give the roles their rights in a database of any version, as its owner. Raises
    StoreUnavailable."""
    with translated(url):
        async with await connect(url) as connection:
            await _lock(connection)
            await _grant(connection, SCHEMA_DIR)


async def state(url: str, schema_dir: Path = SCHEMA_DIR) -> SchemaState:
    """The schema of a database. Raises StoreUnavailable, also if there is no such database."""
    with translated(url):
        async with await connect(url) as connection:
            return await schema.state(connection, schema.files(schema_dir))


async def migrate_when_there(url: str, degraded_reasons: DegradedReasons, clock: Clock) -> None:
    """Migrate as soon as the database is available. Raises SettingError as ``migrate``."""
    for delay_seconds in delays():
        try:
            await migrate(url)
        except StoreUnavailable as error:
            degraded_reasons.report(POSTGRESQL, error.message)
            await clock.sleep(delay_seconds)
        else:
            degraded_reasons.clear(POSTGRESQL)
            return


async def wait_for_schema(url: str, degraded_reasons: DegradedReasons, clock: Clock) -> None:
    """Return once the database has a schema that this program can use, and its role has rights."""
    for delay_seconds in delays():
        try:
            problem = await _problem(url)
        except StoreUnavailable as error:
            degraded_reasons.report(POSTGRESQL, error.message)
        else:
            if not problem:
                degraded_reasons.clear(POSTGRESQL)
                return
            degraded_reasons.report(POSTGRESQL, f"database {database_name(url)} {problem}")
        await clock.sleep(delay_seconds)


def when_migrated(
    url: str, degraded_reasons: DegradedReasons, clock: Clock
) -> "Callable[[Task], Task]":
    """Return a function that makes a task begin only when ``wait_for_schema`` has returned."""

    def waiting(task: "Task") -> "Task":
        async def run() -> None:
            await wait_for_schema(url, degraded_reasons, clock)
            await task()

        return run

    return waiting


async def _problem(url: str) -> str:
    """Why this program cannot use the database yet; empty if it can."""
    with translated(url):
        async with await connect(url) as connection:
            found = await schema.state(connection, schema.files(SCHEMA_DIR))
            if found.problem:
                return found.problem
            # The rights follow after the last file; then every role may read every table.
            row = await (await connection.execute(_MAY_READ_ALL)).fetchone()
            return (
                "" if row == (True,) else "gives this role no rights yet: run ./venuemesh migrate"
            )


async def _lock(connection: Connection) -> None:
    # The server notices within this time that this process was killed, and releases the lock, even
    # while it executes a statement of a file.
    await connection.execute("SET client_connection_check_interval = '1s'")
    rows = await connection.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
    if await rows.fetchone() != (True,):
        _log.info("another process migrates the database; this one waits")
        await connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])


async def _apply(connection: Connection, schema_dir: Path, database: str) -> Migration:
    files = schema.files(schema_dir)
    before = await schema.state(connection, files)
    if before.problem and not before.is_older:
        raise SettingError(DATABASE_SETTING, database, before.problem)
    if before.pending:
        async with connection.transaction():
            await _make_list_of_files(connection)
            # Those who wait for the schema read this table from its first moment on.
            await _grant(connection, schema_dir)
    for file in before.pending:
        try:
            await _apply_one(connection, file)
        except UNAVAILABLE:
            raise
        except psycopg.Error as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            allowed = f"cannot take {file.name}, and is as it was before: {words[0]}"
            raise SettingError(DATABASE_SETTING, database, allowed) from error
        _log.info("schema changed", extra={"migration": file.name})
    after = max([before.current, *(file.number for file in before.pending)])
    names = [file.name for file in before.pending]
    return Migration(before.current, after, before.wanted, names)


async def _make_list_of_files(connection: Connection) -> None:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY,"
        " name text NOT NULL, checksum text NOT NULL,"
        " applied_time timestamptz NOT NULL DEFAULT now())"
    )
    # Null in the rows that an earlier version wrote: compatible from their own number.
    await connection.execute(
        "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS compatible_from int"
    )


async def _grant(connection: Connection, schema_dir: Path) -> None:
    file = schema_dir / GRANTS_FILE
    if file.exists():
        await connection.execute(file.read_bytes())


async def _apply_one(connection: Connection, file: SchemaFile) -> None:
    async with connection.transaction():
        await connection.execute(file.text.encode())
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum, compatible_from)"
            " VALUES (%s, %s, %s, %s)",
            [file.number, file.name, file.checksum, file.compatible_from],
        )


async def _create_database(url: str) -> None:
    connection = await connect(make_conninfo(url, dbname="postgres"))
    async with connection:
        try:
            name = sql.Identifier(database_name(url))
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            # Another process has created it meanwhile.
            _log.debug("the database was created at the same time")
