"""API keys, signatures and tokens of Deribit.

Documentation: https://docs.deribit.com/articles/authentication
Over HTTP a call is signed (``deri-hmac-sha256``), or has the key's name and secret (``Basic``) or a
token (``Bearer``). On a websocket public/auth signs in the connection, and issues the tokens too.
"""

import base64
import binascii
import hashlib
import itertools
import re
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestRequest
from kit.simulator.exchange.bounded_cache import BoundedCache
from kit.simulator.exchange.rest import ApiCall
from kit.simulator.exchange.signing import is_hex_signature, is_same
from kit.simulator.matching.contract import (
    ApiKey,
    ClientIdScope,
    MatchingRules,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import whole
from venues.deribit.simulator.errors import rejection, unauthorized, wrong

SIGNATURE_MS_MAX = 60_000
"""How far the time of a signature may be off."""
TOKEN_S, CONNECTION_TOKEN_S = 900, 31_536_000
TOKENS_MAX = 10_000
SIGNED = re.compile(r"(?i)deri-hmac-sha256 +(.*)")
INVALID = rejection(13004, "invalid_credentials")
EXPIRED = rejection(13004, "invalid_credentials", reason="timestamp_expired")

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal(0), taker=Decimal("0.0005")),),
    id_scope=ClientIdScope.NONE,
    self_trade=SelfTradeMode.CANCEL_NEWEST,
    open_orders_max=500,
    outcomes={RejectCode.WOULD_NOT_FILL: OrderStatus.CANCELLED},
    initial_margin=Decimal("0.02"),
    maintenance_margin=Decimal("0.01"),
    settlement_time_ns=8 * 3600 * NANOSECONDS_PER_SECOND,
)


@dataclass(frozen=True, slots=True)
class _Token:
    key: ApiKey
    until_ns: int
    refreshes: bool


def credentials(key: ApiKey) -> dict[str, str]:
    """What a client is given, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret}


class DeribitAuthentication:
    """Remembers the tokens that it issued."""

    def __init__(self) -> None:
        self._tokens: BoundedCache[str, _Token] = BoundedCache(TOKENS_MAX)
        self._numbers = itertools.count(1)

    def authenticate(self, request: RestRequest, call: ApiCall) -> ApiKey:
        """The key that signed a call over HTTP. Raises ApiError."""
        text = request.header("authorization")
        kind, _, rest = text.partition(" ")
        if kind.lower() == "bearer":
            return self.key_of_token(rest, call.now_ns)
        if kind.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(rest).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise INVALID from None
            return _key_with_secret(name, secret, call)
        signed = SIGNED.fullmatch(text)
        if signed is None:
            raise unauthorized()
        parts = dict(part.strip().partition("=")[::2] for part in signed[1].split(","))
        key = _key_named(parts.get("id", ""), call)
        stamp, nonce = parts.get("ts", ""), parts.get("nonce", "")
        query = f"?{request.raw_query}" if request.raw_query else ""
        body = request.body.decode(errors="replace")
        text = f"{stamp}\n{nonce}\n{request.method}\n{request.path}{query}\n{body}\n"
        _check(key, stamp, text, parts.get("sig", ""), call)
        return key

    def sign_in(self, call: ApiCall) -> dict[str, object]:
        """The answer of ``public/auth`` over HTTP. Raises ApiError."""
        return self.tokens_of(self.key_of_grant(call), False, call)

    def key_of_grant(self, call: ApiCall) -> ApiKey:
        """The key that ``public/auth`` is called with. Raises ApiError."""
        kind, name = call.text("grant_type"), call.text("client_id")
        if kind == "client_credentials":
            return _key_with_secret(name, call.text("client_secret"), call)
        if kind == "client_signature":
            key = _key_named(name, call)
            stamp, nonce, data = (call.text(one) for one in ("timestamp", "nonce", "data"))
            _check(key, stamp, f"{stamp}\n{nonce}\n{data}", call.text("signature"), call)
            return key
        if kind == "refresh_token":
            token = self._tokens.take(call.text("refresh_token"))
            if token is None or not token.refreshes:
                raise unauthorized()
            return token.key
        raise wrong("grant_type", "must be client_credentials or client_signature")

    def key_of_token(self, text: str, now_ns: int) -> ApiKey:
        """The key of an access token. Raises ApiError."""
        token = self._tokens.get(text)
        if token is None or token.refreshes or token.until_ns < now_ns:
            raise unauthorized()
        return token.key

    def tokens_of(self, key: ApiKey, connection: bool, call: ApiCall) -> dict[str, object]:
        """``{"access_token","expires_in","refresh_token","scope","token_type","sid",…}``"""
        seconds = CONNECTION_TOKEN_S if connection else TOKEN_S
        may_trade, now_ns = call.engine.settings(key.account).may_trade, call.now_ns
        trade, wallet = (
            "read_write" if is_given else "read" for is_given in (may_trade, key.may_withdraw)
        )
        scope = f"account:read_write trade:{trade} wallet:{wallet}"
        return {
            "access_token": self._issue(key, seconds, False, now_ns),
            "expires_in": seconds,
            "refresh_token": self._issue(key, 2 * seconds, True, now_ns),
            "scope": f"{scope} {'connection' if connection else 'session:rest'} mainaccount",
            "token_type": "bearer",
            "enabled_features": [],
            "sid": f"{key.account}.{next(self._numbers)}",
        }

    def _issue(self, key: ApiKey, seconds: int, refreshes: bool, now_ns: int) -> str:
        until_ns = now_ns + seconds * NANOSECONDS_PER_SECOND
        named = f"{key.key}/{key.secret}/{next(self._numbers)}"
        digest = hashlib.sha256(named.encode()).hexdigest()
        text = f"{until_ns // NANOSECONDS_PER_MILLISECOND}.{digest[:8]}.{digest[8:]}"
        self._tokens.keep(text, _Token(key, until_ns, refreshes))
        return text


def _key_named(name: str, call: ApiCall) -> ApiKey:
    key = call.engine.key(name)
    if key is None:
        raise INVALID
    return key


def _key_with_secret(name: str, secret: str, call: ApiCall) -> ApiKey:
    key = _key_named(name, call)
    if not is_same(secret, key.secret):
        raise INVALID
    return key


def _check(key: ApiKey, stamp: str, text: str, signature: str, call: ApiCall) -> None:
    stamp_ms = whole(stamp)
    if stamp_ms is None or abs(stamp_ms - call.clock_ms) > SIGNATURE_MS_MAX:
        raise EXPIRED
    if not is_hex_signature(signature, key.secret.encode(), text.encode()):
        raise INVALID
