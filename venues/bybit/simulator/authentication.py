"""API keys and signatures of Bybit.

Documentation: https://bybit-exchange.github.io/docs/v5/guide#authentication
A signature is a hex HMAC-SHA256 with the key's secret. What it covers:

REST          timestamp, key, receive window, and the query of a GET or the body of a POST
websocket     "GET/realtime" and the time in milliseconds until which it holds
"""

from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import unquote

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.exchange.rest import ApiCall, ApiError, engine_of
from kit.simulator.exchange.signing import is_hex_signature
from kit.simulator.matching.contract import (
    ApiKey,
    ClientIdScope,
    MatchingRules,
    OrderStatus,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import whole
from venues.bybit.simulator.errors import ERRORS, PARAMETER_ERROR

RECEIVE_WINDOW_MS_DEFAULT = "5000"
AHEAD_MS_MAX = 1000
"""How far the client's clock may be ahead of the exchange's."""
EXPIRED, KEY_INVALID, SIGNATURE_WRONG = 10002, 10003, 10004

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal("0.001"), taker=Decimal("0.001")),),
    id_scope=ClientIdScope.EVER,
    self_trade=SelfTradeMode.ALLOW,
    open_orders_max=500,
    outcomes={
        RejectCode.WOULD_TAKE: OrderStatus.CANCELLED,
        RejectCode.WOULD_NOT_FILL: OrderStatus.CANCELLED,
    },
)
"""An order that its time in force forbids is accepted first, and cancelled then."""


def credentials(key: ApiKey) -> dict[str, str]:
    """What a client is given, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret}


def authenticate(request: RestRequest, call: ApiCall) -> ApiKey:
    """The key that signed a REST call. Raises ApiError."""
    name, stamp, signature = (
        request.header(f"x-bapi-{one}") for one in ("api-key", "timestamp", "sign")
    )
    if not (name and stamp and signature):
        text = f"empty value: apiTimestamp[{stamp}] apiKey[{name}] apiSignature[{signature}]"
        raise ApiError(PARAMETER_ERROR, text)
    window = request.header("x-bapi-recv-window") or RECEIVE_WINDOW_MS_DEFAULT
    check_time(stamp, window, call.clock_ms)
    key = call.engine.key(name)
    if key is None:
        raise ApiError(KEY_INVALID, "API key is invalid.")
    signed = [f"{stamp}{name}{window}{payload}" for payload in _payloads(request)]
    if not any(_fits(signature, key, one) for one in signed):
        raise ApiError(SIGNATURE_WRONG, f"error sign! origin_string[{signed[0]}]")
    return key


def key_of_socket(args: list[str | int], market_view: MarketView) -> ApiKey | None:
    """The key that signed ``[key, expires, signature]``; None: the signature is wrong or old.
    Raises ApiError."""
    if len(args) != 3:
        return None
    name, expires, signature = map(str, args)
    key, expires_ms = engine_of(market_view, ERRORS).key(name), whole(expires)
    now_ms = market_view.clock_ns() // NANOSECONDS_PER_MILLISECOND
    if key is None or expires_ms is None or expires_ms <= now_ms:
        return None
    return key if _fits(signature, key, f"GET/realtime{expires}") else None


def check_time(stamp: str, window: str, now_ms: int) -> None:
    """Check that a call is neither too old nor from the future. Raises ApiError."""
    stamp_ms, window_ms = whole(stamp), whole(window)
    if stamp_ms is None or window_ms is None:
        raise ERRORS.invalid("timestamp or recv_window")
    if not now_ms - window_ms <= stamp_ms < now_ms + AHEAD_MS_MAX:
        text = "invalid request, please check your server timestamp or recv_window param. "
        text += f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{window}]"
        raise ApiError(EXPIRED, text)


def _payloads(request: RestRequest) -> Iterator[str]:
    """What may be signed: of a query also the text before the client escaped it."""
    if request.method == "POST":
        yield request.body.decode(errors="replace")
        return
    yield request.raw_query
    yield unquote(request.raw_query)


def _fits(signature: str, key: ApiKey, text: str) -> bool:
    return is_hex_signature(signature, key.secret.encode(), text.encode())
