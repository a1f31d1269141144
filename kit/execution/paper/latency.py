"""The way to the venue and back, which takes time."""

import asyncio
import random

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock

TAIL = 1.0
"""Standard deviation of the jitter's logarithm: now and then it is ten times as long."""


class LatencyQueue:
    """One direction of a connection: what was sent first arrives first."""

    def __init__(
        self,
        clock: Clock,
        least_ms: int,
        jitter_ms: int,
        chance: random.Random,
        pace: float = 1.0,
    ) -> None:
        """Each message takes ``least_ms`` and a jitter of ``jitter_ms`` in the median, of a time
        that goes ``pace`` times as fast as the clock."""
        self._clock = clock
        self._least_ns = least_ms * NANOSECONDS_PER_MILLISECOND
        self._jitter_ns = jitter_ms * NANOSECONDS_PER_MILLISECOND
        self._chance = chance
        self._pace = pace
        self._last: asyncio.Event | None = None

    async def travel(self) -> None:
        """Until a message that is sent now has arrived."""
        before, self._last = self._last, asyncio.Event()
        arrived = self._last
        jitter_ns = round(self._jitter_ns * self._chance.lognormvariate(0, TAIL))
        travel_ns = (self._least_ns + jitter_ns) / self._pace
        due_ns = self._clock.monotonic_ns() + round(travel_ns)
        try:
            while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
                await self._clock.sleep(left_ns / NANOSECONDS_PER_SECOND)
            if before is not None:
                await before.wait()
        finally:
            arrived.set()
