"""The tools: one for each unary operation of the REST API that changes nothing. If trading tools
are on, also one for each other operation whose contract lets models call it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.mcp import times
from gateway.mcp.answers import (
    COMMON_PREFIX,
    DEFINITION,
    REFERENCE,
    UNSPECIFIED,
    AnswerForm,
    form_of,
)
from gateway.openapi import FOR_MODELS, JSON, READ_ONLY, STREAMING
from kit.base.access.roles import Role

Json = dict[str, Any]

TOOLSETS: Mapping[str, tuple[str, ...]] = {
    "market": ("MarketData", "Bars"),
    "history": ("History", "Repair"),
    "orders": ("TradeFlow",),
    "risk": ("Inspector", "RiskReports"),
    "strategy": ("Detector", "Advisor"),
    "ledger": ("Ledger",),
    "mesh": ("Registry", "Catalog", "Admin", "Audit", "Events", "Tokens"),
}
"""The contracts of each toolset. Another contract is a toolset of its own."""
DEFAULT_TOOLS = frozenset(
    {
        *("mesh_list_services", "mesh_get_status", "mesh_list_venues", "mesh_why"),
        *("market_list_instruments", "market_get_order_book"),
        *("history_list_trades", "history_list_bars", "history_list_gaps", "history_list_holes"),
        *("history_list_repairs", "history_list_coverage", "history_summarize_order_costs"),
        *("orders_list_accounts", "orders_list_open_orders", "orders_list_fills"),
        *("orders_list_balances", "orders_list_positions"),
        *("risk_get_state", "strategy_list_strategies", "strategy_explain"),
        *("ledger_get_profit", "ledger_get_equity"),
    }
)
"""What is listed to a model that chooses no toolsets."""
COLUMNS = "columns"
PAGE_SIZE = "page_size"
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 500
WORD = re.compile(r"(?<!^)(?=[A-Z][a-z])")
ROLES = re.compile(r"\n\nRoles: .*$", re.DOTALL)
SCHEMA = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a tool, and the field of the request that it sets."""

    name: str
    field: str
    """In the contract; of a nested message with a dot: range.start_time_ns."""
    is_in_path: bool
    is_time: bool


@dataclass(frozen=True)
class Tool:
    """One operation as a tool."""

    name: str
    toolset: str
    title: str
    description: str
    input_schema: Json
    roles: frozenset[Role]
    """One of them suffices."""
    verb: str
    path: str
    arguments: Mapping[str, Argument]
    """By their names. Of an operation with a body: those in its path."""
    has_body: bool
    is_read_only: bool
    answer: AnswerForm

    @property
    def is_default(self) -> bool:
        return self.name in DEFAULT_TOOLS or not self.is_read_only

    @property
    def pages(self) -> bool:
        return PAGE_SIZE in self.arguments

    @cached_property
    def output_schema(self) -> Json:
        """Of the structured result: the answer, and what is to be said about it."""
        inner = dict(self.answer.schema)
        definitions = inner.pop("$defs", {})
        texts = {"type": "array", "items": {"type": "string"}}
        return {
            "$schema": SCHEMA,
            "type": "object",
            "properties": {
                "answer": inner,
                "notes": texts,
                "untrusted_fields": texts,
            },
            "required": ["answer"],
            "additionalProperties": False,
            **({"$defs": definitions} if definitions else {}),
        }


