"""Tokens over gRPC: issue, renew, list, revoke; and what processes verify them with."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
from venuemesh.access.v1 import access_pb2, tokens_pb2, tokens_pb2_grpc

from gateway.issued_tokens import IssuedToken, IssuedTokens
from gateway.sign_in_links import SignInLinks
from kit.base import telemetry
from kit.base.access import roles, tokens
from kit.base.access.authority import Authority
from kit.base.access.call_guard import current_caller
from kit.base.access.local_tokens import PROCESS_VALID_S
from kit.base.access.roles import CALLER_ROLES, Role
from kit.base.access.tokens import CALLER_NAME, MODEL, Caller, MeshNames, TokenTerms
from kit.base.access.trust import TrustedKeys
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import BadRequest, NotSupported, TokenExpired
from kit.base.paging import Position, make_token, page_size, read_token

VALID_S = 12 * 3_600
VALID_S_MIN = 60
VALID_S_MAX = 90 * 86_400
"""Also how long the tokens of a chain of renewals are valid together."""
PAGE_SIZE = 200
PAGE_SIZE_MAX = 1_000

Context = grpc.aio.ServicerContext[Any, Any]

_log = telemetry.logger("tokens")


class MeshTokens:
    """Issues and revokes the tokens of one mesh."""

    def __init__(
        self, authority: Authority, issued: IssuedTokens, names: MeshNames, clock: Clock
    ) -> None:
        self.platform_jwks: Mapping[str, Any] = {}
        """Keys of the platform's issuer, as they were last read."""
        self.changed: Callable[[], None] = lambda: None
        self._authority = authority
        self._issued = issued
        self._names = names
        self._clock = clock
        self._trusted: TrustedKeys | None = None

    @property
    def trusted(self) -> TrustedKeys:
        """What processes verify with now: the same object until it changes."""
        if self._trusted is None:
            self._trusted = self._trusted_now()
        return self._trusted

    def _trusted_now(self) -> TrustedKeys:
        jwks, revoked = self._authority.jwks(), self._issued.revoked
        content = repr((jwks, self.platform_jwks, sorted(revoked))).encode()
        revision = hashlib.sha256(content).hexdigest()[:16]
        return TrustedKeys(jwks, self.platform_jwks, revoked, revision)

    def issue(
        self,
        terms: TokenTerms,
        issued_by: str,
        first: IssuedToken | None = None,
        parent: Caller | None = None,
    ) -> tuple[str, IssuedToken]:
        """Issue a token. Returns its text and what is kept of it. ``first``: a token of the chain
        that it continues. ``parent``: who showed another token for it."""
        text, token_id = tokens.issue(terms, self._authority.signing, self._names, self._clock)
        now_ns = self._clock.time_ns()
        token = IssuedToken(
            token_id=token_id,
            caller=terms.caller,
            roles=tuple(sorted(terms.roles)),
            issued_time_ns=now_ns,
            expires_time_ns=now_ns + terms.valid_s * NANOSECONDS_PER_SECOND,
            first_token_id=first.first_token_id if first else token_id,
            first_issued_time_ns=first.first_issued_time_ns if first else now_ns,
            issued_by=issued_by,
            kind=terms.kind,
            parent_token_id=first.parent_token_id
            if first
            else parent.first_token_id
            if parent
            else "",
            ends_time_ns=first.ends_time_ns if first else parent.expires_time_ns if parent else 0,
        )
        self._issued.add(token)
        # It has also forgotten the revoked tokens that have expired.
        self._trusted = None
        _log.info("issued", extra={"token_id": token_id, "caller": terms.caller, "by": issued_by})
        return text, token

    def renew(self, token_id: str) -> tuple[str, IssuedToken]:
        """Continue the chain of a token. Raises NotSupported and TokenExpired."""
        former = self._issued.find(token_id)
        if former is None:
            text = "only a token that was issued here can be renewed; ask who issued this one"
            raise NotSupported(text, service="registry", wanted="token")
        ends_ns = former.first_issued_time_ns + VALID_S_MAX * NANOSECONDS_PER_SECOND
        if former.ends_time_ns:
            ends_ns = min(ends_ns, former.ends_time_ns)
        left_s = (ends_ns - self._clock.time_ns()) // NANOSECONDS_PER_SECOND
        former_ns = former.expires_time_ns - former.issued_time_ns
        valid_s = min(left_s, former_ns // NANOSECONDS_PER_SECOND)
        if valid_s < VALID_S_MIN:
            raise TokenExpired("it cannot be renewed any longer: sign in again", token_id=token_id)
        granted = frozenset(map(Role, former.roles))
        first, kind = former.first_token_id, former.kind
        terms = TokenTerms(former.caller, granted, valid_s, first, kind)
        return self.issue(terms, former.caller, former)

    def renewed_for_process(self, caller: Caller) -> str:
        """A new token for a process after half of the present one's time; "" before."""
        if not caller.is_process:
            return ""
        half_ns = (caller.expires_time_ns - caller.issued_time_ns) // 2
        if self._clock.time_ns() < caller.issued_time_ns + half_ns:
            return ""
        terms = TokenTerms(
            caller.name, frozenset({Role.PROCESS}), PROCESS_VALID_S, kind=caller.kind
        )
        return tokens.issue(terms, self._authority.signing, self._names, self._clock)[0]

    def revoke(self, token_id: str) -> list[str]:
        """Revoke a token and its chain. Raises BadRequest."""
        revoked = self._issued.revoke(token_id)
        self._change()
        return revoked

    def rotate(self) -> str:
        """Make a new signing key. Returns its id."""
        self._authority.remove_unused(VALID_S_MAX)
        key_id = self._authority.rotate().key_id
        self._change()
        return key_id

    def trust_platform(self, jwks: Mapping[str, Any]) -> None:
        """Accept tokens that are signed with these keys of the platform's issuer."""
        self.platform_jwks = jwks
        self._change()

    def _change(self) -> None:
        self._trusted = None
        self.changed()

    def all(self) -> list[IssuedToken]:
        return self._issued.all()

    def find(self, token_id: str) -> IssuedToken | None:
        return self._issued.find(token_id)


class TokensServicer(tokens_pb2_grpc.TokensServicer):
    """Serves Tokens."""

    def __init__(self, mesh_tokens: MeshTokens, links: SignInLinks) -> None:
        self._tokens = mesh_tokens
        self._links = links

    async def IssueToken(
        self, request: tokens_pb2.IssueTokenRequest, context: Context
    ) -> tokens_pb2.IssueTokenResponse:
        text, issued = self._tokens.issue(_terms(request), current_caller().name)
        return tokens_pb2.IssueTokenResponse(token=text, issued=_message(issued))

    async def RenewToken(
        self, request: tokens_pb2.RenewTokenRequest, context: Context
    ) -> tokens_pb2.RenewTokenResponse:
        text, issued = self._tokens.renew(current_caller().token_id)
        return tokens_pb2.RenewTokenResponse(token=text, issued=_message(issued))

    async def ListTokens(
        self, request: tokens_pb2.ListTokensRequest, context: Context
    ) -> tokens_pb2.ListTokensResponse:
        size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        after = read_token(request)
        left = [one for one in self._tokens.all() if after is None or _place(one) > after]
        page, more = left[:size], len(left) > size
        return tokens_pb2.ListTokensResponse(
            tokens=map(_message, page),
            next_page_token=make_token(request, _place(page[-1])) if more else "",
        )

    async def RevokeToken(
        self, request: tokens_pb2.RevokeTokenRequest, context: Context
    ) -> tokens_pb2.RevokeTokenResponse:
        return tokens_pb2.RevokeTokenResponse(token_ids=self._tokens.revoke(request.token_id))

    async def RotateKey(
        self, request: tokens_pb2.RotateKeyRequest, context: Context
    ) -> tokens_pb2.RotateKeyResponse:
        return tokens_pb2.RotateKeyResponse(key_id=self._tokens.rotate())

    async def CreateSignInLink(
        self, request: tokens_pb2.CreateSignInLinkRequest, context: Context
    ) -> tokens_pb2.CreateSignInLinkResponse:
        own = current_caller()
        granted = _roles(request.roles) if request.roles else own.roles & set(CALLER_ROLES)
        name = _caller_name(request.caller) if request.caller else own.name
        link = self._links.create(TokenTerms(name, granted, VALID_S))
        return tokens_pb2.CreateSignInLinkResponse(
            path=link.path, expires_time_ns=link.expires_time_ns
        )

    async def GetCaller(
        self, request: tokens_pb2.GetCallerRequest, context: Context
    ) -> tokens_pb2.GetCallerResponse:
        caller = current_caller()
        token = tokens_pb2.Token(
            token_id=caller.token_id,
            caller=caller.name,
            roles=[roles.to_wire(role) for role in CALLER_ROLES if role in caller.roles],
            issued_time_ns=caller.issued_time_ns,
            expires_time_ns=caller.expires_time_ns,
            first_token_id=caller.first_token_id,
            for_model=caller.is_model,
        )
        return tokens_pb2.GetCallerResponse(token=token)


def _terms(request: tokens_pb2.IssueTokenRequest) -> TokenTerms:
    """What is asked for. Raises BadRequest."""
    name, granted = _caller_name(request.caller), _roles(request.roles)
    valid_s = request.valid_s or VALID_S
    if not VALID_S_MIN <= valid_s <= VALID_S_MAX:
        _refuse("valid_s", valid_s, f"{VALID_S_MIN} to {VALID_S_MAX}")
    return TokenTerms(name, granted, valid_s, kind=MODEL if request.for_model else "")


def _caller_name(name: str) -> str:
    if not CALLER_NAME.fullmatch(name):
        _refuse("caller", name, "1 to 64 of a-z 0-9 _ . -, the first a letter or digit")
    return name


def _roles(numbers: Iterable["access_pb2.Role.ValueType"]) -> frozenset[Role]:
    wanted = set()
    for number in numbers:
        try:
            role = roles.from_wire(number)
        except ValueError:
            role = Role.PROCESS
        if role not in CALLER_ROLES:
            _refuse("roles", number, ", ".join(CALLER_ROLES))
        wanted.add(role)
    if not wanted:
        _refuse("roles", "", f"at least one of {', '.join(CALLER_ROLES)}")
    return frozenset(wanted)


def _place(token: IssuedToken) -> Position:
    return [token.issued_time_ns, token.token_id]


def _refuse(field: str, value: object, allowed: str) -> None:
    text = f"{field} is {value!r}; allowed: {allowed}"
    raise BadRequest(text, field=field, value=value, allowed=allowed)


def _message(token: IssuedToken) -> tokens_pb2.Token:
    return tokens_pb2.Token(
        token_id=token.token_id,
        caller=token.caller,
        roles=[roles.to_wire(Role(role)) for role in token.roles],
        issued_time_ns=token.issued_time_ns,
        expires_time_ns=token.expires_time_ns,
        revoked=token.revoked,
        first_token_id=token.first_token_id,
        issued_by=token.issued_by,
        for_model=token.kind == MODEL,
    )
