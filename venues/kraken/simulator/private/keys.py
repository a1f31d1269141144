"""Whose call it is: keys, signatures and tokens of Kraken.

Documentation: https://docs.kraken.com/api/docs/guides/spot-rest-auth
A REST call is signed with ``HMAC-SHA512(secret, path + SHA256(nonce + body))``, both in base64.
The nonce must grow with each call of a key. A websocket is opened to an account by a token, which
a REST call gives: it is good for a first use within 15 minutes, and then for the connection.
"""

import base64
import hashlib
import hmac
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

from kit.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import Floor, Request
from kit.simulator.matching.contract import (
    FeeAsset,
    FeeTier,
    House,
    HouseRules,
    IdScope,
    Key,
    SelfTrade,
    Status,
)
from kit.simulator.matching.contract import Refusal as HouseRefusal
from venues.kraken.simulator.rest import Refusal

TOKEN_S = 900
TOKENS_MAX = 10_000
OPEN_ORDERS_MAX = 225
NONCE_DIGITS_MAX = 20

HOUSE_RULES = HouseRules(
    tiers=(FeeTier(maker=Decimal("0.0025"), taker=Decimal("0.0040")),),
    fee_asset=FeeAsset.QUOTE,
    id_scope=IdScope.OPEN,
    self_trade=SelfTrade.CANCEL_NEWEST,
    open_orders_max=OPEN_ORDERS_MAX,
    outcomes={HouseRefusal.WOULD_NOT_FILL: Status.CANCELLED},
    stops_trigger_at_once=True,
)


@dataclass(frozen=True, slots=True)
class _Token:
    account: str
    until_ns: int


def credentials(key: Key) -> dict[str, str]:
    """What a client is given, by ccxt's names: a secret of 64 bytes in base64."""
    return {"apiKey": key.key, "secret": base64.b64encode(_secret(key)).decode()}


def house_of(floor: Floor) -> House:
    """Where orders are matched. Raises Refusal: a replay has no accounts."""
    if floor.house is None:
        raise Refusal("EService:Unavailable")
    return floor.house


class Guard:
    """Remembers the newest nonce of each key, and the tokens."""

    def __init__(self) -> None:
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, _Token] = {}
        self._numbers = itertools.count(1)

    def admit(self, request: Request, floor: Floor) -> tuple[Key, Mapping[str, object]]:
        """Who has signed a REST call, and what it says. Raises Refusal."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = house_of(floor).key(headers.get("api-key", ""))
        if key is None:
            raise Refusal("EAPI:Invalid key")
        fields = _fields(request.body, headers.get("content-type", ""))
        nonce = str(fields.get("nonce", ""))
        digest = hashlib.sha256(nonce.encode() + request.body).digest()
        mac = hmac.new(_secret(key), request.path.encode() + digest, hashlib.sha512)
        signature = base64.b64encode(mac.digest()).decode()
        if not hmac.compare_digest(headers.get("api-sign", "").encode(), signature.encode()):
            raise Refusal("EAPI:Invalid signature")
        if not nonce.isdecimal() or len(nonce) > NONCE_DIGITS_MAX:
            raise Refusal("EAPI:Invalid nonce")
        if int(nonce) <= self._nonces.get(key.key, 0):
            raise Refusal("EAPI:Invalid nonce")
        self._nonces[key.key] = int(nonce)
        return key, fields

    def issue(self, key: Key, floor: Floor) -> str:
        """A new token."""
        text = f"{key.key}/{next(self._numbers)}/{floor.time_ns()}"
        token = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        until_ns = floor.time_ns() + TOKEN_S * NANOSECONDS_PER_SECOND
        self._tokens[token] = _Token(key.account, until_ns)
        if len(self._tokens) > TOKENS_MAX:
            del self._tokens[next(iter(self._tokens))]
        return token

    def account_of(self, token: str, known: set[str], floor: Floor) -> str:
        """Whose token it is. ``known``: those that the connection has used before, which go on
        being good. Raises Refusal."""
        found = self._tokens.get(token)
        if found is None or (token not in known and found.until_ns < floor.time_ns()):
            raise Refusal("ESession:Invalid session")
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
        raise Refusal("EGeneral:Invalid arguments") from None
