"""Redis fails over to a replica that lacks entries: ingest writes them again from the venue's
ring, and readers that already had them skip them."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from conftest import free_port
from tests.integration import capture, recorded
from tests.integration.conftest import wait_until_recorded
from tests.integration.mesh import replaying
from tests.support.forwarder import Forwarder
from tests.support.valkey_process import ValkeyProcess

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SPEED = "2"
URL_VARIABLE = "VENUEMESH_REDIS_URL"
FRAMES_BEFORE = 800
TRADES_AHEAD = 50
"""Recorded entries that the replica lacks."""


class Pair:
    """A Valkey, its replica, and the address by which the mesh knows whichever serves."""

    def __init__(self, folder: Path) -> None:
        self._ports = [free_port(), free_port()]
        self._servers = [ValkeyProcess(folder / "0", self._ports[0])]
        # The replica has the same users and passwords.
        shutil.copytree(folder / "0" / "keys", folder / "1" / "keys")
        self._servers.append(ValkeyProcess(folder / "1", self._ports[1]))
        for server in self._servers:
            asyncio.run(server.start())
        self._forwarder = Forwarder(self._ports[0])
        self._login = self._servers[0].url.rpartition("@")[0]
        self.url = f"{self._login}@127.0.0.1:{self._forwarder.port}/0"

    def follow(self) -> None:
        """The second one becomes a replica of the first one."""
        self._tell(0, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        user, _, password = self._login.removeprefix("redis://").partition(":")
        self._tell(1, "CONFIG", "SET", "masteruser", user, "masterauth", password)
        self._tell(1, "REPLICAOF", "127.0.0.1", str(self._ports[0]))

    def follows(self) -> bool:
        """Whether the replica has all earlier entries."""
        with redis.Redis.from_url(self._servers[1].url) as client:
            return client.info("replication")["master_link_status"] == "up"

    def promote(self) -> None:
        """The replica gets nothing more, and serves by itself."""
        self._tell(1, "REPLICAOF", "NO", "ONE")

    def fail_over(self) -> None:
        """The first one dies, and the address leads to the second one."""
        self._servers[0].kill()
        self._forwarder.lead_to(self._ports[1])

    def close(self) -> None:
        """End both."""
        self._forwarder.close()
        for server in self._servers:
            server.kill()

    def _tell(self, server: int, *words: str) -> None:
        with redis.Redis.from_url(self._servers[server].url) as client:
            client.execute_command(*words)


@contextmanager
def pair() -> Iterator[Pair]:
    """Two servers; the mesh that is started meanwhile uses them."""
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-test-"))
    made = Pair(folder)
    before = os.environ.get(URL_VARIABLE)
    os.environ[URL_VARIABLE] = made.url
    try:
        yield made
    finally:
        if before is None:
            del os.environ[URL_VARIABLE]
        else:
            os.environ[URL_VARIABLE] = before
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def truth(short_capture):
    """The events of the played capture."""
    return capture.read(capture.lines(short_capture))


@pytest.fixture(scope="module")
def survivor(short_capture, truth):
    """A mesh whose Redis has failed over in the middle of a capture."""
    with pair() as servers:
        servers.follow()
        with replaying(short_capture, SPEED) as mesh:
            mesh.wait_until(servers.follows, "the replica follows")
            mesh.wait_until(
                lambda: mesh.replay()["frames_played"] > FRAMES_BEFORE, "the capture plays"
            )
            servers.promote()
            had = recorded.trade_count(mesh)
            mesh.wait_until(
                lambda: recorded.trade_count(mesh) > had + TRADES_AHEAD,
                "more is recorded than the replica has",
            )
            servers.fail_over()
            wait_until_recorded(mesh, truth)
            yield mesh


def test_every_trade_is_recorded_once(survivor, truth):
    assert recorded.trades(survivor) == truth.trades


def test_quotes_and_book_are_complete(survivor, truth):
    assert recorded.quotes(survivor) == truth.quotes
    snapshot, *rest = recorded.book_updates(survivor)
    assert snapshot.snapshot
    assert [found.update for found in rest] == truth.joining_updates


def test_bars_equal_bars_of_the_trades(survivor, truth):
    assert recorded.bars(survivor, "1s") == capture.bars(truth.trades, 1)


def test_no_gap_is_recorded(survivor):
    assert recorded.gaps(survivor) == []
