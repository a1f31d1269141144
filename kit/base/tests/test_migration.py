"""Migrations, with a real PostgreSQL: from older and newer programs, at once, and killed."""

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import SettingError, StoreUnavailable
from kit.base.migration import grant, migrate, state, wait_for_schema
from kit.base.telemetry import Meter
from tests.support.waiting import until

NEWER = "ALTER TABLE steps ADD COLUMN note text"


def numbered(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name.lstrip('_')}.sql").write_text(text)
    return folder


async def scalar(url: str, query: bytes):
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(query)).fetchone()
    return row[0]


async def test_migrations_are_applied_once_in_order_of_their_numbers(empty_postgres_url, tmp_path):
    folder = numbered(
        tmp_path,
        _0002_add="INSERT INTO steps VALUES (2)",
        _0001_first="CREATE TABLE steps (step int); INSERT INTO steps VALUES (1)",
    )
    await asyncio.gather(*(migrate(empty_postgres_url, folder) for _ in range(4)))
    numbered(folder, _0003_more="INSERT INTO steps VALUES (3)")
    await migrate(empty_postgres_url, folder)
    assert await scalar(empty_postgres_url, b"SELECT array_agg(step) FROM steps") == [1, 2, 3]


async def test_a_migration_that_fails_leaves_nothing_behind(empty_postgres_url, tmp_path):
    folder = numbered(
        tmp_path,
        _0001_whole="CREATE TABLE whole (step int)",
        _0002_half="CREATE TABLE half (step int); DROP TABLE whole;\nSELECT 1 / 0",
    )
    with pytest.raises(SettingError, match=r"0002_half\.sql, .*: division by zero$"):
        await migrate(empty_postgres_url, folder)
    assert await scalar(empty_postgres_url, b"SELECT to_regclass('half')") is None
    assert await scalar(empty_postgres_url, b"SELECT count(*) FROM whole") == 0
    numbered(folder, _0002_half="CREATE TABLE half (step int)")
    await migrate(empty_postgres_url, folder)
    assert await scalar(empty_postgres_url, b"SELECT count(*) FROM half") == 0


@pytest.mark.parametrize("change", ["SELECT 2", None])
async def test_a_schema_that_others_made_is_rejected(empty_postgres_url, tmp_path, change):
    folder = numbered(tmp_path, _0001_first="SELECT 1", _0002_second="SELECT 1", _0003_third="")
    await migrate(empty_postgres_url, folder)
    (folder / "0002_second.sql").unlink()
    difference = "unknown"
    if change is not None:
        numbered(folder, _0002_second=change)
        difference = "different"
    words = rf"made with 0002_second\.sql, which is {difference} here: name another database"
    with pytest.raises(SettingError, match=words):
        await migrate(empty_postgres_url, folder)
    assert (await state(empty_postgres_url, folder)).problem


async def test_a_database_that_is_missing_is_created(empty_postgres_url, superuser_url):
    missing = empty_postgres_url + "_missing"
    await asyncio.gather(*(migrate(missing) for _ in range(3)))
    assert await scalar(missing, b"SELECT count(*) FROM stream_positions") == 0
    async with await psycopg.AsyncConnection.connect(superuser_url, autocommit=True) as connection:
        name = missing.rpartition("/")[2]
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def test_a_program_uses_a_newer_schema_that_is_compatible_with_it(
    empty_postgres_url, tmp_path
):
    old, new = two_versions(tmp_path, f"-- compatible_from: 1\n{NEWER}")
    await migrate(empty_postgres_url, new)
    found = await state(empty_postgres_url, old)
    assert (found.current, found.wanted, found.problem) == (2, 1, "")
    assert not (await migrate(empty_postgres_url, old)).applied
    assert await steps(empty_postgres_url, old) == 0


async def test_a_program_leaves_a_newer_schema_alone_that_needs_a_newer_program(
    empty_postgres_url, tmp_path
):
    old, new = two_versions(tmp_path, NEWER)
    await migrate(empty_postgres_url, new)
    words = "has schema 2, for programs of schema 2 or newer, and this program has schema 1: update"
    with pytest.raises(SettingError, match=words):
        await migrate(empty_postgres_url, old)
    with pytest.raises(StoreUnavailable, match=words):
        await steps(empty_postgres_url, old)


