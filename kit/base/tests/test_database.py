import asyncio
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import (
    ConsumerPositionConflict,
    Database,
    load_positions,
    migrate,
    save_positions,
)
from kit.base.errors import SettingError, StoreUnavailable

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
BOOK = StreamKey("binance", types_pb2.CHANNEL_BOOK)


@pytest.fixture
async def database(postgres_url):
    await migrate(postgres_url)
    database = Database(postgres_url)
    yield database
    await database.close()


def numbered(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name.lstrip('_')}.sql").write_text(text)
    return folder


async def scalar(url: str, query: bytes):
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(query)).fetchone()
    return row[0]


async def test_migrations_are_applied_once_in_order_of_their_numbers(postgres_url, tmp_path):
    folder = numbered(
        tmp_path,
        _0002_add="INSERT INTO steps VALUES (2)",
        _0001_first="CREATE TABLE steps (step int); INSERT INTO steps VALUES (1)",
    )
    await asyncio.gather(*(migrate(postgres_url, folder) for _ in range(4)))
    numbered(folder, _0003_more="INSERT INTO steps VALUES (3)")
    await migrate(postgres_url, folder)
    assert await scalar(postgres_url, b"SELECT array_agg(step) FROM steps") == [1, 2, 3]


async def test_a_migration_that_fails_leaves_nothing_behind(postgres_url, tmp_path):
    folder = numbered(
        tmp_path,
        _0001_whole="CREATE TABLE whole (step int)",
        _0002_half="CREATE TABLE half (step int); DROP TABLE whole;\nSELECT 1 / 0",
    )
    with pytest.raises(SettingError, match=r"0002_half\.sql, .*: division by zero$"):
        await migrate(postgres_url, folder)
    assert await scalar(postgres_url, b"SELECT to_regclass('half')") is None
    assert await scalar(postgres_url, b"SELECT count(*) FROM whole") == 0
    numbered(folder, _0002_half="CREATE TABLE half (step int)")
    await migrate(postgres_url, folder)
    assert await scalar(postgres_url, b"SELECT count(*) FROM half") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [("SELECT 2", "different here; name another"), (None, "unknown here; start a newer version")],
)
async def test_a_schema_that_others_made_is_rejected(postgres_url, tmp_path, change, words):
    folder = numbered(tmp_path, _0001_first="SELECT 1", _0002_second="SELECT 1")
    await migrate(postgres_url, folder)
    (folder / "0002_second.sql").unlink()
    if change is not None:
        numbered(folder, _0002_second=change)
    with pytest.raises(SettingError, match=rf"made with 0002_second\.sql, which is {words}"):
        await migrate(postgres_url, folder)


async def test_a_database_that_is_missing_is_created(postgres_url):
    missing = postgres_url + "_missing"
    await asyncio.gather(*(migrate(missing) for _ in range(3)))
    assert await scalar(missing, b"SELECT count(*) FROM stream_positions") == 0
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        name = missing.rpartition("/")[2]
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


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


async def test_a_connection_that_died_while_idle_is_replaced(database, postgres_url):
    async with database.transaction() as connection:
        await connection.execute("SELECT 1")
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with database.transaction() as connection:
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
