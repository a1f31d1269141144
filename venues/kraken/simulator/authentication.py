"""API keys, signatures and tokens of Kraken.

Documentation: https://docs.kraken.com/api/docs/guides/spot-rest-auth
A REST call is signed with ``HMAC-SHA512(secret, path + SHA256(nonce + body))``, both in base64.
The nonce must grow with each call of a key. A websocket message names its account by a token, which
a REST call issues: its first use must be within 15 minutes; then it is valid for the connection.
"""

import base64
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.fees import FeeAsset, FeeTier
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestRequest
from kit.simulator.exchange.bounded_cache import BoundedCache
from kit.simulator.exchange.parameters import form_parameters, json_parameters
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.exchange.signing import is_base64_signature
from kit.simulator.matching.contract import (
    ApiKey,
    ClientIdScope,
    MatchingRules,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import whole
from venues.kraken.simulator.errors import INVALID_SESSION, invalid

TOKEN_S = 900
TOKENS_MAX = 10_000
NONCE_DIGITS_MAX = 20

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal("0.0025"), taker=Decimal("0.0040")),),
    fee_asset=FeeAsset.QUOTE,
    id_scope=ClientIdScope.OPEN,
    self_trade=SelfTradeMode.CANCEL_NEWEST,
    open_orders_max=225,
    outcomes={RejectCode.WOULD_NOT_FILL: OrderStatus.CANCELLED},
    stops_trigger_at_once=True,
)


@dataclass(frozen=True, slots=True)
class _Token:
    key: ApiKey
    until_ns: int


def credentials(key: ApiKey) -> dict[str, str]:
    """What a client is given, by ccxt's names: a secret of 64 bytes in base64."""
    return {"apiKey": key.key, "secret": base64.b64encode(_secret(key)).decode()}


def parameters_of(request: RestRequest) -> Mapping[str, str]:
    """The query of a GET; the form or JSON object of a POST. Raises ApiError."""
    if request.method == "GET":
        return request.query
    is_json = "json" in request.header("content-type")
    try:
        return json_parameters(request.body) if is_json else form_parameters(request.body)
    except ValueError:
        raise invalid() from None


class KrakenAuthentication:
    """Remembers the newest nonce of each key, and the tokens."""

    def __init__(self) -> None:
        self._nonces: dict[str, int] = {}
        self._tokens: BoundedCache[str, _Token] = BoundedCache(TOKENS_MAX)
        self._numbers = itertools.count(1)

    def authenticate(self, request: RestRequest, call: ApiCall) -> ApiKey:
        """The key that signed a REST call. Raises ApiError."""
        key = call.engine.key(request.header("api-key"))
        if key is None:
            raise ApiError("EAPI:Invalid key")
        text = call.text("nonce")
        signed = request.path.encode() + hashlib.sha256(text.encode() + request.body).digest()
        if not is_base64_signature(request.header("api-sign"), _secret(key), signed, "sha512"):
            raise ApiError("EAPI:Invalid signature")
        nonce = whole(text, NONCE_DIGITS_MAX)
        if nonce is None or nonce <= self._nonces.get(key.key, 0):
            raise ApiError("EAPI:Invalid nonce")
        self._nonces[key.key] = nonce
        return key

    def issue_token(self, call: ApiCall) -> dict[str, object]:
        """``{"token":"…","expires":900}``"""
        text = f"{call.key.key}/{next(self._numbers)}/{call.now_ns}"
        token = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        until_ns = call.now_ns + TOKEN_S * NANOSECONDS_PER_SECOND
        self._tokens.keep(token, _Token(call.key, until_ns))
        return {"token": token, "expires": TOKEN_S}

    def key_of_token(self, token: str, used: set[str], now_ns: int) -> ApiKey:
        """The key of a token. ``used``: the tokens that the connection has used before, which
        remain valid. Raises ApiError."""
        found = self._tokens.get(token)
        if found is None or (token not in used and found.until_ns < now_ns):
            raise INVALID_SESSION
        used.add(token)
        return found.key


def _secret(key: ApiKey) -> bytes:
    return hashlib.sha512(key.secret.encode()).digest()
