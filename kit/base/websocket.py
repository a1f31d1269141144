"""A websocket client that reconnects.

The socket delivers whole messages, grouped by read with the time of the read, and does not parse
them. A handler is called in this order: opened, frames, closed,
opened, …
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock

FRAME_BYTES_MAX = 64 * 1024 * 1024
READ_BYTES = 512 * 1024
"""Bytes per read of the socket: under load, messages of one read are parsed together."""
STEADY_S = 30.0
"""A connection that lived this long resets the backoff to the shortest delay."""
RETRY_AFTER_S_MAX = 600.0
"""The longest Retry-After of a rejected handshake that is respected."""

_log = telemetry.logger("websocket")


class WebsocketHandler(Protocol):
    """Receives what happens on a websocket."""

    def opened(self, socket: "Websocket") -> None:
        """Connected; messages may be sent."""

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Whole messages that were read from the socket together."""

    def closed(self, reason: str) -> None:
        """Disconnected; the socket will connect again."""


class Websocket:
    """A connection that ``run`` opens again whenever it ends."""

    def __init__(
        self,
        url: str,
        handler: WebsocketHandler,
        clock: Clock,
        ping_interval_s: float | None = None,
        silence_s: float = 60.0,
        may_connect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``may_connect`` is awaited before each attempt to connect."""
        self.url = url
        self._handler = handler
        self._clock = clock
        self._ping_interval_s = ping_interval_s
        self._silence_s = silence_s
        self._may_connect = may_connect
        self._connection: _Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self._connection is not None and self._connection.is_open

    def send(self, text: str) -> None:
        """Send a message; without a connection it is dropped, because opened() sends the
        subscriptions."""
        if self._connection is not None:
            self._connection.send(text)

    def drop(self) -> None:
        """Disconnect; ``run`` connects again."""
        if self._connection is not None:
            self._connection.drop()

    def set_reading(self, is_reading: bool) -> None:
        """Leave what arrives in the kernel's buffers, so that the sender has to wait, or read it.
        A new connection reads."""
        if self._connection is not None:
            self._connection.set_reading(is_reading)

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled."""
        waits = backoff.delays()
        while True:
            if self._may_connect is not None:
                await self._may_connect()
            started_ns = self._clock.monotonic_ns()
            retry_after_s = 0.0
            try:
                await self._serve_once()
            except (TimeoutError, OSError, WSError) as error:
                _log.warning("no connection", extra={"url": self.url, "detail": str(error)})
                retry_after_s = _retry_after_s(error)
            lived_s = (self._clock.monotonic_ns() - started_ns) / NANOSECONDS_PER_SECOND
            if lived_s > STEADY_S:
                waits = backoff.delays()
            await self._clock.sleep(retry_after_s + next(waits))

    async def _serve_once(self) -> None:
        connection = self._connection = _Connection(self, self._handler, self._clock)
        ping = self._ping_interval_s
        transport, _ = await ws_connect(
            lambda: connection,
            self.url,
            max_frame_size=FRAME_BYTES_MAX,
            read_buffer_init_size=READ_BYTES,
            # We send pongs ourselves: picows does not report a ping that it answers, and a venue
            # that only pings is quiet, not gone.
            enable_auto_pong=False,
            enable_auto_ping=ping is not None,
            auto_ping_idle_timeout=ping or 10.0,
            auto_ping_reply_timeout=ping or 10.0,
            auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        )
        watchdog = asyncio.create_task(connection.drop_when_silent(self._silence_s))
        try:
            await transport.wait_disconnected()
        finally:
            watchdog.cancel()
            transport.disconnect(graceful=False)


def _retry_after_s(error: Exception) -> float:
    """The Retry-After of a rejected handshake; 0 without one."""
    if not isinstance(error, WSHandshakeError) or error.response is None:
        return 0.0
    value = error.response.headers.get("Retry-After", "")
    return min(float(value), RETRY_AFTER_S_MAX) if value.isdecimal() else 0.0


class _Connection(WSListener):
    """One connection of a websocket: joins what picows reads into whole messages."""

    def __init__(self, socket: Websocket, handler: WebsocketHandler, clock: Clock) -> None:
        super().__init__()
        self._socket = socket
        self._handler = handler
        self._clock = clock
        self._transport: WSTransport | None = None
        self._received_ns = 0
        """Monotonic time of the last read."""
        self._is_reading = True
        self._messages: list[bytes] = []
        self._fragments: list[bytes] = []
        self._close_reason = "connection lost"

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def send(self, text: str) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, text.encode())

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def set_reading(self, is_reading: bool) -> None:
        if self._transport is None or is_reading is self._is_reading:
            return
        self._is_reading = is_reading
        if is_reading:
            self._transport.underlying_transport.resume_reading()
        else:
            self._transport.underlying_transport.pause_reading()

    async def drop_when_silent(self, silence_s: float) -> None:
        """Drop the connection when nothing arrives: a half-open one never ends by itself."""
        while True:
            await self._clock.sleep(silence_s / 4)
            silent_ns = self._clock.monotonic_ns() - self._received_ns
            if self._is_reading and silent_ns > silence_s * NANOSECONDS_PER_SECOND:
                _log.warning("silent connection dropped", extra={"url": self._socket.url})
                self.drop()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._received_ns = self._clock.monotonic_ns()
        self._handler.opened(self._socket)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin:
            self._messages.append(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._fragments.append(frame.get_payload_as_bytes())
            if frame.fin:
                self._messages.append(b"".join(self._fragments))
                self._fragments.clear()
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._close_reason = f"closed by the venue: {frame.get_close_code()}"
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        if frame.last_in_buffer:
            self._received_ns = self._clock.monotonic_ns()
            if self._messages:
                messages, self._messages = self._messages, []
                self._handler.frames(messages, self._clock.time_ns())

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Count the answer to our own ping as activity: picows does not pass it to on_ws_frame."""
        is_pong = frame.msg_type == WSMsgType.PONG
        if is_pong:
            self._received_ns = self._clock.monotonic_ns()
        return is_pong

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._transport is not None:
            self._transport = None
            self._handler.closed(self._close_reason)
