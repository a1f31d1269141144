"""Stored events, and the order of the events of several streams."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2

from kit.events.streams import EventStream, stream_name


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it is stored."""

    stream: EventStream
    sequence: int
    """From 1, without holes."""
    stored_time_ns: int
    body: bytes
    """The encoded message."""

    def __str__(self) -> str:
        return f"event {self.sequence} of the stream {stream_name(self.stream)!r}"

    def event(self) -> event_pb2.Event:
        return event_pb2.Event.FromString(self.body)

    def message(self) -> event_pb2.StoredEvent:
        position = event_pb2.EventPosition(stream=self.stream, sequence=self.sequence)
        return event_pb2.StoredEvent(
            position=position, event=self.event(), stored_time_ns=self.stored_time_ns
        )


def is_known(event: LoggedEvent) -> bool:
    """Whether this version can read the content of an event."""
    return event.event().WhichOneof("payload") is not None


def merged(parts: Mapping[EventStream, Sequence[LoggedEvent]], limit: int) -> Iterator[LoggedEvent]:
    """The events of several streams in the defined order: always the one of the least time, stream
    and sequence among the next of each stream.

    ``parts`` are the beginnings of the streams. One with ``limit`` events may go on: the result
    ends after it, because the order of what follows depends on its next event.
    """
    if len(parts) == 1:
        yield from next(iter(parts.values()))
        return
    for event in heapq.merge(*parts.values(), key=_order):
        yield event
        part = parts[event.stream]
        if len(part) == limit and event is part[-1]:
            return


def _order(event: LoggedEvent) -> tuple[int, int, int]:
    return event.event().time_ns, event.stream, event.sequence


def positions_of(events: Sequence[LoggedEvent]) -> dict[EventStream, int]:
    """The position of each stream after events that are in order."""
    return {event.stream: event.sequence for event in events}
