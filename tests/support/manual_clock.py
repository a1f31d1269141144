"""A clock that the test advances."""

import asyncio
import heapq
from itertools import count

from kit.base.clock import NANOSECONDS_PER_SECOND

TURNS_TO_SETTLE = 20
"""Rounds of the event loop in which resumed tasks run."""


class ManualClock:
    """Advance the time; sleeping tasks resume in order, each at its time."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000 * NANOSECONDS_PER_SECOND
        self.jumped_ns = 0
        """By how much the time of day has jumped."""
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def time_ns(self) -> int:
        return self.now_ns + self.jumped_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ns = self.now_ns + int(seconds * NANOSECONDS_PER_SECOND)
        heapq.heappush(self._sleepers, (due_ns, next(self._order), awake))
        await awake

    async def settle(self) -> None:
        """Let everyone do what needs no time."""
        for _ in range(TURNS_TO_SETTLE):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        until_ns = self.now_ns + round(seconds * NANOSECONDS_PER_SECOND)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= until_ns:
            due_ns, _, awake = heapq.heappop(self._sleepers)
            self.now_ns = max(self.now_ns, due_ns)
            if not awake.done():
                awake.set_result(None)
                await self.settle()
        self.now_ns = until_ns
