"""The tokens that this mesh has issued, in one file: who has which, and which are revoked.

The texts of the tokens are not kept. What has expired is forgotten.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from kit.base.clock import Clock
from kit.base.errors import BadRequest, CallerLimited, SettingError, TooManySubscribers
from kit.base.secret_files import write_secret

FILE = "tokens.json"
TOKENS_MAX = 10_000
RENEWALS_MAX = 100
"""Of one token that have not expired, and as many sessions, with their renewals."""


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token, without its text."""

    token_id: str
    caller: str
    roles: tuple[str, ...]
    issued_time_ns: int
    expires_time_ns: int
    first_token_id: str
    first_issued_time_ns: int
    """When the first token of the chain of renewals was issued."""
    issued_by: str
    kind: str = ""
    """MODEL of a token for a model."""
    revoked: bool = False
    parent_token_id: str = ""
    """Of the session of a browser: the first one of the chain of the token that was shown for it.
    It is revoked with that one."""
    ends_time_ns: int = 0
    """When that token expires, which no renewal exceeds. 0: there is none."""


class IssuedTokens:
    """The tokens of one file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Raises SettingError if the file cannot be read: revoked tokens would be valid again."""
        self._file = folder / FILE
        self._clock = clock
        self._tokens: dict[str, IssuedToken] = {}
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=list[IssuedToken])
        except FileNotFoundError:
            found = []
        except (OSError, msgspec.DecodeError) as error:
            raise SettingError("access.authority", str(self._file), f"{error}") from None
        self._tokens = {token.token_id: token for token in found}

    @property
    def revoked(self) -> frozenset[str]:
        """Ids of revoked tokens that have not expired."""
        self._forget_expired()
        return frozenset(token.token_id for token in self._tokens.values() if token.revoked)

    def all(self) -> list[IssuedToken]:
        """Those that have not expired, by time of issue."""
        self._forget_expired()
        return sorted(self._tokens.values(), key=lambda one: (one.issued_time_ns, one.token_id))

    def find(self, token_id: str) -> IssuedToken | None:
        return self._tokens.get(token_id)

    def add(self, token: IssuedToken) -> None:
        """Keep a token. It is on disk when this returns. Raises CallerLimited where it continues a
        token that has too many, and TooManySubscribers."""
        self._forget_expired()
        first, parent = token.first_token_id, token.parent_token_id
        of_session = [one for one in self._tokens.values() if parent == one.parent_token_id != ""]
        renewed = [one for one in self._tokens.values() if one.first_token_id == first]
        if len(renewed) > RENEWALS_MAX or len(of_session) >= RENEWALS_MAX:
            text = f"{token.caller} has {RENEWALS_MAX} renewals or sessions of this token"
            raise CallerLimited(f"{text}: use one of them", limit=RENEWALS_MAX)
        if len(self._tokens) >= TOKENS_MAX:
            text = f"{TOKENS_MAX} tokens are valid: revoke some, or wait until they expire"
            raise TooManySubscribers(text, limit=TOKENS_MAX)
        self._keep([*self._tokens.values(), token])

    def revoke(self, token_id: str) -> list[str]:
        """Revoke a token, all of its chain, and the sessions that it was shown for. Returns their
        ids. Raises BadRequest."""
        token = self._tokens.get(token_id)
        if token is None:
            allowed = "the id of a token that was issued here and has not expired: see ListTokens"
            text = f"no token {token_id!r}: {allowed}"
            raise BadRequest(text, field="token_id", value=token_id, allowed=allowed)
        changed = self._derived_from(token.first_token_id)
        revoked = {one.token_id: msgspec.structs.replace(one, revoked=True) for one in changed}
        self._keep((self._tokens | revoked).values())
        return sorted(revoked)

    def _derived_from(self, first: str) -> list[IssuedToken]:
        """The chain that begins with this token, the sessions of its tokens, and so on."""
        chain = [one for one in self._tokens.values() if one.first_token_id == first]
        ids = {first, *(one.token_id for one in chain)}
        sessions = {
            one.first_token_id for one in self._tokens.values() if one.parent_token_id in ids
        }
        return [*chain, *(one for session in sessions for one in self._derived_from(session))]

    def _forget_expired(self) -> None:
        now_ns = self._clock.time_ns()
        self._tokens = {
            token_id: token
            for token_id, token in self._tokens.items()
            if token.expires_time_ns > now_ns
        }

    def _keep(self, tokens: Iterable[IssuedToken]) -> None:
        kept = {token.token_id: token for token in tokens}
        content = msgspec.json.format(msgspec.json.encode(list(kept.values())), indent=1)
        write_secret(self._file, content)
        self._tokens = kept
