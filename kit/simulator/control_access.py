"""Who may order faults and read accounts: callers of the mesh, by the tokens that they show."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from google.protobuf.empty_pb2 import Empty

from kit.base.access.call_guard import CallGuard, GuardedMethod
from kit.base.access.credentials import AUTHORIZATION
from kit.base.access.roles import Role
from kit.base.access.trust import TrustedKeys, from_file
from kit.base.clock import Clock
from kit.base.reloaded_file import ReloadedFile

READ = GuardedMethod("simulator GET /faults", frozenset({Role.VIEWER}), is_mutating=False)
READ_ACCOUNTS = GuardedMethod(
    "simulator GET /accounts", frozenset({Role.VIEWER}), is_mutating=False
)
CHANGE = GuardedMethod("simulator /faults", frozenset({Role.OPERATOR}), is_mutating=True)


class ControlAccess:
    """Verifies tokens with the mesh's public keys. The registry does not know the simulator: that a
    token was revoked does not arrive here."""

    def __init__(self, guard: CallGuard, trust_file: Path, clock: Clock) -> None:
        """Raises SettingError if the file with the public keys cannot be read."""
        self._guard = guard
        self._keys: ReloadedFile[TrustedKeys] = ReloadedFile(
            trust_file, from_file, clock, missing=TrustedKeys(), unreadable=None
        )
        self._trusted = self._keys.content
        guard.trust(self._trusted)

    @contextmanager
    def call(self, request: web.Request, method: GuardedMethod) -> Iterator[None]:
        """Raises the errors of CallGuard.call."""
        if self._trusted is not (keys := self._keys.content):
            self._trusted = keys
            self._guard.trust(keys)
        shown = [(AUTHORIZATION, request.headers.get(AUTHORIZATION, ""))]
        with self._guard.call(shown, method, Empty()):
            yield
