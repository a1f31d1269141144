"""The calls that have changed something in this process, until the audit log has taken them.

Nobody waits for that: a call is kept in memory, and its caller gets the answer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import islice

from venuemesh.admin.v1 import admin_pb2
from venuemesh.events.v1 import system_pb2

from kit.base.clock import Clock

CALLS_MAX = 10_000
"""Of more that nobody has taken, the oldest are dropped. Their numbers are missing then."""
PART_CALLS_MAX = 200


class MadeCalls:
    """Numbered from 1 since the start of the process."""

    def __init__(self, clock: Clock, calls_max: int = CALLS_MAX) -> None:
        self._clock = clock
        self._calls: deque[admin_pb2.MadeCall] = deque(maxlen=calls_max)
        self._newest = 0
        self._has_ended = False
        self._changed = asyncio.Event()

    def add(self, call: system_pb2.CallMade) -> None:
        self._newest += 1
        now_ns = self._clock.time_ns()
        self._calls.append(admin_pb2.MadeCall(number=self._newest, time_ns=now_ns, call=call))
        self._changed.set()

    def end(self) -> None:
        """Readers get what is there, and end."""
        self._has_ended = True
        self._changed.set()

    async def after(self, number: int) -> AsyncIterator[Sequence[admin_pb2.MadeCall]]:
        """Those that follow a number and are kept, oldest first, as they come."""
        while True:
            self._changed.clear()
            while part := self._part(number):
                yield part
                number = part[-1].number
            if self._has_ended:
                return
            await self._changed.wait()

    def _part(self, number: int) -> Sequence[admin_pb2.MadeCall]:
        oldest = self._newest - len(self._calls) + 1
        start = max(0, number + 1 - oldest)
        return list(islice(self._calls, start, start + PART_CALLS_MAX))
