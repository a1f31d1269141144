"""Lists of stored events, page by page."""

from collections.abc import Sequence
from typing import Any

from venuemesh.events.v1 import event_pb2, events_pb2

from kit.base import paging
from kit.base.database import Database
from kit.base.errors import BadPageToken, BadRequest
from kit.events.event_ids import EVENT_ID_BYTES
from kit.events.logged_events import LoggedEvent
from kit.events.streams import EVENT_STREAMS, PREFIX, EventStream, stream_name, stream_of

PAGE_EVENTS, PAGE_EVENTS_MAX = 100, 1_000
INT64_MAX = 2**63 - 1

_LIST = (
    "SELECT stream, sequence, stored_time_ns, body FROM events WHERE {conditions}"
    " ORDER BY {order} LIMIT %s"
)
_BY_TIME = ("stored_time_ns", "stream", "sequence")


async def list_events(
    database: Database, request: events_pb2.ListEventsRequest
) -> events_pb2.ListEventsResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    size = paging.page_size(request.page_size, PAGE_EVENTS, PAGE_EVENTS_MAX)
    conditions, arguments = _conditions(request)
    key = ("sequence",) if request.stream else _BY_TIME
    after = paging.read_token(request)
    if after is not None:
        condition, position = _after(request, after, key)
        conditions.append(condition)
        arguments += position
    direction = " DESC" if request.newest_first else ""
    order = ", ".join(f"{column}{direction}" for column in key)
    query = _LIST.format(conditions=" AND ".join(conditions), order=order)
    async with database.transaction() as connection:
        rows = await connection.execute(query.encode(), [*arguments, size + 1])
        events = [
            LoggedEvent(stream_of(row[0]), row[1], row[2], bytes(row[3])) async for row in rows
        ]
    page = events[:size]
    token = ""
    if len(events) > size:
        token = paging.make_token(request, _position(page[-1], key))
    messages = [event.message() for event in page]
    return events_pb2.ListEventsResponse(events=messages, next_page_token=token)


def require_stream(field: str, stream: EventStream) -> None:
    """Raise BadRequest for a stream that there is not."""
    if stream not in EVENT_STREAMS:
        allowed = ", ".join(map(event_pb2.EventStream.Name, EVENT_STREAMS))
        raise BadRequest(
            f"{field} {stream} is no stream", field=field, value=stream, allowed=allowed
        )


def _conditions(request: events_pb2.ListEventsRequest) -> tuple[list[str], list[Any]]:
    found: dict[str, Any] = {}
    if request.stream:
        require_stream("stream", request.stream)
        found["stream = %s"] = stream_name(request.stream)
    if request.after_sequence:
        if not request.stream:
            text = "after_sequence is a number in a stream, and stream is not set"
            raise BadRequest(text, field="stream", value="", allowed=f"{PREFIX}…")
        found["sequence > %s"] = min(request.after_sequence, INT64_MAX)
    if request.lifecycle_id:
        if len(request.lifecycle_id) != EVENT_ID_BYTES:
            value, allowed = request.lifecycle_id.hex(), f"{EVENT_ID_BYTES} bytes"
            text = f"lifecycle_id has {len(request.lifecycle_id)} bytes, not {EVENT_ID_BYTES}"
            raise BadRequest(text, field="lifecycle_id", value=value, allowed=allowed)
        found["lifecycle_id <> '' AND lifecycle_id = %s"] = request.lifecycle_id
    if "\0" in request.subject:
        text = "subject contains a NUL character"
        raise BadRequest(text, field="subject", value=request.subject, allowed="no NUL character")
    if request.subject:
        found["subject <> '' AND subject = %s"] = request.subject
    if not found:
        text = "stream, lifecycle_id and subject are empty; set one of them"
        raise BadRequest(text, field="stream", value="", allowed=f"{PREFIX}…")
    return list(found), list(found.values())


def _position(event: LoggedEvent, key: Sequence[str]) -> paging.Position:
    if key is not _BY_TIME:
        return [event.sequence]
    return [event.stored_time_ns, stream_name(event.stream), event.sequence]


def _after(
    request: events_pb2.ListEventsRequest, position: paging.Position, key: Sequence[str]
) -> tuple[str, paging.Position]:
    """The condition of what follows a position of a token, and its arguments."""
    follows = "<" if request.newest_first else ">"
    match position:
        case [int(sequence)] if key is not _BY_TIME and abs(sequence) <= INT64_MAX:
            return f"sequence {follows} %s", position
        case [int(time_ns), str(name), int(sequence)] if (
            key is _BY_TIME
            and name in map(stream_name, EVENT_STREAMS)
            and max(abs(time_ns), abs(sequence)) <= INT64_MAX
        ):
            return f"({', '.join(key)}) {follows} (%s, %s, %s)", position
    raise BadPageToken("page_token is not a page token", page_token=request.page_token)
