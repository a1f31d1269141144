"""Message delay to the venue and back."""

import asyncio
import random

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock

TAIL = 1.0
"""Standard deviation of the jitter's logarithm: 1 % of the delays are ten times the median."""
DELAY_S_MAX = 2.0
"""In a slow play no delay is longer, as calls have their deadline in the time of our clock."""


class LatencyQueue:
    """One direction of a connection. Messages arrive in the order in which they are sent."""

    def __init__(
        self,
        clock: Clock,
        least_ms: int,
        jitter_ms: int,
        source: random.Random,
        pace: float = 1.0,
    ) -> None:
        """A message takes ``least_ms`` plus a jitter with the median ``jitter_ms``, divided by
        ``pace``."""
        self._clock = clock
        self._least_ns = least_ms * NANOSECONDS_PER_MILLISECOND
        self._jitter_ns = jitter_ms * NANOSECONDS_PER_MILLISECOND
        self._source = source
        self._pace = pace
        self._last: asyncio.Event | None = None

    async def delay(self) -> None:
        """Wait until a message that is sent now has arrived."""
        before, self._last = self._last, asyncio.Event()
        arrived = self._last
        jitter_ns = round(self._jitter_ns * self._source.lognormvariate(0, TAIL))
        delay_ns = (self._least_ns + jitter_ns) / self._pace
        if self._pace < 1:
            delay_ns = min(delay_ns, DELAY_S_MAX * NANOSECONDS_PER_SECOND)
        due_ns = self._clock.monotonic_ns() + round(delay_ns)
        try:
            while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
                await self._clock.sleep(left_ns / NANOSECONDS_PER_SECOND)
            if before is not None:
                await before.wait()
        finally:
            arrived.set()
