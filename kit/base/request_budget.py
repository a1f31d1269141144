"""The rate at which a venue may be called.

A call waits for its turn. When several wait, the most urgent goes first, and equals go in the order
of their arrival. A share of the rate and of the slots is reserved for CANCEL and PROTECT, so that
other calls alone never reach the venue's limit.

A venue that turns a call away for its rate closes the scope of that call: until the time that the
venue states, calls of this scope fail at once with RateLimited, which carries the time to wait.
Other scopes stay open. A ban closes all scopes of all budgets of the venue, and nothing is sent
until it ends.
"""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from itertools import count

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import RateLimited

CONCURRENT_MAX = 5
"""Calls in flight. Calls behind them wait here, where they have an order."""
URGENT_SHARE = 0.25
"""The share of the burst and of the slots that is reserved for CANCEL and PROTECT, rounded down; at
least one slot. Half of the reserved burst is for CANCEL alone, and CANCEL needs no slot."""
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


class Scope(Enum):
    """Calls that a venue limits together."""

    MARKET_DATA = "market data"
    """Instruments and order books."""
    HISTORY = "history"
    """Past trades and candles."""
    ACCOUNT = "account"
    """Questions about orders, fills and balances."""
    ORDER_ENTRY = "order entry"
    """Places or amends an order."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class BanRule:
    """How a venue says that it has banned this address or key."""

    text: str
    """Part of the answer, in lower case; empty: any answer of this status."""
    seconds: float
    """How long a ban lasts, where the answer does not say so."""
    status: int = 0
    """HTTP status; 0: any."""

    def fits(self, status: int, text: str) -> bool:
        """Whether an answer is such a ban. ``text``: in lower case."""
        return self.status in (0, status) and self.text in text


class TokenBucket:
    """Tokens at a rate per second, with at most ``burst`` saved up."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._counted_ns = clock.monotonic_ns()

    def wait_s(self, reserved: float = 0) -> float:
        """Return the time until a token beyond the reserved ones is available, in seconds; 0 when
        one is."""
        now_ns = self._clock.monotonic_ns()
        passed_s = (now_ns - self._counted_ns) / NANOSECONDS_PER_SECOND
        self._tokens = min(self._burst, self._tokens + passed_s * self._per_second)
        self._counted_ns = now_ns
        # A little less than one is one: a sleep of exactly this long must not be a bit too short.
        missing = 1 + reserved - self._tokens
        return missing / self._per_second if missing > 1e-6 else 0.0

    def take(self, count: int = 1) -> None:
        """Take tokens, also such as have to be made up for first."""
        self._tokens -= count


@dataclass(order=True, slots=True)
class _WaitingCall:
    priority: Priority
    number: int
    scope: Scope = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


@dataclass(slots=True)
class _Ban:
    """Shared by the budgets of one venue."""

    until_ns: int = 0
    """End of the ban, monotonic clock time."""
    budgets: "list[RequestBudget]" = field(default_factory=list)


