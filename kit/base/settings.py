"""Settings: typed, read once at start, refused when wrong.

A settings class is a frozen msgspec Struct with defaults. Its values come from the section of
``venuemesh.toml``, overridden by ``VENUEMESH_<SECTION>_<KEY>`` (for the section "mesh":
``VENUEMESH_<KEY>``). Lists are written with commas in the environment.
"""

import os
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from kit.base.errors import SettingError

SETTINGS_FILE = "venuemesh.toml"
MESH_SECTION = "mesh"

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the mesh that every process has."""

    world: str = "simulate"
    """simulate, replay or live."""
    mesh_id: str = "local"
    """Name of the mesh. An approval of an order names it, and is refused in every other mesh."""
    data_dir: str = "data"
    """Folder for the files of the process."""
    host: str = "127.0.0.1"
    """Address that servers listen on."""
    advertise_host: str = ""
    """Host name under which others reach this process. Empty: as host."""
    registry: str = "127.0.0.1:8082"
    """host:port of the registry."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Redis 7 or newer, or Valkey."""
    database_url: str = "postgresql://postgres@127.0.0.1:8432/venuemesh"
    """PostgreSQL 15 or newer, with or without TimescaleDB."""
    simulator_url: str = "http://127.0.0.1:8300"
    """Base address of the simulated exchanges, in the worlds simulate and replay."""
    log_level: str = "info"
    """debug, info, warning or error."""

    def __post_init__(self) -> None:
        if self.world not in ("simulate", "replay", "live"):
            raise SettingError("mesh.world", self.world, "allowed are simulate, replay, live")
        if self.log_level not in ("debug", "info", "warning", "error"):
            allowed = "allowed are debug, info, warning, error"
            raise SettingError("mesh.log_level", self.log_level, allowed)


def load(
    kind: type[SettingsT],
    section: str,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> SettingsT:
    """Read one section.

    Raises SettingError with the key, the value and what is allowed; also for a key that the section
    does not have.
    """
    values = dict(_file_section(section, file or Path(SETTINGS_FILE)))
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        known = ", ".join(sorted(hints))
        raise SettingError(f"{section}.{unknown[0]}", values[unknown[0]], f"no such key; {known}")
    source = os.environ if environment is None else environment
    for key, hint in hints.items():
        variable = _variable(section, key)
        if variable in source:
            values[key] = _split(source[variable], hint)
    for key, value in values.items():
        _check(f"{section}.{key}", value, hints[key])
    return msgspec.convert(values, kind, strict=False)


def _variable(section: str, key: str) -> str:
    name = key if section == MESH_SECTION else f"{section}_{key}"
    return "VENUEMESH_" + name.upper().replace(".", "_")


def _file_section(section: str, file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        found: dict[str, Any] = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingError(str(file), "", f"not TOML: {error}") from None
    for part in section.split("."):
        inner = found.get(part, {})
        if not isinstance(inner, dict):
            raise SettingError(section, inner, f"must be a section of {file}")
        found = inner
    return found


def _split(text: str, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (list, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if origin in (Union, types.UnionType) and text == "" and type(None) in get_args(hint):
        return None
    return text


def _check(key: str, value: Any, hint: Any) -> None:
    try:
        msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(key, value, str(error)) from None
