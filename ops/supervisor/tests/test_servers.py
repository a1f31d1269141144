"""Real servers under the supervisor: after kill -9 they restart with their data."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from conftest import free_port
from kit.base.migration import grant
from ops.embedded import envoy, postgres, valkey
from ops.embedded.store_passwords import StorePasswords
from ops.supervisor.child import ChildProcess, ProcessState
from ops.supervisor.mesh import envoy_service, postgres_service, valkey_service
from ops.supervisor.service_spec import ServiceSpec
from ops.supervisor.tests.helpers import Watched

ENDLESS_QUERY = "SELECT count(*) FROM (SELECT generate_series(1, 1e15::bigint)) AS numbers"


@pytest.fixture
def folder():
    """A folder that the user PostgreSQL runs as may enter."""
    with TemporaryDirectory(prefix="venuemesh-test-") as name:
        yield Path(name)


@pytest.fixture
def passwords(folder: Path):
    return StorePasswords.of_mesh(folder)


@asynccontextmanager
async def running(
    folder: Path, service: ServiceSpec
) -> AsyncIterator[tuple[Watched, ChildProcess]]:
    watched = Watched(folder, service)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.supervisor.run())
        try:
            await watched.until_running()
            yield watched, watched.supervisor.children[0]
        finally:
            watched.supervisor.stop()


async def kill_and_await_return(watched: Watched, child: ChildProcess) -> None:
    before = child.pid
    os.kill(before, signal.SIGKILL)
    await watched.until(
        lambda: child.pid not in (None, before) and child.state is ProcessState.RUNNING
    )


async def test_valkey_keeps_synced_entries(folder: Path, passwords: StorePasswords):
    port = free_port()
    url = passwords.login_url(valkey.url(port))
    service = valkey_service(folder / "valkey", port, passwords)
    async with running(folder, service) as (watched, child):
        with redis.Redis.from_url(url) as client:
            client.xadd("stream", {"b": b"batch"}, id="7-1")
            assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
        await kill_and_await_return(watched, child)
        with redis.Redis.from_url(url) as client:
            assert client.xinfo_stream("stream")["last-generated-id"] == b"7-1"


async def test_postgres_returns_with_a_session_left_behind(folder: Path, passwords: StorePasswords):
    port = free_port()
    url = passwords.login_url(postgres.url(port))
    service = postgres_service(folder / "postgres", port, passwords, grant)
    async with running(folder, service) as (watched, child):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (number integer)")
            connection.execute("INSERT INTO kept VALUES (42)")
        busy = psycopg.connect(url)
        orphan = busy.info.backend_pid
        thread = threading.Thread(target=endure, args=(busy,))
        thread.start()
        await kill_and_await_return(watched, child)
        thread.join()
        assert not Path(f"/proc/{orphan}/exe").exists()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (42,)


def endure(busy: psycopg.Connection) -> None:
    """A query that only the end of its server ends."""
    with suppress(psycopg.OperationalError), busy:
        busy.execute(ENDLESS_QUERY)


async def test_postgres_rejects_a_folder_without_a_cluster(folder: Path, passwords: StorePasswords):
    (folder / "postgres" / postgres.CLUSTER).mkdir(parents=True)
    watched = Watched(folder, postgres_service(folder / "postgres", free_port(), passwords, grant))
    with pytest.raises(Exception, match="postgres does not start"):
        await watched.supervisor.run()


async def test_envoy_starts_when_it_is_configured(folder: Path):
    service = envoy_service(folder / "envoy")
    watched = Watched(folder, service)
    child = watched.supervisor.children[0]
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.supervisor.run())
        try:
            await watched.until(lambda: child.state is ProcessState.WAITING)
            socket = folder / "envoy" / envoy.ADMIN_SOCKET
            envoy.prepare(folder / "envoy")
            bootstrap = folder / "envoy" / "fresh"
            admin = {"address": {"pipe": {"path": str(socket)}}}
            bootstrap.write_text(json.dumps({"admin": admin}))
            bootstrap.rename(folder / "envoy" / envoy.BOOTSTRAP_FILE)
            await watched.until_running()
        finally:
            watched.supervisor.stop()
    assert child.restarts == 0
