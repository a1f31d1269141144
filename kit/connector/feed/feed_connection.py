"""A group of instruments on one connection, which is replaced before the venue closes it."""

import asyncio
import random
from collections.abc import Collection, Sequence

from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import Channel
from kit.connector.contract.venue import FeedProtocol
from kit.connector.feed.connection import OpenSocket, WebsocketConnection
from kit.connector.feed.standby_connection import StandbyConnection
from kit.connector.publishing.feed_handler import FeedHandler

LOOK_INTERVAL_S = 0.5
LEAD_S_MAX = 15 * 60.0
"""A successor is opened so long before the venue closes a connection, or a little later, so that
not all connections are replaced at the same time."""
LEAD_SHARE_MAX = 0.6
"""The lead as a share of lifetimes that are shorter than any real one."""

_log = telemetry.logger("venue.session")


class FeedConnection:
    """A feed protocol, the instruments of one connection, and the websocket that carries them.
    While a connection is being replaced there are two: see standby_connection.py."""

    def __init__(
        self,
        feed_handler: FeedHandler,
        protocol: FeedProtocol,
        symbols: Sequence[str],
        open_socket: OpenSocket,
    ) -> None:
        self.protocol = protocol
        self.symbols = dict.fromkeys(symbols)
        """In the order in which they were added."""
        self._feed_handler = feed_handler
        self._open_socket = open_socket
        self._current: WebsocketConnection | None = None
        self._successor: WebsocketConnection | None = None
        self._standby: StandbyConnection | None = None
        """What the successor has brought since it was opened."""
        self._running: dict[WebsocketConnection, asyncio.Task[None]] = {}
        self._move_at_ns: float | None = None
        self._was_open = False

    @property
    def connected(self) -> bool:
        return self._current is not None and self._current.connected

    @property
    def connections(self) -> Collection[WebsocketConnection]:
        """None while it does not run, two while one replaces the other, otherwise one."""
        return self._running.keys()

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe to these instruments too."""
        self.symbols |= dict.fromkeys(symbols)
        if self._standby is not None:
            self._standby.subscribe(symbols)
        for connection in self.connections:
            connection.subscribe(symbols)

    def remove(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            self.symbols.pop(symbol, None)
        for connection in self.connections:
            connection.unsubscribe(symbols)

    def renew_book(self, symbol: str) -> None:
        """Ask the venue to send this book again."""
        if self._current is not None:
            self._current.renew_book(symbol)

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Subscribe to a channel again. Returns the channels that were renewed with it."""
        if self._current is None:
            return frozenset()
        if channel == types_pb2.CHANNEL_BOOK and self._current.renew_book(symbol):
            return frozenset([channel])
        self._current.resubscribe(symbol)
        return self.protocol.channels

    def reconnect(self) -> None:
        """Drop the connection and connect again."""
        self._abandon_successor()
        if self._current is not None:
            self._current.drop()

    def detach(self) -> None:
        """Ignore what the connections still bring or report."""
        for connection in self._running:
            connection.receiver = None
        self._current = self._successor = self._standby = None
        self._running.clear()

    async def run(self) -> None:
        """Keep the connection, and replace it before the venue closes it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._current = self._start(group)
            self._current.receiver = self._feed_handler.pipeline.buffer(self.protocol)
            try:
                while True:
                    await self._feed_handler.clock.sleep(LOOK_INTERVAL_S)
                    self._look(group)
            finally:
                self.detach()

    def on_opened(self, connection: WebsocketConnection) -> None:
        _log.info("connected", extra={"symbols": len(self.symbols)})
        connection.subscribe(list(self.symbols))
        if connection is self._successor:
            self._standby = StandbyConnection(self._feed_handler, self.protocol, list(self.symbols))
            connection.receiver = self._standby
        elif connection is self._current:
            if self._was_open:
                self._feed_handler.meter.reconnect()
            self._was_open = True
            self._plan_move()

    def on_lost(self, connection: WebsocketConnection, reason: str) -> None:
        """Report what may be missing. A successor that is open takes over at once."""
        if connection is self._successor:
            self._standby = connection.receiver = None
        elif connection is self._current:
            _log.warning("disconnected", extra={"reason": reason})
            self.report_loss(reason)
            if self._standby is not None:
                self._feed_handler.meter.reconnect()
                self._move(self._standby)
            else:
                self._abandon_successor()

    def on_closing(self, connection: WebsocketConnection) -> None:
        if connection is self._current:
            self._move_at_ns = 0.0
        elif connection is self._successor:
            connection.drop()

    def report_loss(self, reason: str) -> None:
        """Publish what was received, then what may be missing from here on."""
        self._feed_handler.pipeline.flush()
        channels = self.protocol.channels
        self._feed_handler.row_publisher.on_connection_lost(self.symbols, channels, reason)

    def _look(self, group: asyncio.TaskGroup) -> None:
        if self._current is None or self._move_at_ns is None:
            return
        if self._successor is None:
            now_ns = self._feed_handler.clock.monotonic_ns()
            if now_ns >= self._move_at_ns and self._current.connected:
                self._successor = self._start(group)
        elif self._standby is not None:
            if self._successor.has_sent_all:
                self._standby.on_subscribed()
            if self._standby.is_ready(list(self.symbols)):
                self._move(self._standby)

    def _plan_move(self) -> None:
        self._move_at_ns = None
        lifetime_s = self._feed_handler.venue.limits.lifetime_s
        if lifetime_s is not None and self._current is not None:
            lead_s = min(LEAD_S_MAX, lifetime_s * LEAD_SHARE_MAX) * random.uniform(0.6, 1)
            age_ns = (lifetime_s - lead_s) * NANOSECONDS_PER_SECOND
            self._move_at_ns = self._current.opened_ns + age_ns

    def _move(self, standby: StandbyConnection) -> None:
        """Make the successor the current connection."""
        old, self._current = self._current, self._successor
        self._successor = self._standby = None
        if old is not None:
            self._stop(old)
        standby.take_over()
        if self._current is not None:
            self._current.receiver = self._feed_handler.pipeline.buffer(self.protocol)
        self._plan_move()
        self._feed_handler.meter.count("moved_connections_total")
        _log.info("moved to a new connection", extra={"symbols": len(self.symbols)})

    def _abandon_successor(self) -> None:
        successor, self._successor, self._standby = self._successor, None, None
        if successor is not None:
            self._stop(successor)

    def _start(self, group: asyncio.TaskGroup) -> WebsocketConnection:
        feed_handler = self._feed_handler
        connection = WebsocketConnection(
            self,
            self.protocol,
            feed_handler.venue.limits,
            self._open_socket,
            list(self.symbols),
            feed_handler.clock,
        )
        self._running[connection] = group.create_task(connection.run())
        return connection

    def _stop(self, connection: WebsocketConnection) -> None:
        connection.receiver = None
        self._running.pop(connection).cancel()