class RequestBudget:
    """Turns for calls, at a rate and by priority."""

    def __init__(
        self,
        venue_id: str,
        per_second: float,
        clock: Clock,
        burst: float = CONCURRENT_MAX,
        concurrent_max: float = CONCURRENT_MAX,
        ban_rules: Sequence[BanRule] = (),
    ) -> None:
        self._venue_id = venue_id
        self._clock = clock
        self._bucket = TokenBucket(per_second, burst, clock)
        self._reserved_tokens = int(burst * URGENT_SHARE)
        self._concurrent_max = concurrent_max
        self._reserved_slots = max(1, int(concurrent_max * URGENT_SHARE))
        self.ban_rules = ban_rules
        self._in_flight = 0
        self._suspended_until_ns: dict[Scope, int] = {}
        self._ban = _Ban(budgets=[self])
        self._waiting: list[_WaitingCall] = []
        self._arrivals = count()
        self._changed = asyncio.Event()
        self._granting: asyncio.Task[None] | None = None

    def sibling(self, per_second: float, burst: float) -> "RequestBudget":
        """Return a budget for calls that the venue counts apart. A ban closes both."""
        concurrent_max = max(burst, CONCURRENT_MAX)
        other = RequestBudget(
            self._venue_id, per_second, self._clock, burst, concurrent_max, self.ban_rules
        )
        other._ban = self._ban
        self._ban.budgets.append(other)
        return other

    @property
    def waiting_count(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    def suspended_s(self, scope: Scope = Scope.MARKET_DATA) -> float:
        """Return how long calls of a scope are still suspended, in seconds; 0 when they are not."""
        until_ns = max(self._ban.until_ns, self._suspended_until_ns.get(scope, 0))
        return max(0.0, (until_ns - self._clock.monotonic_ns()) / NANOSECONDS_PER_SECOND)

    def suspend(self, seconds: float, scope: Scope = Scope.MARKET_DATA) -> None:
        """Block the calls of a scope for a time. Those that wait fail with RateLimited."""
        until_ns = self._clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        if until_ns > self._suspended_until_ns.get(scope, 0):
            _log.warning(
                "calls suspended",
                extra={"venue": self._venue_id, "scope": scope.value, "seconds": seconds},
            )
            self._suspended_until_ns[scope] = until_ns
        self.fail_suspended()

    def spend(self, calls: int) -> None:
        """Count more calls for a turn that has begun. Later calls wait for them."""
        self._bucket.take(calls)

    def ban(self, seconds: float) -> None:
        """Block all calls of all budgets of the venue for a time. Those that wait fail with
        RateLimited."""
        until_ns = self._clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        if until_ns > self._ban.until_ns:
            _log.error("banned by the venue", extra={"venue": self._venue_id, "seconds": seconds})
            self._ban.until_ns = until_ns
        for budget in self._ban.budgets:
            budget.fail_suspended()

    def ban_until(self, time_ns: int, seconds_max: float) -> None:
        """Block all calls until a time of the wall clock, which may be wrong: at most for so
        long."""
        left_s = (time_ns - self._clock.time_ns()) / NANOSECONDS_PER_SECOND
        self.ban(min(left_s, seconds_max))

    @property
    def banned_s(self) -> float:
        """How long the venue's ban lasts, in seconds; 0 while there is none."""
        return max(0, self._ban.until_ns - self._clock.monotonic_ns()) / NANOSECONDS_PER_SECOND

    async def ban_ended(self) -> None:
        """Wait while the venue has banned us."""
        while left_s := self.banned_s:
            await self._clock.sleep(left_s)

    @asynccontextmanager
    async def turn(
        self, priority: Priority, scope: Scope = Scope.MARKET_DATA
    ) -> AsyncIterator[None]:
        """Wait for a turn, which lasts for the body. Raises RateLimited while the scope is
        suspended, and when WAITING_MAX calls wait already."""
        await self._wait(priority, scope)
        try:
            yield
        finally:
            self._end()

    async def _wait(self, priority: Priority, scope: Scope) -> None:
        if self.suspended_s(scope):
            raise self._rate_limited(scope)
        is_first = not self._waiting or priority < self._waiting[0].priority
        if is_first and not self._wait_s(priority) and self._has_room(priority):
            self._begin()
            return
        if len(self._waiting) >= WAITING_MAX and priority is not Priority.CANCEL:
            raise RateLimited("too many calls wait", venue=self._venue_id, retry_after_ms=1000)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = _WaitingCall(priority, next(self._arrivals), scope, turn)
        heapq.heappush(self._waiting, call)
        if self._waiting[0] is call and self._granting is not None:
            # It waits for the token or the slot of a less urgent call.
            self._granting.cancel()
            self._granting = None
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
            first = self._waiting[0]
            wait_s = self._wait_s(first.priority)
            if first.turn.done():
                heapq.heappop(self._waiting)
            elif wait_s:
                await self._clock.sleep(wait_s)
            elif not self._has_room(first.priority):
                await self._changed.wait()
            else:
                heapq.heappop(self._waiting)
                self._begin()
                first.turn.set_result(None)

    def fail_suspended(self) -> None:
        """Fail the waiting calls of suspended scopes."""
        open_calls = []
        for call in self._waiting:
            if not self.suspended_s(call.scope):
                open_calls.append(call)
            elif not call.turn.done():
                call.turn.set_exception(self._rate_limited(call.scope))
        heapq.heapify(open_calls)
        self._waiting[:] = open_calls
        self._changed.set()

    def _wait_s(self, priority: Priority) -> float:
        match priority:
            case Priority.CANCEL:
                return self._bucket.wait_s()
            case Priority.PROTECT:
                return self._bucket.wait_s(self._reserved_tokens // 2)
        return self._bucket.wait_s(self._reserved_tokens)

    def _has_room(self, priority: Priority) -> bool:
        match priority:
            case Priority.CANCEL:
                return True
            case Priority.PROTECT:
                return self._in_flight < self._concurrent_max
        return self._in_flight < self._concurrent_max - self._reserved_slots

    def _begin(self) -> None:
        self._bucket.take()
        self._in_flight += 1

    def _end(self) -> None:
        self._in_flight -= 1
        self._changed.set()

    def _rate_limited(self, scope: Scope) -> RateLimited:
        seconds = self.suspended_s(scope)
        return RateLimited(
            f"{self._venue_id} allows no calls of {scope.value} for {seconds:.0f} s",
            venue=self._venue_id,
            retry_after_ms=math.ceil(seconds * 1000),
        )


def market_scope(priority: Priority) -> Scope:
    """Return the scope of a call for market data: the calls that read the past have their own."""
    return Scope.HISTORY if priority is Priority.BACKFILL else Scope.MARKET_DATA


def turn(
    budget: RequestBudget | None, priority: Priority, scope: Scope = Scope.MARKET_DATA
) -> AbstractAsyncContextManager[None]:
    """A turn in ``budget``; without a budget, a call goes out at once."""
    return nullcontext() if budget is None else budget.turn(priority, scope)
