"""How often a venue may be asked: one budget for all REST calls of a process.

A call waits for its turn; when several wait, the one that matters most goes first, and of equals
the one that came first. A venue that says 429 or 418 has closed the budget: until the time that it
names nobody asks, and all are told how long to wait.
"""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import RateLimited

AT_ONCE_MAX = 5
"""Calls under way. Those behind them wait here, where they have an order."""
KEPT_FREE = 1
"""Of these, for what cannot wait: CANCEL and PROTECT."""
WAITING_MAX = 1_000

_log = telemetry.logger("venue.budget")


class Priority(IntEnum):
    """What a call is for, the most urgent first."""

    CANCEL = 0
    """To take an order back."""
    PROTECT = 1
    """To make something right that others rely on: a book in doubt, a protective order."""
    NEW = 2
    """To begin something: an order."""
    QUESTION = 3
    """To answer someone who waits."""
    BACKFILL = 4
    """The past, which does not run away."""


class TokenBucket:
    """So many a second on average, and at most ``burst`` at once after a quiet time."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._held = burst
        self._counted_ns = clock.monotonic_ns()

    def wait_s(self) -> float:
        """Until there is one; 0 when there is."""
        now_ns = self._clock.monotonic_ns()
        passed_s = (now_ns - self._counted_ns) / NANOSECONDS_PER_SECOND
        self._held = min(self._burst, self._held + passed_s * self._per_second)
        self._counted_ns = now_ns
        # A little less than one is one: a sleep of exactly this long must not be a bit too short.
        return max(0.0, (1 - self._held) / self._per_second) if self._held < 1 - 1e-6 else 0.0

    def take(self) -> None:
        """Use one up."""
        self._held -= 1


@dataclass(slots=True)
class _Door:
    """Open, or closed until a time of the monotonic clock."""

    closed_until_ns: int = 0


class RequestBudget:
    """Turns, given out at a pace."""

    def __init__(
        self,
        venue_id: str,
        per_second: float,
        clock: Clock,
        burst: float = AT_ONCE_MAX,
        at_once: float = AT_ONCE_MAX,
    ) -> None:
        self._venue_id = venue_id
        self._clock = clock
        self._bucket = TokenBucket(per_second, burst, clock)
        self._at_once = at_once
        self._under_way = 0
        self._door = _Door()
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = count()
        self._changed = asyncio.Event()
        self._giving: asyncio.Task[None] | None = None

    def beside(self, per_second: float, burst: float) -> "RequestBudget":
        """Another one, for calls that the venue counts apart. What closes one closes both."""
        other = RequestBudget(
            self._venue_id, per_second, self._clock, burst, max(burst, AT_ONCE_MAX)
        )
        other._door = self._door
        return other

    @property
    def waiting(self) -> int:
        """Calls that have no turn yet."""
        return len(self._waiting)

    def closed_s(self) -> float:
        """For how long nobody may ask any more; 0: it is open."""
        left_ns = self._door.closed_until_ns - self._clock.monotonic_ns()
        return max(0.0, left_ns / NANOSECONDS_PER_SECOND)

    def close(self, seconds: float) -> None:
        """The venue wants to be left alone for so long. Those that wait are told so."""
        until_ns = self._clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        if until_ns > self._door.closed_until_ns:
            _log.warning("left alone", extra={"venue": self._venue_id, "seconds": seconds})
            self._door.closed_until_ns = until_ns
        self._refuse_waiting()

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for one's turn; it lasts for the body. Raises RateLimited while the budget is
        closed, and when WAITING_MAX wait already."""
        await self._wait(priority)
        try:
            yield
        finally:
            self._end()

    async def _wait(self, priority: Priority) -> None:
        if self.closed_s():
            raise self._refusal()
        if not self._waiting and not self._bucket.wait_s() and self._has_room(priority):
            self._begin()
            return
        if len(self._waiting) >= WAITING_MAX:
            raise RateLimited("too many calls wait", venue=self._venue_id, retry_after_ms=1000)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        self._changed.set()
        if self._giving is None or self._giving.done():
            self._giving = asyncio.create_task(self._give())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end()
            raise

    async def _give(self) -> None:
        """Give turns for as long as someone waits."""
        while self._waiting:
            self._changed.clear()
            wait_s = self._bucket.wait_s()
            if self.closed_s():
                self._refuse_waiting()
            elif wait_s:
                # Whoever comes meanwhile is considered: the first is chosen after the wait.
                await self._clock.sleep(wait_s)
            elif not self._has_room(self._waiting[0][0]):
                await self._changed.wait()
            else:
                _, _, turn = heapq.heappop(self._waiting)
                if not turn.done():
                    self._begin()
                    turn.set_result(None)

    def _refuse_waiting(self) -> None:
        for _, _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(self._refusal())
        self._waiting.clear()

    def _has_room(self, priority: Priority) -> bool:
        kept_free = KEPT_FREE if priority > Priority.PROTECT else 0
        return self._under_way < self._at_once - kept_free

    def _begin(self) -> None:
        self._bucket.take()
        self._under_way += 1

    def _end(self) -> None:
        self._under_way -= 1
        self._changed.set()

    def _refusal(self) -> RateLimited:
        seconds = self.closed_s()
        return RateLimited(
            f"{self._venue_id} wants to be left alone for {seconds:.0f} s",
            venue=self._venue_id,
            retry_after_ms=math.ceil(seconds * 1000),
        )


@dataclass(frozen=True, slots=True)
class Spending:
    """On whose account a call goes, and how much it matters."""

    budget: RequestBudget
    priority: Priority


_spending: ContextVar[Spending | None] = ContextVar("spending", default=None)


def spending() -> Spending | None:
    """Of the code that runs now; None: nobody counts."""
    return _spending.get()


@contextmanager
def spend(budget: RequestBudget, priority: Priority) -> Iterator[None]:
    """Calls within the body go on this account."""
    before = _spending.set(Spending(budget, priority))
    try:
        yield
    finally:
        _spending.reset(before)
