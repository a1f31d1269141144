"""The recorder against a bare binary COPY of the same rows into the same database.

A real session, repeated with continuing ids and times, is in the streams as published by a venue.
The recorder reads, decodes, encodes and writes it, with its positions and its duplicate checks. The
bare COPY gets rows that are already encoded. Both write into the same tables with the same keys, in
turns; a third run writes into tables without keys.

The disk space of the rows is measured with one session with its pauses.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from benchmarks.options import Options
from benchmarks.report import Figure, Report
from benchmarks.session import Published, published, published_slowly
from conftest import free_port
from core.recorder.chunk import Chunk
from core.recorder.recorder import Recorder
from core.recorder.settings import RecorderSettings
from core.recorder.store import RecorderStore
from core.recorder.table_writes import BinaryCopyRows, TableWrite
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.migration import migrate
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams
from tests.support.postgres_process import PostgresProcess
from tests.support.valkey_process import ValkeyProcess

ROWS_WANTED = 400_000
SETTINGS = RecorderSettings(block_age_ms=100)
"""Blocks wait no longer than rows: otherwise the benchmark would measure waiting at the end."""
POLL_SECONDS = 0.005
TABLES = ("trade_rows", "quote_rows", "book_batch_rows", "gap_rows", "stream_positions")
PLAIN_SUFFIX = "_without_keys"
PLAIN_BOOK = """
CREATE TABLE plain_book (
    instrument_id integer, received_time_ns bigint, venue_time_ns bigint, sequence bigint,
    side smallint, price numeric, size numeric
)
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """A Valkey and a PostgreSQL for the benchmark alone."""

    valkey_url: str
    postgres_url: str


def run(options: Options) -> Report:
    """Rows per second, their share of a bare COPY, bytes on disk."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Report:
    session = published(options, ROWS_WANTED)
    ours: list[float] = []
    keyed: list[float] = []
    plain: list[float] = []
    async with _servers() as servers:
        await _fill(servers, session)
        chunks = await _encoded(servers, session)
        await _make_plain(servers)
        for _ in range(options.runs):
            ours.append(session.row_count / await _record(servers, session))
            keyed.append(session.row_count / await _copy(servers, chunks, ""))
            plain.append(session.row_count / await _copy(servers, chunks, PLAIN_SUFFIX))
        sizes = await _sizes(servers, options)
    shares = [100 * one / other for one, other in zip(ours, keyed, strict=True)]
    plain_shares = [100 * one / other for one, other in zip(ours, plain, strict=True)]
    figures = [
        Figure("recorder", "rows/s", ours, "at least 200,000"),
        Figure("bare COPY, the same tables", "rows/s", keyed),
        Figure("recorder of bare COPY", "%", shares, "at least 60"),
        Figure("bare COPY, tables without keys", "rows/s", plain),
        Figure("recorder of bare COPY without keys", "%", plain_shares),
        *sizes,
    ]
    note = (
        f"{session.trade_count:,} trades, {session.quote_count:,} quotes, {session.update_count:,} "
        f"book updates with {session.level_count:,} levels; an update of the book is a row"
    )
    return Report("record: streams to database, beside a bare COPY", figures, [note])


@asynccontextmanager
async def _servers() -> AsyncIterator[Servers]:
    # PostgreSQL does not run as root and cannot enter a folder that only root can.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    folder.chmod(0o711)
    valkey = ValkeyProcess(folder / "valkey", free_port())
    postgres = PostgresProcess(folder / "postgres", free_port())
    try:
        await valkey.start()
        await postgres.start()
        await migrate(postgres.url)
        yield Servers(valkey.url, postgres.url)
    finally:
        valkey.kill()
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def _fill(servers: Servers, session: Published) -> None:
    with redis.Redis.from_url(servers.valkey_url) as client:
        client.flushall()
    streams = RedisStreams(servers.valkey_url)
    for key in session.ends:
        await streams.register(key)
    for start in range(0, len(session.entries), 500):
        await streams.append(session.entries[start : start + 500])
    await streams.close()


async def _encoded(servers: Servers, session: Published) -> list[list[TableWrite]]:
    """The rows as the recorder encodes them, in chunks of the recorder's size."""
    database = Database(servers.postgres_url)
    store = RecorderStore(database)
    chunk, found = Chunk({}), []
    for entry in session.entries:
        chunk.add(entry, 1)
        if chunk.row_count >= SETTINGS.chunk_rows_max:
            found.append((await store.prepare(chunk)).tables)
            chunk = chunk.next()
    found.append((await store.prepare(chunk)).tables)
    await database.close()
    return found


