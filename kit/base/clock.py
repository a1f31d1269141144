"""The clock that is injected wherever code reads the time or waits."""

import asyncio
import time
from typing import Protocol

NANOSECONDS_PER_MICROSECOND = 1_000
NANOSECONDS_PER_MILLISECOND = 1_000_000
NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND


class Clock(Protocol):
    """A source of time."""

    def time_ns(self) -> int:
        """Wall clock, ns since the Unix epoch. May step back."""

    def monotonic_ns(self) -> int:
        """Monotonic time in ns; its zero has no meaning."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""


class SystemClock:
    """The machine's clock."""

    # The functions themselves, not wrappers: every frame reads the time.
    time_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