async def test_one_incompatible_file_is_enough(empty_postgres_url, tmp_path):
    old, new = two_versions(tmp_path, NEWER)
    numbered(new, _0003_third="-- compatible_from: 1\nSELECT 1")
    await migrate(empty_postgres_url, new)
    assert (await state(empty_postgres_url, old)).is_too_new


async def test_a_program_does_not_use_an_older_schema(empty_postgres_url, tmp_path):
    old, new = two_versions(tmp_path, NEWER)
    await migrate(empty_postgres_url, old)
    with pytest.raises(StoreUnavailable, match=r"has schema 1, .* needs schema 2: run ./venuemesh"):
        await steps(empty_postgres_url, new)
    assert await steps(empty_postgres_url, new, accepts_older_schema=True) == 0


async def test_a_database_of_an_earlier_version_has_no_column_for_compatibility(
    empty_postgres_url, tmp_path
):
    old, new = two_versions(tmp_path, NEWER)
    await migrate(empty_postgres_url, old)
    async with await psycopg.AsyncConnection.connect(empty_postgres_url) as connection:
        await connection.execute("ALTER TABLE schema_migrations DROP COLUMN compatible_from")
    assert await steps(empty_postgres_url, old) == 0
    await migrate(empty_postgres_url, new)
    assert await steps(empty_postgres_url, new) == 0


async def test_a_process_waits_until_another_has_migrated(empty_postgres_url):
    meter = Meter("history")
    waiting = asyncio.create_task(
        wait_for_schema(empty_postgres_url, DegradedReasons(meter), SystemClock())
    )
    await until(lambda: "needs schema" in meter.status().detail)
    await migrate(empty_postgres_url)
    async with asyncio.timeout(60):
        await waiting
    assert meter.status().detail == ""


async def test_waiting_ends_when_the_role_has_its_rights(empty_postgres_url, store_passwords):
    await migrate(empty_postgres_url)
    async with await psycopg.AsyncConnection.connect(
        empty_postgres_url, autocommit=True
    ) as connection:
        await connection.execute("REVOKE SELECT ON events FROM venuemesh_history")
    meter = Meter("test")
    address = empty_postgres_url.rpartition("@")[2]
    url = store_passwords.login_url(f"postgresql://venuemesh_history@{address}")
    waiting = asyncio.create_task(wait_for_schema(url, DegradedReasons(meter), SystemClock()))
    await until(lambda: "no rights yet" in meter.status().detail)
    await grant(empty_postgres_url)
    async with asyncio.timeout(60):
        await waiting
    assert meter.status().detail == ""


async def test_after_a_migrator_was_killed_the_next_one_completes(empty_postgres_url, tmp_path):
    folder = numbered(
        tmp_path,
        _0001_first="CREATE TABLE steps (step int)",
        _0002_long="INSERT INTO steps VALUES (2); SELECT pg_sleep(3600)",
    )
    code = "import asyncio, pathlib, sys; from kit.base.migration import migrate;"
    code += "asyncio.run(migrate(sys.argv[1], pathlib.Path(sys.argv[2])))"
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, empty_postgres_url, str(folder)
    )
    try:
        sleeping = (
            b"SELECT count(*) FROM pg_stat_activity"
            b" WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        while await scalar(empty_postgres_url, sleeping) == 0:
            assert killed.returncode is None
            await asyncio.sleep(0.02)
    finally:
        killed.kill()
        await killed.wait()
    (folder / "0002_long.sql").write_text("INSERT INTO steps VALUES (3)")
    # An hour passes otherwise: the server would execute the statement of the killed process.
    async with asyncio.timeout(120):
        await migrate(empty_postgres_url, folder)
    assert await scalar(empty_postgres_url, b"SELECT array_agg(step) FROM steps") == [3]


def two_versions(folder: Path, change: str) -> tuple[Path, Path]:
    """The schema of a program, and of the next version with this change."""
    for name in ("old", "new"):
        (folder / name).mkdir()
        numbered(folder / name, _0001_first="CREATE TABLE steps (step int)")
    return folder / "old", numbered(folder / "new", _0002_second=change)


async def steps(url: str, schema_dir: Path, accepts_older_schema: bool = False) -> int:
    """What a program with these files counts."""
    database = Database(url, schema_dir=schema_dir, accepts_older_schema=accepts_older_schema)
    try:
        async with database.transaction() as connection:
            row = await (await connection.execute("SELECT count(*) FROM steps")).fetchone()
            return row[0]
    finally:
        await database.close()
