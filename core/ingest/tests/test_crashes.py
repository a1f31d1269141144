"""Ingest as a process: killed, started again, and led by the registry."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from conftest import free_port
from core.ingest.tests.fakes import (
    TRADES,
    FakeRegistry,
    FakeVenue,
    cursors,
    newest,
    serving,
    stored,
)
from tests.support.waiting import WAIT_SECONDS_MAX, until

MAIN = "from core.ingest.app import main; raise SystemExit(main())"
KILLS = 5
PORTS_MAX = 50_000


def port_with_room_for_metrics() -> int:
    """Metrics are served on the port plus 10000, which must be a port, too."""
    return next(port for port in iter(free_port, None) if port < PORTS_MAX)


class Ingest:
    """The process."""

    def __init__(self, redis_url: str, registry: str) -> None:
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VENUEMESH_REDIS_URL": redis_url,
            "VENUEMESH_REGISTRY": registry,
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
        }

    def start(self) -> None:
        port = port_with_room_for_metrics()
        environment = {**self._environment, "VENUEMESH_INGEST_PORT": str(port)}
        self.process = subprocess.Popen([sys.executable, "-c", MAIN], env=environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
async def registry():
    fake = FakeRegistry()
    async with serving(registry=fake) as address:
        yield fake, address


@asynccontextmanager
async def publishing(venue: FakeVenue):
    """The venue goes on, whatever happens."""

    async def publish() -> None:
        while True:
            await venue.publish(count=3)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(publish())
    yield
    task.cancel()


async def test_a_killed_ingest_loses_nothing_and_doubles_nothing(valkey_url, registry):
    venue = FakeVenue()
    fake_registry, registry_address = registry
    ingest = Ingest(valkey_url, registry_address)
    async with serving(venue) as address:
        await fake_registry.list_only(binance=address)
        async with publishing(venue):
            for _ in range(KILLS):
                goal = newest(valkey_url).sequence + 50
                ingest.start()
                await until(lambda goal=goal: newest(valkey_url).sequence > goal)
                ingest.kill()
        ingest.start()
        await venue.publish(count=1000)
        await until(lambda: newest(valkey_url) == venue.newest())
        ingest.process.terminate()
        assert await asyncio.to_thread(ingest.process.wait, WAIT_SECONDS_MAX) == 0
    assert dict(stored(valkey_url)) == venue.rings[TRADES.channel]
    assert cursors(valkey_url) == list(venue.rings[TRADES.channel])


async def test_venues_are_followed_as_the_registry_lists_them(valkey_url, registry):
    fake_registry, registry_address = registry
    ingest = Ingest(valkey_url, registry_address)
    ingest.start()
    venue = FakeVenue()
    try:
        async with serving(venue) as address:
            await fake_registry.list_only(binance=address)
            await venue.publish()
            await until(lambda: cursors(valkey_url) == [venue.newest()])
        async with serving(venue) as address:
            await fake_registry.list_only(binance=address)
            await venue.publish()
            await until(lambda: cursors(valkey_url)[-1] == venue.newest())
    finally:
        ingest.kill()
    assert len(cursors(valkey_url)) == 2
