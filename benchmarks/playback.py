"""A record in PostgreSQL, played to a subscriber as fast as it reads.

A real session with its pauses is recorded by the recorder, and repeated in the database with
continuing ids and times. It is then read by the archive alone, and played by a playback process to
one reader of MarketData.Subscribe, which counts the rows of every batch.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import psycopg
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh.wire.v1 import wire_pb2

from benchmarks.options import Options
from benchmarks.processes import family_cpu_seconds, measured_port, spawned
from benchmarks.report import Figure, Report
from benchmarks.session import VENUE, published_slowly
from conftest import free_port
from core.recorder.chunk import Chunk
from core.recorder.store import RecorderStore
from kit.base import rpc
from kit.base.cursor import Channel
from kit.base.database import Database
from kit.base.migration import migrate
from kit.storage.archive import codec
from kit.storage.archive.archive import Archive
from tests.support.postgres_process import PostgresProcess

EVENTS_WANTED = 1_200_000
CHANNELS: tuple[Channel, ...] = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
)
WAIT_SECONDS = 600
_SUBSCRIBE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"].methods_by_name["Subscribe"]


def run(options: Options) -> Report:
    """Events per second, read and played; processor time by process."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Report:
    read: list[float] = []
    played: list[float] = []
    processor: dict[str, list[float]] = {"playback": [], "PostgreSQL": [], "reader": []}
    async with _server() as (postgres, folder):
        events = await _fill(postgres.url, options)
        for number in range(options.runs):
            read.append(events / await _read(postgres.url))
            before = postgres.cpu_seconds(), time.process_time()
            seconds, own_seconds = await _play(postgres.url, folder / str(number), events)
            used = (
                own_seconds,
                postgres.cpu_seconds() - before[0],
                time.process_time() - before[1],
            )
            played.append(events / seconds)
            for name, part in zip(processor, used, strict=True):
                processor[name].append(part / events * 1e6)
    figures = [
        Figure("read by the archive alone", "events/s", read),
        Figure("played to a reader", "events/s", played, "at least 500,000"),
        *(Figure(f"processor: {name}", "us/event", runs) for name, runs in processor.items()),
    ]
    note = f"{events:,} trades, quotes and book updates in the mix of the session"
    return Report("playback: database to a reader of Subscribe", figures, [note])


