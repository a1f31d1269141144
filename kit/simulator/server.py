"""One HTTP and websocket server for all simulated venues.

The first segment of the path names the venue (``/binance/api/v3/time``,
``ws://…/binance/stream``) or the Host header (``api.binance.com``). Four paths are the server's
own: ``/status``, ``/replay/status``, ``/faults`` and ``/accounts``; the last two need a token of
the mesh.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

import grpc
import msgspec
from aiohttp import web

from kit.base import telemetry
from kit.base.access.call_guard import GuardedMethod
from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.base.hosts import is_ip
from kit.simulator.account_states import account_states
from kit.simulator.client_messages import ClientMessageHandler
from kit.simulator.connection import ClientConnection
from kit.simulator.control_access import CHANGE, READ, READ_ACCOUNTS, ControlAccess
from kit.simulator.dialect import MarketView, RestRequest, RestResponse, WebsocketSession
from kit.simulator.fault_commands import FaultCommand, FaultKind
from kit.simulator.faulted_market_view import FaultedMarketView
from kit.simulator.venue import SimulatedVenue

CLOSE_WAIT_S = 1.0
MESSAGE_BYTES_MAX = 1024 * 1024
BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site")
REFUSALS = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403}
HTML_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = telemetry.logger("simulator.server")


class SimulatorServer:
    """Routes each request to its venue."""

    def __init__(
        self,
        venues: Mapping[str, tuple[SimulatedVenue, MarketView]],
        clock: Clock,
        replay_status: Callable[[], Sequence[Mapping[str, object]]],
        access: ControlAccess | None = None,
    ) -> None:
        """``access`` admits the callers of /faults and /accounts; None, in tests, everybody."""
        self._access = access
        self._venues = venues
        self._clock = clock
        self._replay_status = replay_status
        self._by_host = {
            host: venue_id
            for venue_id, (venue, _) in venues.items()
            for host in venue.dialect.hosts
        }

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MESSAGE_BYTES_MAX)
        app.router.add_get("/status", _not_for_pages(self._get_status))
        app.router.add_get("/replay/status", _not_for_pages(self._get_replay_status))
        app.router.add_get("/faults", self._guarded(self._get_faults, READ))
        app.router.add_post("/faults", self._guarded(self._post_faults, CHANGE))
        app.router.add_delete("/faults", self._guarded(self._delete_faults, CHANGE))
        app.router.add_get("/accounts", self._guarded(self._get_accounts, READ_ACCOUNTS))
        app.router.add_route("*", "/{path:.*}", self._venue_request)
        return app

    def _guarded(self, handle: Handler, method: GuardedMethod) -> Handler:
        async def admitted(request: web.Request) -> web.StreamResponse:
            if self._access is None:
                return await handle(request)
            try:
                with self._access.call(request, method):
                    return await handle(request)
            except VenuemeshError as error:
                body = {"error": error.message, "reason": error.reason}
                return _json(body, status=REFUSALS.get(error.code, 500))

        return _not_for_pages(admitted)

    async def _get_status(self, request: web.Request) -> web.Response:
        return _json(
            {
                "venues": [
                    {
                        "venue": venue.venue_id,
                        "time_ns": market_view.time_ns(),
                        "connections": len(venue.connections),
                        "streams": sorted(stream.name for stream in venue.wanted),
                        "frames_sent": venue.frames_sent,
                    }
                    for venue, market_view in self._venues.values()
                ]
            }
        )

    async def _get_replay_status(self, request: web.Request) -> web.Response:
        return _json({"venues": list(self._replay_status())})

    async def _venue_request(self, request: web.Request) -> web.StreamResponse:
        venue_id, path = self._venue_of(request)
        if venue_id not in self._venues:
            known = ", ".join(sorted(self._venues))
            return _json({"error": f"no such venue; this server has {known}"}, status=404)
        venue, market_view = self._venues[venue_id]
        venue.touch()
        opens_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        asked = RestRequest(
            request.method,
            path,
            request.query,
            await request.read(),
            request.url.raw_query_string,
            request.headers,
        )
        failure = await self._fail_on_purpose(venue, path, opens_websocket)
        if failure is not None:
            return failure
        if not opens_websocket:
            answer = await venue.dialect.answer(asked, FaultedMarketView(market_view, venue, path))
            return _response(await self._spoil_on_purpose(venue, request, path, answer))
        session = venue.dialect.open(path, request.query)
        if session is None:
            return _json({"error": "no websocket at this path"}, status=404)
        return await self._converse(request, venue, market_view, session)

    async def _get_faults(self, request: web.Request) -> web.Response:
        venues = self._chosen(request)
        return _json(
            {
                "faults": [one for venue in venues for one in venue.faults.status()],
                "known": {venue.venue_id: venue.faults.known for venue in venues},
            }
        )

    async def _get_accounts(self, request: web.Request) -> web.Response:
        chosen = {venue.venue_id for venue in self._chosen(request)}
        views = [(name, view) for name, (_, view) in self._venues.items() if name in chosen]
        return _json({"accounts": account_states(views)})

    async def _post_faults(self, request: web.Request) -> web.Response:
        try:
            command = msgspec.json.decode(await request.read(), type=FaultCommand)
            if command.venue not in self._venues:
                raise ValueError(f"no such venue; allowed are {', '.join(sorted(self._venues))}")
            venue, _ = self._venues[command.venue]
            venue.touch()
            venue.faults.add(command)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return _json({"ordered": command})

    async def _delete_faults(self, request: web.Request) -> web.Response:
        for venue in self._chosen(request):
            venue.faults.clear()
        return _json({})

    def _chosen(self, request: web.Request) -> list[SimulatedVenue]:
        wanted = request.query.get("venue")
        return [venue for name, (venue, _) in self._venues.items() if wanted in (None, name)]

    async def _fail_on_purpose(
        self, venue: SimulatedVenue, path: str, opens_websocket: bool
    ) -> web.Response | None:
        command = venue.faults.on_call(path, opens_websocket)
        if command is None:
            return None
        if command.fault == FaultKind.REST_DELAY:
            await self._clock.sleep(command.seconds)
            return None
        if command.fault == FaultKind.REST_HTML:
            return web.Response(body=HTML_PAGE, status=502, content_type="text/html")
        status = int(command.fault.removeprefix("rest_"))
        headers = {"Retry-After": f"{command.seconds:.0f}"} if status < 500 else {}
        body = venue.dialect.failures.get(status, b"{}")
        return _response(RestResponse(body, status, headers))

    async def _spoil_on_purpose(
        self, venue: SimulatedVenue, request: web.Request, path: str, answer: RestResponse
    ) -> RestResponse:
        """Apply faults to the answer of a call that was carried out."""
        command = venue.faults.on_completed_call(path)
        if command is None:
            return answer
        if command.fault == FaultKind.ANSWER_DELAY:
            await self._clock.sleep(command.seconds)
            return answer
        if command.fault == FaultKind.ANSWER_LOST and request.transport is not None:
            request.transport.abort()
        return RestResponse(venue.dialect.failures.get(500, b"{}"), 500)

    def _venue_of(self, request: web.Request) -> tuple[str, str]:
        by_host = self._by_host.get((request.host or "").partition(":")[0])
        if by_host is not None:
            return by_host, request.path
        first, _, rest = request.path.lstrip("/").partition("/")
        return first, "/" + rest

    async def _converse(
        self,
        request: web.Request,
        venue: SimulatedVenue,
        market_view: MarketView,
        session: WebsocketSession,
    ) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(
            timeout=CLOSE_WAIT_S,
            autoping=False,
            compress=False,
            max_msg_size=MESSAGE_BYTES_MAX,
            writer_limit=0,
        )
        await websocket.prepare(request)
        transport = cast("asyncio.Transport", request.transport)
        connection = ClientConnection(websocket, transport, session, self._clock.monotonic_ns())
        await ClientMessageHandler(venue, market_view, connection, self._clock).hold(websocket)
        return websocket


def _not_for_pages(handle: Handler) -> Handler:
    """Refuse web pages, which could disturb the markets from the browser of whoever opens them, and
    names that a page could have made up for this machine."""

    async def checked(request: web.Request) -> web.StreamResponse:
        if any(name in request.headers for name in BROWSER_HEADERS):
            return _json({"error": "not for web pages: call it from a program"}, status=403)
        if "." in (host := (request.url.host or "")) and not is_ip(host):
            return _json({"error": f"unknown host {host!r}: use localhost or an IP"}, status=403)
        return await handle(request)

    return checked


def _response(answer: RestResponse) -> web.Response:
    return web.Response(
        body=answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
    )


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
