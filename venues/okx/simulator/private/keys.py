"""Who asks OKX: API keys, signatures, timestamps.

Documentation: https://www.okx.com/docs-v5/en/#overview-rest-authentication and
#overview-websocket-login. The signature is the base64 of an HMAC-SHA256 over the timestamp, the
method, the path with its query, and the body.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from kit.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import Floor, Listing, Request
from kit.simulator.matching.contract import House, Key

EXPIRES_MS = 30_000
LOGIN_PATH = "GET/users/self/verify"
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


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
    house: House
    floor: Floor

    @property
    def account(self) -> str:
        """Of the key."""
        return self.key.account

    @property
    def now_ms(self) -> int:
        """By the exchange's clock."""
        return self.floor.time_ns() // NANOSECONDS_PER_MILLISECOND

    def listing(self, name: str) -> Listing | None:
        """Of an instId."""
        return next((one for one in self.floor.listings() if one.symbol == name), None)

    def listing_of_code(self, code: str) -> Listing | None:
        """Of an instIdCode: they count the instruments as ``public/instruments`` lists them."""
        listings = self.floor.listings()
        place = int(code) if code.isascii() and code.isdigit() and len(code) < 9 else 0
        return listings[place - 1] if 0 < place <= len(listings) else None


def asker_of(request: Request, floor: Floor) -> Asker:
    """Who has signed a REST call. Raises Denied."""
    house = floor.house
    if house is None:
        raise Denied("50001", "Service temporarily unavailable. Try again later", 503)
    headers = {name.upper(): text for name, text in request.headers.items()}
    needed = (
        ("50103", "OK-ACCESS-KEY"),
        ("50104", "OK-ACCESS-PASSPHRASE"),
        ("50106", "OK-ACCESS-SIGN"),
        ("50107", "OK-ACCESS-TIMESTAMP"),
    )
    for code, name in needed:
        if not headers.get(name):
            raise Denied(code, f'Request header "{name}" can not be empty.')
    key = house.key(headers["OK-ACCESS-KEY"])
    if key is None:
        raise Denied("50111", "Invalid OK-ACCESS-KEY.")
    if headers["OK-ACCESS-PASSPHRASE"] != key.password:
        raise Denied("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    asker = Asker(key, house, floor)
    _check_time(headers["OK-ACCESS-TIMESTAMP"], asker.now_ms)
    query = f"?{request.raw_query}" if request.raw_query else ""
    head = f"{headers['OK-ACCESS-TIMESTAMP']}{request.method}{request.path}{query}"
    if not _is_signed(key, head.encode() + request.body, headers["OK-ACCESS-SIGN"]):
        raise Denied("50113", "Invalid Sign.")
    return asker


def logged_on(fields: Mapping[str, Any], floor: Floor) -> Asker:
    """Who logs on to a websocket. Raises Denied."""
    house = floor.house
    if house is None:
        raise Denied("60009", "Login failed.")
    key = house.key(str(fields.get("apiKey", "")))
    if key is None:
        raise Denied("60005", "Invalid apiKey")
    if fields.get("passphrase") != key.password:
        raise Denied("60024", "Wrong passphrase")
    timestamp = str(fields.get("timestamp", ""))
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise Denied("60004", "Invalid timestamp")
    asker = Asker(key, house, floor)
    if abs(int(timestamp) * 1_000 - asker.now_ms) > EXPIRES_MS:
        raise Denied("60006", "Timestamp request expired")
    if not _is_signed(key, f"{timestamp}{LOGIN_PATH}".encode(), str(fields.get("sign", ""))):
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


def _check_time(text: str, now_ms: int) -> None:
    try:
        told = datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError:
        raise Denied("50112", "Invalid OK-ACCESS-TIMESTAMP.") from None
    since = told - datetime(1970, 1, 1, tzinfo=UTC)
    told_ms = (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
    if abs(told_ms - now_ms) > EXPIRES_MS:
        raise Denied("50102", "Timestamp request expired.")


def _is_signed(key: Key, payload: bytes, signature: str) -> bool:
    right = base64.b64encode(hmac.new(key.secret.encode(), payload, hashlib.sha256).digest())
    return hmac.compare_digest(right, signature.encode())
