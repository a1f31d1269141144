"""The settings of all processes: what is wrong with a file, and an example file."""

import ast
import importlib
import inspect
import json
import pkgutil
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from kit.base import settings
from kit.base.access.settings import AccessSettings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.base.suggestions import did_you_mean
from kit.connector.contract import discovery

OUTSIDE_CORE = (
    "kit.base.settings",
    "kit.base.access.settings",
    "kit.base.tracing.settings",
    "kit.events.settings",
    "gateway.settings",
    "gateway.mcp.settings",
    "gateway.push.settings",
    "kit.connector.process.settings",
    "kit.execution.settings",
    "kit.simulator.settings",
)
SUFFIX = "Settings"
VENUES = "venues"
VENUE = "venue"
"""The struct of each section of VENUES is named for one venue."""
EXAMPLE_VENUE = "binance"
WIDTH = 98
HEAD = """\
# Settings of Venuemesh with their defaults. Copy what you need to venuemesh.toml in the working
# directory; `./venuemesh config check` reads it as the processes do. More: docs/SETTINGS.md
# Made by `./venuemesh config example`.
"""

Struct = type[msgspec.Struct]


def sections() -> dict[str, Struct]:
    """The struct of each section, by its name; that of a venue is "venue"."""
    core = importlib.import_module("core")
    services = [f"core.{entry.name}.settings" for entry in pkgutil.iter_modules(core.__path__)]
    found: dict[str, Struct] = {}
    for name in (*OUTSIDE_CORE, *services):
        module = importlib.import_module(name)
        for kind in vars(module).values():
            is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
            if is_struct and kind.__module__ == name and kind.__name__.endswith(SUFFIX):
                found[kind.__name__.removesuffix(SUFFIX).lower()] = kind
    return found


def problems(content: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[SettingError]:
    """What is wrong with the content of a file, read as the processes read it."""
    known = sections()
    of_venues = known.pop(VENUE)
    for name, value in content.items():
        if name not in known and name != VENUES:
            names = [*known, f"{VENUES}.<id>"]
            allowed = f"no such section; known are {', '.join(names)}{did_you_mean(name, names)}"
            yield SettingError(name, value, allowed)
    for name, kind in known.items():
        yield from settings.problems(kind, name, content, environment)
    yield from _venue_problems(of_venues, content, environment)
    with suppress(SettingError):
        mesh = settings.convert(MeshSettings, "mesh", content, environment)
        access = settings.convert(AccessSettings, "access", content, environment)
        try:
            access.check_with(mesh)
        except SettingError as error:
            yield error


def _venue_problems(
    kind: Struct, content: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[SettingError]:
    named = content.get(VENUES, {})
    if not isinstance(named, dict):
        yield SettingError(VENUES, named, f"must be sections, as [{VENUES}.{EXAMPLE_VENUE}]")
        return
    for venue in sorted({*named, *discovery.venues()}):
        try:
            discovery.require(venue)
        except SettingError as error:
            yield SettingError(f"{VENUES}.{venue}", named[venue], error.allowed)
            continue
        yield from settings.problems(kind, f"{VENUES}.{venue}", content, environment)


def example() -> str:
    """A file with every setting, its default and its meaning. The settings are comments."""
    parts = [HEAD]
    for name, kind in sections().items():
        section = f"{VENUES}.{EXAMPLE_VENUE}" if name == VENUE else name
        lines = [f"[{section}]"]
        meanings = _meanings(kind)
        for field in msgspec.structs.fields(kind):
            lines += textwrap.wrap(
                meanings.get(field.name, ""), WIDTH, initial_indent="# ", subsequent_indent="# "
            )
            lines += [f"#{field.name} = {_toml(_default(field))}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _meanings(kind: Struct) -> dict[str, str]:
    """The docstring of each field, without line breaks."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found, name = {}, ""
    for node in definition.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=field)):
                name = field
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                found[name] = " ".join(text.split())
                name = ""
            case _:
                name = ""
    return found


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _toml(value: Any) -> str:
    """A default as TOML writes it; JSON is the same but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
