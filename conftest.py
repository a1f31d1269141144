"""Fixtures for all tests: a real Valkey and a real PostgreSQL.

One server of each per run, on a free port, in a temporary folder. They are empty at
the start of each test, and end with the run, also when it is interrupted or killed.
"""

import asyncio
import gc
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
import redis
from psycopg.conninfo import make_conninfo

from kit.base.migration import migrate
from ops.embedded import postgres, valkey
from ops.embedded.server_command import ServerCommand
from ops.embedded.store_passwords import StorePasswords
from tests.support.free_ports import is_free
from tests.support.workers import WORKER, WORKERS_MAX

ROOT = Path(__file__).resolve().parent
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
LOOK_AGAIN_SECONDS = 0.02
SUPERUSER = "test_superuser"
MIGRATED = "migrated"
PORTS = range(22_000 + WORKER, 22_760, WORKERS_MAX)
"""Of this process. The system gives none of them, and none of their metrics, to connections."""
_ports = itertools.cycle(random.sample(PORTS, len(PORTS)))

# File systems on disk slow down when databases are made and dropped for every test. So temporary
# folders are in memory where there is plenty of it, and no other place is set.
MEMORY_FOLDER, MEMORY_BYTES_MIN = Path("/dev/shm"), 4 << 30
if (
    "TMPDIR" not in os.environ
    and MEMORY_FOLDER.is_dir()
    and shutil.disk_usage(MEMORY_FOLDER).free >= MEMORY_BYTES_MIN
):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY_FOLDER)

# Before 3.11.8, ast.parse raises SystemError ("recursion depth mismatch", python/cpython#106905) if
# the garbage collector logs a traceback during the call: the traceback parses source lines to place
# its ^^^^. Other tests leave such garbage, so tracebacks here have no ^^^^.
if sys.version_info < (3, 11, 8):
    setattr(traceback, "_extract_caret_anchors_from_line_segment", lambda _: None)  # noqa: B010

# Default number of examples of a property. With ``--hypothesis-profile thorough`` it
# takes its time.
EXAMPLES, EXAMPLES_THOROUGH = 40, 1_000
for _name, _examples in (("venuemesh", EXAMPLES), ("thorough", EXAMPLES_THOROUGH)):
    # No deadline: a slow example may be caused by a busy machine.
    hypothesis.settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile("venuemesh")

_database_numbers = itertools.count(1)

# What is collected stays: to search it for garbage again and again costs a sixth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage, and it is searched for among newer objects only."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def _folder() -> Iterator[Path]:
    # Not in pytest's own folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def store_passwords(_folder: Path) -> StorePasswords:
    """The passwords of all users of the servers of this run."""
    return StorePasswords.of_mesh(_folder)


@pytest.fixture(scope="session")
def _valkey_server(_folder: Path, store_passwords: StorePasswords) -> Iterator[str]:
    folder, port = _folder / "valkey", free_port()
    valkey.prepare(folder, store_passwords)
    url = store_passwords.login_url(valkey.url(port))
    with _running(valkey.command(folder, port), lambda: _answers(url)):
        yield url


@pytest.fixture(scope="session")
def _postgres_server(_folder: Path, store_passwords: StorePasswords) -> Iterator[str]:
    folder, port = _folder / "postgres", free_port()
    postgres.prepare(folder, store_passwords)
    superuser = f"CREATE ROLE {SUPERUSER} SUPERUSER LOGIN PASSWORD '{SUPERUSER}';\n\n"
    postgres.execute(folder / postgres.CLUSTER, postgres.DATABASE, superuser)
    command = postgres.command(folder, port, fsync="off")
    with _running(command, lambda: postgres.is_ready(folder)):
        yield store_passwords.login_url(postgres.url(port, "postgres"))


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real exchange captures; tests that need it are skipped without it."""
    folder = Path(os.environ.get("VENUEMESH_CAPTURES", ROOT.parent / "shared" / "captures"))
    if not folder.is_dir():
        pytest.skip("no captures: set VENUEMESH_CAPTURES to their folder")
    return folder


@pytest.fixture
def valkey_url(_valkey_server: str) -> str:
    """The URL of a Valkey that holds nothing."""
    with redis.Redis.from_url(_valkey_server) as client:
        client.flushall()
    return _valkey_server


@pytest.fixture(scope="session")
def _migrated_database(_postgres_server: str) -> str:
    """The name of a database that has the schema and no rows. Copies of it cost a tenth of a
    migration."""
    asyncio.run(migrate(_postgres_server.removesuffix("postgres") + MIGRATED))
    return MIGRATED


@pytest.fixture
def postgres_url(_postgres_server: str, _migrated_database: str) -> Iterator[str]:
    """The URL of a database with the schema, which was made for this test."""
    with _new_database(_postgres_server, _migrated_database) as url:
        yield url


@pytest.fixture
def empty_postgres_url(_postgres_server: str) -> Iterator[str]:
    """The URL of a database without the schema, which was made for this test."""
    with _new_database(_postgres_server, "template1") as url:
        yield url


@pytest.fixture
def superuser_url(postgres_url: str) -> str:
    """The URL of the same database for a superuser, whom the servers of a mesh do not have."""
    return _superuser_url(postgres_url)


@pytest.fixture
def timescale_url() -> Iterator[str]:
    """Like postgres_url, on a server with TimescaleDB; without one, the test is skipped."""
    server = os.environ.get("VENUEMESH_TIMESCALE_URL")
    if server is None:
        pytest.skip("no TimescaleDB: set VENUEMESH_TIMESCALE_URL to a superuser's URL of a server")
    name = f"venuemesh_test_{os.getpid()}_{next(_database_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["empty_postgres_url", "timescale_url"], ids=["PostgreSQL", "TimescaleDB"])
def any_database_url(request: pytest.FixtureRequest) -> str:
    """The test is run on each kind of database, which has no schema."""
    url: str = request.getfixturevalue(request.param)
    return url


def free_port() -> int:
    """A free port of the loopback, which no connection gets meanwhile. The port plus 10000, for
    metrics, is free as well."""
    return next(port for port in _ports if is_free(port))


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def _running(command: ServerCommand, ready: Callable[[], bool]) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command.arguments, stdout=log, stderr=log, cwd="/", **command.spawn_options()
        )
        try:
            deadline = time.monotonic() + READY_SECONDS_MAX
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"{command.arguments[0]} did not start:\n{log.read().decode()}")
                time.sleep(LOOK_AGAIN_SECONDS)
            yield
        finally:
            process.send_signal(command.stop_signal)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _new_database(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(_database_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield server.removesuffix("postgres") + name
    # Only a superuser may end an autovacuum that is just reading the database.
    with psycopg.connect(_superuser_url(server), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _superuser_url(url: str) -> str:
    return f"postgresql://{SUPERUSER}:{SUPERUSER}@{url.rpartition('@')[2]}"
