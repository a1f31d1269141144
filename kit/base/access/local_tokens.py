"""Tokens made on the machine that has the keys of a mesh: for its processes and commands."""

import getpass
import re
from collections.abc import Collection
from pathlib import Path

from kit.base.access import tokens
from kit.base.access.authority import FOLDER, Authority, read_keys, signing_key
from kit.base.access.credentials import FixedToken, Metadata
from kit.base.access.roles import CALLER_ROLES, Role
from kit.base.access.tokens import MODEL, MeshNames, TokenTerms
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock, SystemClock

PROCESS_VALID_S = 7 * 86_400
"""The registry renews the token of a process that runs."""
COMMAND_VALID_S = 3_600
NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]")
USER_LENGTH_MAX = 32


def process_token(
    data: Path, mesh_id: str, service_id: str, kind: str, valid_s: int = PROCESS_VALID_S
) -> str:
    """What one process shows to the others. Raises SettingError if the keys cannot be used."""
    terms = TokenTerms(service_id, frozenset({Role.PROCESS}), valid_s, kind=kind)
    return _issue(data, mesh_id, terms)


def command_token(
    data: Path, mesh_id: str, roles: Collection[Role], valid_s: int = COMMAND_VALID_S
) -> str:
    """What a command on this machine shows: who can read the keys, may do everything. Its caller is
    named for the user. Raises SettingError if the keys cannot be used."""
    return _issue(data, mesh_id, TokenTerms(f"local-{_user()}", frozenset(roles), valid_s))


def model_token(data: Path, mesh_id: str, roles: Collection[Role], valid_s: int) -> str:
    """What a command shows that a model uses on this machine: as ``command_token``, under another
    name, and for a model."""
    terms = TokenTerms(f"model-{_user()}", frozenset(roles), valid_s, kind=MODEL)
    return _issue(data, mesh_id, terms)


class LocalCredentials:
    """What a long-running command on this machine shows. It issues a token when the last one is
    half used."""

    def __init__(self, data: Path, mesh_id: str, clock: Clock) -> None:
        self._data = data
        self._mesh_id = mesh_id
        self._clock = clock
        self._metadata: Metadata = ()
        self._renew_ns = 0

    @property
    def metadata(self) -> Metadata:
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._renew_ns:
            token = command_token(self._data, self._mesh_id, CALLER_ROLES)
            self._metadata = FixedToken(token).metadata
            self._renew_ns = now_ns + COMMAND_VALID_S * NANOSECONDS_PER_SECOND // 2
        return self._metadata


def _issue(data: Path, mesh_id: str, terms: TokenTerms) -> str:
    clock, folder = SystemClock(), data / FOLDER
    # Keys that are there are only read: the user of a command may be another than that of the mesh.
    keys = read_keys(folder) or [Authority(folder, clock).signing]
    return tokens.issue(terms, signing_key(keys, clock), MeshNames(mesh_id), clock)[0]


def _user() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "operator"
    return NOT_IN_NAMES.sub("-", name.lower())[:USER_LENGTH_MAX]
