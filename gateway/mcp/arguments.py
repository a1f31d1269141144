"""From the arguments of a model to a call of the REST API."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from gateway.mcp import times
from gateway.mcp.call_errors import InvalidCall
from gateway.mcp.gateway_client import RestRequest, path_with
from gateway.mcp.tools import COLUMNS, PAGE_SIZE, PAGE_SIZE_DEFAULT, Tool
from kit.base.suggestions import did_you_mean

Json = dict[str, Any]
NAME_LENGTH_MAX = 64
MESSAGE_LENGTH_MAX = 400


class ArgumentRules:
    """The schemas of the arguments of some tools."""

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self._schemas = schemas
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, name: str, arguments: Json) -> None:
        """Raise InvalidCall unless the arguments are those that the tool takes."""
        properties = self._schemas[name]["properties"]
        for argument in arguments:
            if argument not in properties:
                shown = argument[:NAME_LENGTH_MAX]
                hint = did_you_mean(shown, properties)
                allowed = ", ".join(properties) or "none"
                raise InvalidCall(f"{name} has no argument {shown!r}{hint}; it has: {allowed}")
        error = best_match(self._validator(name).iter_errors(arguments))
        if error is not None:
            raise InvalidCall(f"{name}: {_reason(error)}")

    def _validator(self, name: str) -> Draft202012Validator:
        # Compiling one takes longer than all else in a call.
        if name not in self._validators:
            self._validators[name] = Draft202012Validator(self._schemas[name])
        return self._validators[name]


def request(tool: Tool, arguments: Json, now_ns: int) -> RestRequest:
    """The call. Raises InvalidCall for a time that cannot be read."""
    path, query, body = {}, [], {}
    for name, value in arguments.items():
        argument = tool.arguments.get(name)
        if argument is None:
            if name != COLUMNS:
                body[name] = value
            continue
        for text in _texts(name, value, now_ns if argument.is_time else None):
            if argument.is_in_path:
                path[argument.field] = text
            else:
                query.append((argument.field, text))
    if tool.pages and PAGE_SIZE not in arguments:
        query.append((PAGE_SIZE, str(PAGE_SIZE_DEFAULT)))
    where = path_with(tool.path, path)
    return RestRequest(tool.verb, where, query, body if tool.has_body else None)


def _reason(error: ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path))
    return f"{where}: {error.message}".removeprefix(": ")[:MESSAGE_LENGTH_MAX]


def _texts(name: str, value: Any, now_ns: int | None) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if now_ns is not None:
            yield _time(name, str(one), now_ns)
        elif isinstance(one, bool):
            yield str(one).lower()
        else:
            yield str(one)


def _time(name: str, text: str, now_ns: int) -> str:
    try:
        return str(times.from_text(text, now_ns))
    except ValueError:
        shown = text[:MESSAGE_LENGTH_MAX]
        raise InvalidCall(f"{name}: {shown!r} is no time; allowed are {times.ALLOWED}") from None
