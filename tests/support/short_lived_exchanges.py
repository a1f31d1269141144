"""A process: the simulated exchanges, whose connections live for some seconds only."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import Dialect, find_dialects
from kit.simulator.settings import SimulatorSettings

EVENTS_PER_SECOND = 100


async def serve(port: int, lifetime_s: float, venues: list[str]) -> None:
    """Serve until the process ends."""
    known = find_dialects()
    dialects = {venue: short_lived(known[venue], lifetime_s) for venue in venues}
    chosen = SimulatorSettings(port=port, events_per_second=EVENTS_PER_SECOND, start_delay_ms=50)
    simulator = Simulator("simulate", chosen, dialects, SystemClock())
    await simulator.start("127.0.0.1")
    await simulator.run(asyncio.Event())


def short_lived(make: Callable[[], Dialect], lifetime_s: float) -> Callable[[], Dialect]:
    """The same exchange with another rule."""

    def made() -> Dialect:
        dialect = make()
        dialect.rules = replace(dialect.rules, lifetime_s=lifetime_s)
        return dialect

    return made


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
