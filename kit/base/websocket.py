"""One websocket to a venue, made again for as long as it is wanted.

The socket is thin: it hands out whole messages, those of one read together and with the time at
which they were read, and knows nothing of what is in them. What happens is told to a Sink, in
order: opened, frames, closed, opened, …
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
"""Taken from the socket at once: under load, what is read together is handled together."""
STEADY_S = 30.0
"""After so long a connection counts as good, and the next failure starts with a short wait."""
RETRY_AFTER_S_MAX = 600.0
"""A venue that refuses us may say for how long; no longer than this is it believed."""

_log = telemetry.logger("websocket")


class Sink(Protocol):
    """Who listens."""

    def opened(self, socket: "Websocket") -> None:
        """Connected; messages may be sent."""

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Whole messages that were read from the socket together."""

    def closed(self, reason: str) -> None:
        """Not connected any more; it will be tried again."""


class Websocket:
    """A connection that comes back. ``run`` keeps it until it is cancelled."""

    def __init__(
        self,
        url: str,
        sink: Sink,
        clock: Clock,
        ping_interval_s: float | None = None,
        silence_s: float = 60.0,
        may_try: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``may_try`` is awaited before each attempt to connect."""
        self.url = url
        self._sink = sink
        self._clock = clock
        self._ping_interval_s = ping_interval_s
        self._silence_s = silence_s
        self._may_try = may_try
        self._transport: WSTransport | None = None
        self._heard_ns = 0
        self._reading = True

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self._transport is not None

    def send(self, text: str) -> None:
        """Send a message; without a connection it is dropped, as opened() sends what is needed."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, text.encode())

    def drop(self) -> None:
        """Break the connection; it is made again."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def pause_reading(self) -> None:
        """Leave what comes in the kernel's buffers, so that the sender has to wait."""
        if self._transport is not None and self._reading:
            self._transport.underlying_transport.pause_reading()
            self._reading = False

    def resume_reading(self) -> None:
        """End a pause."""
        if self._transport is not None and not self._reading:
            self._transport.underlying_transport.resume_reading()
        self._reading = True

    async def run(self) -> None:
        """Connect, serve, and connect again, endless."""
        waits = backoff.delays()
        while True:
            if self._may_try is not None:
                await self._may_try()
            started_ns = self._clock.monotonic_ns()
            told_s = 0.0
            try:
                await self._serve_once()
            except (TimeoutError, OSError, WSError) as error:
                _log.warning("no connection", extra={"url": self.url, "detail": str(error)})
                told_s = _retry_after_s(error)
            lived_s = (self._clock.monotonic_ns() - started_ns) / NANOSECONDS_PER_SECOND
            if lived_s > STEADY_S:
                waits = backoff.delays()
            await self._clock.sleep(told_s + next(waits))

    async def _serve_once(self) -> None:
        listener = _Listener(
            self._opened, self._sink.frames, self._heard, self._closed, self._clock.time_ns
        )
        ping = self._ping_interval_s
        transport, _ = await ws_connect(
            lambda: listener,
            self.url,
            max_frame_size=FRAME_BYTES_MAX,
            read_buffer_init_size=READ_BYTES,
            # A pong is ours to send: picows tells nothing of a ping that it answers itself, and a
            # venue that only pings is quiet, not gone.
            enable_auto_pong=False,
            enable_auto_ping=ping is not None,
            auto_ping_idle_timeout=ping or 10.0,
            auto_ping_reply_timeout=ping or 10.0,
            auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        )
        watchdog = asyncio.create_task(self._watch_silence())
        try:
            await transport.wait_disconnected()
        finally:
            watchdog.cancel()
            transport.disconnect(graceful=False)

    async def _watch_silence(self) -> None:
        """A half-open connection says nothing and never ends; end it."""
        while True:
            await self._clock.sleep(self._silence_s / 4)
            silent_ns = self._clock.monotonic_ns() - self._heard_ns
            if self._reading and silent_ns > self._silence_s * NANOSECONDS_PER_SECOND:
                _log.warning("silent connection dropped", extra={"url": self.url})
                self.drop()

    def _opened(self, transport: WSTransport) -> None:
        self._transport = transport
        self._reading = True
        self._heard_ns = self._clock.monotonic_ns()
        self._sink.opened(self)

    def _heard(self) -> None:
        self._heard_ns = self._clock.monotonic_ns()

    def _closed(self, reason: str) -> None:
        if self._transport is not None:
            self._transport = None
            self._sink.closed(reason)


def _retry_after_s(error: Exception) -> float:
    """What a venue says that refuses a connection; 0 when it says nothing of the kind."""
    if not isinstance(error, WSHandshakeError) or error.response is None:
        return 0.0
    said = error.response.headers.get("Retry-After", "")
    return min(float(said), RETRY_AFTER_S_MAX) if said.isdecimal() else 0.0


class _Listener(WSListener):
    """picows' callbacks, turned into whole messages and told to the owner."""

    def __init__(
        self,
        opened: Callable[[WSTransport], None],
        messages: Callable[[list[bytes], int], None],
        heard: Callable[[], None],
        closed: Callable[[str], None],
        time_ns: Callable[[], int],
    ) -> None:
        super().__init__()
        self._tell_opened = opened
        self._tell_messages = messages
        self._tell_heard = heard
        self._tell_closed = closed
        self._time_ns = time_ns
        self._whole: list[bytes] = []
        self._parts: list[bytes] = []
        self._reason = "connection lost"

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._tell_opened(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin:
            self._whole.append(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                self._whole.append(b"".join(self._parts))
                self._parts.clear()
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._reason = f"closed by the venue: {frame.get_close_code()}"
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        if frame.last_in_buffer:
            self._tell_heard()
            if self._whole:
                messages, self._whole = self._whole, []
                self._tell_messages(messages, self._time_ns())

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Count the answer to our own ping as activity: picows does not pass it to on_ws_frame."""
        is_pong = frame.msg_type == WSMsgType.PONG
        if is_pong:
            self._tell_heard()
        return is_pong

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._tell_closed(self._reason)
