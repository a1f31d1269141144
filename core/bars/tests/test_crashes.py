"""The bar aggregator as a process: killed at any moment, again and again."""

import asyncio
import os
import random
import subprocess
import sys
from itertools import cycle

import pytest

from conftest import free_port
from core.bars.tests.market import naive_bars
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.rig import Rig, in_batches, rig_for
from core.bars.tests.test_aggregator import as_batch, market

MAIN = "from core.bars.app import main; raise SystemExit(main())"
KILLS = 5
PORTS_MAX = 50_000
"""Metrics are served on the port plus 10000, which must be a port, too."""


class Process:
    """The aggregator's process."""

    def __init__(self, valkey_url: str, postgres_url: str) -> None:
        port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VENUEMESH_WORLD": "replay",
            "VENUEMESH_REDIS_URL": valkey_url,
            "VENUEMESH_DATABASE_URL": postgres_url,
            "VENUEMESH_REGISTRY": "127.0.0.1:1",
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_BARS_PORT": str(port),
            "VENUEMESH_BARS_STORE_INTERVAL_MS": "5",
            "VENUEMESH_BARS_READ_ENTRIES_MAX": "2",
            "VENUEMESH_BARS_KEPT_SECONDS": "1",
        }

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", MAIN], env=self._environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def test_killed_again_and_again_it_loses_and_doubles_nothing(
    rig: Rig, valkey_url, postgres_url
) -> None:
    trades = market(4000, seed=7, span_s=300)
    batches = [as_batch(part) for part in in_batches(trades, cycle([1, 2, 9]))]
    source = random.Random(7)
    process = Process(valkey_url, postgres_url)
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
    expected.fold()
    assert await rig.bars() == naive_bars(trades)
    assert await rig.facts() == {key: stored[2:] for key, stored in expected.settled().items()}
