"""A running simulator of one venue, in any world."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import find_dialects
from kit.simulator.settings import SimulatorSettings
from tests.support.waiting import WAIT_SECONDS_MAX


@asynccontextmanager
async def simulated_exchange(world: str, venue_id: str, **fields) -> AsyncIterator[str]:
    """Yields its base address, on a free port. ``fields`` are settings of the simulator."""
    chosen = SimulatorSettings(**{"port": 0, "start_delay_ms": 50, **fields})
    dialects = {venue_id: find_dialects()[venue_id]}
    simulator = Simulator(world, chosen, dialects, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield f"http://127.0.0.1:{simulator.port}/{venue_id}"
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_SECONDS_MAX)
