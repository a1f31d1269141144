"""A venue with prepared answers, on loopback: what a desk sends is kept as it came."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from kit.connector.orders.execution_client import CcxtExecutionClient

WAIT_S = 10.0
DROP = "the connection is cut"
"""An answer that never comes."""


@dataclass
class Sent:
    """One call, as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: str

    @property
    def params(self) -> dict[str, str]:
        """Of the query and of a body that is a form."""
        return {**self.query, **dict(parse_qsl(self.body))}

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Answering:
    """What it answers: the first prepared answer of a call, and the last one for ever."""

    base: str = ""
    sent: list[Sent] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """What came over websockets."""
    reply: Callable[[Any], list[Any]] = lambda message: []
    """To what comes over websockets: the messages that follow."""
    greeting: list[Any] = field(default_factory=list)
    """Said to each websocket at once."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _paths: dict[int, str] = field(default_factory=dict)
    _answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def answer(self, path: str, *bodies: Any, status: int = 200) -> None:
        """Prepare answers to a call, by the end of its path. A text is given as it is."""
        self._answers[path] = [
            (status, body if isinstance(body, str) else json.dumps(body)) for body in bodies
        ]

    async def say(self, *messages: Any, path: str = "") -> None:
        """To all websockets, or to those whose path ends so."""
        for socket in [one for one in self.sockets if not one.closed]:
            for message in messages if self._paths[id(socket)].endswith(path) else ():
                await socket.send_str(_text(message))

    async def cut(self) -> None:
        """End all websockets."""
        sockets, self.sockets = self.sockets, []
        for socket in sockets:
            await socket.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._talk(request)
        body = (await request.read()).decode()
        self.sent.append(Sent(request.method, request.path, dict(request.query), body))
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
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.heard.append(request.path_qs)
        self._paths[id(socket)] = request.path
        self.sockets.append(socket)
        for message in self.greeting:
            await socket.send_str(_text(message))
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self.heard.append(message.data)
                decoded = json.loads(message.data) if message.data[0] in "{[" else message.data
                replies = self.reply(decoded)
                for reply in replies:
                    await socket.send_str(_text(reply))
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def answering() -> AsyncIterator[Answering]:
    """On a free port."""
    venue = Answering()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", venue.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with asyncio.timeout(WAIT_S):
            yield venue
    finally:
        await runner.cleanup()


@asynccontextmanager
async def signed_in(desk: CcxtExecutionClient) -> AsyncIterator[None]:
    """A desk with its order socket only, which is open and signed in."""
    assert desk.socket is not None
    try:
        desk.socket.start()
        await desk.socket.ready.wait()
        yield
    finally:
        await desk.close()


async def take(events: Any, count: int) -> list[Any]:
    """The next events of a desk."""
    return [await anext(events) for _ in range(count)]


def _text(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message)
