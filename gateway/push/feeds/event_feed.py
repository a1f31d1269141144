"""Events of one stream, from a signal to the books, from audit."""

from collections.abc import AsyncGenerator, Sequence

from venuemesh.events.v1 import event_pb2, events_pb2, events_pb2_grpc

from gateway.push.channels import TopicKey
from gateway.push.feeds.market_rows import message_row
from gateway.push.feeds.rpc_stream import rpc_stream
from gateway.push.updates import Position, Update
from kit.base.service_channels import ServiceChannels
from kit.events.subjects import subject_of

AUDIT = "audit"
STREAMS = {
    "signals": event_pb2.EVENT_STREAM_SIGNALS,
    "decisions": event_pb2.EVENT_STREAM_DECISIONS,
    "verdicts": event_pb2.EVENT_STREAM_RISK,
    "executions": event_pb2.EVENT_STREAM_EXECUTIONS,
    "ledger": event_pb2.EVENT_STREAM_LEDGER,
}


class EventFeed:
    """One stream of events. A position is the number of an event."""

    def __init__(self, key: TopicKey, channels: ServiceChannels) -> None:
        self._stream = STREAMS[key.channel]
        self._channels = channels

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        request = self._request(after)
        async with rpc_stream(
            self._channels,
            AUDIT,
            lambda channel: events_pb2_grpc.EventsStub(channel).Subscribe(request),
        ) as responses:
            async for response in responses:
                # The first has no events, and says where the stream is.
                yield [
                    *(_update(stored) for stored in response.events),
                    *(Update(position=(at.sequence,)) for at in response.positions),
                ]

    async def snapshot(self) -> Update | None:
        return None

    def _request(self, after: Position | None) -> events_pb2.SubscribeRequest:
        request = events_pb2.SubscribeRequest(streams=[self._stream])
        if after is not None:
            request.resume_after.add(stream=self._stream, sequence=after[0])
        return request


def _update(stored: event_pb2.StoredEvent) -> Update:
    event = stored.event
    # The newest event about a subject; of a maker where it has no subject.
    key = subject_of(event) or f"{event.source}/{event.instance}"
    return Update([message_row(stored)], key, (stored.position.sequence,))
