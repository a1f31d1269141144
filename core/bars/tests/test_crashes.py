"""The bar aggregator as a process: killed at any moment, again and again."""

import asyncio
import random
from itertools import cycle

import pytest
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.tests.market import MONDAY_NS, Trade, batch, naive_bars
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.naive_events import naive_events
from core.bars.tests.rig import Rig, in_batches, rig_for
from core.bars.tests.test_aggregator import as_batch, market
from core.bars.tests.test_shards import end
from core.bars.tests.test_shards import market as shared_market
from kit.base import rpc
from tests.support.service_process import ServiceProcess
from tests.support.waiting import eventually

KILLS = 5
KINDS = ("tick:7", "runs:10")


def bars_process(valkey_url: str, postgres_url: str, instance: str = "") -> ServiceProcess:
    """The aggregator's process, which is not started yet."""
    return ServiceProcess(
        "bars",
        {
            "WORLD": "replay",
            "REDIS_URL": valkey_url,
            "DATABASE_URL": postgres_url,
            "BARS_INSTANCE": instance,
            "BARS_LEASE_SECONDS": "3",
            "BARS_KINDS": ",".join(KINDS),
            "BARS_STORE_INTERVAL_MS": "5",
            "BARS_READ_ENTRIES_MAX": "2",
            "BARS_KEPT_SECONDS": "1",
        },
    )


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def test_repeated_kills_lose_and_double_nothing(rig: Rig, valkey_url, postgres_url) -> None:
    trades = market(4000, seed=7, span_s=300)
    batches = [as_batch(part) for part in in_batches(trades, cycle([1, 2, 9]))]
    source = random.Random(7)
    process = bars_process(valkey_url, postgres_url)
    process.start()
    try:
        writing = asyncio.create_task(rig.append(*batches))
        for entries in sorted(source.sample(range(len(batches) // 2), KILLS)):
            await rig.stored_up_to(entries)
            process.kill()
            if entries % 2:
                await rig.forget_group()
            process.start()
        await writing
        await rig.stored()
    finally:
        process.kill()
    expected = MemoryVenue().take(*batches)
    expected.roll_up()
    assert await rig.bars() == naive_bars(trades)
    assert await rig.facts() == {key: stored[2:] for key, stored in expected.settled().items()}


async def test_three_aggregators_are_killed_one_after_another(
    rig: Rig, valkey_url, postgres_url
) -> None:
    trades = shared_market(3000)
    batches = [batch(part) for part in in_batches(trades, cycle([7, 1, 13]))]
    processes = [bars_process(valkey_url, postgres_url, str(number)) for number in (1, 2, 3)]
    names = {f"bars-{number}@127.0.0.1:{processes[number - 1].port}" for number in (1, 2, 3)}

    async def shared(owners: set[str]) -> None:
        async def are_shared() -> bool:
            return await rig.owners() == owners

        await eventually(are_shared)

    for process in processes:
        process.start()
    try:
        third = len(batches) // 3
        await rig.append(*batches[:third])
        await shared(names)
        processes[0].kill()
        await rig.append(*batches[third : 2 * third])
        await shared({name for name in names if not name.startswith("bars-1")})
        processes[0].start()
        processes[1].kill()
        await rig.append(*batches[2 * third :], batch([end()]))
        await shared({name for name in names if not name.startswith("bars-2")})
        await rig.stored()
    finally:
        for process in processes:
            process.kill()
    assert await rig.bars() == naive_bars([*trades, end()])
    assert await rig.events(final=True) == naive_events(trades, KINDS)


async def test_subscription_is_forwarded_to_the_owner(rig: Rig, valkey_url, postgres_url) -> None:
    processes = [bars_process(valkey_url, postgres_url, str(number)) for number in (1, 2)]
    for process in processes:
        process.start()
    request = bars_pb2.SubscribeRequest(venue="binance", symbol="BTCUSDT", intervals=["1w"])

    async def shows(process: ServiceProcess, wanted: int) -> bool:
        """Whether a subscription at this process comes to show so many trades."""
        async with asyncio.timeout(60), rpc.channel(f"127.0.0.1:{process.port}") as channel:
            call = bars_pb2_grpc.BarsStub(channel).Subscribe(request, wait_for_ready=True)
            async for response in call:
                if response.bars[-1].trade_count == wanted:
                    return True
        return False

    try:
        await rig.append(batch([Trade(1, MONDAY_NS), Trade(2, MONDAY_NS + 1)]))
        assert all(await asyncio.gather(*(shows(process, 2) for process in processes)))
        left = asyncio.create_task(shows(processes[1], 3))
        processes[0].kill()
        await rig.append(batch([Trade(3, MONDAY_NS + 2)]))
        assert await left
    finally:
        for process in processes:
            process.kill()
