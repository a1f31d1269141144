"""Settings: typed, read once at start, refused when wrong.

A settings class is a frozen msgspec Struct with defaults. Its values come from the section of
``venuemesh.toml``, overridden by ``VENUEMESH_<SECTION>_<KEY>`` (for the section "mesh":
``VENUEMESH_<KEY>``). Lists are written with commas in the environment.
"""

import os
import re
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from kit.base.errors import SettingError
from kit.base.secret_files import read_secret
from kit.base.store_urls import password_of, with_password
from kit.base.suggestions import did_you_mean

SETTINGS_FILE = "venuemesh.toml"
MESH_SECTION = "mesh"
INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

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
    instance_id: str = ""
    """Which of the processes of its service this one is; the same after a restart. Empty: the
    machine's name and the port."""
    registry: str = "127.0.0.1:8082"
    """host:port of the registry."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Redis 7 or newer, or Valkey. A node of a Redis Cluster is refused at start."""
    redis_password_file: str = ""
    """File with the password for redis_url. Empty: the password in the URL, if there is one."""
    database_url: str = "postgresql://127.0.0.1:8432/venuemesh"
    """PostgreSQL 15 or newer, with or without TimescaleDB."""
    database_password_file: str = ""
    """File with the password for database_url. Empty: the password in the URL, if there is one."""
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
        if self.instance_id and not INSTANCE_ID.fullmatch(self.instance_id):
            allowed = "1 to 63 of a-z A-Z 0-9 _ . -, the first a letter or digit"
            raise SettingError("mesh.instance_id", self.instance_id, allowed)

    @property
    def redis_login_url(self) -> str:
        """redis_url with its password: never to be shown. Raises SettingError."""
        return login_url("mesh.redis", self.redis_url, self.redis_password_file)

    @property
    def database_login_url(self) -> str:
        """database_url with its password: never to be shown. Raises SettingError."""
        return login_url("mesh.database", self.database_url, self.database_password_file)


def login_url(setting: str, url: str, password_file: str) -> str:
    """Return the URL of a store with the password of a file; "": the URL as it is.

    ``setting`` is the common start of the names of both settings, for example "mesh.redis". Raises
    SettingError, never with a password.
    """
    if not password_file:
        return url
    file_key = f"{setting}_password_file"
    try:
        if password_of(url):
            allowed = f"must have no password while {file_key} is set; remove one of them"
            raise SettingError(f"{setting}_url", url, allowed)
        return with_password(url, read_secret(password_file))
    except OSError as error:
        raise SettingError(
            file_key, password_file, f"cannot be read: {error.strerror or error}"
        ) from None


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
    source = os.environ if environment is None else environment
    return convert(kind, section, read_file(file or Path(SETTINGS_FILE)), source)


def convert(
    kind: type[SettingsT],
    section: str,
    content: Mapping[str, Any],
    environment: Mapping[str, str],
) -> SettingsT:
    """One section of the content of a file. Raises SettingError."""
    for error in problems(kind, section, content, environment):
        raise error
    return msgspec.convert(_values(kind, section, content, environment), kind, strict=False)


def problems(
    kind: type[msgspec.Struct],
    section: str,
    content: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Iterator[SettingError]:
    """What is wrong with one section. ``content``: of the whole file."""
    hints = get_type_hints(kind)
    try:
        values = _values(kind, section, content, environment)
    except SettingError as error:
        yield error
        return
    wrong = False
    for key in sorted(values):
        try:
            _check(section, key, values[key], hints)
        except SettingError as error:
            wrong = True
            yield error
    if wrong:
        return
    try:
        msgspec.convert(values, kind, strict=False)
    except SettingError as error:
        key = error.key if error.key.startswith(f"{section}.") else f"{section}.{error.key}"
        yield SettingError(key, error.value, error.allowed)


def _values(
    kind: type[msgspec.Struct],
    section: str,
    content: Mapping[str, Any],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    values = dict(_section(content, section))
    for key, hint in get_type_hints(kind).items():
        variable = _variable(section, key)
        if variable in environment:
            values[key] = _split(environment[variable], hint)
    return values


def _variable(section: str, key: str) -> str:
    name = key if section == MESH_SECTION else f"{section}_{key}"
    return "VENUEMESH_" + name.upper().replace(".", "_")


def read_file(file: Path) -> Mapping[str, Any]:
    """The content of a file of settings, empty without a file. Raises SettingError."""
    if not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(str(file), "", f"not TOML: {error}") from None
    except OSError as error:
        raise SettingError(str(file), "", f"cannot be read: {error.strerror}") from None


def _section(content: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    for part in section.split("."):
        inner = content.get(part, {})
        if not isinstance(inner, dict):
            raise SettingError(section, inner, f"must be a section, as [{section}]")
        content = inner
    return content


def _split(text: str, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (list, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if origin in (Union, types.UnionType) and text == "" and type(None) in get_args(hint):
        return None
    return text


def _check(section: str, key: str, value: Any, hints: Mapping[str, Any]) -> None:
    if key not in hints:
        known = f"no such key; {', '.join(sorted(hints))}{did_you_mean(key, hints)}"
        raise SettingError(f"{section}.{key}", value, known)
    try:
        msgspec.convert(value, hints[key], strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"{section}.{key}", value, str(error)) from None
