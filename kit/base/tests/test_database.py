import asyncio
from contextlib import suppress

import psycopg
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import (
    ConsumerPositionConflict,
    Database,
    connect,
    load_positions,
    save_positions,
)
from kit.base.errors import StoreUnavailable
from kit.base.migration import migrate
from tests.support.waiting import WAIT_SECONDS_MAX, eventually

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
BOOK = StreamKey("binance", types_pb2.CHANNEL_BOOK)


@pytest.fixture
async def database(postgres_url):
    database = Database(postgres_url)
    yield database
    await database.close()


async def test_positions_move_with_the_transaction_or_not_at_all(database):
    moved = {TRADES: Cursor(1, 5), BOOK: Cursor(1, 9)}
    async with database.transaction() as connection:
        await save_positions(connection, "recorder", moved, {})

    async def fail() -> None:
        async with database.transaction() as connection:
            await save_positions(connection, "recorder", {TRADES: Cursor(1, 6)}, moved)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        assert await load_positions(connection, "recorder") == moved
        assert await load_positions(connection, "bars") == {}


async def test_positions_that_another_process_moved_stay_where_they_are(database):
    async with database.transaction() as connection:
        await save_positions(connection, "recorder", {TRADES: Cursor(1, 5)}, {TRADES: START})
    for stale in ({}, {TRADES: Cursor(1, 4)}):
        with pytest.raises(ConsumerPositionConflict):
            async with database.transaction() as connection:
                await save_positions(connection, "recorder", {TRADES: Cursor(1, 6)}, stale)
    async with database.transaction() as connection:
        assert await load_positions(connection, "recorder") == {TRADES: Cursor(1, 5)}


async def test_of_two_that_move_the_same_positions_one_commits(database):
    async def move(to: Cursor) -> bool:
        try:
            async with database.transaction() as connection:
                await save_positions(connection, "recorder", {TRADES: to, BOOK: to}, {})
        except ConsumerPositionConflict:
            return False
        return True

    assert sorted(await asyncio.gather(*(move(Cursor(1, n)) for n in range(1, 4)))) == [
        False,
        False,
        True,
    ]


async def test_a_process_that_hangs_holds_positions_for_a_bounded_time(database, monkeypatch):
    monkeypatch.setattr("kit.base.database.HELD_MS_MAX", 50)
    holds, moved = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        async with database.transaction() as connection:
            await save_positions(connection, "recorder", {TRADES: Cursor(1, 5)}, {})
            holds.set()
            await moved.wait()

    hanging = asyncio.create_task(hang())
    await holds.wait()
    async with asyncio.timeout(WAIT_SECONDS_MAX), database.transaction() as connection:
        await save_positions(connection, "recorder", {TRADES: Cursor(1, 6)}, {})
    moved.set()
    with pytest.raises(StoreUnavailable, match="idle-in-transaction"):
        await hanging
    async with database.transaction() as connection:
        assert await load_positions(connection, "recorder") == {TRADES: Cursor(1, 6)}


@pytest.mark.parametrize("use", [Database.transaction, Database.reading])
async def test_a_connection_that_died_while_idle_is_replaced(use, database, postgres_url):
    async with use(database) as connection:
        await connection.execute("SELECT 1")
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    async with use(database) as connection:
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_connection_that_dies_in_use_is_an_unavailable_store(database):
    with pytest.raises(StoreUnavailable):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_server_that_refuses_is_an_unavailable_store(database):
    with pytest.raises(StoreUnavailable, match="refuses: canceling statement"):
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)")


async def test_a_server_that_is_away_is_an_unavailable_store():
    with pytest.raises(StoreUnavailable, match="is away"):
        await migrate("postgresql://postgres@127.0.0.1:1/venuemesh")


async def test_an_error_that_was_passed_over_does_not_commit_in_silence(database):
    async def pass_over() -> None:
        async with database.transaction() as connection:
            with suppress(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await pass_over()


async def test_a_cancelled_task_leaves_no_connection_open(postgres_url):
    # While its error is kept, so is what its frames refer to.
    errors = []
    for steps in range(60):
        making = asyncio.create_task(connect(postgres_url))
        await asyncio.sleep(steps * 0.0003)
        making.cancel()
        try:
            await (await making).close()
        except asyncio.CancelledError as error:
            errors.append(error)
    assert errors
    watching = await connect(postgres_url)

    async def is_alone():
        rows = await watching.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        return (await rows.fetchone()) == (1,)

    await eventually(is_alone)
    await watching.close()
