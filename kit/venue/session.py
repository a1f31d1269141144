"""The connections of a venue: who is subscribed where, and what happens when one breaks."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from kit import telemetry
from kit.clock import Clock
from kit.telemetry import Meter
from kit.venue.contract import Venue
from kit.venue.intake import Intake
from kit.websocket import Websocket

SYMBOLS_PER_MESSAGE = 50

MakeMessages = Callable[[Sequence[str], int], list[str]]

_log = telemetry.logger("venue.session")


class Line:
    """One websocket and the instruments that it carries."""

    def __init__(self, venue: Venue, intake: Intake, meter: Meter, clock: Clock) -> None:
        self.symbols: list[str] = []
        self._venue = venue
        self._intake = intake
        self._meter = meter
        self._clock = clock
        self._request_id = 0
        self._opened_before = False
        self._sending: set[asyncio.Task[None]] = set()
        self.socket: Websocket | None = None

    @property
    def connected(self) -> bool:
        """Whether data can come."""
        return self.socket is not None and self.socket.connected

    def opened(self, socket: Websocket) -> None:
        """Subscribe to everything."""
        if self._opened_before:
            self._meter.reconnect()
        self._opened_before = True
        _log.info("connected", extra={"url": socket.url, "symbols": len(self.symbols)})
        self._say(self._messages(self._venue.wire.subscribe, self.symbols))

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Messages that were read together."""
        self._intake.frames(payloads, received_time_ns)

    def closed(self, reason: str) -> None:
        """What was under way is lost."""
        _log.warning("disconnected", extra={"reason": reason})
        self._intake.reconnected(self.symbols, reason)

    def add(self, symbols: Sequence[str]) -> None:
        """Carry these too."""
        self.symbols.extend(symbols)
        self._say(self._messages(self._venue.wire.subscribe, symbols))

    def remove(self, symbols: Sequence[str]) -> None:
        """Carry these no longer."""
        self.symbols = [symbol for symbol in self.symbols if symbol not in symbols]
        self._say(self._messages(self._venue.wire.unsubscribe, symbols))

    async def run(self) -> None:
        """Keep the connection, endless."""
        limits = self._venue.limits
        self.socket = Websocket(
            self._venue.wire.url(self.symbols),
            self,
            self._clock,
            ping_interval_s=limits.ping_interval_s,
            silence_s=limits.silence_s,
        )
        try:
            await self.socket.run()
        finally:
            self.socket.drop()
            self.socket = None

    def _messages(self, make: MakeMessages, symbols: Sequence[str]) -> list[str]:
        messages: list[str] = []
        for start in range(0, len(symbols), SYMBOLS_PER_MESSAGE):
            self._request_id += 1
            messages += make(symbols[start : start + SYMBOLS_PER_MESSAGE], self._request_id)
        return messages

    def _say(self, messages: Sequence[str]) -> None:
        """Send at the pace that the venue allows, beside everything else."""
        task = asyncio.ensure_future(self._send_paced(messages))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_paced(self, messages: Sequence[str]) -> None:
        pause_s = 1 / self._venue.limits.requests_per_second
        for position, message in enumerate(messages):
            if position:
                await self._clock.sleep(pause_s)
            if self.socket is not None:
                self.socket.send(message)


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
        """Subscribe to these, on connections with room first."""
        waiting = list(symbols)
        for line in self._lines:
            room = self._venue.limits.symbols_per_connection - len(line.symbols)
            if room > 0 and waiting:
                line.add(waiting[:room])
                waiting = waiting[room:]
        size = self._venue.limits.symbols_per_connection
        for start in range(0, len(waiting), size):
            line = Line(self._venue, self._intake, self._meter, self._clock)
            line.symbols = waiting[start : start + size]
            self._lines[line] = None
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

    def drop(self) -> None:
        """Break every connection; they are made again."""
        for line in self._lines:
            if line.socket is not None:
                line.socket.drop()

    def pause(self) -> None:
        """Break every connection, and stay apart."""
        self._paused = True
        for line, task in self._lines.items():
            if task is not None:
                task.cancel()
            self._lines[line] = None
        for line in self._lines:
            self._intake.reconnected(line.symbols, "paused")

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
