"""A venue on loopback that gives prepared answers, and keeps what a client sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from kit.connector.orders.execution_client import CcxtExecutionClient
from tests.support.waiting import WAIT_SECONDS_MAX

DROP = "the connection is cut"
"""Cuts the connection in place of an answer."""


@dataclass
class ReceivedCall:
    """A REST call that the venue received."""

    method: str
    path: str
    query: dict[str, str]
    body: str

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the query and of a form body."""
        return {**self.query, **dict(parse_qsl(self.body))}

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass
class ScriptedVenue:
    """Answers each call with its prepared answers in order, and repeats the last one."""

    base: str = ""
    sent: list[ReceivedCall] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    """Paths of websockets that were opened, and messages received over them."""
    reply: Callable[[Any], list[Any]] = lambda message: []
    """Returns the answers to a websocket message."""
    greeting: list[Any] = field(default_factory=list)
    """Messages sent to each new websocket."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    pings: int = 0
    """Ping frames that came over the websockets."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Calls by the end of their path that are answered only once the event is set."""
    _paths: dict[int, str] = field(default_factory=dict)
    _answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def answer(self, path: str, *bodies: Any, status: int = 200) -> None:
        """Prepare answers to a call, by the end of its path. A text is sent unchanged."""
        self._answers[path] = [
            (status, body if isinstance(body, str) else json.dumps(body)) for body in bodies
        ]

    async def send(self, *messages: Any, path: str = "") -> None:
        """Send to all websockets, or to those whose path ends so."""
        for socket in [one for one in self.sockets if not one.closed]:
            for message in messages if self._paths[id(socket)].endswith(path) else ():
                await socket.send_str(_text(message))

    async def disconnect(self) -> None:
        """Close all websockets."""
        sockets, self.sockets = self.sockets, []
        for socket in sockets:
            await socket.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Handle a REST call, or a websocket."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._talk(request)
        body = (await request.read()).decode()
        self.sent.append(ReceivedCall(request.method, request.path, dict(request.query), body))
        for path, released in self.held.items():
            if request.path.endswith(path):
                await released.wait()
        found = [path for path in self._answers if request.path.endswith(path)]
        if not found:
            return web.Response(status=404, text=f"nothing at {request.path}")
        prepared = self._answers[max(found, key=len)]
        status, text = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if text == DROP:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status, text=text, content_type="application/json")

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.received.append(request.path_qs)
        self._paths[id(socket)] = request.path
        self.sockets.append(socket)
        for message in self.greeting:
            await socket.send_str(_text(message))
        async for message in socket:
            if message.type == WSMsgType.PING:
                self.pings += 1
                await socket.pong(message.data)
            if message.type == WSMsgType.TEXT:
                self.received.append(message.data)
                decoded = json.loads(message.data) if message.data[0] in "{[" else message.data
                replies = self.reply(decoded)
                for reply in replies:
                    await socket.send_str(_text(reply))
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def scripted_venue() -> AsyncIterator[ScriptedVenue]:
    """Serve a venue on a free port."""
    venue = ScriptedVenue()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", venue.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            yield venue
    finally:
        await runner.cleanup()


@asynccontextmanager
async def signed_in(client: CcxtExecutionClient) -> AsyncIterator[None]:
    """Run only the order socket of a client, until it is open and signed in."""
    assert client.socket is not None
    try:
        client.socket.start()
        await client.socket.ready.wait()
        yield
    finally:
        await client.close()


async def take(events: Any, count: int) -> list[Any]:
    """The next events of a client."""
    return [await anext(events) for _ in range(count)]


def _text(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message)
