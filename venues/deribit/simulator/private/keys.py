"""Whose call it is: keys, signatures and tokens of Deribit.

Documentation: https://docs.deribit.com/articles/authentication
Over HTTP a call is signed (``deri-hmac-sha256``), has the key's name and secret (``Basic``) or a
token (``Bearer``). A websocket is signed in by public/auth, which also gives the tokens.
"""

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.memory import BoundedCache
from kit.simulator.exchange.signing import is_hex_signature, is_same
from kit.simulator.matching.contract import (
    IdScope,
    Key,
    MatchingEngine,
    MatchingRules,
    RejectCode,
    SelfTrade,
    Status,
)
from kit.simulator.texts import whole
from venues.deribit.simulator.rest import DeribitApiError, wrong

SIGNATURE_MS_MAX = 60_000
"""So far a signature's time may be off."""
TOKEN_S, CONNECTION_TOKEN_S = 900, 31_536_000
TOKENS_MAX = 10_000
OPEN_ORDERS_MAX = 500
SIGNED = re.compile(r"(?i)deri-hmac-sha256 +(.*)")

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal(0), taker=Decimal("0.0005")),),
    id_scope=IdScope.NONE,
    self_trade=SelfTrade.CANCEL_NEWEST,
    open_orders_max=OPEN_ORDERS_MAX,
    outcomes={RejectCode.WOULD_NOT_FILL: Status.CANCELLED},
    initial_margin=Decimal("0.02"),
    maintenance_margin=Decimal("0.01"),
)


@dataclass(frozen=True, slots=True)
class _Token:
    key: Key
    until_ns: int
    refreshes: bool


def credentials(key: Key) -> dict[str, str]:
    """What a client is given, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret}


def engine_of(market_view: MarketView) -> MatchingEngine:
    """Where orders are matched. Raises Refusal: a replay has no accounts."""
    if market_view.engine is None:
        raise DeribitApiError(11051, "system_maintenance")
    return market_view.engine


def unauthorized(reason: str = "invalid_token") -> DeribitApiError:
    """Nobody knows who asks."""
    return DeribitApiError(13009, "unauthorized", reason=reason)


class Gate:
    """Remembers the tokens that were given."""

    def __init__(self) -> None:
        self._tokens: BoundedCache[str, _Token] = BoundedCache(TOKENS_MAX)
        self._numbers = itertools.count(1)

    def sign_in(
        self, parameters: Mapping[str, str], market_view: MarketView, *, connection: bool
    ) -> tuple[Key, dict[str, object]]:
        """``public/auth``: the key, and the answer. Raises Refusal."""
        kind = parameters.get("grant_type", "")
        if kind == "client_credentials":
            key = _key_named(parameters, market_view)
            if not is_same(parameters.get("client_secret", ""), key.secret):
                raise _invalid()
        elif kind == "client_signature":
            key = _key_named(parameters, market_view)
            stamp, nonce, data = (
                parameters.get(name, "") for name in ("timestamp", "nonce", "data")
            )
            _check(
                key,
                stamp,
                f"{stamp}\n{nonce}\n{data}",
                parameters.get("signature", ""),
                market_view,
            )
        elif kind == "refresh_token":
            token = self._tokens.take(parameters.get("refresh_token", ""))
            if token is None or not token.refreshes:
                raise unauthorized()
            key = token.key
        else:
            raise wrong("grant_type", "must be client_credentials or client_signature")
        return key, self._answer(key, connection, market_view)

    def key_of(self, request: RestRequest, market_view: MarketView) -> Key:
        """Who has signed a call over HTTP. Raises Refusal."""
        text = request.header("authorization")
        kind, _, rest = text.partition(" ")
        if kind.lower() == "bearer":
            return self.key_of_token(rest, market_view)
        if kind.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(rest).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise _invalid() from None
            fields = {"grant_type": "client_credentials", "client_id": name}
            return self.sign_in({**fields, "client_secret": secret}, market_view, connection=False)[
                0
            ]
        signed = SIGNED.fullmatch(text)
        if signed is None:
            raise unauthorized()
        parts = dict(part.strip().partition("=")[::2] for part in signed[1].split(","))
        key = _key_named({"client_id": parts.get("id", "")}, market_view)
        stamp, nonce = parts.get("ts", ""), parts.get("nonce", "")
        query = f"?{request.raw_query}" if request.raw_query else ""
        body = request.body.decode(errors="replace")
        said = f"{stamp}\n{nonce}\n{request.method}\n{request.path}{query}\n{body}\n"
        _check(key, stamp, said, parts.get("sig", ""), market_view)
        return key

    def key_of_token(self, text: str, market_view: MarketView) -> Key:
        """Raises Refusal."""
        token = self._tokens.get(text)
        if token is None or token.refreshes or token.until_ns < market_view.time_ns():
            raise unauthorized()
        return token.key

    def _answer(self, key: Key, connection: bool, market_view: MarketView) -> dict[str, object]:
        seconds = CONNECTION_TOKEN_S if connection else TOKEN_S
        scope = "account:read_write trade:read_write wallet:"
        scope += "read_write" if key.may_withdraw else "read"
        return {
            "access_token": self._issue(key, seconds, False, market_view),
            "expires_in": seconds,
            "refresh_token": self._issue(key, 2 * seconds, True, market_view),
            "scope": f"{scope} {'connection' if connection else 'session:rest'} mainaccount",
            "token_type": "bearer",
            "enabled_features": [],
            "sid": f"{key.account}.{next(self._numbers)}",
        }

    def _issue(self, key: Key, seconds: int, refreshes: bool, market_view: MarketView) -> str:
        until_ns = market_view.time_ns() + seconds * NANOSECONDS_PER_SECOND
        said = f"{key.key}/{key.secret}/{next(self._numbers)}"
        digest = hashlib.sha256(said.encode()).hexdigest()
        text = f"{until_ns // NANOSECONDS_PER_MILLISECOND}.{digest[:8]}.{digest[8:]}"
        self._tokens.keep(text, _Token(key, until_ns, refreshes))
        return text


def _key_named(parameters: Mapping[str, str], market_view: MarketView) -> Key:
    key = engine_of(market_view).key(parameters.get("client_id", ""))
    if key is None:
        raise _invalid()
    return key


def _check(key: Key, stamp: str, said: str, signature: str, market_view: MarketView) -> None:
    time_ms = market_view.time_ns() // NANOSECONDS_PER_MILLISECOND
    stamp_ms = whole(stamp)
    if stamp_ms is None or abs(stamp_ms - time_ms) > SIGNATURE_MS_MAX:
        raise DeribitApiError(13004, "invalid_credentials", reason="timestamp_expired")
    if not is_hex_signature(signature, key.secret.encode(), said.encode()):
        raise _invalid()


def _invalid() -> DeribitApiError:
    return DeribitApiError(13004, "invalid_credentials")
