"""Exactly once, whatever is killed: the recorder, PostgreSQL, Valkey."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from conftest import free_port
from core.recorder.tests.market import (
    BOOK,
    BTC,
    ETH,
    QUOTES,
    TRADES,
    book_batch,
    count,
    entry,
    expected_trades,
    quote_batch,
    recorded_gaps,
    recorded_trades,
    recorded_updates,
    trade_batch,
    trades,
)
from core.recorder.tests.process import recorder_process
from core.recorder.tests.rig import Rig, rig_for
from kit.base.cursor import Cursor
from kit.base.errors import StoreUnavailable
from kit.base.migration import migrate
from kit.marketdata.delivery.redis_streams import StreamEntry
from tests.support.postgres_process import PostgresProcess
from tests.support.valkey_process import ValkeyProcess
from tests.support.waiting import WAIT_SECONDS_MAX, until

TABLES = ("stream_positions", "trade_rows", "quote_rows", "book_batch_rows")
BATCHES = 600
ROWS_EACH = 4


class Tape:
    """The same number of batches for each channel; every third trade batch repeats the last."""

    def __init__(self, batches: int = BATCHES) -> None:
        self.last = Cursor(1, batches)
        self.rows = []
        self.entries: list[StreamEntry] = []
        for number in range(1, batches + 1):
            cursor = Cursor(1, number)
            rows = trades((number - number // 3) * ROWS_EACH, ROWS_EACH, (BTC, ETH)[number % 2])
            self.rows += rows
            self.entries += (
                entry(TRADES, trade_batch(cursor, rows)),
                entry(QUOTES, quote_batch(cursor, [number])),
                entry(BOOK, book_batch(cursor)),
            )

    def parts(self, source: random.Random) -> list[Sequence[StreamEntry]]:
        """The entries in their order, cut anywhere."""
        cuts = sorted({0, len(self.entries), *source.sample(range(len(self.entries)), 40)})
        return [self.entries[start:stop] for start, stop in pairwise(cuts)]

    async def is_recorded(self, rig: Rig) -> None:
        for key in (TRADES, QUOTES, BOOK):
            await rig.recorded(key, self.last)

    def check(self, url: str) -> None:
        """The database holds the tape, each row once, and no gap."""
        assert recorded_trades(url) == expected_trades(self.rows)
        assert count(url, "quotes") == self.last.sequence
        assert recorded_updates(url) == self.last.sequence
        assert recorded_gaps(url) == []


async def append_slowly(rig: Rig, parts: Sequence[Sequence[StreamEntry]]) -> None:
    """Part after part; again when Valkey is away, which refuses what it has already."""
    for part in parts:
        while True:
            try:
                await rig.append(*part)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.01)


@pytest.fixture
def folder():
    # Not below pytest's own folder, which no other user may enter.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def locked(url: str, table: str):
    """Whoever wants to write into the table waits until the block ends."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
        yield connection


async def someone_waits_for(connection, table: str) -> None:
    query = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await (await connection.execute(query, [table])).fetchone():
            await asyncio.sleep(0.01)


async def test_the_recorder_may_be_killed_at_any_step(valkey_url, postgres_url):
    """Each time it has come to another table. The server learns of its end only later."""
    tape = Tape()
    part = len(tape.entries) // (len(TABLES) + 1)
    process = recorder_process(valkey_url, postgres_url)
    async with rig_for(valkey_url, postgres_url) as rig:
        process.start()
        try:
            for step, table in enumerate(TABLES):
                async with locked(postgres_url, table) as connection:
                    await rig.append(*tape.entries[step * part : (step + 1) * part])
                    await someone_waits_for(connection, table)
                    process.kill()
                process.start()
            await rig.append(*tape.entries[len(TABLES) * part :])
            await tape.is_recorded(rig)
        finally:
            process.kill()
    tape.check(postgres_url)


async def test_postgresql_may_be_killed_at_any_time(valkey_url, folder):
    source, tape = random.Random(5), Tape()
    postgres = PostgresProcess(folder, free_port())
    await postgres.start()
    try:
        await migrate(postgres.url)
        async with rig_for(valkey_url, postgres.url) as rig, rig.running():
            writing = asyncio.create_task(append_slowly(rig, tape.parts(source)))
            for kill in range(1, 3):
                await rig.recorded(TRADES, Cursor(1, kill * BATCHES // 4))
                postgres.kill()
                await until(lambda: rig.is_degraded)
                await postgres.start()
            await writing
            await tape.is_recorded(rig)
            await until(lambda: not rig.is_degraded)
        tape.check(postgres.url)
    finally:
        postgres.kill()


async def test_valkey_may_be_killed_and_forget_its_newest_entries(postgres_url, folder):
    tape = Tape(120)
    valkey = ValkeyProcess(folder, free_port())
    await valkey.start()
    try:
        async with rig_for(valkey.url, postgres_url) as rig, rig.running():
            await rig.append(*tape.entries[:90])
            await rig.recorded(BOOK, Cursor(1, 30))
            valkey.remember()
            await rig.append(*tape.entries[90:240])
            await rig.recorded(BOOK, Cursor(1, 80))
            valkey.kill()
            await until(lambda: rig.is_degraded)
            valkey.forget()
            await valkey.start()
            await append_slowly(rig, [tape.entries[:240], tape.entries[240:]])
            await tape.is_recorded(rig)
            await until(lambda: not rig.is_degraded)
        tape.check(postgres_url)
    finally:
        valkey.kill()


async def test_both_stores_may_be_away_at_the_start(folder):
    tape = Tape(10)
    valkey = ValkeyProcess(folder, free_port())
    postgres = PostgresProcess(folder / "postgres", free_port())
    process = recorder_process(valkey.url, postgres.url)
    process.start()
    try:
        await valkey.start()
        await postgres.start()
        await migrate(postgres.url)
        async with rig_for(valkey.url, postgres.url) as rig:
            await rig.append(*tape.entries)
            await tape.is_recorded(rig)
        assert process.stop() == 0
        tape.check(postgres.url)
    finally:
        process.kill()
        valkey.kill()
        postgres.kill()
