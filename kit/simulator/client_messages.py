"""The messages of one websocket connection, their answers, and the rate limit."""

import asyncio
from collections.abc import Sequence

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.connection import ClientConnection
from kit.simulator.dialect import ExchangeStream, Frame, MarketView
from kit.simulator.fault_commands import FaultCommand, FaultKind
from kit.simulator.faults import ConnectionDrop
from kit.simulator.keepalive import keep_alive
from kit.simulator.venue import SimulatedVenue

RATE_WINDOW_NS = NANOSECONDS_PER_SECOND


class ClientMessageHandler:
    """The messages of one connection, from the first to the last."""

    def __init__(
        self,
        venue: SimulatedVenue,
        market_view: MarketView,
        connection: ClientConnection,
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._market_view = market_view
        self._connection = connection
        self._clock = clock
        self._arrivals: list[int] = []
        self._unsent_events: list[Frame] | None = None
        """Account events that are sent after the current answer; None: no message is being
        answered."""
        self._closing: set[asyncio.Task[None]] = set()

    async def hold(self, websocket: web.WebSocketResponse) -> None:
        """Receive and answer messages until the connection ends."""
        connection, venue = self._connection, self._venue
        venue.join(connection)
        connection.session.report = self._report
        keeping = keep_alive(connection, venue.dialect, self._market_view, self._clock)
        keeper = asyncio.create_task(keeping)
        try:
            await self._follow_subscriptions(frozenset(), [])
            async for message in websocket:
                await self._receive(message, websocket)
        finally:
            keeper.cancel()
            venue.leave(connection)
            for forget in connection.session.when_closed:
                forget()

    async def _receive(self, message: WSMessage, websocket: web.WebSocketResponse) -> None:
        connection, now_ns = self._connection, self._clock.monotonic_ns()
        self._arrivals = [at for at in self._arrivals if now_ns - at < RATE_WINDOW_NS] + [now_ns]
        usual_max = self._venue.dialect.rules.messages_per_second_max
        if len(self._arrivals) > (connection.session.messages_per_second_max or usual_max):
            await connection.close(WSCloseCode.POLICY_VIOLATION, "too many requests")
        elif message.type is WSMsgType.PONG:
            connection.last_pong_ns = now_ns
        elif self._venue.faults.on_message() is None:
            connection.last_message_ns = now_ns
            if message.type is WSMsgType.PING:
                await websocket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._answer(message.data)

    async def _answer(self, text: str) -> None:
        connection, faults = self._connection, self._venue.faults
        session = connection.session
        before = frozenset(session.streams.values())
        self._unsent_events = []
        try:
            answers = await self._venue.dialect.receive(session, text, self._market_view)
        finally:
            events, self._unsent_events = self._unsent_events, None
        command = self._failure(text)
        if command is not None:
            if command.fault == FaultKind.ANSWER_LOST:
                connection.reset()
                return
            if command.fault == FaultKind.ANSWER_DELAY:
                self._send(events)
                events = []
                await self._clock.sleep(command.seconds)
            else:
                answers = [self._venue.dialect.failure_of(text)]
        if events and faults.on_account_events({stream for stream, _ in events}) is not None:
            self._send(events)
            events = []
        await self._follow_subscriptions(before, answers)
        self._send(events)
        if session.closing:
            await connection.close(WSCloseCode.POLICY_VIOLATION, session.closing)

    def _failure(self, text: str) -> FaultCommand | None:
        """The fault that hits the answer to a message, if any."""
        path = self._venue.dialect.path_of(text)
        return self._venue.faults.on_completed_call(path, over_websocket=True) if path else None

    def _report(self, stream: ExchangeStream, payload: bytes) -> None:
        if self._unsent_events is None:
            self._send([(stream, payload)])
        else:
            self._unsent_events.append((stream, payload))

    def _send(self, frames: Sequence[Frame]) -> None:
        """Send frames to this connection alone, through the faults."""
        connection, faults = self._connection, self._venue.faults
        streams = {stream for stream, _ in frames} - connection.muted
        for part in faults.apply(frames, streams, connection):
            if isinstance(part, ConnectionDrop):
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

    async def _follow_subscriptions(
        self, before: frozenset[ExchangeStream], answers: list[bytes]
    ) -> None:
        """Send the answers, and update the venue's subscriptions. Nothing is awaited between the
        two, so that no frame is missing after the snapshot of a subscription."""
        connection, frame_of = self._connection, self._venue.dialect.capture.frame_of
        streams = list(connection.session.streams.values())
        connection.muted.intersection_update(streams)
        again = [
            outgoing
            for stream in streams
            if stream not in before
            for outgoing in self._venue.subscribed(connection, stream)
        ]
        for answer in answers:
            if not connection.muted or frame_of(answer)[0] not in connection.muted:
                connection.reply(answer)
        if again:
            await connection.send_outgoing(again, wait=False)
        connection.subscribed = connection.subscribed or bool(streams)
        self._venue.subscriptions_changed()
