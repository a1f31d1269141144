"""The order of signed calls of one key at a venue that wants growing nonces.

A call is signed when its turn comes and must arrive before any call that is signed later, or the
venue turns it away. On one connection after another that is certain only when each call is answered
before the next is signed, so calls take turns, the most urgent first.

CANCEL and PROTECT do not wait for a slow answer: they are sent when the calls before them are
unanswered for longer than any of them needs to arrive. Their nonce is the higher one. If an earlier
call still arrives later, it is the earlier one that the venue turns away, unread: a question
fails and may be asked again, an order is rejected before the matching engine.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.request_budget import Priority

QUESTION_ARRIVES_S = 0.1
"""An urgent call is sent so long after an unanswered question."""
CHANGE_ARRIVES_S = 1.0
"""The same after a call that changes something: it may still be opening its connection, and to
overtake it may cost an order."""


@dataclass(order=True, slots=True)
class _Call:
    priority: Priority
    number: int
    arrives_s: float = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class CallSequence:
    """Turns for the calls of one key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[_Call] = []
        self._in_flight: dict[int, int] = {}
        """By number: when an urgent call need not wait for it any longer, monotonic time in ns."""
        self._numbers = count()
        self._timer: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, priority: Priority, arrives_s: float) -> AsyncIterator[None]:
        """Wait for a turn, which lasts for the body. Sign and send in the body, and wait for the
        answer. ``arrives_s``: an urgent call behind this one waits so long for its answer."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = _Call(priority, next(self._numbers), arrives_s, turn)
        heapq.heappush(self._waiting, call)
        self._grant()
        try:
            await turn
            yield
        finally:
            turn.cancel()
            self._in_flight.pop(call.number, None)
            self._grant()

    def _grant(self) -> None:
        """Let every call go that may go now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._clock.monotonic_ns()
        while self._waiting:
            first = self._waiting[0]
            if not first.turn.done():
                if self._in_flight and first.priority > Priority.PROTECT:
                    return
                free_at_ns = max(self._in_flight.values(), default=now_ns)
                if now_ns < free_at_ns:
                    self._timer = asyncio.create_task(self._grant_after(free_at_ns - now_ns))
                    return
                arrives_ns = round(first.arrives_s * NANOSECONDS_PER_SECOND)
                self._in_flight[first.number] = now_ns + arrives_ns
                first.turn.set_result(None)
            heapq.heappop(self._waiting)

    async def _grant_after(self, wait_ns: int) -> None:
        await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)
        self._timer = None
        self._grant()
