"""Links that sign a browser in: each can be used once, within a quarter of an hour."""

import hashlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlencode

from kit.base.access.tokens import TokenTerms
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import CallerLimited, TokenInvalid

PATH = "/sign-in"
VALID_S = 15 * 60
LINKS_MAX = 100
"""Unused links; of more, the oldest can no longer be used."""
CODE_BYTES = 24
WRONG_CODES_PER_SECOND = 5
"""Of one address."""
ADDRESSES_MAX = 1_000
"""Addresses that have just sent wrong codes; of more, the one that has waited longest may go on."""


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A link, as it is given away."""

    path: str
    expires_time_ns: int


@dataclass(frozen=True, slots=True)
class _Unused:
    code_hash: bytes
    terms: TokenTerms
    expires_time_ns: int


class SignInLinks:
    """The unused links. The codes themselves are not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unused: deque[_Unused] = deque(maxlen=LINKS_MAX)
        self._wrong_ns: dict[str, deque[int]] = {}
        """When wrong codes came, by the address that they came from, the last one at the end."""

    def create(self, terms: TokenTerms) -> SignInLink:
        """A link for a session with these terms."""
        code = secrets.token_urlsafe(CODE_BYTES)
        expires_ns = self._clock.time_ns() + VALID_S * NANOSECONDS_PER_SECOND
        self._unused.append(_Unused(_hash(code), terms, expires_ns))
        return SignInLink(f"{PATH}?{urlencode({'code': code})}", expires_ns)

    def use(self, code: str, address: str) -> TokenTerms:
        """The terms of the session. ``address``: of who opens the link. Raises TokenInvalid, and
        CallerLimited after wrong codes from there."""
        now_ns = self._clock.time_ns()
        wrong_ns = self._wrong_ns.get(address, deque())
        if len(wrong_ns) == WRONG_CODES_PER_SECOND and (
            0 <= now_ns - wrong_ns[0] < NANOSECONDS_PER_SECOND
        ):
            text = "too many links that are not valid were opened: try again in a second"
            raise CallerLimited(text, limit=WRONG_CODES_PER_SECOND)
        code_hash = _hash(code)
        found = None
        for link in self._unused:
            # Every one is compared, so that the time does not tell which.
            if hmac.compare_digest(link.code_hash, code_hash) and link.expires_time_ns > now_ns:
                found = link
        if found is None:
            self._count_wrong(address, now_ns)
            raise TokenInvalid("this link was used before, has expired, or is not of this mesh")
        self._unused.remove(found)
        return found.terms

    def _count_wrong(self, address: str, now_ns: int) -> None:
        counted = self._wrong_ns.pop(address, None) or deque(maxlen=WRONG_CODES_PER_SECOND)
        counted.append(now_ns)
        self._wrong_ns[address] = counted
        if len(self._wrong_ns) > ADDRESSES_MAX:
            del self._wrong_ns[next(iter(self._wrong_ns))]


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode(errors="replace")).digest()
