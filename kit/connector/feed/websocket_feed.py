"""The connections of a venue: who is subscribed where, and what happens when one breaks or ages."""

import asyncio
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import Channel
from kit.base.request_budget import Priority, RequestBudget
from kit.base.telemetry import Meter
from kit.base.websocket import Sink, Websocket
from kit.connector.contract.venue import FeedProtocol, Venue
from kit.connector.feed.connection import OpenSocket, Socket, WebsocketConnection
from kit.connector.feed.raw_frames import RawFrames
from kit.connector.feed.standby_connection import StandbyConnection
from kit.connector.host.frame_pipeline import FramePipeline, Source

LOOK_AGAIN_S = 0.5
LEAD_S_MAX = 15 * 60.0
"""So long before the venue ends a connection another one is opened, or a little later: not all of
them at the same time."""
LEAD_SHARE_MAX = 0.6
"""Of a lifetime that is shorter than any real one."""
ATTEMPTS_AT_ONCE = 10

_log = telemetry.logger("venue.session")


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What all lines of a session share."""

    venue: Venue
    pipeline: FramePipeline
    meter: Meter
    clock: Clock
    open_socket: OpenSocket


class FeedConnection:
    """A wire, the instruments that it carries, and the connection over which they come. For a while
    there are two: see kit/connector/feed/standby_connection.py."""

    def __init__(self, around: FeedContext, wire: FeedProtocol, symbols: Sequence[str]) -> None:
        self.wire = wire
        self.symbols = dict.fromkeys(symbols)
        """In the order in which they were added."""
        self._around = around
        self._current: WebsocketConnection | None = None
        self._successor: WebsocketConnection | None = None
        self._rehearsal: StandbyConnection | None = None
        self._running: dict[WebsocketConnection, asyncio.Task[None]] = {}
        self._move_at_ns: float | None = None
        self._was_open = False

    @property
    def connected(self) -> bool:
        """Whether data can come."""
        return self._current is not None and self._current.connected

    @property
    def connections(self) -> Collection[WebsocketConnection]:
        """One, or two while the line moves; none while it does not run."""
        return self._running.keys()

    def add(self, symbols: Sequence[str]) -> None:
        """Carry these too."""
        self.symbols |= dict.fromkeys(symbols)
        if self._rehearsal is not None:
            self._rehearsal.add(symbols)
        for connection in self.connections:
            connection.subscribe(symbols)

    def remove(self, symbols: Sequence[str]) -> None:
        """Carry these no longer."""
        for symbol in symbols:
            self.symbols.pop(symbol, None)
        for connection in self.connections:
            connection.unsubscribe(symbols)

    def renew_book(self, symbol: str) -> None:
        """Ask the venue for this book anew."""
        if self._current is not None:
            self._current.renew_book(symbol)

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Make the subscription of a channel anew. Returns what is made anew with it."""
        if self._current is None:
            return frozenset()
        if channel == types_pb2.CHANNEL_BOOK and self._current.renew_book(symbol):
            return frozenset([channel])
        self._current.resubscribe(symbol)
        return self.wire.channels

    def drop(self) -> None:
        """Break the connection; it is made again."""
        self._give_up_successor()
        if self._current is not None:
            self._current.drop()

    def forget(self) -> None:
        """The line ends; what its connections still have to tell is of no interest."""
        self._current = self._successor = self._rehearsal = None
        self._running.clear()

    async def run(self) -> None:
        """Keep the connection, and replace it before the venue ends it; endless."""
        async with asyncio.TaskGroup() as group:
            self._current = self._begin(group)
            try:
                while True:
                    await self._around.clock.sleep(LOOK_AGAIN_S)
                    self._look(group)
            finally:
                self.forget()

    def opened(self, connection: WebsocketConnection) -> None:
        """Subscribe to everything."""
        _log.info("connected", extra={"symbols": len(self.symbols)})
        connection.subscribe(list(self.symbols))
        if connection is self._successor:
            venue, clock = self._around.venue, self._around.clock
            self._rehearsal = StandbyConnection(venue, self.wire, list(self.symbols), clock)
        elif connection is self._current:
            if self._was_open:
                self._around.meter.reconnect()
            self._was_open = True
            self._plan_move()

    def heard(
        self,
        connection: WebsocketConnection,
        payloads: list[bytes],
        received_time_ns: int,
        source: Source,
    ) -> None:
        """Of the connection that counts everything is handled, of its successor it is kept."""
        if connection is self._current:
            self._around.pipeline.frames(payloads, received_time_ns, self.wire, source)
        elif connection is self._successor and self._rehearsal is not None:
            self._rehearsal.frames(payloads, received_time_ns, source)

    def lost(self, connection: WebsocketConnection, reason: str) -> None:
        """What was under way is lost. A successor that is there takes over at once."""
        if connection is self._successor:
            self._rehearsal = None
        elif connection is self._current:
            _log.warning("disconnected", extra={"reason": reason})
            self._around.pipeline.reconnected(self.symbols, self.wire.channels, reason)
            if self._rehearsal is not None:
                self._around.meter.reconnect()
                self._move(self._rehearsal)
            else:
                self._give_up_successor()

    def leaving(self, connection: WebsocketConnection) -> None:
        """Move away from it now."""
        if connection is self._current:
            self._move_at_ns = 0.0
        elif connection is self._successor:
            connection.drop()

    def _look(self, group: asyncio.TaskGroup) -> None:
        if self._current is None or self._move_at_ns is None:
            return
        if self._successor is None:
            now_ns = self._around.clock.monotonic_ns()
            if now_ns >= self._move_at_ns and self._current.connected:
                self._successor = self._begin(group)
        elif self._rehearsal is not None:
            if self._successor.has_said_all:
                self._rehearsal.subscribed()
            if self._rehearsal.is_ready(self._around.pipeline, list(self.symbols)):
                self._move(self._rehearsal)

    def _plan_move(self) -> None:
        self._move_at_ns = None
        lifetime_s = self._around.venue.limits.lifetime_s
        if lifetime_s is not None and self._current is not None:
            lead_s = min(LEAD_S_MAX, lifetime_s * LEAD_SHARE_MAX) * random.uniform(0.6, 1)
            age_ns = (lifetime_s - lead_s) * NANOSECONDS_PER_SECOND
            self._move_at_ns = self._current.opened_ns + age_ns

    def _move(self, rehearsal: StandbyConnection) -> None:
        """The successor is the connection from now on."""
        old, self._current = self._current, self._successor
        self._successor = self._rehearsal = None
        rehearsal.take_over(self._around.pipeline)
        if old is not None:
            self._end(old)
        self._plan_move()
        self._around.meter.count("moved_connections_total")
        _log.info("moved to a new connection", extra={"symbols": len(self.symbols)})

    def _give_up_successor(self) -> None:
        successor, self._successor, self._rehearsal = self._successor, None, None
        if successor is not None:
            self._end(successor)

    def _begin(self, group: asyncio.TaskGroup) -> WebsocketConnection:
        around, symbols = self._around, list(self.symbols)
        connection = WebsocketConnection(
            self, self.wire, around.venue.limits, around.open_socket, symbols, around.clock
        )
        self._running[connection] = group.create_task(connection.run())
        return connection

    def _end(self, connection: WebsocketConnection) -> None:
        self._running.pop(connection).cancel()


