"""Time, injected: nothing reads the system's clock but through here."""

import asyncio
import time
from typing import Protocol

NANOSECONDS_PER_MILLISECOND = 1_000_000
NANOSECONDS_PER_SECOND = 1_000_000_000


class Clock(Protocol):
    """What the code needs to know about time."""

    def time_ns(self) -> int:
        """Wall clock, ns since the Unix epoch. May step back."""

    def monotonic_ns(self) -> int:
        """Never steps back. Its zero means nothing."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""


class SystemClock:
    """The machine's clock."""

    # The functions themselves: reading the time is part of the path of every frame.
    time_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
