"""One HTTP and websocket server for all pretend venues.

Which venue is meant is told by the first segment of the path (``/binance/api/v3/time``,
``ws://…/binance/stream``) or by the Host header (``api.binance.com``).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from kit import telemetry
from kit.clock import Clock
from kit.simulator.connection import Connection
from kit.simulator.dialect import Answer, Floor, Request, Session
from kit.simulator.venue import Venue

MESSAGE_BYTES_MAX = 1024 * 1024
RATE_WINDOW_NS = 1_000_000_000

_log = telemetry.logger("simulator.server")


class SimulatorServer:
    """Brings each request to its venue."""

    def __init__(
        self,
        venues: Mapping[str, tuple[Venue, Floor]],
        clock: Clock,
        replay_status: Callable[[], Sequence[Mapping[str, object]]],
    ) -> None:
        self._venues = venues
        self._clock = clock
        self._replay_status = replay_status
        self._by_host = {
            host: venue_id
            for venue_id, (venue, _) in venues.items()
            for host in venue.dialect.hosts
        }

    def application(self) -> web.Application:
        """What aiohttp serves."""
        app = web.Application(client_max_size=MESSAGE_BYTES_MAX)
        app.router.add_get("/replay/status", self._get_replay_status)
        app.router.add_route("*", "/{path:.*}", self._venue_request)
        return app

    async def _get_replay_status(self, request: web.Request) -> web.Response:
        return _json({"venues": list(self._replay_status())})

    async def _venue_request(self, request: web.Request) -> web.StreamResponse:
        venue_id, path = self._venue_of(request)
        if venue_id not in self._venues:
            known = ", ".join(sorted(self._venues))
            return _json({"error": f"no such venue; this server has {known}"}, status=404)
        venue, floor = self._venues[venue_id]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            session = venue.dialect.open(path, request.query)
            if session is None:
                return _json({"error": "no websocket at this path"}, status=404)
            return await self._converse(request, venue, floor, session)
        asked = Request(request.method, path, request.query, await request.read())
        return _response(await venue.dialect.answer(asked, floor))

    def _venue_of(self, request: web.Request) -> tuple[str, str]:
        by_host = self._by_host.get((request.host or "").partition(":")[0])
        if by_host is not None:
            return by_host, request.path
        first, _, rest = request.path.lstrip("/").partition("/")
        return first, "/" + rest

    async def _converse(
        self, request: web.Request, venue: Venue, floor: Floor, session: Session
    ) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX, writer_limit=0
        )
        await websocket.prepare(request)
        connection = Connection(websocket, cast("asyncio.Transport", request.transport), session)
        venue.join(connection)
        keep_alive = asyncio.create_task(self._keep_alive(venue, connection))
        try:
            await self._read(websocket, venue, floor, connection)
        finally:
            keep_alive.cancel()
            venue.leave(connection)
        return websocket

    async def _read(
        self,
        websocket: web.WebSocketResponse,
        venue: Venue,
        floor: Floor,
        connection: Connection,
    ) -> None:
        rules = venue.dialect.rules
        arrivals: list[int] = []
        async for message in websocket:
            now_ns = self._clock.monotonic_ns()
            arrivals = [at for at in arrivals if now_ns - at < RATE_WINDOW_NS] + [now_ns]
            if len(arrivals) > rules.messages_per_second_max:
                await connection.close(WSCloseCode.POLICY_VIOLATION, "too many requests")
                return
            if message.type is WSMsgType.PING:
                await websocket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.last_pong_ns = now_ns
            elif message.type is WSMsgType.TEXT:
                session, text = connection.session, message.data
                for answer in await venue.dialect.receive(session, text, floor):
                    connection.reply(answer)
                venue.subscriptions_changed()

    async def _keep_alive(self, venue: Venue, connection: Connection) -> None:
        """Ping as the exchange does; end what does not answer, and what is too old."""
        rules = venue.dialect.rules
        opened_ns = connection.last_pong_ns = self._clock.monotonic_ns()
        while connection.open:
            await self._clock.sleep(rules.ping_interval_s)
            now_ns = self._clock.monotonic_ns()
            if now_ns - opened_ns > rules.lifetime_s * 1e9:
                await connection.close(WSCloseCode.GOING_AWAY, "lifetime is over")
            elif now_ns - connection.last_pong_ns > rules.pong_timeout_s * 1e9:
                await connection.close(WSCloseCode.GOING_AWAY, "no pong")
            else:
                await connection.ping(str(time.time_ns() // 1_000_000).encode())


def _response(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
    )


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
