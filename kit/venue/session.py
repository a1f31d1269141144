"""The connections of a venue: who is subscribed where, and what happens when one breaks."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from venuemesh.common.v1 import types_pb2

from kit import telemetry
from kit.clock import Clock
from kit.telemetry import Meter
from kit.venue.contract import Answer, Venue, Wire
from kit.venue.intake import Intake
from kit.websocket import Websocket

MakeMessages = Callable[[Sequence[str], int], list[str]]

_log = telemetry.logger("venue.session")


class Line:
    """One websocket of a wire and the instruments that it carries."""

    def __init__(
        self, venue: Venue, wire: Wire, intake: Intake, meter: Meter, clock: Clock
    ) -> None:
        self.wire = wire
        self.symbols: list[str] = []
        self._venue = venue
        self._intake = intake
        self._meter = meter
        self._clock = clock
        self._request_id = 0
        self._connection: _Connection | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self.socket: Websocket | None = None

    @property
    def connected(self) -> bool:
        """Whether data can come."""
        return self.socket is not None and self.socket.connected

    def opened(self, socket: Websocket) -> None:
        """Subscribe to everything."""
        if self._connection is not None:
            self._meter.reconnect()
        self._connection = _Connection(self)
        _log.info("connected", extra={"url": socket.url, "symbols": len(self.symbols)})
        self._say(self._messages(self.wire.subscribe, self.symbols))

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Messages that were read together."""
        assert self._connection is not None
        self._intake.frames(payloads, received_time_ns, self.wire, self._connection)

    def closed(self, reason: str) -> None:
        """What was under way is lost."""
        _log.warning("disconnected", extra={"reason": reason})
        self._intake.reconnected(self.symbols, self.wire.channels, reason)

    def add(self, symbols: Sequence[str]) -> None:
        """Carry these too."""
        self.symbols.extend(symbols)
        self._say(self._messages(self.wire.subscribe, symbols))

    def remove(self, symbols: Sequence[str]) -> None:
        """Carry these no longer."""
        self.symbols = [symbol for symbol in self.symbols if symbol not in symbols]
        self._say(self._messages(self.wire.unsubscribe, symbols))

    def renew_book(self, symbol: str) -> None:
        """Ask the venue for this book anew."""
        self._request_id += 1
        self._say(self.wire.renew_book(symbol, self._request_id))

    def answered(self, answer: Answer) -> None:
        """The venue has said something of this connection."""
        self._say(answer.say)
        if answer.leaving:
            self.drop()

    def drop(self) -> None:
        """Break the connection; it is made again."""
        if self.socket is not None:
            self.socket.drop()

    async def run(self) -> None:
        """Keep the connection, endless."""
        limits = self._venue.limits
        by_message = self.wire.ping(0) is not None
        self.socket = Websocket(
            self.wire.url(self.symbols),
            self,
            self._clock,
            ping_interval_s=None if by_message else limits.ping_interval_s,
            silence_s=limits.silence_s,
        )
        pinging = asyncio.create_task(self._ping_by_message()) if by_message else None
        try:
            await self.socket.run()
        finally:
            if pinging is not None:
                pinging.cancel()
            self.socket.drop()
            self.socket = None

    async def _ping_by_message(self) -> None:
        interval_s = self._venue.limits.ping_interval_s
        while interval_s is not None:
            await self._clock.sleep(interval_s)
            self._request_id += 1
            message = self.wire.ping(self._request_id)
            if self.socket is not None and message is not None:
                self.socket.send(message)

    def _messages(self, make: MakeMessages, symbols: Sequence[str]) -> list[str]:
        messages: list[str] = []
        size = self._venue.limits.symbols_per_message
        for start in range(0, len(symbols), size):
            self._request_id += 1
            messages += make(symbols[start : start + size], self._request_id)
        return messages

    def _say(self, messages: Sequence[str]) -> None:
        """Send at the pace that the venue allows, beside everything else."""
        if messages:
            task = asyncio.ensure_future(self._send_paced(messages))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_paced(self, messages: Sequence[str]) -> None:
        pause_s = 1 / self._venue.limits.messages_per_second
        for position, message in enumerate(messages):
            if position:
                await self._clock.sleep(pause_s)
            if self.socket is not None:
                self.socket.send(message)


class _Connection:
    """One opening of a line, so that what comes late of an earlier one is not taken for it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def answered(self, answer: Answer) -> None:
        """The venue has said something of this connection."""
        self._line.answered(answer)

    def broken(self, detail: str) -> None:
        """Something that the venue sent over it did not arrive."""
        _log.warning("the connection has a hole", extra={"detail": detail})
        self._line.drop()


class Session:
    """All connections of a venue. The instruments are spread over as many as the venue asks for."""

    def __init__(self, venue: Venue, intake: Intake, meter: Meter, clock: Clock) -> None:
        self._venue = venue
        self._intake = intake
        self._meter = meter
        self._clock = clock
        self._lines: dict[Line, asyncio.Task[None] | None] = {}
        self._changed = asyncio.Event()
        self._paused = False

    @property
    def connected(self) -> bool:
        """Whether every connection stands."""
        return bool(self._lines) and all(line.connected for line in self._lines)

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these on every wire, on connections with room first."""
        wanted = list(symbols)
        for wire in self._venue.wires:
            self._add_on(wire, wanted)
        self._changed.set()

    def remove(self, symbols: Iterable[str]) -> None:
        """End these subscriptions, and the connections that carry nothing any more."""
        unwanted = set(symbols)
        for line in list(self._lines):
            line.remove([symbol for symbol in line.symbols if symbol in unwanted])
            task = self._lines[line]
            if not line.symbols:
                del self._lines[line]
                if task is not None:
                    task.cancel()

    def renew_book(self, symbol: str) -> None:
        """Ask the venue for this book anew."""
        for line in self._lines:
            if symbol in line.symbols and types_pb2.CHANNEL_BOOK in line.wire.channels:
                line.renew_book(symbol)

    def drop(self) -> None:
        """Break every connection; they are made again."""
        for line in self._lines:
            line.drop()

    def pause(self) -> None:
        """Break every connection, and stay apart."""
        self._paused = True
        for line, task in self._lines.items():
            if task is not None:
                task.cancel()
            self._lines[line] = None
        for line in self._lines:
            self._intake.reconnected(line.symbols, line.wire.channels, "paused")

    def resume(self) -> None:
        """End a pause."""
        self._paused = False
        self._changed.set()

    def pause_reading(self) -> None:
        """Make the sender wait: nothing is read until resume_reading."""
        for line in self._lines:
            if line.socket is not None:
                line.socket.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        for line in self._lines:
            if line.socket is not None:
                line.socket.resume_reading()

    async def run(self) -> None:
        """Keep all connections, endless."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for line, task in self._lines.items():
                    if task is None and not self._paused:
                        self._lines[line] = group.create_task(line.run())

    def _add_on(self, wire: Wire, waiting: list[str]) -> None:
        size = self._venue.limits.symbols_per_connection
        for line in [line for line in self._lines if line.wire is wire]:
            room = size - len(line.symbols)
            if room > 0 and waiting:
                line.add(waiting[:room])
                waiting = waiting[room:]
        for start in range(0, len(waiting), size):
            line = Line(self._venue, wire, self._intake, self._meter, self._clock)
            line.symbols = waiting[start : start + size]
            self._lines[line] = None