async def _record(servers: Servers, session: Published) -> float:
    """Seconds until all batches are recorded."""
    await _empty(servers)
    streams, database = RedisStreams(servers.valkey_url), Database(servers.postgres_url)
    meter, clock = Meter("recorder"), SystemClock()
    recorder = Recorder(
        streams, RecorderStore(database), SETTINGS, meter, DegradedReasons(meter), clock
    )
    started = time.perf_counter()
    task = asyncio.create_task(recorder.run())
    while any(recorder.progress.recorded(key) < end for key, end in session.ends.items()):
        if task.done():
            task.result()
        await asyncio.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    task.cancel()
    await asyncio.wait([task])
    await streams.close()
    await database.close()
    await _check(servers, session)
    return seconds


async def _copy(servers: Servers, chunks: Sequence[Sequence[TableWrite]], suffix: str) -> float:
    """Seconds until all rows are written."""
    await _empty(servers)
    database = Database(servers.postgres_url)
    async with database.transaction() as connection:
        await connection.execute("SELECT 1")
    started = time.perf_counter()
    for tables in chunks:
        async with database.transaction() as connection:
            for rows in tables:
                if not isinstance(rows, BinaryCopyRows) and suffix:
                    continue
                await rows.send(connection, rows.table + suffix)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    await database.close()
    return seconds


async def _empty(servers: Servers) -> None:
    plain = [f"{table}{PLAIN_SUFFIX}" for table in ("trade_rows", "quote_rows")]
    async with await psycopg.AsyncConnection.connect(
        servers.postgres_url, autocommit=True
    ) as connection:
        await connection.execute(f"TRUNCATE {', '.join((*TABLES, *plain))}".encode())
        await connection.execute("CHECKPOINT")


async def _make_plain(servers: Servers) -> None:
    async with await psycopg.AsyncConnection.connect(
        servers.postgres_url, autocommit=True
    ) as connection:
        for table in ("trade_rows", "quote_rows"):
            await connection.execute(f"CREATE TABLE {table}{PLAIN_SUFFIX} (LIKE {table})".encode())


async def _check(servers: Servers, session: Published) -> None:
    """Raises ValueError when a row is missing."""
    async with await psycopg.AsyncConnection.connect(servers.postgres_url) as connection:
        found = await connection.execute(
            "SELECT (SELECT count(*) FROM trade_rows), (SELECT count(*) FROM quote_rows),"
            " (SELECT coalesce(sum(update_count), 0) FROM book_batch_rows)"
        )
        counts = await found.fetchone()
    expected = (session.trade_count, session.quote_count, session.update_count)
    if counts is None or tuple(map(int, counts)) != expected:
        raise ValueError(f"recorded: {counts}, not {expected}")


async def _sizes(servers: Servers, options: Options) -> list[Figure]:
    """Bytes on disk, with indexes, of one session at its original pace."""
    session = published_slowly(options)
    await _fill(servers, session)
    await _record(servers, session)
    async with await psycopg.AsyncConnection.connect(
        servers.postgres_url, autocommit=True
    ) as connection:
        await connection.execute(PLAIN_BOOK.encode())
        async with connection.cursor() as cursor, cursor.copy("COPY plain_book FROM STDIN") as copy:
            for row in session.plain_levels():
                await copy.write_row(row)
        trades = await _bytes(connection, "trade_rows")
        book = await _bytes(connection, "book_batch_rows")
        plain_book = await _bytes(connection, "plain_book")
        packed = await _number(connection, "SELECT sum(length(batch)) FROM book_batch_rows")
    updates, levels = session.update_count, session.level_count
    return [
        Figure("a trade, with its key", "B", [trades / session.trade_count]),
        Figure("a book update, in blocks", "B", [book / updates]),
        Figure("a level of a book update, in blocks", "B", [book / levels]),
        Figure("a level of a book update, packed alone", "B", [packed / levels]),
        Figure("a book update, a plain row for each level", "B", [plain_book / updates]),
        Figure("a level of a book update, as a plain row", "B", [plain_book / levels]),
    ]


async def _bytes(connection: psycopg.AsyncConnection, table: str) -> float:
    return await _number(
        connection,
        "SELECT coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(%s::regclass))"
        " FROM pg_partition_tree(%s::regclass) WHERE isleaf",
        table,
        table,
    )


async def _number(connection: psycopg.AsyncConnection, query: str, *values: str) -> float:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    assert row is not None
    return float(row[0])
