"""All connections of a venue: which instruments are subscribed on which."""

import asyncio
from collections.abc import Iterable

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.base.request_budget import Priority, RequestBudget
from kit.base.websocket import Websocket, WebsocketHandler
from kit.connector.contract.venue import FeedProtocol
from kit.connector.feed.connection import OpenSocket, Socket
from kit.connector.feed.feed_connection import FeedConnection
from kit.connector.feed.raw_frame_publisher import RawFramePublisher
from kit.connector.publishing.feed_handler import FeedHandler

ATTEMPTS_AT_ONCE = 10


class WebsocketFeed:
    """Spreads the instruments over as many connections as the venue's limits ask for."""

    def __init__(
        self,
        feed_handler: FeedHandler,
        open_socket: OpenSocket | None = None,
        raw_frames: RawFramePublisher | None = None,
    ) -> None:
        """``raw_frames`` records everything that arrives."""
        self._feed_handler = feed_handler
        self._venue = feed_handler.venue
        per_second = self._venue.limits.connections_per_minute / 60
        self._attempts = RequestBudget(
            self._venue.venue_id, per_second, feed_handler.clock, burst=ATTEMPTS_AT_ONCE
        )
        self._open = open_socket or self._open_socket
        if raw_frames is not None:
            self._open = raw_frames.over(self._open)
        self._connections: dict[FeedConnection, asyncio.Task[None] | None] = {}
        self._changed = asyncio.Event()
        self._is_paused = False

    @property
    def connected(self) -> bool:
        """Whether every connection is open."""
        return bool(self._connections) and all(one.connected for one in self._connections)

    def carries(self, symbol: str, channel: Channel) -> bool:
        """Whether events of this subscription can arrive now."""
        found = self._connections_of(symbol, channel)
        return bool(found) and all(one.connected for one in found)

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these instruments, on connections with room first."""
        wanted = list(symbols)
        for protocol in self._venue.feed_protocols:
            self._add_on(protocol, wanted)
        self._changed.set()

    def remove(self, symbols: Iterable[str]) -> None:
        """End these subscriptions, and the connections that have none left."""
        unwanted = set(symbols)
        for connection in list(self._connections):
            connection.remove([symbol for symbol in connection.symbols if symbol in unwanted])
            task = self._connections[connection]
            if not connection.symbols:
                del self._connections[connection]
                if task is not None:
                    task.cancel()

    def renew_book(self, symbol: str) -> None:
        """Ask the venue to send this book again."""
        for connection in self._connections_of(symbol, types_pb2.CHANNEL_BOOK):
            connection.renew_book(symbol)

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Subscribe to a channel again, alone if the venue allows that. Returns the channels of the
        instrument that were renewed with it."""
        renewed = [one.renew(symbol, channel) for one in self._connections_of(symbol, channel)]
        return frozenset[Channel]().union(*renewed)

    def reconnect(self) -> None:
        """Drop every connection and connect again."""
        for connection in self._connections:
            connection.reconnect()

    def set_paused(self, is_paused: bool) -> None:
        """Drop every connection and stay disconnected, or connect again."""
        self._is_paused = is_paused
        if not is_paused:
            self._changed.set()
            return
        for connection, task in self._connections.items():
            connection.detach()
            if task is not None:
                task.cancel()
            self._connections[connection] = None
        for connection in self._connections:
            connection.report_loss("paused")

    def set_reading(self, is_reading: bool) -> None:
        """Leave data in the sockets so that the venue has to wait, or read again."""
        for feed_connection in self._connections:
            for connection in feed_connection.connections:
                connection.set_reading(is_reading)

    async def run(self) -> None:
        """Keep all connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for connection, task in self._connections.items():
                    if task is None and not self._is_paused:
                        self._connections[connection] = group.create_task(connection.run())

    def _connections_of(self, symbol: str, channel: Channel) -> list[FeedConnection]:
        return [
            one
            for one in self._connections
            if channel in one.protocol.channels and symbol in one.symbols
        ]

    def _add_on(self, protocol: FeedProtocol, waiting: list[str]) -> None:
        size = self._venue.limits.symbols_per_connection
        for connection in [one for one in self._connections if one.protocol is protocol]:
            room = size - len(connection.symbols)
            if room > 0 and waiting:
                connection.add(waiting[:room])
                waiting = waiting[room:]
        for start in range(0, len(waiting), size):
            some = waiting[start : start + size]
            connection = FeedConnection(self._feed_handler, protocol, some, self._open)
            self._connections[connection] = None

    def _open_socket(
        self, url: str, handler: WebsocketHandler, ping_interval_s: float | None
    ) -> Socket:
        return Websocket(
            url,
            handler,
            self._feed_handler.clock,
            ping_interval_s=ping_interval_s,
            silence_s=self._venue.limits.silence_s,
            may_connect=self._may_connect,
        )

    async def _may_connect(self) -> None:
        """Pace the attempts to connect of all connections together."""
        if self._venue.request_budget is not None:
            await self._venue.request_budget.ban_ended()
        # A connection that is missing leaves books in doubt.
        async with self._attempts.turn(Priority.PROTECT):
            return
