"""PostgreSQL: transactions, and the stream positions of consumers.

A consumer stores its positions in the same transaction as the rows that it makes of the entries.
Positions move only from where the consumer last saw them: of two processes that consume the same
entries, one commits and the other gets ``ConsumerPositionConflict``.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from kit.base import schema
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.errors import StoreUnavailable
from kit.base.schema import SCHEMA_DIR
from kit.base.store_metrics import StoreMetrics

POSTGRESQL = "postgresql"
"""Name of the database in ``DegradedReasons`` and in the metadata of StoreUnavailable."""
CONNECTIONS_MAX = 4
CONNECT_SECONDS_MAX = 5
HELD_MS_MAX = 10_000
"""How long a transaction that holds positions of a consumer may wait for its process."""

UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # After a failover the connection may be to a read-only replica.
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)

EVENT_IDS = "events_event_id_key"
"""The unique index of the ids of events."""

LOGIN_REJECTED = (
    "password authentication failed",
    "no password supplied",
    "is not permitted to log in",
    "pg_hba.conf",
    "permission denied for database",
    'FATAL:  role "',
)
"""In the text of a server that rejects a login; psycopg has no code of these errors."""

Connection: TypeAlias = schema.Connection
Read = TypeVar("Read")
PendingRead: TypeAlias = Callable[[], Awaitable[Read]]
"""Returns what the server has answered to statements that were sent, each time the same."""


class ConsumerPositionConflict(Exception):
    """Another process has moved this consumer's positions. Discard the state and load it again."""


class EventConflict(Exception):
    """An event with this id and other content is stored: the same inputs gave something else."""


class Database:
    """A small pool of connections to one database, opened on demand.

    Each new connection compares the schema of the database with the one of this program: neither
    writes nor reads what it does not know. ``accepts_older_schema`` is for readers of a record that
    another mesh has left. ``url`` has the password, which no error and no log shows.
    """

    def __init__(
        self,
        url: str,
        connections_max: int = CONNECTIONS_MAX,
        schema_dir: Path = SCHEMA_DIR,
        accepts_older_schema: bool = False,
        metrics: StoreMetrics | None = None,
    ) -> None:
        self._url = url
        self._metrics = metrics
        self._schema_dir = schema_dir
        self._accepts_older_schema = accepts_older_schema
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(connections_max)

    @asynccontextmanager
    async def transaction(self, *, pipelined: bool = False) -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end of the context.

        ``pipelined``: no answer to a statement is waited for until somebody reads rows. BEGIN goes
        with the first statements and COMMIT with the last. An error of a statement is raised by a
        later one or at the end, and ``rowcount`` is known only after rows were read.

        Raises StoreUnavailable when the database is or becomes unavailable, rejects the login or a
        statement of this role, and when this program cannot use its schema. The transaction is then
        not committed; if it happens during the commit, it may be. Raises EventConflict; other
        errors of psycopg pass through. Waits while ``connections_max`` transactions are open.
        """
        async with self._turn():
            with translated(self._url), self._measured():
                connection = await self._take()
                try:
                    async with connection.pipeline() if pipelined else nullcontext():
                        await connection.execute("BEGIN")
                        yield connection
                        end = await connection.execute("COMMIT")
                    if end.statusmessage != "COMMIT":
                        raise psycopg.errors.InFailedSqlTransaction("an error was passed over")
                except BaseException:
                    await _roll_back(connection)
                    raise
                finally:
                    await self._put_back(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for SELECTs that need not see the same state, outside of transactions: no
        answers to BEGIN and COMMIT are waited for, and no lock stays while this process hangs.
        Raises StoreUnavailable as ``transaction``."""
        async with self._turn():
            with translated(self._url), self._measured():
                connection = await self._take()
                try:
                    yield connection
                finally:
                    await self._put_back(connection)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._room if self._metrics is None else self._metrics.turn(self._room)

    def _measured(self) -> AbstractContextManager[None]:
        if self._metrics is None:
            return nullcontext()
        return self._metrics.call(POSTGRESQL, "transaction", psycopg.Error)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not _is_ended(connection):
                return connection
            await connection.close()
        return await self._connect()

    async def _connect(self) -> Connection:
        connection = await connect(self._url)
        try:
            await self._require_schema(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _require_schema(self, connection: Connection) -> None:
        found = await schema.state(connection, schema.files(self._schema_dir))
        if found.problem and not (self._accepts_older_schema and found.is_older):
            name = database_name(self._url)
            raise StoreUnavailable(f"database {name} {found.problem}", store=POSTGRESQL)

    async def _put_back(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()


async def send(
    connection: Connection,
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any],
    read: Callable[[Sequence[Any]], Read],
) -> PendingRead[Read]:
    """Send a statement. In a pipelined transaction, only its answer is waited for. ``read``: makes
    the result of the rows."""
    cursor = await connection.execute(query, parameters)
    found: list[Read] = []

    async def answer() -> Read:
        if not found:
            found.append(read(await cursor.fetchall()))
        return found[0]

    return answer


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

    Call it first in the transaction: it holds the positions until the commit. A process that hangs
    meanwhile loses its connection, so that another one can go on. Raises ConsumerPositionConflict
    when one of them is not where ``before`` says.
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
        "   AND position.epoch = move.old_epoch AND position.sequence = move.old_sequence"
        " RETURNING set_config('idle_in_transaction_session_timeout', %s, true)",
        [
            names,
            [old.epoch for old in olds],
            [old.sequence for old in olds],
            [positions[key].epoch for key in keys],
            [positions[key].sequence for key in keys],
            consumer,
            f"{HELD_MS_MAX}ms",
        ],
    )
    if moved.rowcount != len(keys):
        raise ConsumerPositionConflict(f"another process has moved the positions of {consumer}")


