"""The HTTP server of the websocket: who may connect, heartbeats, the end of all connections."""

import asyncio
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from gateway.push import messages
from gateway.push.channels import CONNECTED
from gateway.push.connection import Connection, ConnectionTerms
from gateway.push.encoding import Encoding
from gateway.push.messages import error_fields
from kit.base import telemetry
from kit.base.access.call_guard import CallGuard, require_role
from kit.base.access.credentials import AUTHORIZATION
from kit.base.access.tokens import Caller
from kit.base.clock import Clock
from kit.base.errors import (
    BadRequest,
    OriginNotAllowed,
    ProcessDraining,
    SettingError,
    TokenInvalid,
    TooManySubscribers,
    UnknownService,
    VenuemeshError,
)

PATH = "/ws"
ENCODING = "encoding"
STATUS = {
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}

Headers: TypeAlias = list[tuple[str, str]]

_log = telemetry.logger("push")


class PushServer:
    """Accepts websockets."""

    def __init__(self, guard: CallGuard, terms: ConnectionTerms, clock: Clock) -> None:
        self._guard = guard
        self._terms = terms
        self._clock = clock
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._drains = False

    def __len__(self) -> int:
        return len(self._connections)

    async def run(self, host: str, tls: ssl.SSLContext | None = None) -> None:
        """Serve, endlessly. Raises SettingError if the port is in use."""
        settings = self._terms.settings
        try:
            server = await ws_create_server(
                self.accept,
                host,
                settings.http_port,
                ssl=tls,
                max_frame_size=settings.message_bytes_max,
                enable_auto_ping=True,
                auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
                auto_ping_idle_timeout=settings.heartbeat_interval_s,
                auto_ping_reply_timeout=settings.heartbeat_interval_s,
            )
        except OSError:
            allowed = "is in use; stop what uses it or change it"
            raise SettingError("push.http_port", settings.http_port, allowed) from None
        async with server:
            await self._send_heartbeats()

    def accept(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """The connection of a request, or why it is refused, as REST would say it."""
        try:
            return self._accepted(request)
        except VenuemeshError as error:
            status = STATUS.get(error.code.name, HTTPStatus.BAD_REQUEST)
            body = msgspec.json.encode(error_fields(error))
            headers = {"Content-Type": "application/json"}
            answer = WSUpgradeResponse.create_error_response(status, body, headers)
            return WSUpgradeResponseWithListener(answer, None)

    def drain(self) -> None:
        """End all connections: another process, or the next start of this one, serves them."""
        self._drains = True
        for connection in tuple(self._connections):
            error = ProcessDraining("the process is stopping: connect again and resume")
            connection.close(error, WSCloseCode.SERVICE_RESTART)

    def _accepted(self, request: WSUpgradeRequest) -> Connection:
        address = urlsplit(request.path.decode("ascii", "replace"))
        if address.path != PATH:
            raise UnknownService(f"no {address.path}: the websocket is {PATH}", name=address.path)
        if self._drains:
            raise ProcessDraining("the process is stopping: try again")
        most = self._terms.settings.connections_max
        if len(self._connections) >= most:
            raise TooManySubscribers(f"{most} connections are open", limit=most)
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        caller = self._caller(headers)
        encoding = _encoding(parse_qsl(address.query, keep_blank_values=True))

        def serve(connection: Connection) -> None:
            task = asyncio.create_task(self._serve(connection, headers))
            self._connections[connection] = task

        return Connection(self._terms, caller, encoding, serve)

    def _caller(self, headers: Headers) -> Caller:
        """Raises the errors of CallGuard, and OriginNotAllowed."""
        caller = self._guard.identify(headers)
        if caller.is_process and caller.token_id:
            raise TokenInvalid("the token is that of a process, not of a caller")
        names = {name for name, _ in headers}
        # The gateway refuses foreign pages; a browser always says which page it is.
        if caller.token_id and AUTHORIZATION not in names and "origin" not in names:
            raise OriginNotAllowed("a call by the cookie of a session names its page (Origin)")
        require_role(caller, CONNECTED)
        return caller

    async def _serve(self, connection: Connection, headers: Headers) -> None:
        try:
            with self._guard.stream(headers, CONNECTED):
                await connection.serve()
        except VenuemeshError as error:
            connection.close(error)
        finally:
            del self._connections[connection]

    async def _send_heartbeats(self) -> None:
        while True:
            await self._clock.sleep(self._terms.settings.heartbeat_interval_s)
            message = messages.heartbeat(self._clock.time_ns())
            frames = {encoding: encoding.frame(message) for encoding in Encoding}
            for connection in tuple(self._connections):
                connection.heartbeat(frames[connection.encoding])


def _encoding(parameters: Iterable[tuple[str, str]]) -> Encoding:
    chosen = Encoding.JSON
    for name, value in parameters:
        if name != ENCODING:
            raise BadRequest(f"{name} is unknown", field=name, value=value, allowed=ENCODING)
        try:
            chosen = Encoding(value)
        except ValueError:
            allowed = ", ".join(each.value for each in Encoding)
            text = f"{ENCODING} {value!r}: allowed is {allowed}"
            raise BadRequest(text, field=name, value=value, allowed=allowed) from None
    return chosen
