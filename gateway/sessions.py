"""The sessions of browsers: each is a token of its own, which the browser keeps in a cookie."""

from dataclasses import dataclass

from gateway.issued_tokens import IssuedToken
from gateway.sign_in_links import SignInLinks
from gateway.token_service import VALID_S, VALID_S_MIN, MeshTokens
from kit.base.access.roles import CALLER_ROLES
from kit.base.access.tokens import Caller, TokenTerms, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import TokenExpired, TokenInvalid


@dataclass(frozen=True, slots=True)
class Session:
    """What the cookie holds, and for how long."""

    token: str
    valid_s: int


class Sessions:
    """Begins, renews and ends sessions."""

    def __init__(
        self, tokens: MeshTokens, links: SignInLinks, verifier: TokenVerifier, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._links = links
        self._verifier = verifier
        self._clock = clock
        self._trusted: TrustedKeys | None = None

    def begin_by_link(self, code: str, address: str) -> Session:
        """``address``: of who opens it. Raises the errors of SignInLinks.use."""
        return _session(*self._tokens.issue(self._links.use(code, address), "sign-in link"))

    def begin_by_token(self, text: str) -> Session:
        """A session with the roles of a token, which ends with that token at the latest. Raises
        the errors of TokenVerifier."""
        shown = self._verified(text)
        left_s = (shown.expires_time_ns - self._clock.time_ns()) // NANOSECONDS_PER_SECOND
        if left_s < VALID_S_MIN:
            raise TokenExpired("the token expires within a minute", token_id=shown.token_id)
        granted = shown.roles & set(CALLER_ROLES)
        terms = TokenTerms(shown.name, granted, min(VALID_S, left_s))
        return _session(*self._tokens.issue(terms, shown.name, parent=shown))

    def renew(self, token: str) -> Session:
        """Raises the errors of TokenVerifier and of MeshTokens.renew."""
        return _session(*self._tokens.renew(self._verified(token).token_id))

    def end(self, token: str) -> None:
        """Raises the errors of TokenVerifier, and BadRequest if the token was not issued here."""
        self._tokens.revoke(self._verified(token).token_id)

    def _verified(self, token: str) -> Caller:
        if self._trusted is not (trusted := self._tokens.trusted):
            self._trusted = trusted
            self._verifier.trust(trusted)
        caller = self._verifier.verify(token)
        if caller.is_process or caller.is_model:
            raise TokenInvalid("the token is that of a process or a model: no browser shows it")
        return caller


def _session(token: str, issued: IssuedToken) -> Session:
    valid_ns = issued.expires_time_ns - issued.issued_time_ns
    return Session(token, valid_ns // NANOSECONDS_PER_SECOND)
