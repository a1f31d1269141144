"""Tokens: a JWT, signed with Ed25519, with the caller's name and roles.

Claims: iss, aud, sub (the caller's name), roles, iat, nbf, exp, jti; ``first`` is the id of the
first token of a chain of renewals. Tokens of processes have another audience, so that none is
accepted at the gateway, and the claim ``kind``; it is "model" in a token for a model.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from kit.base import telemetry
from kit.base.access.authority import AuthorityKey
from kit.base.access.roles import CALLER_ROLES, Role, with_implied
from kit.base.access.trust import TrustedKeys
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import TokenExpired, TokenInvalid, TokenRevoked

ALGORITHM = "EdDSA"
PLATFORM_ALGORITHMS = (ALGORITHM, "ES256", "ES384", "RS256", "PS256")
"""What the issuer of a platform may sign with; never a shared secret."""
CALLER_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
TOKEN_LENGTH_MAX = 8_192
CALLER_LENGTH_MAX = 256
CLOCK_SKEW_S = 5
REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti"]
MODEL = "model"
"""The kind of a caller that is a program with a language model: see call_guard.py."""
KNOWN_TOKENS_MAX = 4_096
"""Verified tokens that are remembered: a signature takes 0.1 ms to verify."""

_log = telemetry.logger("kit.base.access")


@dataclass(frozen=True, slots=True)
class MeshNames:
    """What tokens of a mesh name as their issuer and audience."""

    mesh_id: str

    @property
    def issuer(self) -> str:
        return f"venuemesh/{self.mesh_id}"

    @property
    def callers(self) -> str:
        return self.issuer

    @property
    def processes(self) -> str:
        return f"{self.issuer}/processes"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    name: str
    """The claim "sub"; of a process, its service id."""
    roles: frozenset[Role]
    """With the roles that they include."""
    token_id: str = ""
    first_token_id: str = ""
    issued_time_ns: int = 0
    expires_time_ns: int = 0
    """0: never, which is so while the mesh asks for no tokens."""
    kind: str = ""
    """Of a process: venue, ingest and so on. MODEL of a model."""

    @property
    def is_process(self) -> bool:
        return Role.PROCESS in self.roles

    @property
    def is_model(self) -> bool:
        return self.kind == MODEL and not self.is_process


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a token is to say."""

    caller: str
    roles: frozenset[Role]
    valid_s: int
    first_token_id: str = ""
    """Of a renewed token."""
    kind: str = ""
    """Of a process: venue, ingest and so on. MODEL of a model."""

    @property
    def is_process(self) -> bool:
        return Role.PROCESS in self.roles


def issue(terms: TokenTerms, key: AuthorityKey, names: MeshNames, clock: Clock) -> tuple[str, str]:
    """Sign a token. Returns its text and its id."""
    now_s = clock.time_ns() // NANOSECONDS_PER_SECOND
    token_id = secrets.token_hex(8)
    claims = {
        "iss": names.issuer,
        "aud": names.processes if terms.is_process else names.callers,
        "sub": terms.caller,
        "roles": sorted(terms.roles),
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + terms.valid_s,
        "jti": token_id,
        "first": terms.first_token_id or token_id,
    }
    if terms.kind:
        claims["kind"] = terms.kind
    headers = {"kid": key.key_id}
    return jwt.encode(claims, key.private, ALGORITHM, headers), token_id


@dataclass(frozen=True, slots=True)
class PlatformIssuer:
    """An issuer outside the mesh whose tokens are accepted."""

    issuer: str
    audience: str
    roles_claim: str


@dataclass(frozen=True, slots=True)
class _TrustedKey:
    key: jwt.PyJWK
    is_platform: bool


