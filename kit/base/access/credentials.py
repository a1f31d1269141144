"""The token that this process shows to the other processes of the mesh."""

import os
from pathlib import Path
from typing import Protocol

from kit.base.clock import Clock
from kit.base.errors import SettingError
from kit.base.reloaded_file import ReloadedFile
from kit.base.secret_files import read_secret

Metadata = tuple[tuple[str, str], ...]

AUTHORIZATION = "authorization"
SCHEME = "Bearer "
TOKEN_VARIABLE = "VENUEMESH_TOKEN"
"""The environment variable of programs outside the mesh."""


class CredentialSource(Protocol):
    """What calls show."""

    @property
    def metadata(self) -> Metadata:
        """Sent with each call. Empty: nothing is shown."""


class Credentials:
    """A token from a file, which is read again when it changes, or from a pipe."""

    def __init__(self, token_file: str, clock: Clock) -> None:
        """An empty name: no token. Raises SettingError if the file cannot be read."""
        self._renewed = ""
        self._file: ReloadedFile[str] | None = None
        if token_file:
            self._file = ReloadedFile(Path(token_file), _read, clock, missing=None, unreadable=None)

    @property
    def metadata(self) -> Metadata:
        token = self._renewed or (self._file.content if self._file else "")
        return ((AUTHORIZATION, SCHEME + token),) if token else ()

    def renew(self, token: str) -> None:
        """Show this token from now on."""
        self._renewed = token


class FixedToken:
    """A token that is known, of a command or a test."""

    def __init__(self, token: str) -> None:
        self._metadata: Metadata = ((AUTHORIZATION, SCHEME + token),)

    @property
    def metadata(self) -> Metadata:
        return self._metadata


def from_environment() -> FixedToken | None:
    """The token in the variable VENUEMESH_TOKEN, if there is one."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    return FixedToken(token) if token else None


def _read(file: Path) -> str:
    try:
        return read_secret(str(file))
    except OSError as error:
        detail = error.strerror or error
        raise SettingError("access.token_file", str(file), f"cannot be read: {detail}") from None
