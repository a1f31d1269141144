"""Reads the stored events of a stream from the newest back."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from venuemesh.events.v1 import event_pb2

from kit.base import paging
from kit.base.database import Connection
from kit.base.errors import BadPageToken
from kit.events.streams import EventStream, stream_name

READ_EVENTS = 250
"""Events that are read at once."""
READ_EVENTS_MAX = 5_000
"""Read for one page at most: wanted events may be rare among others."""
NEWEST = 2**63 - 1
"""Before this sequence are all events."""

_BEFORE = (
    "SELECT sequence, stored_time_ns, body FROM events WHERE stream = %s AND sequence < %s"
    " ORDER BY sequence DESC LIMIT %s"
)


class ReadEvent(NamedTuple):
    """A stored event."""

    sequence: int
    stored_time_ns: int
    event: event_pb2.Event


class EventPage(NamedTuple):
    """Some wanted events of a stream, newest first."""

    events: list[ReadEvent]
    next_token: str
    """Empty: there are no more."""


async def read_page(
    connection: Connection,
    stream: EventStream,
    request: Any,
    size: int,
    is_wanted: Callable[[event_pb2.Event], bool],
) -> EventPage:
    """The page of a request with a page_token. It may be short, and still be followed by another
    one. Raises BadPageToken."""
    before, read = _first(request), 0
    found: list[ReadEvent] = []
    while before > 1 and len(found) < size and read < READ_EVENTS_MAX:
        events = await _read_before(connection, stream, before)
        wanted = [one for one in events if is_wanted(one.event)][: size - len(found)]
        found += wanted
        read += READ_EVENTS
        # A full page ends with its last event, another one with the last event that was read.
        last = (wanted if len(found) == size else events)[-1:]
        before = last[0].sequence if last else 0
    return EventPage(found, paging.make_token(request, [before]) if before > 1 else "")


class NewestEvents:
    """The events of some streams since a time. If there are too many of one, its oldest are left
    out, and the time becomes that of the oldest event that is not."""

    def __init__(self, since_ns: int, events_max: int) -> None:
        self.since_ns = since_ns
        self._events_max = events_max

    async def of(
        self, connection: Connection, stream: EventStream
    ) -> AsyncIterator[event_pb2.Event]:
        """Those of a stream, newest first."""
        before, count = NEWEST, 0
        while page := await _read_before(connection, stream, before):
            for one in page:
                # An event is stored after its time.
                if one.stored_time_ns < self.since_ns:
                    return
                yield one.event
            before, count = page[-1].sequence, count + len(page)
            if count >= self._events_max:
                self.since_ns = max(self.since_ns, page[-1].stored_time_ns)
                return


def _first(request: Any) -> int:
    match paging.read_token(request):
        case None:
            return NEWEST
        case [int(sequence)] if 0 < sequence < NEWEST:
            return sequence
    raise BadPageToken("page_token is not a page token", page_token=request.page_token)


async def _read_before(connection: Connection, stream: EventStream, before: int) -> list[ReadEvent]:
    rows = await connection.execute(_BEFORE, [stream_name(stream), before, READ_EVENTS])
    return [
        ReadEvent(sequence, time_ns, event_pb2.Event.FromString(bytes(body)))
        async for sequence, time_ns, body in rows
    ]
