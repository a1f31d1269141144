"""The past, served by a process of History to one client as NumPy columns.

A year of one-minute bars, a day of trades, and the coverage of the year, from a PostgreSQL that
holds nothing else. The clock runs from the question until the last column is an array.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from benchmarks.options import Options
from benchmarks.processes import family_cpu_seconds, measured_port, spawned
from benchmarks.report import Figure, Report
from conftest import free_port
from kit.base import rpc
from kit.base.migration import migrate
from kit.storage.reader import read_bars, read_trades
from tests.support.postgres_process import PostgresProcess

VENUE, SYMBOL = "binance", "BTCUSDT"
BARS = 365 * 24 * 60
TRADES = 1_000_000
WAIT_SECONDS = 60

_FILL = (
    f"INSERT INTO instruments (venue, symbol) VALUES ('{VENUE}', '{SYMBOL}')",
    "SELECT make_days('trade_rows', ARRAY[1704067200000000000])",
    f"""
    INSERT INTO bars (venue, symbol, interval, open_time_ns, number, open, high, low, close, volume,
        buy_volume, quote_volume, trade_count, covered_ns, revision, final, first_time_ns,
        first_trade_id, last_time_ns, last_trade_id, close_time_ns, written_time_ns)
    SELECT '{VENUE}', '{SYMBOL}', '1m', open_ns, 0, price, price + 12.34, price - 9.87,
        price + 1.01, volume, volume / 2, price * volume, 500 + n % 1000, 60000000000, 0, true,
        open_ns, n, open_ns + 59000000000, n, open_ns + 60000000000, open_ns + 60000000000
    FROM (SELECT n, 1704067200000000000 + n * 60000000000 AS open_ns,
        60000 + (n * 7919 % 100000)::numeric / 100 AS price,
        1 + (n * 104729 % 1000000)::numeric / 100000 AS volume
        FROM generate_series(0::bigint, {BARS - 1}) AS n) AS made
    """,
    """
    INSERT INTO bars SELECT venue, symbol, '1d', open_time_ns, open, high, low, close, volume,
        buy_volume, quote_volume, trade_count, 86400000000000, revision, final, first_time_ns,
        first_trade_id, last_time_ns, last_trade_id, number, open_time_ns + 86400000000000,
        written_time_ns
    FROM bars WHERE open_time_ns % 86400000000000 = 0
    """,
    f"""
    INSERT INTO trade_rows (instrument_id, venue_time_ns, received_time_ns, trade_id, side, price,
        size)
    SELECT 1, 1704067200000000000 + n * 86000000, 1704067200005000000 + n * 86000000, n, 1 + n % 2,
        60000 + (n * 7919 % 100000)::numeric / 100, 1 + (n * 104729 % 1000000)::numeric / 100000
    FROM generate_series(1::bigint, {TRADES}) AS n
    """,
    f"""
    INSERT INTO bar_instruments (venue, symbol, price_scale, size_scale, since_time_ns,
        newest_time_ns, trade_ids, holes)
    VALUES ('{VENUE}', '{SYMBOL}', 2, 5, 1704067200000000000, 1735603200000000000, '[]', '[]')
    """,
    """
    INSERT INTO bar_positions SELECT shard, 'md:{binance}:trades', 1, 1, 1735603200000000000
    FROM generate_series(0, 15) AS shard
    """,
    "VACUUM ANALYZE bars, trade_rows",
)


def run(options: Options) -> Report:
    """Seconds for bars and coverage, trades per second."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Report:
    taken: dict[str, list[float]] = {"bars": [], "trades": [], "coverage": []}
    used: dict[str, list[float]] = {"PostgreSQL": [], "history": [], "client": []}
    async with _database() as postgres, _history(postgres.url) as (address, pid):
        asked: dict[str, Callable[[], Awaitable[int]]] = {
            "bars": lambda: _bars(address),
            "trades": lambda: _trades(address),
            "coverage": lambda: _days(address),
        }
        expected = {"bars": BARS, "trades": TRADES, "coverage": 365}

        def processor() -> list[float]:
            return [postgres.cpu_seconds(), family_cpu_seconds(pid), time.process_time()]

        for _ in range(options.runs):
            for name, ask in asked.items():
                before, started = processor(), time.perf_counter()
                count = await ask()
                taken[name].append(time.perf_counter() - started)
                if count != expected[name]:
                    raise ValueError(f"{name}: {count}, not {expected[name]}")
                if name == "bars":
                    for runs, start, end in zip(used.values(), before, processor(), strict=True):
                        runs.append(end - start)
    figures = [
        Figure("a year of one-minute bars", "s", taken["bars"], "less than 1"),
        *(Figure(f"processor for it: {name}", "s", runs) for name, runs in used.items()),
        Figure("trades", "events/s", [TRADES / seconds for seconds in taken["trades"]]),
        Figure("coverage of a year", "ms", [seconds * 1e3 for seconds in taken["coverage"]]),
    ]
    note = f"{BARS:,} bars and {TRADES:,} trades of one instrument"
    return Report("history: database to a client's arrays", figures, [note])


async def _bars(address: str) -> int:
    return len(await read_bars(address, VENUE, SYMBOL, "1m"))


async def _trades(address: str) -> int:
    return len(await read_trades(address, VENUE, SYMBOL))


async def _days(address: str) -> int:
    request = history_pb2.ListCoverageRequest(venue=VENUE, symbol=SYMBOL)
    async with rpc.channel(address) as channel:
        answer = await history_pb2_grpc.HistoryStub(channel).ListCoverage(request)
    return len(answer.days)


class _Server(PostgresProcess):
    """A PostgreSQL whose processor time is measured."""

    def cpu_seconds(self) -> float:
        """Processor time of the server and of its sessions, including ended ones."""
        return family_cpu_seconds(self._process.pid)


@asynccontextmanager
async def _database() -> AsyncIterator[_Server]:
    # PostgreSQL does not run as root and cannot enter a folder that only root can.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-"))
    folder.chmod(0o711)
    postgres = _Server(folder / "postgres", free_port())
    try:
        await postgres.start()
        await migrate(postgres.url)
        async with await psycopg.AsyncConnection.connect(
            postgres.url, autocommit=True
        ) as connection:
            for statement in _FILL:
                await connection.execute(statement.encode())
        yield postgres
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _history(url: str) -> AsyncIterator[tuple[str, int]]:
    """Address and process id of the server."""
    port = measured_port()
    environment = {
        **os.environ,
        "VENUEMESH_DATABASE_URL": url,
        "VENUEMESH_REGISTRY": "127.0.0.1:1",
        "VENUEMESH_HISTORY_PORT": str(port),
    }
    address = f"127.0.0.1:{port}"
    async with spawned(["ops.cli", "run", "history"], environment) as process:
        async with rpc.channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), WAIT_SECONDS)
        yield address, process.pid
