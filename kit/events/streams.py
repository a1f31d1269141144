"""The streams of events, and their names in Redis and PostgreSQL."""

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.events.v1 import event_pb2

if TYPE_CHECKING:
    EventStream: TypeAlias = event_pb2.EventStream.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    EventStream = int

PREFIX = "EVENT_STREAM_"

EVENT_STREAMS: tuple[EventStream, ...] = (
    event_pb2.EVENT_STREAM_SIGNALS,
    event_pb2.EVENT_STREAM_DECISIONS,
    event_pb2.EVENT_STREAM_RISK,
    event_pb2.EVENT_STREAM_EXECUTIONS,
    event_pb2.EVENT_STREAM_LEDGER,
    event_pb2.EVENT_STREAM_SYSTEM,
)


@cache
def stream_name(stream: EventStream) -> str:
    """The name in PostgreSQL, for example "signals"."""
    return event_pb2.EventStream.Name(stream).removeprefix(PREFIX).lower()


@cache
def stream_of(name: str) -> EventStream:
    """The stream of a name. Raises ValueError."""
    return event_pb2.EventStream.Value(PREFIX + name.upper())


@cache
def redis_key(stream: EventStream) -> str:
    """The key in Redis, for example "ev:{signals}"."""
    return f"ev:{{{stream_name(stream)}}}"