class ToolCatalog:
    """All tools of an OpenAPI document."""

    def __init__(self, document: Json, *, has_trading: bool = False) -> None:
        """``has_trading``: with the tools that propose orders."""
        self.has_trading = has_trading
        self._schemas: Json = document["components"]["schemas"]
        self.tools = {tool.name: tool for tool in self._read(document)}
        self.remedies = _remedies(self._schemas)
        """By the reason of an error: what it means and what to do."""

    @property
    def toolsets(self) -> list[str]:
        return sorted({tool.toolset for tool in self.tools.values()})

    def of_toolsets(self, names: frozenset[str]) -> list[Tool]:
        """Those of these toolsets; without any, the default."""
        return [
            tool
            for tool in self.tools.values()
            if (tool.toolset in names or "all" in names if names else tool.is_default)
        ]

    def _read(self, document: Json) -> Iterator[Tool]:
        for path, verbs in document["paths"].items():
            for verb, operation in verbs.items():
                is_tool = operation[READ_ONLY] or (self.has_trading and operation[FOR_MODELS])
                if is_tool and not operation[STREAMING]:
                    yield self._tool(path, verb.upper(), operation)

    def _tool(self, path: str, verb: str, operation: Json) -> Tool:
        contract, method = operation["operationId"].split(".")
        toolset = toolset_of(contract)
        arguments = {}
        properties: Json = {}
        required = []
        for parameter in operation["parameters"]:
            argument = _argument(parameter)
            arguments[argument.name] = argument
            properties[argument.name] = self._input(parameter, argument)
            if parameter["required"]:
                required.append(argument.name)
        schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        has_body = "requestBody" in operation
        if has_body:
            body = operation["requestBody"]["content"][JSON]["schema"]
            properties |= body["properties"]
            required += body.get("required", ())
            schema = self._with_definitions(schema)
        answer = form_of(operation["responses"]["200"]["content"][JSON]["schema"], self._schemas)
        if answer.tables:
            properties[COLUMNS] = {
                "type": "array",
                "items": {"type": "string"},
                "description": f"Columns to return of {', '.join(sorted(answer.tables))}; "
                "without it, all that have values.",
            }
        roles = {role for way in operation["security"] for names in way.values() for role in names}
        if not operation[READ_ONLY]:
            # Whatever else the contract lets an operator do.
            roles &= {Role.TRADER}
        return Tool(
            name=f"{toolset}_{snake(method)}",
            toolset=toolset,
            title=operation["summary"],
            description=ROLES.sub("", operation["description"]),
            input_schema={"$schema": SCHEMA, "required": required, **schema},
            roles=frozenset(map(Role, roles)),
            verb=verb,
            path=path,
            arguments=arguments,
            has_body=has_body,
            is_read_only=operation[READ_ONLY],
            answer=answer,
        )

    def _input(self, parameter: Json, argument: Argument) -> Json:
        schema, text = dict(parameter["schema"]), parameter["description"]
        if argument.is_time:
            return {"type": "string", "description": f"{text} Write it as {times.ALLOWED}."}
        if schema.get("format") in ("int64", "uint64"):
            number = {"type": ["string", "integer"], "pattern": "^-?[0-9]{1,20}$"}
            return number | {"description": text}
        if argument.name == PAGE_SIZE:
            most = min(schema.get("maximum", PAGE_SIZE_MAX), PAGE_SIZE_MAX)
            text = f"Rows to return, 1 to {most}; {PAGE_SIZE_DEFAULT} without it."
            return {"type": "integer", "minimum": 1, "maximum": most, "description": text}
        schema.pop("format", None)
        schema |= {"description": text}
        return dict(self._with_enums(schema))

    def _with_enums(self, schema: Json) -> Json:
        """A schema whose references to enums are replaced by their values."""
        if schema.get("type") == "array":
            return schema | {"items": self._with_enums(schema["items"])}
        reference = schema.pop("$ref", "").removeprefix(REFERENCE)
        if not reference:
            return schema
        values = [one for one in self._schemas[reference]["enum"] if not one.endswith(UNSPECIFIED)]
        return {"type": "string", "enum": values} | schema

    def _with_definitions(self, schema: Json) -> Json:
        """The schema with those that it refers to."""
        found: Json = {}
        todo = [schema]
        while todo:
            for name in _references(todo.pop()):
                if name not in found:
                    found[name] = self._schemas[name]
                    todo.append(found[name])
        moved: Json = _moved({"$defs": found, **schema})
        return moved


def toolset_of(contract: str) -> str:
    """Of a contract by its short name."""
    for name, contracts in TOOLSETS.items():
        if contract in contracts:
            return name
    return snake(contract)


def snake(name: str) -> str:
    return WORD.sub("_", name).lower()


def _argument(parameter: Json) -> Argument:
    field = parameter["name"]
    last = field.rpartition(".")[2]
    is_time = times.is_time(last)
    return Argument(times.readable_name(last), field, parameter["in"] == "path", is_time)


def _remedies(schemas: Json) -> dict[str, str]:
    """The meanings of the reasons, from the descriptions of their enum."""
    info = schemas["Error"]["properties"]["details"]["items"]["properties"]["reason"]
    lines = (line.partition(": ") for line in info["description"].splitlines())
    return {name.removeprefix("- "): text for name, _, text in lines if text}


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].removeprefix(REFERENCE)
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _moved(part: Any) -> Any:
    """References lead to the definitions beside the schema."""
    if isinstance(part, list):
        return [_moved(value) for value in part]
    if not isinstance(part, dict):
        return part
    moved = {key: _moved(value) for key, value in part.items()}
    if "$ref" in part:
        name = part["$ref"].removeprefix(REFERENCE).removeprefix(COMMON_PREFIX)
        moved["$ref"] = f"{DEFINITION}{name}"
    if "$defs" in part:
        defined = moved["$defs"].items()
        moved["$defs"] = {name.removeprefix(COMMON_PREFIX): one for name, one in defined}
    return moved