class TokenVerifier:
    """Verifies the tokens of the mesh and of the platform's issuer, if there is one."""

    def __init__(
        self, names: MeshNames, clock: Clock, platform: PlatformIssuer | None = None
    ) -> None:
        self._names = names
        self._clock = clock
        self._platform = platform
        self._keys: Mapping[str, _TrustedKey] = {}
        self._revoked: frozenset[str] = frozenset()
        self._known: dict[str, Caller] = {}

    def trust(self, keys: TrustedKeys) -> None:
        """Replace the keys and the revoked ids. A key of the platform never replaces an own one."""
        platform = dict(_readable(keys.platform_jwks, is_platform=True)) if self._platform else {}
        self._keys = platform | dict(_readable(keys.jwks, is_platform=False))
        self._revoked = keys.revoked_token_ids
        self._known.clear()

    def verify(self, text: str) -> Caller:
        """Who shows the token. Raises TokenInvalid, TokenExpired and TokenRevoked."""
        caller = self._known.get(text)
        if caller is None:
            caller = self._read(text)
            if len(self._known) >= KNOWN_TOKENS_MAX:
                self._known.clear()
            self._known[text] = caller
        self.check(caller)
        return caller

    def check(self, caller: Caller) -> None:
        """Raise TokenExpired or TokenRevoked for a token that was valid before."""
        if not {caller.token_id, caller.first_token_id}.isdisjoint(self._revoked):
            raise TokenRevoked("the token was revoked: get a new one", token_id=caller.token_id)
        if 0 < caller.expires_time_ns <= self._clock.time_ns():
            raise TokenExpired("the token has expired: get a new one", token_id=caller.token_id)

    def _read(self, text: str) -> Caller:
        if len(text) > TOKEN_LENGTH_MAX:
            raise TokenInvalid(f"the token has more than {TOKEN_LENGTH_MAX} characters")
        try:
            key = self._keys.get(str(jwt.get_unverified_header(text).get("kid", "")))
            if key is None:
                raise TokenInvalid("the token is signed by a key that this mesh does not know")
            claims = self._claims(text, key)
            self._check_start(claims)
            return self._caller(claims, key.is_platform)
        except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError) as error:
            raise TokenInvalid(f"the token is not valid here: {error}") from None

    def _claims(self, text: str, trusted: _TrustedKey) -> dict[str, Any]:
        names, issuer = self._names, self._names.issuer
        audience = [names.callers, names.processes]
        if trusted.is_platform and self._platform is not None:
            issuer, audience = self._platform.issuer, [self._platform.audience]
        claims: dict[str, Any] = jwt.decode(
            text,
            trusted.key,
            algorithms=PLATFORM_ALGORITHMS if trusted.is_platform else [ALGORITHM],
            issuer=issuer,
            audience=audience,
            # The times are compared with the clock of this process, the end at each call.
            options={
                "require": REQUIRED_CLAIMS,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        return claims

    def _check_start(self, claims: Mapping[str, Any]) -> None:
        now_s = self._clock.time_ns() // NANOSECONDS_PER_SECOND
        if int(claims.get("nbf", claims["iat"])) > now_s + CLOCK_SKEW_S:
            raise TokenInvalid("the token is not valid yet: compare the clocks")

    def _caller(self, claims: Mapping[str, Any], is_platform: bool) -> Caller:
        claim = self._platform.roles_claim if self._platform and is_platform else "roles"
        is_process = claims["aud"] == self._names.processes and not is_platform
        allowed = (Role.PROCESS,) if is_process else CALLER_ROLES
        named = claims.get(claim, ())
        names = named.split() if isinstance(named, str) else list(named)
        # A platform's token may have more roles than those of the mesh.
        roles = [role for role in allowed if role in names]
        if not roles:
            raise TokenInvalid(f"the token has no role of the mesh: {', '.join(allowed)}")
        token_id, kind = str(claims["jti"]), str(claims.get("kind", ""))
        return Caller(
            name=str(claims["sub"])[:CALLER_LENGTH_MAX],
            roles=with_implied(roles),
            token_id=token_id,
            first_token_id=str(claims.get("first", token_id)),
            issued_time_ns=int(claims["iat"]) * NANOSECONDS_PER_SECOND,
            expires_time_ns=int(claims["exp"]) * NANOSECONDS_PER_SECOND,
            kind=kind if is_process or kind == MODEL else "",
        )


def _readable(jwks: Mapping[str, Any], *, is_platform: bool) -> Iterator[tuple[str, _TrustedKey]]:
    """The keys of a set by their ids. Those that cannot be used are left out."""
    for jwk in jwks.get("keys", ()):
        try:
            yield str(jwk["kid"]), _TrustedKey(jwt.PyJWK(jwk), is_platform)
        except (jwt.PyJWTError, KeyError) as error:
            _log.warning("key not usable", extra={"key_id": jwk.get("kid"), "detail": str(error)})
