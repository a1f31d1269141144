"""``./venuemesh secrets``, and the compose file's Redis with them."""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from conftest import free_port
from kit.base.secret_files import read_secret
from kit.base.store_urls import with_password
from ops import cli
from ops.commands.secrets import POSTGRES_ROLES_FILE, REDIS_USERS_FILE
from ops.docker.tests import compose
from ops.embedded import valkey
from ops.embedded.store_passwords import StorePasswords

SECRETS = "/run/secrets"
START_SECONDS_MAX = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    assert cli.main(["secrets", "--folder", str(folder)]) == 0
    return folder


def test_every_secret_of_the_compose_file_is_made(folder: Path) -> None:
    wanted = {Path(found["file"]).name for found in compose.load()["secrets"].values()}
    made = {file.name for file in folder.iterdir()}
    assert wanted <= made
    assert made - wanted == {"postgresql-reader"}


def test_only_the_owner_enters_and_every_container_reads(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}


def test_what_exists_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file.name: file.read_text() for file in folder.iterdir()}
    assert cli.main(["secrets", "--folder", str(folder)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {file.name: file.read_text() for file in folder.iterdir()} == before


def test_a_new_password_is_in_the_files_of_the_servers(folder: Path) -> None:
    statements = (folder / POSTGRES_ROLES_FILE).read_text()
    for name in ("redis-bars", "postgresql-bars"):
        (folder / name).unlink()
    assert cli.main(["secrets", "--folder", str(folder)]) == 0
    password = StorePasswords(folder).password("redis", "venuemesh_bars")
    assert hashlib.sha256(password.encode()).hexdigest() in (folder / REDIS_USERS_FILE).read_text()
    assert (folder / POSTGRES_ROLES_FILE).read_text() != statements
    assert "ALTER ROLE venuemesh_bars PASSWORD 'SCRAM-SHA-256$" in statements


@pytest.fixture
def port(folder: Path, tmp_path: Path) -> Iterator[int]:
    """The command of the compose file, by the embedded server."""
    program, *options = compose.words(compose.services()["redis"]["command"])
    assert program == "redis-server"
    port = free_port()
    with subprocess.Popen(
        [
            str(valkey.binary()),
            *(option.replace(SECRETS, str(folder)) for option in options),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)),
        ],
        stdout=subprocess.DEVNULL,
    ) as server:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _answers(port):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
        server.terminate()


def test_redis_knows_the_users_of_the_compose_file(folder: Path, port: int) -> None:
    for service in compose.services().values():
        settings = service.get("environment", {})
        if "VENUEMESH_REDIS_URL" in settings:
            secret = Path(settings["VENUEMESH_REDIS_PASSWORD_FILE"]).name
            url = settings["VENUEMESH_REDIS_URL"].replace("redis:6379", f"127.0.0.1:{port}")
            with redis.Redis.from_url(
                with_password(url, read_secret(str(folder / secret)))
            ) as client:
                assert client.ping()
    with redis.Redis(port=port) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.ping()


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            client.ping()
    except redis.AuthenticationError:
        return True
    except redis.ConnectionError:
        return False
    return False
