"""One websocket of a line: what is said on it, and who is told what it brings."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.websocket import Sink
from kit.connector.contract.venue import ControlMessage, FeedProtocol, VenueLimits
from kit.connector.feed.send_queue import SendQueue
from kit.connector.host.frame_pipeline import Source

MakeMessages = Callable[[Sequence[str], int], list[str]]

_log = telemetry.logger("venue.connection")


class Socket(Protocol):
    """What is needed of a Websocket."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""

    def send(self, text: str) -> None:
        """Send a message; without a connection it is dropped."""

    def drop(self) -> None:
        """Break the connection; it is made again."""

    def pause_reading(self) -> None:
        """Leave what comes where it is."""

    def resume_reading(self) -> None:
        """End a pause."""

    async def run(self) -> None:
        """Connect, serve, and connect again, endless."""


OpenSocket = Callable[[str, Sink, float | None], Socket]
"""Makes a socket from an address, who listens, and how often to ping by frames, s."""


class Owner(Protocol):
    """Who is told."""

    def opened(self, connection: "WebsocketConnection") -> None:
        """Messages may be said. Happens again when the connection was lost and made again."""

    def heard(
        self,
        connection: "WebsocketConnection",
        payloads: list[bytes],
        received_time_ns: int,
        source: Source,
    ) -> None:
        """Messages that were read together."""

    def lost(self, connection: "WebsocketConnection", reason: str) -> None:
        """What was under way is gone. The connection is being made again."""

    def leaving(self, connection: "WebsocketConnection") -> None:
        """The venue will end it."""


class WebsocketConnection:
    """A websocket that comes back, and the queue of what is to be said on it."""

    def __init__(
        self,
        owner: Owner,
        wire: FeedProtocol,
        limits: VenueLimits,
        open_socket: OpenSocket,
        symbols: Sequence[str],
        clock: Clock,
    ) -> None:
        self.opened_ns = 0
        """Monotonic; of the newest opening."""
        self._owner = owner
        self._wire = wire
        self._limits = limits
        self._clock = clock
        self._pings_by_message = wire.ping(0) is not None
        by_frame_s = None if self._pings_by_message else limits.ping_interval_s
        self._socket = open_socket(wire.url(symbols), self, by_frame_s)
        self._outbox = SendQueue(self._socket.send, limits.messages_per_second, clock)
        self._request_ids = count(1)
        self._opening = _Opening(self)

    @property
    def connected(self) -> bool:
        """Whether data can come."""
        return self._socket.connected

    @property
    def has_said_all(self) -> bool:
        """Whether nothing waits to be said."""
        return self._outbox.empty

    def subscribe(self, symbols: Sequence[str]) -> None:
        """To all channels of these."""
        self._ask(self._wire.subscribe, symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> None:
        """End these subscriptions."""
        self._ask(self._wire.unsubscribe, symbols)

    def resubscribe(self, symbol: str) -> None:
        """Out and in again, unless that is about to happen."""
        if not self._outbox.concerns(symbol):
            self.unsubscribe([symbol])
            self.subscribe([symbol])

    def renew_book(self, symbol: str) -> bool:
        """Ask for this book anew, unless that is about to happen. Returns whether the venue has
        such a message."""
        messages = self._wire.renew_book(symbol, next(self._request_ids))
        if messages and not self._outbox.concerns(symbol):
            self._outbox.put(messages, [symbol])
        return bool(messages)

    def drop(self) -> None:
        """Break the connection; it is made again."""
        self._socket.drop()

    def pause_reading(self) -> None:
        """Make the sender wait."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._socket.resume_reading()

    async def run(self) -> None:
        """Keep the connection, endless. Afterwards it is broken."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._outbox.run())
                if self._pings_by_message and self._limits.ping_interval_s is not None:
                    group.create_task(self._ping(self._limits.ping_interval_s))
                await self._socket.run()
        finally:
            self._socket.drop()

    def opened(self, socket: object) -> None:
        """Of Sink."""
        self.opened_ns = self._clock.monotonic_ns()
        self._opening = _Opening(self)
        self._outbox.clear()
        self._owner.opened(self)

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Of Sink."""
        self._owner.heard(self, payloads, received_time_ns, self._opening)

    def closed(self, reason: str) -> None:
        """Of Sink."""
        self._outbox.clear()
        self._owner.lost(self, reason)

    def answered(self, answer: ControlMessage, opening: "_Opening") -> None:
        """The venue has said something of the connection itself."""
        if opening is self._opening:
            self._outbox.put_first(answer.replies)
            if answer.is_broken:
                _log.warning("the venue has given the connection up")
                self.drop()
            elif answer.is_closing:
                _log.warning("the venue will end the connection")
                self._owner.leaving(self)

    def broken(self, detail: str, opening: "_Opening") -> None:
        """Something that the venue sent over it did not arrive."""
        if opening is self._opening:
            _log.warning("the connection has a hole", extra={"detail": detail})
            self.drop()

    def _ask(self, make: MakeMessages, symbols: Sequence[str]) -> None:
        size = self._limits.symbols_per_message
        for start in range(0, len(symbols), size):
            some = symbols[start : start + size]
            self._outbox.put(make(some, next(self._request_ids)), some)

    async def _ping(self, interval_s: float) -> None:
        while True:
            await self._clock.sleep(interval_s)
            message = self._wire.ping(next(self._request_ids))
            if message is not None and self.connected:
                self._outbox.put_first([message])


class _Opening:
    """One opening of a connection, so that what comes late of an earlier one is not taken for it.
    It is the source of the frames."""

    def __init__(self, connection: WebsocketConnection) -> None:
        self._connection = connection

    def answered(self, answer: ControlMessage) -> None:
        """The venue has said something of this connection."""
        self._connection.answered(answer, self)

    def broken(self, detail: str) -> None:
        """Something that the venue sent over it did not arrive."""
        self._connection.broken(detail, self)
