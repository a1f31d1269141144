"""Profiles: meshes that commands reach by name, with ``--profile NAME``.

They are in ``~/.config/venuemesh/profiles.toml``, which only its owner may read::

    [production]
    gateway = "https://mesh.example.com"
    token_file = "~/.config/venuemesh/production.token"
"""

import os
import shlex
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_type_hints

import msgspec

from kit.base.suggestions import did_you_mean
from ops.errors import OperationsError
from ops.private_files import read_secret, require_private

FILE_VARIABLE = "VENUEMESH_PROFILES"
COMMAND_SECONDS_MAX = 60.0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One mesh, as the file has it."""

    gateway: str
    """URL."""
    token: str = ""
    token_file: str = ""
    """A file that only its owner may read."""
    token_command: str = ""
    """A command that prints the token. No shell runs it."""
    ca_file: str = ""
    """Certificates in PEM that the gateway's is checked with. Empty: those of the system."""
    mesh_id: str = ""
    """If it is set, a gateway of another mesh is refused."""
    plaintext: bool = False
    """Whether the token may be sent without TLS to another machine."""

    def find_token(self) -> str:
        """The token, "" if none is named. Raises OperationsError."""
        if self.token_file:
            return read_secret(Path(self.token_file).expanduser())
        return _printed(self.token_command) if self.token_command else self.token


def default_file(environment: Mapping[str, str] = os.environ) -> Path:
    """The file of the profiles."""
    if environment.get(FILE_VARIABLE):
        return Path(environment[FILE_VARIABLE]).expanduser()
    config = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "venuemesh" / "profiles.toml"


def find(name: str, file: Path) -> Profile:
    """One profile of the file. Raises OperationsError."""
    profiles = _read(file)
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        text = f"no profile {name!r} in {file}; known are {known}{did_you_mean(name, profiles)}"
        raise OperationsError(text)
    values = profiles[name]
    keys = get_type_hints(Profile)
    for key in values:
        if key not in keys:
            text = f"profile {name!r} of {file}: no such key {key!r}; known are {', '.join(keys)}"
            raise OperationsError(text + did_you_mean(key, keys))
    try:
        found = msgspec.convert(values, Profile)
    except msgspec.ValidationError as error:
        raise OperationsError(f"profile {name!r} of {file}: {error}") from None
    if sum(map(bool, (found.token, found.token_file, found.token_command))) > 1:
        text = "name only one of token, token_file and token_command"
        raise OperationsError(f"profile {name!r} of {file}: {text}")
    return found


def names() -> Iterable[str]:
    """Those that can be used."""
    try:
        return _read(default_file())
    except OperationsError:
        return ()


def _read(file: Path) -> dict[str, dict[str, object]]:
    try:
        require_private(file)
        found = tomllib.loads(file.read_text())
    except OSError as error:
        raise OperationsError(f"the profiles {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperationsError(f"the profiles {file} are not TOML: {error}") from None
    for name, values in found.items():
        if not isinstance(values, dict):
            raise OperationsError(f"{file}: {name} must be in a section, as [{name}]")
    return found


def _printed(command: str) -> str:
    """What a command prints. The error has nothing of it."""
    try:
        done = subprocess.run(
            shlex.split(command),
            stdout=subprocess.PIPE,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = type(error).__name__
        if isinstance(error, subprocess.CalledProcessError):
            why = f"exit code {error.returncode}"
        raise OperationsError(f"the token command {command!r} failed: {why}") from None
    token = done.stdout.strip()
    if not token:
        raise OperationsError(f"the token command {command!r} printed nothing")
    return token
