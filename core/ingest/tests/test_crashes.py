"""Ingest as a process: killed, started again, and led by the registry."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from core.ingest.tests.fakes import (
    TRADES,
    FakeRegistry,
    FakeVenue,
    cursors,
    newest,
    serving,
    stored,
)
from tests.support.service_process import ServiceProcess
from tests.support.waiting import WAIT_SECONDS_MAX, until

KILLS = 5


def ingest_process(redis_url: str, registry: str) -> ServiceProcess:
    """It is not started yet."""
    return ServiceProcess("ingest", {"REDIS_URL": redis_url, "REGISTRY": registry})


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
    ingest = ingest_process(valkey_url, registry_address)
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
    ingest = ingest_process(valkey_url, registry_address)
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
