"""Two tools that lead to all others, so that a model begins with a short list."""

from typing import Any

from gateway.mcp.tool_calls import ToolCaller, ToolCalls, ToolResult
from gateway.mcp.tools import SCHEMA, Tool

Json = dict[str, Any]

FIND_TOOLS = "find_tools"
CALL_TOOL = "call_tool"
DESCRIBED_MAX = 5
"""So many tools are shown with their arguments; of more, names and titles."""
NAMES_MAX = 20
_TEXT = {"type": "string"}
_FOUND = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "toolset": _TEXT,
        "title": _TEXT,
        "description": _TEXT,
        "input_schema": {"type": "object"},
    },
    "required": ["name", "toolset", "title"],
    "additionalProperties": False,
}
_NAME = {"type": "string", "description": "Name of the tool, as find_tools lists it."}
DESCRIPTIONS = {
    FIND_TOOLS: "Lists the tools of this server, also those that tools/list leaves out: by words "
    f"in their names and descriptions, by toolset, or by names. Up to {DESCRIBED_MAX} are shown "
    "with their arguments.",
    CALL_TOOL: "Calls any tool that find_tools lists. Its result is that of the tool.",
}
TITLES = {FIND_TOOLS: "Find tools", CALL_TOOL: "Call a tool that is not listed"}
OUTPUT_SCHEMAS: dict[str, Json] = {
    FIND_TOOLS: {
        "$schema": SCHEMA,
        "type": "object",
        "properties": {
            "tools": {"type": "array", "items": _FOUND},
            "toolsets": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["tools", "toolsets"],
        "additionalProperties": False,
    },
    CALL_TOOL: {"$schema": SCHEMA, "type": "object"},
}


class ToolFinder:
    """The two tools, for the tools of one catalog."""

    def __init__(self, calls: ToolCalls) -> None:
        self._calls = calls
        toolsets = calls.catalog.toolsets
        self.input_schemas: dict[str, Json] = {
            FIND_TOOLS: {
                "$schema": SCHEMA,
                "type": "object",
                "properties": {
                    "query": _TEXT | {"description": "Words, for example: fills of an account."},
                    "toolset": _TEXT | {"enum": toolsets, "description": "Only this toolset."},
                    "names": {
                        "type": "array",
                        "items": _TEXT,
                        "maxItems": NAMES_MAX,
                        "description": "Only these tools, with their arguments.",
                    },
                },
                "additionalProperties": False,
            },
            CALL_TOOL: {
                "$schema": SCHEMA,
                "type": "object",
                "properties": {
                    "name": _NAME,
                    "arguments": {"type": "object", "description": "Its arguments."},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        }

    async def call(self, name: str, arguments: Json, by: ToolCaller) -> ToolResult:
        """The arguments are checked. Raises InvalidCall."""
        if name == CALL_TOOL:
            return await self._calls.call(arguments["name"], arguments.get("arguments", {}), by)
        return ToolResult.of(self._find(arguments, by))

    def _find(self, arguments: Json, by: ToolCaller) -> Json:
        tools = [
            tool
            for tool in self._calls.catalog.tools.values()
            if not by.caller.roles.isdisjoint(tool.roles)
        ]
        counts: dict[str, int] = {}
        for tool in tools:
            counts[tool.toolset] = counts.get(tool.toolset, 0) + 1
        names, toolset = arguments.get("names"), arguments.get("toolset")
        if names:
            tools = [self._calls.tool_of(name, by.caller) for name in names]
        if toolset:
            tools = [tool for tool in tools if tool.toolset == toolset]
        if words := arguments.get("query", "").lower().split():
            ranked = [(_matches(tool, words), tool) for tool in tools]
            most = max((count for count, _ in ranked), default=0)
            tools = [tool for count, tool in ranked if count == most > 0]
        is_described = bool(names) or len(tools) <= DESCRIBED_MAX
        return {"tools": [_shown(tool, is_described) for tool in tools], "toolsets": counts}


def _matches(tool: Tool, words: list[str]) -> int:
    text = f"{tool.name} {tool.description}".lower()
    return sum(1 for word in words if word in text)


def _shown(tool: Tool, is_described: bool) -> Json:
    shown: Json = {"name": tool.name, "toolset": tool.toolset, "title": tool.title}
    if is_described:
        shown |= {"description": tool.description, "input_schema": tool.input_schema}
    return shown
