"""The published executions of an account: numbered events in a bounded ring.

A reader resumes after a cursor while the ring holds what follows it. A reader that is too slow for
the ring gets a new snapshot and resumes from there: it misses intermediate events, and its state is
right. Slow readers cost the process nothing but the ring, however many there are.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from venuemesh.tradeflow.v1 import snapshots_pb2, trade_flow_pb2

from kit.base.cursor import Cursor

Event = trade_flow_pb2.StreamExecutionsResponse
Snapshot = Callable[[], snapshots_pb2.ExecutionSnapshot]


class ExecutionStream:
    """The events of one account in one run of the process, which is their epoch."""

    def __init__(self, epoch: int, events_max: int, snapshot: Snapshot) -> None:
        self.epoch = epoch
        self._events: deque[Event] = deque(maxlen=events_max)
        self._snapshot = snapshot
        self._sequence = 0
        self._published: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def cursor(self) -> Cursor:
        """The cursor of the last event."""
        return Cursor(self.epoch, self._sequence)

    def publish(self, event: Event) -> None:
        """Number an event, and give it to all readers."""
        self._sequence += 1
        event.cursor.CopyFrom(self.cursor.message())
        self._events.append(event)
        self._wake()

    def begin(self, epoch: int) -> None:
        """Begin a run. Its readers get a new snapshot: what was restored is not in earlier ones."""
        self.epoch = epoch
        self._wake()

    def close(self) -> None:
        self._is_closed = True
        self._wake()

    async def read(self, after: Cursor | None) -> AsyncGenerator[Event, None]:
        """Yield every event after a cursor, or a snapshot and every event after it, for ever."""
        position = after.sequence if after is not None and self._holds(after) else -1
        epoch = self.epoch
        while not self._is_closed:
            first = self._sequence - len(self._events)
            if position < first or epoch != self.epoch:
                position, epoch = self._sequence, self.epoch
                yield Event(cursor=self.cursor.message(), snapshot=self._snapshot())
            elif position < self._sequence:
                event = self._events[position - first]
                position += 1
                yield event
            else:
                await self._next()

    def _holds(self, after: Cursor) -> bool:
        first = self._sequence - len(self._events)
        return after.epoch == self.epoch and first <= after.sequence <= self._sequence

    async def _next(self) -> None:
        if self._published is None:
            self._published = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._published)

    def _wake(self) -> None:
        if self._published is not None:
            if not self._published.done():
                self._published.set_result(None)
            self._published = None
