"""A client of the Model Context Protocol that shares no code with the official one.

It makes the handshake of 2025, sends plain JSON-RPC, and compares each answer with the schema that
the server declares.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator

from tests.integration.mesh import CALL_SECONDS_MAX, Mesh

PROTOCOL = "2025-06-18"
OK, ACCEPTED = 200, 202

Json = dict[str, Any]


class RawModel:
    """The tools of one mesh."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.tools: dict[str, Json] = {}
        self._session = session
        self._url = url
        self._numbers = count(1)

    async def begin(self) -> None:
        """Agree on a version, and list all tools."""
        agreed = await self.request(
            "initialize",
            protocolVersion=PROTOCOL,
            capabilities={},
            clientInfo={"name": "raw", "version": "1"},
        )
        self._session.headers["mcp-protocol-version"] = agreed["protocolVersion"]
        await self._notify("notifications/initialized")
        cursor: Json = {}
        while True:
            page = await self.request("tools/list", **cursor)
            for tool in page["tools"]:
                Draft202012Validator.check_schema(tool["inputSchema"])
                self.tools[tool["name"]] = tool
            if not page.get("nextCursor"):
                return
            cursor = {"cursor": page["nextCursor"]}

    async def call(self, tool: str, **arguments: Any) -> Json:
        """The result of a call, which is as the tool declares."""
        result = await self.request("tools/call", name=tool, arguments=arguments)
        if not result.get("isError"):
            schema = self.tools[tool]["outputSchema"]
            Draft202012Validator(schema).validate(result["structuredContent"])
        return result

    async def request(self, method: str, **params: Any) -> Json:
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        async with self._session.post(self._url, json=message) as response:
            assert response.status == OK, await response.text()
            answer = await response.json()
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", number)
        result: Json = answer["result"]
        return result

    async def _notify(self, method: str) -> None:
        message = {"jsonrpc": "2.0", "method": method}
        async with self._session.post(self._url, json=message) as response:
            assert response.status == ACCEPTED, await response.text()


@asynccontextmanager
async def raw_model(mesh: Mesh) -> AsyncIterator[RawModel]:
    """With all tools."""
    headers = {
        "authorization": f"Bearer {mesh.token}",
        "accept": "application/json, text/event-stream",
    }
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        model = RawModel(session, f"http://{mesh.gateway}/mcp?toolsets=all")
        await model.begin()
        yield model
