"""A data folder of a version without passwords gets them at the next start, and loses nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from conftest import free_port
from kit.base.migration import migrate
from kit.base.store_urls import with_password
from ops.embedded import postgres, valkey
from ops.embedded.file_permissions import give_folder, let_enter, let_read, system_user
from ops.embedded.server_command import ServerCommand, package_folder
from ops.embedded.store_passwords import StorePasswords
from tests.support.waiting import until

DAY_NS = 86_400 * 10**9
TIME_NS = 1_704_067_200 * 10**9


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that the user PostgreSQL runs as may enter."""
    with TemporaryDirectory(prefix="venuemesh-test-") as name:
        yield Path(name)


@contextmanager
def started(command: ServerCommand) -> Iterator[None]:
    process = subprocess.Popen(
        command.arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **command.spawn_options(),
    )
    try:
        yield
    finally:
        process.send_signal(command.stop_signal)
        process.wait()


def make_earlier_cluster(folder: Path) -> None:
    """As version 0.1 did: the superuser logs in without a password."""
    folder.mkdir(parents=True)
    user = system_user()
    if user is not None:
        let_enter(postgres.binary())
        for part in postgres.PARTS:
            let_read(package_folder(postgres.PACKAGE).with_name(part))
        let_enter(folder / postgres.CLUSTER)
        give_folder(folder, user)
    cluster = str(folder / postgres.CLUSTER)
    options = ServerCommand(arguments=(), user=user).spawn_options()
    del options["stdin"]
    for arguments, text in (
        (["initdb", "-D", cluster, "--username", "postgres", "--auth", "trust", "--no-sync"], ""),
        (["postgres", "--single", "-D", cluster, "postgres"], "CREATE DATABASE venuemesh;\n"),
    ):
        command = [str(postgres.binary(arguments[0])), *arguments[1:]]
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, cwd="/", check=False, **options
        )
        assert done.returncode == 0, done.stderr


async def fill(url: str) -> None:
    await migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO instruments (venue, symbol) VALUES ('binance', 'BTCUSDT')")
        connection.execute("SELECT make_days('trade_rows', ARRAY[%s])", [TIME_NS])
        connection.execute(
            "INSERT INTO trade_rows (venue_time_ns, received_time_ns, trade_id, instrument_id,"
            " side, price, size) SELECT %s, %s, n, 1, 1, 5, 7 FROM generate_series(1, 1000) AS n",
            [TIME_NS, TIME_NS],
        )


async def test_the_record_stays_and_its_owner_changes(data: Path):
    folder, port = data / "postgres", free_port()
    make_earlier_cluster(folder)
    earlier = postgres.url(port, role="postgres")
    with started(postgres.command(folder, port)):
        await until(lambda: postgres.is_ready(folder))
        await fill(earlier)
    passwords = StorePasswords.of_mesh(data)
    for _ in range(2):
        postgres.prepare(folder, passwords)
        with started(postgres.command(folder, port)):
            await until(lambda: postgres.is_ready(folder))
            with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
                psycopg.connect(earlier)
            await migrate(passwords.login_url(postgres.url(port)))
            check_rights(port, passwords)


def check_rights(port: int, passwords: StorePasswords) -> None:
    """The recorder reads what is there, and makes and drops days."""
    url = passwords.login_url(postgres.url(port, role="venuemesh_recorder"))
    with psycopg.connect(url, autocommit=True) as connection:
        count = "SELECT count(*), sum(trade_id) FROM trades"
        assert connection.execute(count).fetchone() == (1000, 500_500)
        made = connection.execute(
            "SELECT make_days('trade_rows', ARRAY[%s])", [TIME_NS - 9 * DAY_NS]
        )
        assert made.fetchone() == (1,)
        dropped = connection.execute(
            "SELECT drop_oldest_day('trade_rows', %s)", [TIME_NS - 2 * DAY_NS]
        )
        assert dropped.fetchone() == (TIME_NS - 9 * DAY_NS,)
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relowner <> 'venuemesh_owner'::regrole"
        )
        assert rows.fetchall() == []
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin")
        assert rows.fetchall() == [("postgres",)]


async def test_a_lost_password_is_replaced(data: Path):
    folder, port = data / "postgres", free_port()
    passwords = StorePasswords.of_mesh(data)
    postgres.prepare(folder, passwords)
    (passwords.folder / "postgresql-history").unlink()
    postgres.prepare(folder, passwords)
    with started(postgres.command(folder, port)):
        await until(lambda: postgres.is_ready(folder))
        url = passwords.login_url(postgres.url(port, role="venuemesh_history"))
        psycopg.connect(url).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(with_password(url, "another"))


async def test_the_streams_stay(data: Path):
    folder, port = data / "valkey", free_port()
    folder.mkdir()
    command = valkey.command(folder, port)
    users = command.arguments.index("--aclfile")
    earlier = ServerCommand(command.arguments[:users] + command.arguments[users + 2 :])
    with started(earlier), redis.Redis(port=port) as client:
        await until(lambda: answers(client))
        client.xadd("md:{binance}:trades", {"b": b"batch"}, id="7-1")
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    passwords = StorePasswords.of_mesh(data)
    valkey.prepare(folder, passwords)
    with started(valkey.command(folder, port)):
        url = passwords.login_url(valkey.url(port, "venuemesh_bridge"))
        with redis.Redis.from_url(url) as client:
            await until(lambda: answers(client))
            assert client.xinfo_stream("md:{binance}:trades")["last-generated-id"] == b"7-1"
        with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
