"""API keys and signatures of OKX.

Documentation: https://www.okx.com/docs-v5/en/#overview-rest-authentication and
#overview-websocket-login. A signature is the base64 of an HMAC-SHA256 with the key's secret. It
covers the timestamp, the method, the path with its query, and the body.
"""

from collections.abc import Mapping
from decimal import Decimal

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import RestRequest
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.exchange.signing import is_base64_signature, is_same
from kit.simulator.listing import InstrumentKind
from kit.simulator.matching.contract import (
    ApiKey,
    MatchingRules,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import instant_ns, whole

VALID_MS = 30_000
"""How far a timestamp may be from the exchange's time."""
LOGIN_PATH = "GET/users/self/verify"
SELF_TRADE_DEFAULT = SelfTradeMode.CANCEL_OLDEST
UNAUTHORIZED = 401
HEADERS = {
    "OK-ACCESS-KEY": "50103",
    "OK-ACCESS-PASSPHRASE": "50104",
    "OK-ACCESS-SIGN": "50106",
    "OK-ACCESS-TIMESTAMP": "50107",
}
"""The required headers, and the error when one is missing."""


def _rules(maker_fee: str, taker_fee: str) -> MatchingRules:
    """An order that its type forbids is accepted first, and cancelled then."""
    return MatchingRules(
        tiers=(FeeTier(Decimal(maker_fee), Decimal(taker_fee)),),
        self_trade=SELF_TRADE_DEFAULT,
        outcomes={
            RejectCode.WOULD_TAKE: OrderStatus.CANCELLED,
            RejectCode.WOULD_NOT_FILL: OrderStatus.CANCELLED,
        },
    )


MATCHING_RULES: Mapping[InstrumentKind, MatchingRules] = {
    InstrumentKind.SPOT: _rules("0.0008", "0.001"),
    InstrumentKind.PERPETUAL: _rules("0.0002", "0.0005"),
}


def credentials(key: ApiKey) -> dict[str, str]:
    """What a client is given, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret, "password": key.password}


def authenticate(request: RestRequest, call: ApiCall) -> ApiKey:
    """The key that signed a REST call. Raises ApiError."""
    engine = call.engine
    for header, code in HEADERS.items():
        if not request.header(header):
            text = f'Request header "{header}" can not be empty.'
            raise ApiError(code, text, UNAUTHORIZED)
    name, password, signature, timestamp = map(request.header, HEADERS)
    key = engine.key(name)
    if key is None:
        raise ApiError("50111", "Invalid OK-ACCESS-KEY.", UNAUTHORIZED)
    if not is_same(password, key.password):
        text = 'Request header "OK-ACCESS-PASSPHRASE" incorrect.'
        raise ApiError("50105", text, UNAUTHORIZED)
    time_ns = instant_ns(timestamp) if timestamp.endswith("Z") else None
    if time_ns is None:
        raise ApiError("50112", "Invalid OK-ACCESS-TIMESTAMP.", UNAUTHORIZED)
    if abs(time_ns // NANOSECONDS_PER_MILLISECOND - call.clock_ms) > VALID_MS:
        raise ApiError("50102", "Timestamp request expired.", UNAUTHORIZED)
    query = f"?{request.raw_query}" if request.raw_query else ""
    signed = f"{timestamp}{request.method}{request.path}{query}".encode() + request.body
    if not is_base64_signature(signature, key.secret.encode(), signed):
        raise ApiError("50113", "Invalid Sign.", UNAUTHORIZED)
    return key


def key_of_login(call: ApiCall) -> ApiKey:
    """The key that signed a login: ``{"apiKey","passphrase","timestamp","sign"}``. Raises
    ApiError."""
    if call.market_view.engine is None:
        raise ApiError("60009", "Login failed.")
    key = call.engine.key(call.text("apiKey"))
    if key is None:
        raise ApiError("60005", "Invalid apiKey")
    if not is_same(call.text("passphrase"), key.password):
        raise ApiError("60024", "Wrong passphrase")
    timestamp = call.text("timestamp")
    time_s = whole(timestamp)
    if time_s is None:
        raise ApiError("60004", "Invalid timestamp")
    if abs(time_s * 1_000 - call.clock_ms) > VALID_MS:
        raise ApiError("60006", "Timestamp request expired")
    signed = f"{timestamp}{LOGIN_PATH}".encode()
    if not is_base64_signature(call.text("sign"), key.secret.encode(), signed):
        raise ApiError("60007", "Invalid sign")
    return key
