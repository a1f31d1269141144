"""The venue's own words, passed on as they came, when somebody wants to keep them.

Frames are taken where they leave the sockets, of every connection, also of one that is heard beside
another. They travel in CHANNEL_FRAMES like everything else.
"""

import asyncio
from itertools import count

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.websocket import Sink, Websocket
from kit.connector.feed.connection import OpenSocket, Socket
from kit.connector.host.frame_pipeline import Publisher
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch

GATHER_S = 0.05
"""So long frames gather: nobody waits for them, and together they take fewer bytes."""
GATHERED_BYTES_MAX = 256 * 1024
ENTRIES = (batch_pb2.InstrumentEntry(),)
"""A frame may be about any number of instruments."""


class RawFrames:
    """Publishes what comes over sockets."""

    def __init__(self, hub: Publisher) -> None:
        self._hub = hub
        self._numbers = count(1)
        self._gathered = batch_pb2.FrameColumns()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def over(self, open_socket: OpenSocket) -> OpenSocket:
        """Opens sockets like this one, which are heard here, too."""

        def open_heard(url: str, sink: Sink, ping_interval_s: float | None) -> Socket:
            return open_socket(url, _Heard(self, sink, next(self._numbers)), ping_interval_s)

        return open_heard

    def frames(self, payloads: list[bytes], received_time_ns: int, connection: int) -> None:
        """Messages that were read together from one connection."""
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
        """What has gathered, if anything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._bytes = self._gathered, batch_pb2.FrameColumns(), 0
        if gathered.instrument:
            columns = Batch(frames=gathered).SerializeToString()
            draft = BatchDraft(ENTRIES, [len(gathered.instrument)], columns)
            self._hub.publish(types_pb2.CHANNEL_FRAMES, draft)


class _Heard:
    """Who listens, and hears what another one hears."""

    def __init__(self, heard: RawFrames, sink: Sink, number: int) -> None:
        self._heard = heard
        self._sink = sink
        self._number = number

    def opened(self, socket: Websocket) -> None:
        """Of Sink."""
        self._sink.opened(socket)

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Of Sink."""
        self._heard.frames(payloads, received_time_ns, self._number)
        self._sink.frames(payloads, received_time_ns)

    def closed(self, reason: str) -> None:
        """Of Sink."""
        self._sink.closed(reason)
