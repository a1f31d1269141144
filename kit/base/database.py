"""PostgreSQL: transactions, migrations, and the stream positions of consumers.

A consumer stores its positions in the same transaction as the rows that it makes of the entries.
Positions move only from where the consumer last saw them: of two processes that consume the same
entries, one commits and the other gets ``ConsumerPositionConflict``.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.degradation import DegradedReasons
from kit.base.errors import SettingError, StoreUnavailable

SCHEMA_DIR = Path(__file__).resolve().parents[2] / "schema"
POSTGRESQL = "postgresql"
"""Name of the database in ``DegradedReasons`` and in the metadata of StoreUnavailable."""
CONNECTIONS_MAX = 4
CONNECT_SECONDS_MAX = 5
MIGRATION_LOCK = 7_466_083_219_551
"""Key of the advisory lock; nothing else in the database uses it."""

UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # After a failover the connection may be to a read-only replica.
    psycopg.errors.ReadOnlySqlTransaction,
)

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

_log = telemetry.logger("database")


class ConsumerPositionConflict(Exception):
    """Another process has moved this consumer's positions. Discard the state and load it again."""


class Database:
    """A small pool of connections to one database, opened on demand."""

    def __init__(self, url: str, connections_max: int = CONNECTIONS_MAX) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(connections_max)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end of the context.

        Raises StoreUnavailable when the database is or becomes unavailable. The transaction is then
        not committed; if it happens during the commit, it may be. Other errors of psycopg pass
        through. Waits while ``connections_max`` transactions are open.
        """
        async with self._room:
            with _translated():
                connection = await self._begin()
                try:
                    yield connection
                    end = await connection.execute("COMMIT")
                    if end.statusmessage != "COMMIT":
                        raise psycopg.errors.InFailedSqlTransaction("an error was passed over")
                except BaseException:
                    await _roll_back(connection)
                    raise
                finally:
                    await self._put_back(connection)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _begin(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("BEGIN")
            except psycopg.OperationalError:
                # It was closed while idle: the server was restarted.
                await connection.close()
            else:
                return connection
        connection = await _connect(self._url)
        await connection.execute("BEGIN")
        return connection

    async def _put_back(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()


async def load_positions(connection: Connection, consumer: str) -> dict[StreamKey, Cursor]:
    """The last entry of each stream that a consumer has processed."""
    rows = await connection.execute(
        "SELECT stream, epoch, sequence FROM stream_positions WHERE consumer = %s", [consumer]
    )
    return {StreamKey.parse(row[0]): Cursor(row[1], row[2]) async for row in rows}


async def save_positions(
    connection: Connection,
    consumer: str,
    positions: Mapping[StreamKey, Cursor],
    before: Mapping[StreamKey, Cursor],
) -> None:
    """Move positions from ``before`` (START where it has none) within the caller's transaction.

    Call it first in the transaction: it holds the positions until the commit. Raises
    ConsumerPositionConflict when one of them is not where ``before`` says.
    """
    keys = sorted(positions, key=str)
    names = list(map(str, keys))
    olds = [before.get(key, START) for key in keys]
    await connection.execute(
        "INSERT INTO stream_positions SELECT %s, name, 0, 0 FROM unnest(%s::text[]) name"
        " ON CONFLICT DO NOTHING",
        [consumer, [name for name, old in zip(names, olds, strict=True) if old == START]],
    )
    moved = await connection.execute(
        "UPDATE stream_positions AS position SET epoch = move.epoch, sequence = move.sequence"
        " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"
        "   AS move (stream, old_epoch, old_sequence, epoch, sequence)"
        " WHERE position.consumer = %s AND position.stream = move.stream"
        "   AND position.epoch = move.old_epoch AND position.sequence = move.old_sequence",
        [
            names,
            [old.epoch for old in olds],
            [old.sequence for old in olds],
            [positions[key].epoch for key in keys],
            [positions[key].sequence for key in keys],
            consumer,
        ],
    )
    if moved.rowcount != len(keys):
        raise ConsumerPositionConflict(f"another process has moved the positions of {consumer}")


async def migrate_when_there(url: str, degraded_reasons: DegradedReasons, clock: Clock) -> None:
    """Migrate as soon as the database is available."""
    for delay_seconds in delays():
        try:
            await migrate(url)
        except StoreUnavailable as error:
            degraded_reasons.report(POSTGRESQL, error.message)
            await clock.sleep(delay_seconds)
        else:
            degraded_reasons.clear(POSTGRESQL)
            return


async def migrate(url: str, schema_dir: Path = SCHEMA_DIR) -> None:
    """Bring the database to the schema of this version; create it if the server has none.

    The files ``NNNN_*.sql`` are applied in the order of their numbers, each once and in its own
    transaction. Several processes may call it at the same time. Raises SettingError when
    the schema of the database was not made by these files (it may be newer), or when a file fails,
    which is then rolled back; StoreUnavailable when the database is unavailable.
    """
    files = [Migration.read(path) for path in sorted(schema_dir.glob("[0-9]*.sql"))]
    with _translated():
        try:
            connection = await _connect(url)
        except psycopg.OperationalError as error:
            if f'database "{database_name(url)}" does not exist' not in str(error):
                raise
            await _create_database(url)
            connection = await _connect(url)
        async with connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            await _apply(connection, files, database_name(url))


def database_name(url: str) -> str:
    """Name of the database in a URL; contains no password."""
    return str(conninfo_to_dict(url).get("dbname", ""))


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of the schema."""

    number: int
    name: str
    text: str
    checksum: str

    @classmethod
    def read(cls, path: Path) -> "Migration":
        """Read the file NNNN_name.sql."""
        text = path.read_text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(int(path.stem.partition("_")[0]), path.name, text, digest)


async def _apply(connection: Connection, files: list[Migration], database: str) -> None:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_time timestamptz NOT NULL DEFAULT now())"
    )
    rows = await connection.execute("SELECT number, name, checksum FROM schema_migrations")
    applied = {number: (name, checksum) async for number, name, checksum in rows}
    known = {file.number: file for file in files}
    for number, (name, checksum) in sorted(applied.items()):
        file = known.get(number)
        if file is None or file.checksum != checksum:
            newer = file is None and number > max(known, default=0)
            difference = "different here" if file else "unknown here"
            remedy = "start a newer version" if newer else "name another database"
            allowed = f"was made with {name}, which is {difference}; {remedy}"
            raise SettingError("mesh.database_url", database, allowed)
    for file in files:
        if file.number not in applied:
            try:
                await _apply_one(connection, file)
            except UNAVAILABLE:
                raise
            except psycopg.Error as error:
                words = str(error).strip().splitlines() or [type(error).__name__]
                allowed = f"cannot take {file.name}, and is as it was before: {words[0]}"
                raise SettingError("mesh.database_url", database, allowed) from error
            _log.info("schema changed", extra={"migration": file.name})


async def _apply_one(connection: Connection, file: Migration) -> None:
    async with connection.transaction():
        await connection.execute(file.text.encode())
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
            [file.number, file.name, file.checksum],
        )


async def _create_database(url: str) -> None:
    connection = await _connect(make_conninfo(url, dbname="postgres"))
    async with connection:
        try:
            name = sql.Identifier(database_name(url))
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            # Another process has created it meanwhile.
            _log.debug("the database was created at the same time")


async def _connect(url: str) -> Connection:
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
    )


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except psycopg.Error:
        await connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        # Only a running server sends an error code: it starts, stops, or has no free connection.
        says = "is away" if error.sqlstate is None else "refuses"
        raise StoreUnavailable(f"PostgreSQL {says}: {words[0]}", store=POSTGRESQL) from error
