"""A client's side of a websocket: what it says, what the exchange answers, and what it may not."""

import asyncio

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from kit.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.connection import Connection
from kit.simulator.dialect import Floor, Stream
from kit.simulator.keepalive import keep_alive
from kit.simulator.venue import Venue

RATE_WINDOW_NS = NANOSECONDS_PER_SECOND


class Conversation:
    """One client's, from its first word to its last."""

    def __init__(self, venue: Venue, floor: Floor, connection: Connection, clock: Clock) -> None:
        self._venue = venue
        self._floor = floor
        self._connection = connection
        self._clock = clock
        self._arrivals: list[int] = []

    async def hold(self, websocket: web.WebSocketResponse) -> None:
        """Listen and answer until the connection ends."""
        connection, venue = self._connection, self._venue
        venue.join(connection)
        connection.session.tell = lambda stream, payload: connection.reply(payload)
        keeping = keep_alive(connection, venue.dialect, self._floor, self._clock)
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
        session = self._connection.session
        before = frozenset(session.streams.values())
        answers = await self._venue.dialect.receive(session, text, self._floor)
        await self._follow_subscriptions(before, answers)
        if session.closing:
            await self._connection.close(WSCloseCode.POLICY_VIOLATION, session.closing)

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