class _Server(PostgresProcess):
    """A PostgreSQL whose processor time is asked for."""

    def cpu_seconds(self) -> float:
        """Processor time of the server and its sessions."""
        return family_cpu_seconds(self._process.pid)


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[_Server, Path]]:
    # PostgreSQL does not run as root, and may not enter a folder that only root may.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    folder.chmod(0o711)
    postgres = _Server(folder / "postgres", free_port())
    try:
        await postgres.start()
        await migrate(postgres.url)
        yield postgres, folder
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def _fill(url: str, options: Options) -> int:
    """Record the session, and repeat it. Returns the number of events."""
    session = published_slowly(options)
    database = Database(url)
    store, chunk = RecorderStore(database), Chunk({})
    for entry in session.entries:
        chunk.add(entry, 1)
    await store.write(await store.prepare(chunk))
    await database.close()
    repeats = max(1, EVENTS_WANTED // session.row_count)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await _repeat(connection, repeats)
    return session.row_count * repeats


async def _repeat(connection: psycopg.AsyncConnection, repeats: int) -> None:
    spans = await connection.execute(
        "SELECT max(trade_id) - min(trade_id) + 1, (max(received_time_ns) - min(received_time_ns)"
        " + 1000000000) / 1000000000 * 1000000000 FROM trade_rows"
    )
    row = await spans.fetchone()
    assert row is not None
    ids, span_ns = row
    for table, times in (
        ("trade_rows", "venue_time_ns"),
        ("quote_rows", "received_time_ns"),
        ("book_batch_rows", "last_received_time_ns"),
    ):
        await connection.execute(
            f"SELECT make_days('{table}', array_agg(DISTINCT {times} + n * %s))"
            f" FROM {table}, generate_series(1, %s) AS n".encode(),
            [span_ns, repeats],
        )
    for number in range(1, repeats):
        moved = {"ids": number * ids, "ns": number * span_ns, "end_ns": span_ns}
        await connection.execute(_MORE_TRADES, moved)
        await connection.execute(_MORE_QUOTES, moved)
    await _repeat_book(connection, repeats, span_ns)
    await connection.execute("VACUUM ANALYZE trade_rows, quote_rows, book_batch_rows")


_FIRST = "SELECT min(received_time_ns) + %(end_ns)s FROM"
_MORE_TRADES = f"""
INSERT INTO trade_rows (venue_time_ns, received_time_ns, trade_id, instrument_id, side, price, size)
SELECT venue_time_ns + %(ns)s, received_time_ns + %(ns)s, trade_id + %(ids)s, instrument_id, side,
    price, size
FROM trade_rows WHERE received_time_ns < ({_FIRST} trade_rows) ORDER BY received_time_ns
"""
_MORE_QUOTES = f"""
INSERT INTO quote_rows (received_time_ns, venue_time_ns, sequence, instrument_id, bid_price,
    bid_size, ask_price, ask_size)
SELECT received_time_ns + %(ns)s, venue_time_ns, sequence, instrument_id, bid_price, bid_size,
    ask_price, ask_size
FROM quote_rows WHERE received_time_ns < ({_FIRST} quote_rows) ORDER BY received_time_ns
"""


async def _repeat_book(connection: psycopg.AsyncConnection, repeats: int, span_ns: int) -> None:
    found = await connection.execute(
        "SELECT codec, batch, first_received_time_ns, last_received_time_ns, epoch, sequence,"
        " update_count, instrument_ids, snapshot_instrument_ids FROM book_batch_rows"
    )
    blocks = await found.fetchall()
    for number in range(1, repeats):
        for kind, data, first_ns, last_ns, epoch, sequence, *rest in blocks:
            head, rows = codec.unpack_book(kind, bytes(data))
            moved = replace(rows, received_time_ns=rows.received_time_ns + number * span_ns)
            packed = codec.pack_book(head, moved)
            times = first_ns + number * span_ns, last_ns + number * span_ns
            await connection.execute(
                "INSERT INTO book_batch_rows (codec, batch, first_received_time_ns,"
                " last_received_time_ns, epoch, sequence, update_count, instrument_ids,"
                " snapshot_instrument_ids, venue)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [*packed, *times, epoch, sequence + number * 10**9, *rest, VENUE],
            )


async def _read(url: str) -> float:
    """Seconds to read all channels, one after another, as batches."""
    archive = Archive(url)
    started = time.perf_counter()
    for channel in CHANNELS:
        async for batch in archive.batches(VENUE, channel):
            assert batch
    seconds = time.perf_counter() - started
    await archive.close()
    return seconds


async def _play(url: str, data: Path, events: int) -> tuple[float, float]:
    """Seconds from the question to the last event, and processor time of the process meanwhile."""
    port = measured_port()
    settings = {"PORT": str(port), "VENUE": VENUE, "DATABASE_URL": url, "SPEED": "max"}
    environment = {
        **os.environ,
        "VENUEMESH_DATA_DIR": str(data),
        "VENUEMESH_WORLD": "replay",
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        **{f"VENUEMESH_PLAYBACK_{name}": value for name, value in settings.items()},
    }
    async with (
        spawned(["ops.cli", "run", "playback"], environment) as process,
        rpc.channel(f"127.0.0.1:{port}") as channel,
    ):
        await asyncio.wait_for(channel.channel_ready(), WAIT_SECONDS)
        before = family_cpu_seconds(process.pid)
        seconds = await _seconds_for(channel, events)
        return seconds, family_cpu_seconds(process.pid) - before


async def _seconds_for(channel: grpc.aio.Channel, events: int) -> float:
    request = market_data_pb2.SubscribeRequest(
        venue=VENUE, channels=CHANNELS, start_at=market_data_pb2.START_AT_EARLIEST
    )
    started, count = time.perf_counter(), 0
    call = rpc.raw_stream(channel, _SUBSCRIBE)(request)
    async for response in call:
        for batch in wire_pb2.BatchFrames.FromString(response).batches:
            header = wire_pb2.BatchHeader.FromString(batch)
            kind = header.WhichOneof("columns")
            count += len(getattr(header, kind).instrument) if kind else 0
        if count >= events:
            break
    call.cancel()
    if count != events:
        raise ValueError(f"played: {count}, not {events}")
    return time.perf_counter() - started
