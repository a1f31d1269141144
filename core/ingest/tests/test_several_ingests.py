"""Two ingest processes divide the venues: whatever ends one of them, each batch is written once."""

import asyncio
import random
import signal
from contextlib import AsyncExitStack

import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2

from core.ingest.tests.fakes import FakeRegistry, FakeVenue, newest, serving, stored
from core.ingest.tests.test_crashes import ingest_process
from kit.base import rpc
from kit.base.cursor import StreamKey
from tests.support.waiting import eventually, until

VENUES = ("binance", "bybit", "kraken", "okx")
KEYS = {venue: StreamKey(venue, types_pb2.CHANNEL_TRADES) for venue in VENUES}
ENDS = ("kill", "hang", "kill", "end in order", "hang")


class Market:
    """Venues that go on, whatever happens."""

    def __init__(self) -> None:
        self.venues = {venue: FakeVenue() for venue in VENUES}

    async def publish(self) -> None:
        while True:
            for venue, fake in self.venues.items():
                await fake.publish(KEYS[venue], count=3)
            await asyncio.sleep(0.005)

    def written(self, url: str) -> bool:
        """Whether the streams hold all that was published."""
        return all(newest(url, KEYS[v]) == fake.newest(KEYS[v]) for v, fake in self.venues.items())

    async def go_on(self, url: str) -> None:
        """Wait until each stream has entries from now on."""
        goals = {venue: fake.newest(KEYS[venue]) for venue, fake in self.venues.items()}
        await until(lambda: all(newest(url, KEYS[v]) > goal for v, goal in goals.items()))


async def events(process) -> int:
    """Events that a process has written since its start."""
    async with rpc.channel(process.address) as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        request = admin_pb2.GetStatusRequest()
        return (await admin.GetStatus(request, wait_for_ready=True)).status.events_total


async def write(process) -> None:
    """Wait until a process writes."""
    before = await events(process)

    async def goes_on() -> bool:
        return await events(process) > before

    await eventually(goes_on)


@pytest.fixture
async def registry():
    fake = FakeRegistry()
    async with serving(registry=fake) as address:
        yield fake, address


async def test_ends_of_either_lose_and_repeat_no_batch(valkey_url, registry):
    chance, market = random.Random(4), Market()
    fake_registry, registry_address = registry
    two = [ingest_process(valkey_url, registry_address) for _ in "ab"]
    async with AsyncExitStack() as stack:
        addresses = {
            venue: await stack.enter_async_context(serving(fake))
            for venue, fake in market.venues.items()
        }
        await fake_registry.list_only(**addresses)
        publishing = asyncio.create_task(market.publish())
        for process in two:
            process.start()
            stack.callback(process.kill)
        await until(lambda: len(fake_registry.members) == 2)
        for end in ENDS:
            for process in two:
                await write(process)
            await ended(chance.choice(two), end, fake_registry)
            await market.go_on(valkey_url)
            for process in two:
                if process.process.poll() is None:
                    process.process.send_signal(signal.SIGCONT)
                    await fake_registry.find(process.address)
                else:
                    process.start()
        for process in two:
            await write(process)
        publishing.cancel()
        await until(lambda: market.written(valkey_url))
    for venue, fake in market.venues.items():
        assert dict(stored(valkey_url, KEYS[venue])) == fake.rings[types_pb2.CHANNEL_TRADES]


async def ended(process, end: str, registry: FakeRegistry) -> None:
    """End a process, or let it hang, and let the registry know it."""
    match end:
        case "kill":
            process.kill()
        case "hang":
            process.process.send_signal(signal.SIGSTOP)
        case "end in order":
            await asyncio.to_thread(process.stop)
    await registry.lose(process.address)
