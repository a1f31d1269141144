"""Who asks: API keys, signatures, timestamps; and what a private call is.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
and .../websocket-api/request-security. Futures do the same.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator import texts
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.signing import is_hex_signature
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import Key, MatchingEngine, OrderRejected, OrderView
from venues.binance.simulator.rest import BinanceApiError

KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
PLACES_MAX = 8
DIGITS_MAX = 19
HMAC_DIGITS = 64
RECEIVE_WINDOW_MS, RECEIVE_WINDOW_MS_MAX = 5_000, 60_000
AHEAD_MS_MAX = 1_000
SIGNING = frozenset({"timestamp", "signature", "recvWindow", "apiKey", "returnRateLimits"})
"""Parameters that each signed call may have."""


def credentials(key: Key) -> dict[str, str]:
    """What a client is given for a pretended key, by ccxt's names: an HMAC secret."""
    return {"apiKey": key.key, "secret": key.secret}


def ed25519_credentials(key: Key) -> dict[str, str]:
    """The same with an Ed25519 key as PEM, which ``session.logon`` asks for. A pretended key takes
    signatures of both kinds."""
    pem = _ed25519(key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"apiKey": key.key, "secret": pem.decode()}


@dataclass(frozen=True, slots=True)
class Call:
    """A private call whose signature was right."""

    key: Key
    params: Mapping[str, str]
    market_view: MarketView
    engine: MatchingEngine

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.key.account

    @property
    def now_ms(self) -> int:
        """By the exchange's clock."""
        return self.market_view.time_ns() // NANOSECONDS_PER_MILLISECOND

    def text(self, name: str) -> str:
        """A parameter that must be there."""
        text = self.params.get(name, "")
        if not text:
            words = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise BinanceApiError(-1102, words)
        return text

    def amount(self, name: str) -> Decimal:
        """An amount that must be there."""
        text = self.text(name)
        amount = texts.amount(text)
        if amount is None:
            raise illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
        if len(text.partition(".")[2].rstrip("0")) > PLACES_MAX:
            raise BinanceApiError(-1111, f"Parameter '{name}' has too much precision.")
        return amount

    def number(self, name: str, usual: int, most: int = 2**63) -> int:
        """A whole number, or the usual one."""
        number = texts.whole(self.params.get(name) or str(usual), DIGITS_MAX)
        if number is None:
            raise illegal(name, "^[0-9]{1,20}$")
        return min(number, most)

    def flag(self, name: str) -> bool:
        """Whether it was said to be true."""
        text = self.params.get(name, "false").lower()
        if text not in ("true", "false"):
            raise illegal(name, "^(true|false)$")
        return text == "true"

    def client_id(self, name: str) -> str:
        """A client's own id of an order; "" when it has given none."""
        text = self.params.get(name, "")
        if name in self.params and not CLIENT_ID.fullmatch(text):
            raise illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$")
        return text

    def listing(self) -> Listing:
        """Of the symbol, which must be there."""
        symbol = self.text("symbol")
        for listing in self.market_view.listings():
            if listing.symbol == symbol:
                return listing
        raise BinanceApiError(-1121, "Invalid symbol.")

    def named_order(self, id_name: str, client_id_name: str, id_first: int = 0) -> OrderView | None:
        """The order of an id, a client id, or both; ``id_first``: what is added to ids."""
        symbol, client_id = self.listing().symbol, self.params.get(client_id_name, "")
        if self.params.get(id_name):
            try:
                number = self.number(id_name, 0) - id_first
                order: OrderView | None = self.engine.order(self.account, number)
            except OrderRejected:
                order = None
            if order is not None and client_id not in ("", order.ticket.client_id):
                raise BinanceApiError(-2039, "Client order ID is not correct for this order ID.")
        elif client_id:
            order = self.engine.by_client_id(self.account, client_id)
        else:
            both = f"Param '{client_id_name}' or '{id_name}' must be sent"
            raise BinanceApiError(-1102, f"{both}, but both were empty/null!")
        return order if order is not None and order.ticket.symbol == symbol else None


def illegal(name: str, pattern: str) -> BinanceApiError:
    """A parameter has letters that it may not have."""
    words = f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
    return BinanceApiError(-1100, words)


def key_of(engine: MatchingEngine, name: str) -> Key:
    """The API key of this name. Raises Refusal."""
    if not KEY.fullmatch(name):
        raise BinanceApiError(-2014, "API-key format invalid.", 401)
    key = engine.key(name)
    if key is None:
        raise BinanceApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    return key


def rest_params(request: RestRequest) -> tuple[dict[str, str], str]:
    """The parameters of query and body, and the text that is signed: both one after the other, as
    they came, without the signature."""
    query, body = request.raw_query, request.body.decode(errors="replace")
    params = dict(parse_qsl(body, keep_blank_values=True))
    params |= dict(parse_qsl(query, keep_blank_values=True))
    return params, _unsigned(query) + _unsigned(body)


def rest_key(request: RestRequest) -> str:
    """The name of the key that a request came with."""
    return request.header("X-MBX-APIKEY")


def websocket_payload(params: Mapping[str, str]) -> str:
    """The text that is signed: parameters by name, without the signature."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def check_time(params: Mapping[str, str], now_ms: int) -> None:
    """Raises Refusal when a call is too old, or from the future."""
    said_ms = texts.whole(params.get("timestamp", ""), DIGITS_MAX)
    if said_ms is None:
        words = "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."
        raise BinanceApiError(-1102, words)
    window_ms = texts.whole(params.get("recvWindow") or str(RECEIVE_WINDOW_MS))
    if window_ms is None or window_ms > RECEIVE_WINDOW_MS_MAX:
        raise BinanceApiError(-1131, "recvWindow must be less than 60000")
    if said_ms >= now_ms + AHEAD_MS_MAX:
        words = "Timestamp for this request was 1000ms ahead of the server's time."
        raise BinanceApiError(-1021, words)
    if now_ms - said_ms > window_ms:
        raise BinanceApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_signature(key: Key, payload: str, params: Mapping[str, str]) -> None:
    """Raises Refusal for a wrong one: HMAC-SHA256 in hex, or Ed25519 in base64."""
    signature = params.get("signature", "")
    if not signature:
        words = "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
        raise BinanceApiError(-1102, words)
    if len(signature) == HMAC_DIGITS:
        if is_hex_signature(signature, key.secret.encode(), payload.encode()):
            return
    elif is_ed25519(key, payload, signature):
        return
    raise BinanceApiError(-1022, "Signature for this request is not valid.")


def is_ed25519(key: Key, payload: str, signature: str) -> bool:
    """Whether this is the right signature of the Ed25519 kind."""
    try:
        given = base64.b64decode(signature, validate=True)
        _ed25519(key).public_key().verify(given, payload.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def check_known(params: Iterable[str], known: frozenset[str]) -> None:
    """Raises Refusal when there are parameters that nobody reads."""
    sent = set(params)
    read = sent & (known | SIGNING)
    if read != sent:
        words = f"read '{len(read)}' parameter(s) but was sent '{len(sent)}'."
        raise BinanceApiError(-1104, f"Not all sent parameters were read; {words}")


def _ed25519(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(key.secret.encode()).digest())


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
