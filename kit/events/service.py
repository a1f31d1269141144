"""The gRPC service Events."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
from venuemesh.events.v1 import event_pb2, events_pb2, events_pb2_grpc

from kit.base.access.call_guard import streams_for_caller
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import BadRequest, CursorExpired, TooManySubscribers, VenuemeshError
from kit.events import event_log, event_queries
from kit.events.event_reader import EventReader
from kit.events.logged_events import positions_of
from kit.events.redis_events import RedisEvents
from kit.events.streams import EVENT_STREAMS, EventStream, stream_name

SUBSCRIBERS_MAX = 64
"""Each has a connection to Redis of its own."""
RESPONSE_EVENTS_MAX = 200
"""Of each stream."""

Context = grpc.aio.ServicerContext[Any, Any]


class EventsServicer(events_pb2_grpc.EventsServicer):
    """Serves the events of the database."""

    def __init__(
        self,
        database: Database,
        redis: RedisEvents,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._redis = redis
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._subscribers = 0
        self._end: VenuemeshError | None = None

    def end(self, error: VenuemeshError) -> None:
        """End all subscriptions with this error, within a second."""
        self._end = error

    async def ListEvents(
        self, request: events_pb2.ListEventsRequest, context: Context
    ) -> events_pb2.ListEventsResponse:
        return await event_queries.list_events(self._database, request)

    async def Subscribe(
        self, request: events_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[events_pb2.SubscribeResponse]:
        with self._admitted():
            positions = await self._positions(request)
            yield _response(positions)
            reader = EventReader(self._database, self._redis, self._degraded_reasons, self._clock)
            async with aclosing(reader.follow(positions, RESPONSE_EVENTS_MAX)) as parts:
                async for events in parts:
                    if self._end is not None:
                        raise self._end
                    if events:
                        positions |= positions_of(events)
                        yield _response(positions, [event.message() for event in events])

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._subscribers >= streams_for_caller(SUBSCRIBERS_MAX):
            text = f"{SUBSCRIBERS_MAX} readers are being served"
            raise TooManySubscribers(text, limit=SUBSCRIBERS_MAX)
        self._subscribers += 1
        try:
            yield
        finally:
            self._subscribers -= 1

    async def _positions(self, request: events_pb2.SubscribeRequest) -> dict[EventStream, int]:
        """Where a subscription begins. Raises BadRequest and CursorExpired."""
        streams = set(request.streams) or set(EVENT_STREAMS)
        for stream in streams:
            event_queries.require_stream("streams", stream)
        resumed: dict[EventStream, int] = {}
        for position in request.resume_after:
            name, allowed = "resume_after", "each stream of the subscription once"
            if position.stream in resumed or position.stream not in streams:
                text = f"{name} has the stream {position.stream} twice, or streams has not"
                raise BadRequest(text, field=name, value=position.stream, allowed=allowed)
            resumed[position.stream] = position.sequence
        async with self._database.transaction() as connection:
            states = await event_log.stream_states(connection, streams)
        for stream, sequence in resumed.items():
            if sequence > states[stream].sequence:
                raise _ahead(stream, sequence, states[stream].sequence)
        return {stream: states[stream].sequence for stream in sorted(streams)} | resumed


def _ahead(stream: EventStream, sequence: int, newest: int) -> CursorExpired:
    name = stream_name(stream)
    return CursorExpired(
        f"the newest event of the stream {name!r} is {newest}, before {sequence}: read it again",
        channel=name,
        cursor=sequence,
        earliest=0,
        why="ahead",
    )


def _response(
    positions: Mapping[EventStream, int], events: list[event_pb2.StoredEvent] | None = None
) -> events_pb2.SubscribeResponse:
    return events_pb2.SubscribeResponse(
        events=events,
        positions=[
            event_pb2.EventPosition(stream=stream, sequence=sequence)
            for stream, sequence in positions.items()
        ],
    )
