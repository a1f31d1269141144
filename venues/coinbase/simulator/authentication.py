"""API keys and signatures of Coinbase.

Documentation:
https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
https://docs.cdp.coinbase.com/exchange/rest-api/authentication

Advanced Trade   a JWT signed with the key's EC secret (ES256), for one method and path; for a
                 websocket without them
Exchange         an HMAC-SHA256, in base64, of time, method, path and body; and a passphrase
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from decimal import Decimal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from kit.accounting.fees import FeeAsset, FeeTier
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.rest import ApiCall, engine_of
from kit.simulator.exchange.signing import is_base64_signature, is_same
from kit.simulator.matching.contract import (
    ApiKey,
    ClientIdScope,
    MatchingRules,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import whole
from venues.coinbase.simulator.errors import (
    ADVANCED_ERRORS,
    EXCHANGE_ERRORS,
    UNAUTHORIZED,
    exchange_error,
)

ORGANIZATION = "organizations/00000000-0000-4000-8000-000000000000/apiKeys/"
ISSUERS = ("cdp", "coinbase-cloud")
LIFETIME_S_MAX = 120
CLOCK_S_MAX = 30
"""The largest error of a client's clock."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HALF = 32
"""Bytes of one half of a signature."""

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal("0.004"), taker=Decimal("0.006")),),
    fee_asset=FeeAsset.QUOTE,
    id_scope=ClientIdScope.RETURNS,
    self_trade=SelfTradeMode.CANCEL_NEWEST,
    open_orders_max=500,
    outcomes={RejectCode.WOULD_NOT_FILL: OrderStatus.CANCELLED},
)


class _Header(msgspec.Struct):
    alg: str
    kid: str


class _Claims(msgspec.Struct):
    sub: str
    iss: str
    nbf: int
    exp: int
    uri: str = ""


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(_Claims)


def credentials(key: ApiKey) -> dict[str, str]:
    """The key of a client of Advanced Trade by ccxt's names; the EC secret is PEM."""
    pem = _ec_secret(key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return {"apiKey": ORGANIZATION + key.key, "secret": pem.decode()}


def exchange_credentials(key: ApiKey) -> dict[str, str]:
    """The key of a client of Exchange by ccxt's names; the secret is base64."""
    secret = base64.b64encode(_hmac_secret(key)).decode()
    return {"apiKey": key.key, "secret": secret, "password": key.password}


def authenticate_advanced(request: RestRequest, call: ApiCall) -> ApiKey:
    """The key that signed a call to Advanced Trade. Raises ApiError."""
    kind, _, token = request.header("authorization").partition(" ")
    if kind != "Bearer":
        raise UNAUTHORIZED
    key, claims = _read_token(token, call.market_view)
    method, _, address = claims.uri.partition(" ")
    place = address.partition("://")[2] or address
    if method != request.method or not place.endswith(request.path):
        raise UNAUTHORIZED
    return key


def key_of_token(token: str, market_view: MarketView) -> ApiKey:
    """The key that signed a message to the websocket of Advanced Trade. Raises ApiError."""
    return _read_token(token, market_view)[0]


def authenticate_exchange(request: RestRequest, call: ApiCall) -> ApiKey:
    """The key that signed a call to Exchange. Raises ApiError."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    names = ("key", "sign", "timestamp", "passphrase")
    fields = {name: request.header(f"cb-access-{name}") for name in names}
    body = request.body.decode(errors="replace")
    signed = f"{request.method}{request.path}{query}{body}"
    return key_of_signature(fields, signed, call.market_view)


def key_of_signature(fields: Mapping[str, str], signed: str, market_view: MarketView) -> ApiKey:
    """The key of a text at Exchange, by ``key``, ``sign``, ``timestamp`` and ``passphrase``. Raises
    ApiError."""
    for name in ("key", "sign", "timestamp"):
        if not fields.get(name):
            raise exchange_error(f"CB-ACCESS-{name.upper()} header is required")
    time_s = whole(fields["timestamp"].partition(".")[0])
    if time_s is None:
        raise exchange_error("invalid timestamp")
    if abs(time_s - market_view.clock_ns() // NANOSECONDS_PER_SECOND) > CLOCK_S_MAX:
        raise exchange_error("request timestamp expired")
    key = engine_of(market_view, EXCHANGE_ERRORS).key(fields["key"])
    if key is None:
        raise exchange_error("Invalid API Key", 401)
    text = fields["timestamp"] + signed
    if not is_base64_signature(fields["sign"], _hmac_secret(key), text.encode()):
        raise exchange_error("invalid signature", 401)
    if not is_same(fields.get("passphrase", ""), key.password):
        raise exchange_error("Invalid Passphrase", 401)
    return key


def _read_token(token: str, market_view: MarketView) -> tuple[ApiKey, _Claims]:
    """Raises ApiError."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    try:
        header, claims = _header.decode(_bytes(head)), _claims.decode(_bytes(body))
        raw = _bytes(signature)
    except (binascii.Error, msgspec.DecodeError, UnicodeEncodeError):
        raise UNAUTHORIZED from None
    key = engine_of(market_view, ADVANCED_ERRORS).key(header.kid.rpartition("/")[2])
    now_s = market_view.clock_ns() // NANOSECONDS_PER_SECOND
    in_time = claims.nbf - CLOCK_S_MAX <= now_s < claims.exp <= claims.nbf + LIFETIME_S_MAX
    if key is None or header.alg != "ES256" or claims.iss not in ISSUERS or not in_time:
        raise UNAUTHORIZED
    if header.kid != claims.sub or header.kid != ORGANIZATION + key.key or len(raw) != 2 * HALF:
        raise UNAUTHORIZED
    halves = (int.from_bytes(raw[:HALF], "big"), int.from_bytes(raw[HALF:], "big"))
    try:
        _ec_secret(key).public_key().verify(
            utils.encode_dss_signature(*halves),
            f"{head}.{body}".encode(),
            ec.ECDSA(hashes.SHA256()),
        )
    except InvalidSignature:
        raise UNAUTHORIZED from None
    return key, claims


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _ec_secret(key: ApiKey) -> ec.EllipticCurvePrivateKey:
    digest = hashlib.sha256(b"ec" + key.secret.encode()).digest()
    number = int.from_bytes(digest, "big") % (P256_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _hmac_secret(key: ApiKey) -> bytes:
    return hashlib.sha512(key.secret.encode()).digest()