class WebsocketFeed:
    """All connections of a venue. The instruments are spread over as many as the venue asks for."""

    def __init__(
        self,
        venue: Venue,
        pipeline: FramePipeline,
        meter: Meter,
        clock: Clock,
        open_socket: OpenSocket | None = None,
        raw_frames: RawFrames | None = None,
    ) -> None:
        """``raw_frames`` hears everything that comes."""
        self._venue = venue
        self._clock = clock
        per_second = venue.limits.connections_per_minute / 60
        self._attempts = RequestBudget(venue.venue_id, per_second, clock, burst=ATTEMPTS_AT_ONCE)
        opens = open_socket or self._open_socket
        if raw_frames is not None:
            opens = raw_frames.over(opens)
        self._around = FeedContext(venue, pipeline, meter, clock, opens)
        self._lines: dict[FeedConnection, asyncio.Task[None] | None] = {}
        self._changed = asyncio.Event()
        self._paused = False

    @property
    def connected(self) -> bool:
        """Whether every connection stands."""
        return bool(self._lines) and all(line.connected for line in self._lines)

    def carries(self, symbol: str, channel: Channel) -> bool:
        """Whether this can come now."""
        lines = self._lines_of(symbol, channel)
        return bool(lines) and all(line.connected for line in lines)

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these on every wire, on connections with room first."""
        wanted = list(symbols)
        for wire in self._venue.feed_protocols:
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
        for line in self._lines_of(symbol, types_pb2.CHANNEL_BOOK):
            line.renew_book(symbol)

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Make a subscription anew, alone if the venue lets us. Returns the channels of the
        instrument that are made anew with it."""
        renewed = [line.renew(symbol, channel) for line in self._lines_of(symbol, channel)]
        return frozenset[Channel]().union(*renewed)

    def drop(self) -> None:
        """Break every connection; they are made again."""
        for line in self._lines:
            line.drop()

    def pause(self) -> None:
        """Break every connection, and stay apart."""
        self._paused = True
        for line, task in self._lines.items():
            line.forget()
            if task is not None:
                task.cancel()
            self._lines[line] = None
        for line in self._lines:
            self._around.pipeline.reconnected(line.symbols, line.wire.channels, "paused")

    def resume(self) -> None:
        """End a pause."""
        self._paused = False
        self._changed.set()

    def pause_reading(self) -> None:
        """Make the sender wait: nothing is read until resume_reading."""
        for line in self._lines:
            for connection in line.connections:
                connection.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        for line in self._lines:
            for connection in line.connections:
                connection.resume_reading()

    async def run(self) -> None:
        """Keep all connections, endless."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for line, task in self._lines.items():
                    if task is None and not self._paused:
                        self._lines[line] = group.create_task(line.run())

    def _lines_of(self, symbol: str, channel: Channel) -> list[FeedConnection]:
        return [
            line for line in self._lines if channel in line.wire.channels and symbol in line.symbols
        ]

    def _add_on(self, wire: FeedProtocol, waiting: list[str]) -> None:
        size = self._venue.limits.symbols_per_connection
        for line in [line for line in self._lines if line.wire is wire]:
            room = size - len(line.symbols)
            if room > 0 and waiting:
                line.add(waiting[:room])
                waiting = waiting[room:]
        for start in range(0, len(waiting), size):
            line = FeedConnection(self._around, wire, waiting[start : start + size])
            self._lines[line] = None

    def _open_socket(self, url: str, sink: Sink, ping_interval_s: float | None) -> Socket:
        return Websocket(
            url,
            sink,
            self._clock,
            ping_interval_s=ping_interval_s,
            silence_s=self._venue.limits.silence_s,
            may_try=self._may_try,
        )

    async def _may_try(self) -> None:
        """Attempts to connect are paced for all lines together."""
        async with self._attempts.turn(Priority.NEW):
            return
