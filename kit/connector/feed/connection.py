"""One websocket of a feed connection: what is sent on it, and who gets its frames."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.websocket import WebsocketHandler
from kit.connector.contract.venue import ControlMessage, FeedProtocol, VenueLimits
from kit.connector.feed.send_queue import SendQueue
from kit.connector.publishing.frame_pipeline import FrameSource

MakeMessages = Callable[[Sequence[str], int], list[str]]

_log = telemetry.logger("venue.connection")


class Socket(Protocol):
    """The part of a Websocket that a connection uses."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""

    def send(self, text: str) -> None:
        """Send a message; without a connection it is dropped."""

    def drop(self) -> None:
        """Disconnect; ``run`` connects again."""

    def set_reading(self, is_reading: bool) -> None:
        """Leave what arrives in the socket, or read it."""

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled."""


OpenSocket = Callable[[str, WebsocketHandler, float | None], Socket]
"""Makes a socket from an address, its handler, and the interval of ping frames in s."""


class FrameReceiver(Protocol):
    """Gets the frames of a connection."""

    def add(self, payloads: list[bytes], received_time_ns: int, source: FrameSource) -> None:
        """Add messages that were read together."""


class ConnectionListener(Protocol):
    """Gets the changes of state of a connection."""

    def on_opened(self, connection: "WebsocketConnection") -> None:
        """The connection was opened, or opened again; messages may be sent."""

    def on_lost(self, connection: "WebsocketConnection", reason: str) -> None:
        """The connection was lost, and is being made again."""

    def on_closing(self, connection: "WebsocketConnection") -> None:
        """The venue has announced that it will close the connection."""


class WebsocketConnection:
    """A websocket that reconnects, and the queue of messages to be sent on it."""

    def __init__(
        self,
        owner: ConnectionListener,
        protocol: FeedProtocol,
        limits: VenueLimits,
        open_socket: OpenSocket,
        symbols: Sequence[str],
        clock: Clock,
    ) -> None:
        self.opened_ns = 0
        """Monotonic time of the newest opening."""
        self.receiver: FrameReceiver | None = None
        """Gets the frames; None drops them."""
        self._owner = owner
        self._protocol = protocol
        self._limits = limits
        self._clock = clock
        self._pings_by_message = protocol.ping(0) is not None
        ping_frames_s = None if self._pings_by_message else limits.ping_interval_s
        self._socket = open_socket(protocol.url(symbols), self, ping_frames_s)
        self._send_queue = SendQueue(self._socket.send, limits.messages_per_second, clock)
        self._request_ids = count(1)
        self._opening = _Opening(self)

    @property
    def connected(self) -> bool:
        """Whether the socket is open."""
        return self._socket.connected

    @property
    def has_sent_all(self) -> bool:
        """Whether no message waits to be sent."""
        return self._send_queue.is_empty

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Subscribe to all channels of these instruments."""
        self._request(self._protocol.subscribe, symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> None:
        self._request(self._protocol.unsubscribe, symbols)

    def resubscribe(self, symbol: str) -> None:
        """Unsubscribe and subscribe, unless a request of this instrument waits already."""
        if not self._send_queue.has_messages_of(symbol):
            self.unsubscribe([symbol])
            self.subscribe([symbol])

    def renew_book(self, symbol: str) -> bool:
        """Ask for this book again, unless a request of the instrument waits already. Returns
        whether the venue has a message for it."""
        messages = self._protocol.renew_book(symbol, next(self._request_ids))
        if messages and not self._send_queue.has_messages_of(symbol):
            self._send_queue.put(messages, [symbol])
        return bool(messages)

    def drop(self) -> None:
        """Disconnect; ``run`` connects again."""
        self._socket.drop()

    def set_reading(self, is_reading: bool) -> None:
        """Leave what arrives in the socket, so that the venue has to wait, or read it."""
        self._socket.set_reading(is_reading)

    async def run(self) -> None:
        """Keep the connection until cancelled, then drop it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_queue.run())
                if self._pings_by_message and self._limits.ping_interval_s is not None:
                    group.create_task(self._ping(self._limits.ping_interval_s))
                await self._socket.run()
        finally:
            self._socket.drop()

    def opened(self, socket: object) -> None:
        self.opened_ns = self._clock.monotonic_ns()
        self._opening = _Opening(self)
        self._send_queue.clear()
        self._owner.on_opened(self)

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        if self.receiver is not None:
            self.receiver.add(payloads, received_time_ns, self._opening)

    def closed(self, reason: str) -> None:
        self._send_queue.clear()
        self._owner.on_lost(self, reason)

    def on_control_message(self, message: ControlMessage, opening: "_Opening") -> None:
        """Send the replies, and reconnect or move when the venue gives the connection up."""
        if opening is self._opening:
            self._send_queue.put_first(message.replies)
            if message.is_broken:
                _log.warning("the venue has given the connection up")
                self.drop()
            elif message.is_closing:
                _log.warning("the venue will close the connection")
                self._owner.on_closing(self)

    def on_missing_frame(self, detail: str, opening: "_Opening") -> None:
        """Reconnect: a frame that the venue sent did not arrive."""
        if opening is self._opening:
            _log.warning("a frame of the connection is missing", extra={"detail": detail})
            self.drop()

    def _request(self, make: MakeMessages, symbols: Sequence[str]) -> None:
        size = self._limits.symbols_per_message
        for start in range(0, len(symbols), size):
            some = symbols[start : start + size]
            self._send_queue.put(make(some, next(self._request_ids)), some)

    async def _ping(self, interval_s: float) -> None:
        while True:
            await self._clock.sleep(interval_s)
            message = self._protocol.ping(next(self._request_ids))
            if message is not None and self.connected:
                self._send_queue.put_first([message])


class _Opening:
    """One opening of a connection, the source of its frames: messages that are parsed after the
    connection was opened again must not act on the new one."""

    def __init__(self, connection: WebsocketConnection) -> None:
        self._connection = connection

    def on_control_message(self, message: ControlMessage) -> None:
        self._connection.on_control_message(message, self)

    def on_missing_frame(self, detail: str) -> None:
        self._connection.on_missing_frame(detail, self)
