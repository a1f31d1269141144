"""The ledger against a bare insert of the same rows into the same tables.

Fills of spot and of a derivative, with fees, are booked: in batches, as after the process was away,
and one by one. Each transaction is synced to disk. The bare insert copies the rows that the ledger
has made, in as many transactions, without computing or comparing anything.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence

import psycopg
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2

from benchmarks.database import empty_database
from benchmarks.options import Options
from benchmarks.report import Figure, Report
from core.ledger.contracts import InstrumentKey
from core.ledger.event_postings import EventPostings
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.posting_writer import PostingWriter
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.migration import migrate
from kit.events.event_ids import event_id

BATCHED_FILLS = 10_000
BATCH_FILLS = 500
SINGLE_FILLS = 400
VENUE, ACCOUNT = "binance", "main"
SPOT, LINEAR = "BTCUSDT", "BTCUSDT_PERP"
STRATEGIES = ("momentum", "carry", "maker")
TABLES = ("ledger_groups", "ledger_entries", "ledger_position_changes", "events")
INSTRUMENTS = {
    InstrumentKey(VENUE, SPOT): types_pb2.Instrument(
        base="BTC",
        quote="USDT",
        kind=types_pb2.INSTRUMENT_KIND_SPOT,
        size_unit=types_pb2.SIZE_UNIT_BASE,
    ),
    InstrumentKey(VENUE, LINEAR): types_pb2.Instrument(
        base="BTC",
        quote="USDT",
        settlement_asset="USDT",
        kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
        contract_kind=types_pb2.CONTRACT_KIND_LINEAR,
        size_unit=types_pb2.SIZE_UNIT_BASE,
    ),
}


def run(options: Options) -> Report:
    """Postings per second, ms of one fill, their share of a bare insert, and a trial balance."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Report:
    rates: list[float] = []
    shares: list[float] = []
    medians: list[float] = []
    longest: list[float] = []
    trial: list[float] = []
    for number in range(options.runs):
        async with empty_database() as url:
            await migrate(url)
            database = Database(url)
            writer = PostingWriter(
                database, PostgresStore(), EventPostings("average"), SystemClock()
            )
            batched, single = _fills(number, BATCHED_FILLS), _fills(-number - 1, SINGLE_FILLS)
            started, postings = time.perf_counter(), 0
            for start in range(0, len(batched), BATCH_FILLS):
                result = await writer.book(batched[start : start + BATCH_FILLS], INSTRUMENTS)
                postings += sum(len(one.group.postings) for one in result.booked)
            seconds = time.perf_counter() - started
            rates.append(postings / seconds)
            shares.append(await _insert_again(url) / seconds * 100)
            times = sorted([await _timed(writer, fill) for fill in single])
            medians.append(statistics.median(times))
            longest.append(times[len(times) * 99 // 100])
            started = time.perf_counter()
            sums, _ = await PostgresQueries(database).trial_balance("")
            entries = sum(one.entries for one in sums)
            trial.append((time.perf_counter() - started) / entries * 10_000_000)
            await database.close()
    figures = [
        Figure(f"postings in batches of {BATCH_FILLS} fills", "1/s", rates, "over 3,000"),
        Figure("time of a bare insert of the same rows", "%", shares),
        Figure("one fill, p50", "ms", medians),
        Figure("one fill, p99", "ms", longest, "under 15"),
        Figure("trial balance, for 10 million entries", "s", trial, "under 30"),
    ]
    notes = [f"{BATCHED_FILLS:,} fills in batches, {SINGLE_FILLS} one by one; fsync is on"]
    return Report("ledger: fills become postings, on disk", figures, notes)


async def _timed(writer: PostingWriter, fill: event_pb2.Event) -> float:
    """Milliseconds until a fill is on disk."""
    started = time.perf_counter()
    await writer.book([fill], INSTRUMENTS)
    return (time.perf_counter() - started) * 1_000


async def _insert_again(url: str) -> float:
    """Seconds of copying the rows of the ledger into equal tables, in as many transactions."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        parts: dict[str, list[bytes]] = {}
        for table in TABLES:
            await connection.execute(
                f"CREATE TABLE {table}_again (LIKE {table} INCLUDING ALL)".encode()
            )
            async with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                parts[table] = [bytes(row) async for row in copy]
        batches = BATCHED_FILLS // BATCH_FILLS
        started = time.perf_counter()
        for number in range(batches):
            async with connection.transaction():
                for table, rows in parts.items():
                    own = rows[number * len(rows) // batches : (number + 1) * len(rows) // batches]
                    statement = f"COPY {table}_again FROM STDIN".encode()
                    async with connection.cursor().copy(statement) as copy:
                        await copy.write(b"".join(own))
        return time.perf_counter() - started


def _fills(seed: int, count: int) -> Sequence[event_pb2.Event]:
    """Fills with times that follow each other; those of a negative seed follow the others."""
    chance = random.Random(seed)
    return [_fill(chance, f"{seed}-{number}", number, seed < 0) for number in range(count)]


def _fill(chance: random.Random, fill_id: str, number: int, is_later: bool) -> event_pb2.Event:
    event = event_pb2.Event(
        event_id=event_id("ledger", f"{VENUE}/{ACCOUNT}", [fill_id.encode()]),
        source="ledger",
        time_ns=1_000_000_000 * (2 if is_later else 1) + number,
    )
    filled = event.order_filled
    filled.strategy = chance.choice(STRATEGIES)
    fill = filled.fill
    fill.venue, fill.account, fill.symbol = VENUE, ACCOUNT, chance.choice((SPOT, LINEAR))
    fill.fill_id, fill.venue_time_ns = fill_id, event.time_ns
    fill.side = chance.choice((types_pb2.SIDE_BUY, types_pb2.SIDE_SELL))
    fill.price, fill.size = f"{chance.randint(600_000, 620_000) / 10}", f"0.{chance.randint(1, 99)}"
    fill.fee.asset, fill.fee.amount = "USDT", f"0.{chance.randint(1, 999)}"
    return event
