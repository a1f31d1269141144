"""The rate at which a venue may be called: one budget for all REST calls of a process.

A call waits for its turn. When several wait, the most urgent goes first, and equals go in the order
of their arrival. An answer with HTTP status 429 or 418 suspends the budget: until the time that the
venue states, every call fails at once with RateLimited, which carries the time to wait.
"""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import RateLimited

CONCURRENT_MAX = 5
"""Calls in flight. Calls behind them wait here, where they have an order."""
RESERVED_FOR_URGENT = 1
"""The part that is reserved for CANCEL and PROTECT."""
WAITING_MAX = 1_000

_log = telemetry.logger("kit.base.request_budget")


class Priority(IntEnum):
    """The purpose of a call, most urgent first."""

    CANCEL = 0
    """Cancels an order."""
    PROTECT = 1
    """Limits a loss or settles a doubt: a protective order, an order in an unknown state, a book
    in doubt."""
    NEW = 2
    """Places or amends an order."""
    QUESTION = 3
    """A caller waits for the answer."""
    BACKFILL = 4
    """Reads the past."""


class TokenBucket:
    """Tokens at a rate per second, with at most ``burst`` saved up."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._counted_ns = clock.monotonic_ns()

    def wait_s(self) -> float:
        """Return the time until a token is available, in seconds; 0 when one is."""
        now_ns = self._clock.monotonic_ns()
        passed_s = (now_ns - self._counted_ns) / NANOSECONDS_PER_SECOND
        self._tokens = min(self._burst, self._tokens + passed_s * self._per_second)
        self._counted_ns = now_ns
        # A little less than one is one: a sleep of exactly this long must not be a bit too short.
        return max(0.0, (1 - self._tokens) / self._per_second) if self._tokens < 1 - 1e-6 else 0.0

    def take(self) -> None:
        self._tokens -= 1


@dataclass(slots=True)
class _Suspension:
    """Shared by the budgets of one venue."""

    until_ns: int = 0
    """End of the suspension, monotonic clock time."""


class RequestBudget:
    """Turns for calls, at a rate and by priority."""

    def __init__(
        self,
        venue_id: str,
        per_second: float,
        clock: Clock,
        burst: float = CONCURRENT_MAX,
        concurrent_max: float = CONCURRENT_MAX,
    ) -> None:
        self._venue_id = venue_id
        self._clock = clock
        self._bucket = TokenBucket(per_second, burst, clock)
        self._concurrent_max = concurrent_max
        self._in_flight = 0
        self._suspension = _Suspension()
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrivals = count()
        self._changed = asyncio.Event()
        self._granting: asyncio.Task[None] | None = None

    def sibling(self, per_second: float, burst: float) -> "RequestBudget":
        """Return a budget for calls that the venue counts apart. Both are suspended together."""
        concurrent_max = max(burst, CONCURRENT_MAX)
        other = RequestBudget(self._venue_id, per_second, self._clock, burst, concurrent_max)
        other._suspension = self._suspension
        return other

    @property
    def waiting_count(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    def suspended_s(self) -> float:
        """Return how long calls are still suspended, in seconds; 0 when they are not."""
        left_ns = self._suspension.until_ns - self._clock.monotonic_ns()
        return max(0.0, left_ns / NANOSECONDS_PER_SECOND)

    def suspend(self, seconds: float) -> None:
        """Block all calls for a time. Waiting calls fail with RateLimited."""
        until_ns = self._clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        if until_ns > self._suspension.until_ns:
            _log.warning("calls suspended", extra={"venue": self._venue_id, "seconds": seconds})
            self._suspension.until_ns = until_ns
        self._fail_waiting()

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for a turn, which lasts for the body. Raises RateLimited while the budget is
        suspended, and when WAITING_MAX calls wait already."""
        await self._wait(priority)
        try:
            yield
        finally:
            self._end()

    async def _wait(self, priority: Priority) -> None:
        if self.suspended_s():
            raise self._rate_limited()
        if not self._waiting and not self._bucket.wait_s() and self._has_room(priority):
            self._begin()
            return
        if len(self._waiting) >= WAITING_MAX:
            raise RateLimited("too many calls wait", venue=self._venue_id, retry_after_ms=1000)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._arrivals), turn))
        self._changed.set()
        if self._granting is None or self._granting.done():
            self._granting = asyncio.create_task(self._grant())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end()
            raise

    async def _grant(self) -> None:
        """Grant turns for as long as a call waits."""
        while self._waiting:
            self._changed.clear()
            wait_s = self._bucket.wait_s()
            if self.suspended_s():
                self._fail_waiting()
            elif wait_s:
                # Calls that arrive meanwhile are considered: the first is chosen after the wait.
                await self._clock.sleep(wait_s)
            elif not self._has_room(self._waiting[0][0]):
                await self._changed.wait()
            else:
                _, _, turn = heapq.heappop(self._waiting)
                if not turn.done():
                    self._begin()
                    turn.set_result(None)

    def _fail_waiting(self) -> None:
        for _, _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(self._rate_limited())
        self._waiting.clear()

    def _has_room(self, priority: Priority) -> bool:
        reserved = RESERVED_FOR_URGENT if priority > Priority.PROTECT else 0
        return self._in_flight < self._concurrent_max - reserved

    def _begin(self) -> None:
        self._bucket.take()
        self._in_flight += 1

    def _end(self) -> None:
        self._in_flight -= 1
        self._changed.set()

    def _rate_limited(self) -> RateLimited:
        seconds = self.suspended_s()
        return RateLimited(
            f"{self._venue_id} allows no calls for {seconds:.0f} s",
            venue=self._venue_id,
            retry_after_ms=math.ceil(seconds * 1000),
        )


def turn(budget: RequestBudget | None, priority: Priority) -> AbstractAsyncContextManager[None]:
    """A turn in ``budget``; without a budget, a call goes out at once."""
    return nullcontext() if budget is None else budget.turn(priority)
