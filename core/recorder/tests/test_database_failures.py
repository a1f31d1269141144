"""Databases that are there and refuse: a full disk, read only, no connection left. Nothing is lost,
nothing is doubled, and the recorder says what it waits for."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from core.recorder.tests.market import BOOK, TRADES
from core.recorder.tests.rig import rig_for
from core.recorder.tests.test_crashes import BATCHES, Tape
from kit.base.cursor import Cursor
from ops.embedded.file_permissions import give_folder, let_enter, system_user
from tests.support.waiting import until

DISK = "16m"
FILLER_BYTES = 65_536


@contextmanager
def small_disk():
    """A folder that is full soon. Skips the test where nothing may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-test-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk")
        try:
            user = system_user()
            assert user is not None
            give_folder(folder, user)
            let_enter(folder / "inside")
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(FILLER_BYTES)):
            pass
    return filler


@contextmanager
def on_disk(url: str, folder: Path):
    """New tables of this database are made in the folder."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'".encode())
        connection.execute(b"GRANT CREATE ON TABLESPACE small TO PUBLIC")
        connection.execute(f"ALTER DATABASE {name} SET default_tablespace = small".encode())
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(b"DROP SCHEMA public CASCADE")
            connection.execute(b"DROP TABLESPACE small")


async def test_a_full_disk_is_waited_for(valkey_url, postgres_url, superuser_url):
    tape = Tape()
    with small_disk() as folder, on_disk(superuser_url, folder):
        async with rig_for(valkey_url, postgres_url) as rig, rig.running():
            await rig.append(*tape.entries[:300])
            await rig.recorded(TRADES, Cursor(1, 100))
            filler = fill(folder)
            await rig.append(*tape.entries[300:])
            await until(lambda: rig.is_degraded)
            assert "No space left on device" in rig.meter.detail
            assert await rig.position(TRADES) < tape.last
            await until(lambda: rig.meter.lag_entries > 0)
            filler.unlink()
            await tape.is_recorded(rig)
            await until(lambda: not rig.is_degraded)
        tape.check(postgres_url)


def hang_up(connection, name):
    """End all other connections to the database."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'",
        [name],
    )


async def test_read_only_database_is_waited_for(valkey_url, postgres_url):
    """As a server that has become a replica."""
    tape = Tape()
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        async with rig_for(valkey_url, postgres_url) as rig, rig.running():
            await rig.append(*tape.entries[:300])
            await rig.recorded(TRADES, Cursor(1, 100))
            setting = f"ALTER DATABASE {name} SET default_transaction_read_only"
            connection.execute(f"{setting} = on".encode())
            hang_up(connection, name)
            await rig.append(*tape.entries[300:])
            await until(lambda: "read-only" in rig.meter.detail)
            connection.execute(b"SET default_transaction_read_only = off")
            connection.execute(f"{setting} = off".encode())
            hang_up(connection, name)
            await tape.is_recorded(rig)
            await until(lambda: not rig.is_degraded)
    tape.check(postgres_url)


@asynccontextmanager
async def taken_connections(url: str):
    """All that the server has."""
    taken = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(await psycopg.AsyncConnection.connect(url))
        yield
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))


async def test_a_free_connection_is_waited_for(valkey_url, postgres_url, superuser_url):
    tape = Tape(60)
    async with rig_for(valkey_url, postgres_url) as rig:
        await rig.append(*tape.entries)
        await rig.database.close()
        async with taken_connections(superuser_url):
            running = rig.running()
            await running.__aenter__()
            await until(lambda: "too many clients" in rig.meter.detail)
        await tape.is_recorded(rig)
        await until(lambda: not rig.is_degraded)
        await running.__aexit__(None, None, None)
    tape.check(postgres_url)


async def test_waiting_entries_are_measured_while_the_database_is_away(valkey_url, postgres_url):
    tape = Tape()
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    administration = psycopg.conninfo.make_conninfo(postgres_url, dbname="postgres")
    with psycopg.connect(administration, autocommit=True) as connection:
        async with rig_for(valkey_url, postgres_url) as rig, rig.running():
            await rig.append(*tape.entries[:3])
            await rig.recorded(BOOK, Cursor(1, 1))
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            hang_up(connection, name)
            await rig.append(*tape.entries[3:])
            await until(lambda: rig.is_degraded)
            await until(lambda: rig.meter.lag_entries == 3 * (BATCHES - 1))
            await until(lambda: rig.meter.lag_ms > 1_000)
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            await tape.is_recorded(rig)
            await until(lambda: rig.meter.lag_entries == 0)
    tape.check(postgres_url)
