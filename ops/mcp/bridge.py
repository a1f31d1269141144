"""Carries messages of the Model Context Protocol, one line each, to ``/mcp`` of a gateway.

Each request is one POST, and its answer one line. A request that its client cancels, or that is
still running when the input ends, is dropped.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import msgspec

PATH = "/mcp"
TIMEOUT_S = 120.0
REQUESTS_MAX = 32
"""Requests at a time; the next line is read when one has been answered."""
VERSION = "io.modelcontextprotocol/protocolVersion"
"""In the metadata of each message, since the protocol has no handshake."""
NAMES: Mapping[str, str] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that a header repeats."""
INITIALIZE, CANCELLED = "initialize", "notifications/cancelled"
PARSE_ERROR, INTERNAL_ERROR = -32700, -32603
NO_CONTENT = (202, 204)
MESSAGE_LENGTH_MAX = 400

Json = dict[str, Any]


class Bridge:
    """One client, one gateway."""

    def __init__(self, url: str, token: Callable[[], str], write: Callable[[bytes], None]) -> None:
        """``token``: called for each request, "" for none. ``write``: takes one line."""
        self._url = f"{url}{PATH}"
        self._token = token
        self._write = write
        self._version = ""
        """Agreed in the handshake of a client that makes one."""
        self._running: dict[Any, asyncio.Task[None]] = {}

    async def run(self, lines: AsyncIterator[bytes], tls: ssl.SSLContext | None = None) -> None:
        """Serve until the input ends."""
        free = asyncio.Semaphore(REQUESTS_MAX)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(ssl=True if tls is None else tls)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
            async for line in lines:
                if line.strip():
                    await self._take(line, client, free)
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _take(
        self, line: bytes, client: aiohttp.ClientSession, free: asyncio.Semaphore
    ) -> None:
        try:
            message = msgspec.json.decode(line)
            method, params = message["method"], message.get("params") or {}
        except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
            self._fail(None, PARSE_ERROR, "a line is no message of JSON-RPC")
            return
        if method == CANCELLED:
            if task := self._running.get(params.get("requestId")):
                task.cancel()
            return
        await free.acquire()
        request_id = message.get("id")
        task = asyncio.create_task(self._send(line, message, params, client))
        key = id(task) if request_id is None else request_id
        self._running[key] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._running.pop(key, None)
            free.release()

        task.add_done_callback(ended)
        if method == INITIALIZE:
            # What follows needs the version that its answer names.
            await asyncio.wait([task])

    async def _send(
        self, line: bytes, message: Json, params: Json, client: aiohttp.ClientSession
    ) -> None:
        request_id = message.get("id")
        try:
            async with client.post(
                self._url, data=line, headers=self._headers(message, params)
            ) as response:
                content = await response.read()
                if response.status in NO_CONTENT or request_id is None:
                    return
                answer = msgspec.json.decode(content)
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"the gateway does not answer: {type(error).__name__} {error}"
            self._fail(request_id, INTERNAL_ERROR, text)
            return
        except msgspec.DecodeError:
            self._fail(request_id, INTERNAL_ERROR, f"HTTP status {response.status}")
            return
        if "jsonrpc" not in answer:
            text = str(answer.get("message") or f"HTTP status {response.status}")
            self._fail(request_id, INTERNAL_ERROR, text)
            return
        if message["method"] == INITIALIZE:
            self._version = answer.get("result", {}).get("protocolVersion", "")
        # A request that is refused before it is read has no id in the answer.
        self._write(msgspec.json.encode(answer | {"id": request_id}))

    def _headers(self, message: Json, params: Json) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        if token := self._token():
            headers["authorization"] = f"Bearer {token}"
        meta = params.get("_meta")
        version = meta.get(VERSION) if isinstance(meta, dict) else None
        if version is None:
            return headers | ({"mcp-protocol-version": self._version} if self._version else {})
        headers |= {"mcp-protocol-version": _line(version), "mcp-method": _line(message["method"])}
        if named := params.get(NAMES.get(message["method"], "")):
            headers["mcp-name"] = _line(named)
        return headers

    def _fail(self, request_id: Any, code: int, text: str) -> None:
        error = {"code": code, "message": text[:MESSAGE_LENGTH_MAX]}
        self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error}))


def _line(value: object) -> str:
    """As the value of a header. What no header can have is no name of anything here."""
    text = str(value)
    return text if text.isascii() and text.isprintable() else "?"
