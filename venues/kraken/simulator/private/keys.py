"""Whose call it is: keys, signatures and tokens of Kraken.

Documentation: https://docs.kraken.com/api/docs/guides/spot-rest-auth
A REST call is signed with ``HMAC-SHA512(secret, path + SHA256(nonce + body))``, both in base64.
The nonce must grow with each call of a key. A websocket is opened to an account by a token, which
a REST call gives: it is good for a first use within 15 minutes, and then for the connection.
"""

import base64
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

from kit.accounting.fees import FeeAsset, FeeTier
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.memory import BoundedCache
from kit.simulator.exchange.signing import is_base64_signature
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
from venues.kraken.simulator.rest import KrakenApiError

TOKEN_S = 900
TOKENS_MAX = 10_000
OPEN_ORDERS_MAX = 225
NONCE_DIGITS_MAX = 20

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal("0.0025"), taker=Decimal("0.0040")),),
    fee_asset=FeeAsset.QUOTE,
    id_scope=IdScope.OPEN,
    self_trade=SelfTrade.CANCEL_NEWEST,
    open_orders_max=OPEN_ORDERS_MAX,
    outcomes={RejectCode.WOULD_NOT_FILL: Status.CANCELLED},
    stops_trigger_at_once=True,
)


@dataclass(frozen=True, slots=True)
class _Token:
    account: str
    until_ns: int


def credentials(key: Key) -> dict[str, str]:
    """What a client is given, by ccxt's names: a secret of 64 bytes in base64."""
    return {"apiKey": key.key, "secret": base64.b64encode(_secret(key)).decode()}


def engine_of(market_view: MarketView) -> MatchingEngine:
    """Where orders are matched. Raises Refusal: a replay has no accounts."""
    if market_view.engine is None:
        raise KrakenApiError("EService:Unavailable")
    return market_view.engine


class Guard:
    """Remembers the newest nonce of each key, and the tokens."""

    def __init__(self) -> None:
        self._nonces: dict[str, int] = {}
        self._tokens: BoundedCache[str, _Token] = BoundedCache(TOKENS_MAX)
        self._numbers = itertools.count(1)

    def admit(
        self, request: RestRequest, market_view: MarketView
    ) -> tuple[Key, Mapping[str, object]]:
        """Who has signed a REST call, and what it says. Raises Refusal."""
        key = engine_of(market_view).key(request.header("api-key"))
        if key is None:
            raise KrakenApiError("EAPI:Invalid key")
        fields = _fields(request.body, request.header("content-type"))
        text = str(fields.get("nonce", ""))
        said = request.path.encode() + hashlib.sha256(text.encode() + request.body).digest()
        if not is_base64_signature(request.header("api-sign"), _secret(key), said, "sha512"):
            raise KrakenApiError("EAPI:Invalid signature")
        nonce = whole(text, NONCE_DIGITS_MAX)
        if nonce is None or nonce <= self._nonces.get(key.key, 0):
            raise KrakenApiError("EAPI:Invalid nonce")
        self._nonces[key.key] = nonce
        return key, fields

    def issue(self, key: Key, market_view: MarketView) -> str:
        """A new token."""
        text = f"{key.key}/{next(self._numbers)}/{market_view.time_ns()}"
        token = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        until_ns = market_view.time_ns() + TOKEN_S * NANOSECONDS_PER_SECOND
        self._tokens.keep(token, _Token(key.account, until_ns))
        return token

    def account_of(self, token: str, known: set[str], market_view: MarketView) -> str:
        """Whose token it is. ``known``: those that the connection has used before, which go on
        being good. Raises Refusal."""
        found = self._tokens.get(token)
        if found is None or (token not in known and found.until_ns < market_view.time_ns()):
            raise KrakenApiError("ESession:Invalid session")
        known.add(token)
        return found.account


def _secret(key: Key) -> bytes:
    return hashlib.sha512(key.secret.encode()).digest()


def _fields(body: bytes, content_type: str) -> Mapping[str, object]:
    """A form, or JSON. Raises Refusal."""
    try:
        if "json" in content_type:
            return msgspec.json.decode(body, type=dict[str, object])
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KrakenApiError("EGeneral:Invalid arguments") from None
