"""A server of models with faults, in place of one that this machine does not have."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ChatServer:
    """Answers as ``behave`` says, and keeps the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.released = asyncio.Event()
        """Ends the answers that wait."""
        self.behave: Behaviour = self.says("{}")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(json.loads(await request.text()))
        self.keys.append(request.headers.get("Authorization", ""))
        return await self.behave(request)

    def says(self, content: str | None, reason: str = "stop", **message: Any) -> Behaviour:
        return self.sends(completion(content, reason, **message))

    def sends(self, body: Any, status: int = 200) -> Behaviour:
        text = body if isinstance(body, str) else json.dumps(body)

        async def behave(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text, content_type="application/json")

        return behave

    async def never(self, request: web.Request) -> web.StreamResponse:
        await self.released.wait()
        return web.Response()

    async def drips(self, request: web.Request) -> web.StreamResponse:
        """One byte after the other, without an end."""
        response = web.StreamResponse()
        await response.prepare(request)
        while not self.released.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.01)
        return response

    async def disconnects(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()


def completion(content: str | None, reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 900, "completion_tokens": 70, "total_tokens": 970},
    }


@asynccontextmanager
async def chat_server() -> AsyncIterator[ChatServer]:
    """One that runs."""
    found = ChatServer()
    application = web.Application()
    application.router.add_post("/v1/chat/completions", found.answer)
    async with TestServer(application) as running:
        found.url = str(running.make_url("/v1"))
        yield found
        found.released.set()
