"""Publishes the frames of a venue unchanged, so that they can be recorded.

Frames are taken where they leave the sockets of every connection, standby connections included, and
are published on CHANNEL_FRAMES.
"""

import asyncio
from itertools import count

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.websocket import Websocket, WebsocketHandler
from kit.connector.feed.connection import OpenSocket, Socket
from kit.connector.publishing.row_publisher import BatchSink
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch

GATHER_S = 0.05
"""Frames are gathered for so long: nobody waits for them, and together they take fewer bytes."""
GATHERED_BYTES_MAX = 256 * 1024
ENTRIES = (batch_pb2.InstrumentEntry(),)
"""A frame may be about any number of instruments."""


class RawFramePublisher:
    """Gathers the frames of all connections into batches."""

    def __init__(self, hub: BatchSink) -> None:
        self._hub = hub
        self._numbers = count(1)
        self._gathered = batch_pb2.FrameColumns()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def over(self, open_socket: OpenSocket) -> OpenSocket:
        """Return a function that opens sockets and also records their frames."""

        def open_recorded(
            url: str, handler: WebsocketHandler, ping_interval_s: float | None
        ) -> Socket:
            recorded = _RecordedHandler(self, handler, next(self._numbers))
            return open_socket(url, recorded, ping_interval_s)

        return open_recorded

    def frames(self, payloads: list[bytes], received_time_ns: int, connection: int) -> None:
        """Add messages that were read together from one connection."""
        gathered = self._gathered
        gathered.instrument.extend([0] * len(payloads))
        gathered.frame.extend(payloads)
        gathered.connection.extend([connection] * len(payloads))
        gathered.received_time_ns.extend([received_time_ns] * len(payloads))
        self._bytes += sum(map(len, payloads))
        if self._bytes >= GATHERED_BYTES_MAX:
            self.publish()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.publish)

    def publish(self) -> None:
        """Publish what was gathered, if anything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._bytes = self._gathered, batch_pb2.FrameColumns(), 0
        if gathered.instrument:
            columns = Batch(frames=gathered).SerializeToString()
            draft = BatchDraft(ENTRIES, [len(gathered.instrument)], columns)
            self._hub.publish(types_pb2.CHANNEL_FRAMES, draft)


class _RecordedHandler:
    """A WebsocketHandler whose frames are recorded before it gets them."""

    def __init__(
        self, raw_frames: RawFramePublisher, handler: WebsocketHandler, number: int
    ) -> None:
        self._raw_frames = raw_frames
        self._handler = handler
        self._number = number

    def opened(self, socket: Websocket) -> None:
        self._handler.opened(socket)

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        self._raw_frames.frames(payloads, received_time_ns, self._number)
        self._handler.frames(payloads, received_time_ns)

    def closed(self, reason: str) -> None:
        self._handler.closed(reason)
