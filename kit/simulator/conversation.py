"""A client's side of a websocket: what it says, what the exchange answers, and what it may not."""

import asyncio
from collections.abc import Sequence

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.connection import Connection
from kit.simulator.dialect import Frame, MarketView, OrderEntry, Stream
from kit.simulator.fault_commands import FaultCommand, FaultKind
from kit.simulator.faults import Cut
from kit.simulator.keepalive import keep_alive
from kit.simulator.venue import Venue

RATE_WINDOW_NS = NANOSECONDS_PER_SECOND


class Conversation:
    """One client's, from its first word to its last."""

    def __init__(
        self, venue: Venue, market_view: MarketView, connection: Connection, clock: Clock
    ) -> None:
        self._venue = venue
        self._market_view = market_view
        self._connection = connection
        self._clock = clock
        self._arrivals: list[int] = []
        self._untold: list[Frame] | None = None
        """What the connection is to be told when it has been answered; None: it is not being
        answered now."""
        self._closing: set[asyncio.Task[None]] = set()

    async def hold(self, websocket: web.WebSocketResponse) -> None:
        """Listen and answer until the connection ends."""
        connection, venue = self._connection, self._venue
        venue.join(connection)
        connection.session.tell = self._tell
        keeping = keep_alive(connection, venue.dialect, self._market_view, self._clock)
        keeper = asyncio.create_task(keeping)
        try:
            await self._follow_subscriptions(frozenset(), [])
            async for message in websocket:
                await self._hear(message, websocket)
        finally:
            keeper.cancel()
            venue.leave(connection)
            for forget in connection.session.when_closed:
                forget()

    async def _hear(self, message: WSMessage, websocket: web.WebSocketResponse) -> None:
        connection, now_ns = self._connection, self._clock.monotonic_ns()
        self._arrivals = [at for at in self._arrivals if now_ns - at < RATE_WINDOW_NS] + [now_ns]
        usual_max = self._venue.dialect.rules.messages_per_second_max
        if len(self._arrivals) > (connection.session.messages_per_second_max or usual_max):
            await connection.close(WSCloseCode.POLICY_VIOLATION, "too many requests")
        elif message.type is WSMsgType.PONG:
            connection.last_pong_ns = now_ns
        elif self._venue.faults.on_words() is None:
            connection.last_word_ns = now_ns
            if message.type is WSMsgType.PING:
                await websocket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._answer(message.data)

    async def _answer(self, text: str) -> None:
        connection, faults = self._connection, self._venue.faults
        session = connection.session
        before = frozenset(session.streams.values())
        self._untold = []
        try:
            answers = await self._venue.dialect.receive(session, text, self._market_view)
        finally:
            told, self._untold = self._untold, None
        order = self._failure(text)
        if order is not None:
            if order.fault == FaultKind.ANSWER_LOST:
                connection.reset()
                return
            if order.fault == FaultKind.ANSWER_DELAY:
                self._say(told)
                told = []
                await self._clock.sleep(order.seconds)
            elif isinstance(self._venue.dialect, OrderEntry):
                answers = [self._venue.dialect.failure_of(text)]
        if told and faults.on_told({stream for stream, _ in told}) is not None:
            self._say(told)
            told = []
        await self._follow_subscriptions(before, answers)
        self._say(told)
        if session.closing:
            await connection.close(WSCloseCode.POLICY_VIOLATION, session.closing)

    def _failure(self, text: str) -> FaultCommand | None:
        """What goes wrong with the answer to what the client has said, if anything."""
        dialect = self._venue.dialect
        path = dialect.path_of(text) if isinstance(dialect, OrderEntry) else ""
        return self._venue.faults.on_done(path, over_websocket=True) if path else None

    def _tell(self, stream: Stream, payload: bytes) -> None:
        if self._untold is None:
            self._say([(stream, payload)])
        else:
            self._untold.append((stream, payload))

    def _say(self, frames: Sequence[Frame]) -> None:
        """Send what concerns this connection alone, as far as faults let it pass."""
        connection, faults = self._connection, self._venue.faults
        heard = {stream for stream, _ in frames} - connection.muted
        for part in faults.apply(frames, heard, connection):
            if isinstance(part, Cut):
                self._cut(part.kind)
            else:
                connection.post(part)

    def _cut(self, kind: FaultKind) -> None:
        if kind is FaultKind.RESET:
            self._connection.reset()
        elif kind is FaultKind.STALL:
            self._connection.stall()
        else:
            closing = asyncio.create_task(self._connection.close(WSCloseCode.GOING_AWAY))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _follow_subscriptions(self, before: frozenset[Stream], answers: list[bytes]) -> None:
        """Say the answers, and let the venue know who hears what from now on. Nothing is waited
        for between the two: what a subscription begins with is followed by all that happens."""
        connection, frame_of = self._connection, self._venue.dialect.capture.frame_of
        streams = list(connection.session.streams.values())
        connection.muted.intersection_update(streams)
        again = [
            letter
            for stream in streams
            if stream not in before
            for letter in self._venue.subscribed(connection, stream)
        ]
        for answer in answers:
            if not connection.muted or frame_of(answer)[0] not in connection.muted:
                connection.reply(answer)
        if again:
            await connection.send_letters(again, wait=False)
        connection.subscribed = connection.subscribed or bool(streams)
        self._venue.subscriptions_changed()
