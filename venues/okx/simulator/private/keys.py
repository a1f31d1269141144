"""Who asks OKX: API keys, signatures, timestamps.

Documentation: https://www.okx.com/docs-v5/en/#overview-rest-authentication and
#overview-websocket-login. The signature is the base64 of an HMAC-SHA256 over the timestamp, the
method, the path with its query, and the body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.signing import is_base64_signature, is_same
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import Key, MatchingEngine
from kit.simulator.texts import instant_ns, whole

EXPIRES_MS = 30_000
LOGIN_PATH = "GET/users/self/verify"


def credentials(key: Key) -> dict[str, str]:
    """What a client is given for a pretended key, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret, "password": key.password}


class Denied(Exception):
    """Somebody could not show who he is, or what he said cannot be understood."""

    def __init__(self, code: str, message: str, status: int = 401) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.body = msgspec.json.encode({"code": code, "data": [], "msg": message})


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose call it is."""

    key: Key
    engine: MatchingEngine
    market_view: MarketView

    @property
    def account(self) -> str:
        """Of the key."""
        return self.key.account

    @property
    def now_ms(self) -> int:
        """By the exchange's clock."""
        return self.market_view.time_ns() // NANOSECONDS_PER_MILLISECOND

    def listing(self, name: str) -> Listing | None:
        """Of an instId."""
        return next((one for one in self.market_view.listings() if one.symbol == name), None)

    def listing_of_code(self, code: str) -> Listing | None:
        """Of an instIdCode: they count the instruments as ``public/instruments`` lists them."""
        listings = self.market_view.listings()
        place = whole(code) or 0
        return listings[place - 1] if 0 < place <= len(listings) else None


def asker_of(request: RestRequest, market_view: MarketView) -> Asker:
    """Who has signed a REST call. Raises Denied."""
    engine = market_view.engine
    if engine is None:
        raise Denied("50001", "Service temporarily unavailable. Try again later", 503)
    name = _needed(request, "50103", "OK-ACCESS-KEY")
    password = _needed(request, "50104", "OK-ACCESS-PASSPHRASE")
    signature = _needed(request, "50106", "OK-ACCESS-SIGN")
    timestamp = _needed(request, "50107", "OK-ACCESS-TIMESTAMP")
    key = engine.key(name)
    if key is None:
        raise Denied("50111", "Invalid OK-ACCESS-KEY.")
    if not is_same(password, key.password):
        raise Denied("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    asker = Asker(key, engine, market_view)
    _check_time(timestamp, asker.now_ms)
    query = f"?{request.raw_query}" if request.raw_query else ""
    said = f"{timestamp}{request.method}{request.path}{query}".encode() + request.body
    if not is_base64_signature(signature, key.secret.encode(), said):
        raise Denied("50113", "Invalid Sign.")
    return asker


def logged_on(fields: Mapping[str, Any], market_view: MarketView) -> Asker:
    """Who logs on to a websocket. Raises Denied."""
    engine = market_view.engine
    if engine is None:
        raise Denied("60009", "Login failed.")
    key = engine.key(str(fields.get("apiKey", "")))
    if key is None:
        raise Denied("60005", "Invalid apiKey")
    if not is_same(str(fields.get("passphrase", "")), key.password):
        raise Denied("60024", "Wrong passphrase")
    timestamp = str(fields.get("timestamp", ""))
    told_s = whole(timestamp)
    if told_s is None:
        raise Denied("60004", "Invalid timestamp")
    asker = Asker(key, engine, market_view)
    if abs(told_s * 1_000 - asker.now_ms) > EXPIRES_MS:
        raise Denied("60006", "Timestamp request expired")
    said, signature = f"{timestamp}{LOGIN_PATH}".encode(), str(fields.get("sign", ""))
    if not is_base64_signature(signature, key.secret.encode(), said):
        raise Denied("60007", "Invalid sign")
    return asker


def items_of(body: bytes) -> list[dict[str, str]]:
    """The objects of a body, which may be one or a list of them, with all values as texts. Raises
    Denied."""
    if not body:
        raise Denied("50000", "Body for POST request cannot be empty.", 400)
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Denied("50002", "JSON syntax error", 400) from None
    found = decoded if isinstance(decoded, list) else [decoded]
    if not all(isinstance(one, dict) for one in found):
        raise Denied("50002", "JSON syntax error", 400)
    return [texts_of(one) for one in found]


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Values as texts, as OKX wants most of them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def _needed(request: RestRequest, code: str, name: str) -> str:
    """A header that must be there."""
    text = request.header(name)
    if not text:
        raise Denied(code, f'Request header "{name}" can not be empty.')
    return text


def _check_time(text: str, now_ms: int) -> None:
    told_ns = instant_ns(text) if text.endswith("Z") else None
    if told_ns is None:
        raise Denied("50112", "Invalid OK-ACCESS-TIMESTAMP.")
    if abs(told_ns // NANOSECONDS_PER_MILLISECOND - now_ms) > EXPIRES_MS:
        raise Denied("50102", "Timestamp request expired.")
