"""A model without a network: it calls the tools of a mesh as a script says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Tool

from tests.integration.mesh import CALL_SECONDS_MAX, Mesh

ALL = "?toolsets=all"
PAGES_MAX = 50

Json = dict[str, Any]


class ScriptedModel:
    """The tools of one mesh. The client of the SDK compares each answer with its schema."""

    def __init__(self, client: Client, tools: list[Tool]) -> None:
        self.client = client
        self.tools = {tool.name: tool for tool in tools}

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        found = await self.client.call_tool(tool, arguments)
        assert isinstance(found, CallToolResult)
        return found

    async def answer(self, tool: str, **arguments: Any) -> Json:
        """What a tool answers. An error fails the test."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        answer: Json = result.structured_content["answer"]
        return answer

    async def rows(self, tool: str, table: str, **arguments: Any) -> list[Json]:
        """All rows of a table, with the pages that follow."""
        rows: list[Json] = []
        for _ in range(PAGES_MAX):
            answer = await self.answer(tool, **arguments)
            found = answer.get(table, {"columns": [], "rows": []})
            rows += [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
            token = answer.get("next_page_token")
            if not token:
                return rows
            arguments["page_token"] = token
        raise AssertionError(f"{tool} has more than {PAGES_MAX} pages")


@asynccontextmanager
async def scripted_model(mesh: Mesh, token: str = "") -> AsyncIterator[ScriptedModel]:
    """With all tools that a token allows; by default one with every role."""
    headers = {"authorization": f"Bearer {token or mesh.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=CALL_SECONDS_MAX) as http:
        transport = streamable_http_client(f"http://{mesh.gateway}/mcp{ALL}", http_client=http)
        async with Client(transport) as client:
            yield ScriptedModel(client, (await client.list_tools()).tools)
