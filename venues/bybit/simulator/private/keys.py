"""Whose call it is: keys and signatures of Bybit.

Documentation: https://bybit-exchange.github.io/docs/v5/guide#authentication
A signature is a hex HMAC-SHA256 with the key's secret. What it is of:

REST          timestamp, key, receive window, and the query of a GET or the body of a POST
websocket     "GET/realtime" and the time in milliseconds until which it holds
"""

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import unquote

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.matching.contract import (
    IdScope,
    Key,
    MatchingEngine,
    MatchingRules,
    RejectCode,
    SelfTrade,
    Status,
)
from kit.simulator.private.signing import is_hex_signature
from kit.simulator.texts import whole
from venues.bybit.simulator.rest import PARAMETER_ERROR, SYSTEM_ERROR, BybitApiError

RECEIVE_WINDOW_USUAL_MS = "5000"
AHEAD_MS_MAX = 1000
"""So far the client's clock may be ahead of the exchange's."""
EXPIRED = 10002
KEY_INVALID = 10003
SIGNATURE_WRONG = 10004
OPEN_ORDERS_MAX = 500

MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(maker=Decimal("0.001"), taker=Decimal("0.001")),),
    id_scope=IdScope.EVER,
    self_trade=SelfTrade.ALLOW,
    open_orders_max=OPEN_ORDERS_MAX,
    outcomes={
        RejectCode.WOULD_TAKE: Status.CANCELLED,
        RejectCode.WOULD_NOT_FILL: Status.CANCELLED,
    },
)
"""An order that its time in force forbids is taken at first, and cancelled then."""


def credentials(key: Key) -> dict[str, str]:
    """What a client is given, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret}


def engine_of(market_view: MarketView) -> MatchingEngine:
    """Where orders are matched. Raises Refusal: a replay has no accounts."""
    if market_view.engine is None:
        raise BybitApiError(SYSTEM_ERROR, "Server error.")
    return market_view.engine


def key_of_call(request: RestRequest, market_view: MarketView) -> Key:
    """Who has signed a REST call. Raises Refusal."""
    name, stamp, signature = (
        request.header(f"x-bapi-{one}") for one in ("api-key", "timestamp", "sign")
    )
    if not (name and stamp and signature):
        text = f"empty value: apiTimestamp[{stamp}] apiKey[{name}] apiSignature[{signature}]"
        raise BybitApiError(PARAMETER_ERROR, text)
    window = request.header("x-bapi-recv-window") or RECEIVE_WINDOW_USUAL_MS
    check_time(stamp, window, market_view)
    key = engine_of(market_view).key(name)
    if key is None:
        raise BybitApiError(KEY_INVALID, "API key is invalid.")
    signed = [f"{stamp}{name}{window}{payload}" for payload in _payloads(request)]
    if not any(_fits(signature, key, one) for one in signed):
        raise BybitApiError(SIGNATURE_WRONG, f"error sign! origin_string[{signed[0]}]")
    return key


def key_of_socket(args: list[str | int], market_view: MarketView) -> Key | None:
    """Who has signed ``[key, expires, signature]``; None: nobody who may."""
    if len(args) != 3:
        return None
    name, expires, signature = map(str, args)
    key, expires_ms = engine_of(market_view).key(name), whole(expires)
    if key is None or expires_ms is None or expires_ms <= now_ms(market_view):
        return None
    return key if _fits(signature, key, f"GET/realtime{expires}") else None


def check_time(stamp: str, window: str, market_view: MarketView) -> None:
    """Whether a call is neither too old nor from the future. Raises Refusal."""
    stamp_ms, window_ms = whole(stamp), whole(window)
    if stamp_ms is None or window_ms is None:
        raise BybitApiError(PARAMETER_ERROR, "params error: timestamp or recv_window invalid")
    time_ms = now_ms(market_view)
    if not time_ms - window_ms <= stamp_ms < time_ms + AHEAD_MS_MAX:
        text = "invalid request, please check your server timestamp or recv_window param. "
        text += f"req_timestamp[{stamp}],server_timestamp[{time_ms}],recv_window[{window}]"
        raise BybitApiError(EXPIRED, text)


def now_ms(market_view: MarketView) -> int:
    """The exchange's time."""
    return market_view.time_ns() // NANOSECONDS_PER_MILLISECOND


def user_id(account: str) -> int:
    """An account's number, always the same."""
    return 10_000_000 + int.from_bytes(hashlib.sha256(account.encode()).digest()[:3], "big")


def _payloads(request: RestRequest) -> Iterator[str]:
    """What may be signed: of a query also the text that its client has escaped."""
    if request.method == "POST":
        yield request.body.decode(errors="replace")
        return
    yield request.raw_query
    yield unquote(request.raw_query)


def _fits(signature: str, key: Key, text: str) -> bool:
    return is_hex_signature(signature, key.secret.encode(), text.encode())