def database_name(url: str) -> str:
    """Name of the database in a URL; contains no password."""
    return str(conninfo_to_dict(url).get("dbname", ""))


async def connect(url: str) -> Connection:
    """A connection that commits each statement. Raises psycopg.OperationalError."""
    made = psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
    )
    making = asyncio.ensure_future(made)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        # Cancelled itself, it would stay open until the garbage collector runs.
        making.add_done_callback(_close_unused)
        raise


def _close_unused(making: asyncio.Future[Connection]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().pgconn.finish()


def _is_ended(connection: Connection) -> bool:
    """Whether the server has ended an idle connection, as it does when it restarts."""
    poll = select.poll()
    # A server sends nothing between two statements but the reason and the end.
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except psycopg.Error:
        await connection.close()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise StoreUnavailable in place of the errors of an unavailable database, and of a login or a
    statement that it rejects: an administrator can correct those while the process waits.
    EventConflict replaces the error of an event whose id is stored with other content."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        text = f"PostgreSQL refuses a statement of role {_user_of(url)!r}: {_reason(error)}"
        remedy = "run ./venuemesh migrate as the owner of the tables"
        raise StoreUnavailable(f"{text}; {remedy}", store=POSTGRESQL) from error
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != EVENT_IDS:
            raise
        text = f"an event is stored with other content: {error.diag.message_detail}"
        raise EventConflict(text) from error
    except UNAVAILABLE as error:
        reason = _reason(error)
        if any(words in reason for words in LOGIN_REJECTED):
            text = f"PostgreSQL rejects the login of role {_user_of(url)!r}: {reason}"
            remedy = "correct mesh.database_url or mesh.database_password_file"
            raise StoreUnavailable(f"{text}; {remedy}", store=POSTGRESQL) from error
        # Only a running server sends an error code: it starts, stops, or has no free connection.
        says = "is away" if error.sqlstate is None else "refuses"
        raise StoreUnavailable(f"PostgreSQL {says}: {reason}", store=POSTGRESQL) from error


def _user_of(url: str) -> str:
    return str(conninfo_to_dict(url).get("user", ""))


def _reason(error: psycopg.Error) -> str:
    """One line of an error; it has several where several addresses were tried."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in lines if "FATAL:" in line), lines[0]).strip()
