"""API keys, signatures and limits of Binance.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
and .../websocket-api/request-security. Futures do the same.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kit.accounting.fees import FeeTier
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import RestRequest
from kit.simulator.exchange.rest import ApiCall, ApiError, Route
from kit.simulator.exchange.signing import is_hex_signature
from kit.simulator.matching.contract import ApiKey, MatchingRules
from kit.simulator.text_conversion import whole
from venues.binance.simulator.errors import KEY_REJECTED, missing
from venues.binance.simulator.rows import SELF_TRADE_DEFAULT

KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
DIGITS_MAX = 19
HMAC_DIGITS = 64
RECEIVE_WINDOW_MS, RECEIVE_WINDOW_MS_MAX = 5_000, 60_000
AHEAD_MS_MAX = 1_000
SIGNING = frozenset({"timestamp", "signature", "recvWindow", "apiKey", "returnRateLimits"})
"""Parameters that every signed call may have."""
KEY_ONLY = frozenset({"/fapi/v1/listenKey", "/sapi/v1/margin/allPairs"})
"""Paths whose calls need a key, and no signature."""
KEY_CREATED_MS = 1_700_000_000_000
ORDER_FORM = (
    "timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "trailingDelta",
)  # fmt: skip
"""Parameters that some types of orders of spot need and others may not have."""
PLACE = frozenset(ORDER_FORM) | {
    "symbol", "side", "type", "newClientOrderId", "newOrderRespType", "strategyId", "strategyType",
    "selfTradePreventionMode",
}  # fmt: skip
QUERY = frozenset({"symbol", "orderId", "origClientOrderId"})
CANCEL = QUERY | {"newClientOrderId", "cancelRestrictions"}
REPLACE = PLACE | {
    "cancelReplaceMode", "cancelNewClientOrderId", "cancelOrigClientOrderId", "cancelOrderId",
    "cancelRestrictions", "orderRateLimitExceededMode",
}  # fmt: skip
AMEND = QUERY | {"newClientOrderId", "newQty"}
LIST = frozenset({"symbol", "orderId", "startTime", "endTime", "limit"})
SYMBOL = frozenset({"symbol"})
MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
ACCOUNTS_MAX = 10_000
"""Orders are counted for at most so many accounts and windows."""
SPOT_MATCHING_RULES = MatchingRules(self_trade=SELF_TRADE_DEFAULT)
FUTURES_MATCHING_RULES = MatchingRules(
    tiers=(FeeTier(Decimal("0.0002"), Decimal("0.0005")),), self_trade=SELF_TRADE_DEFAULT
)


def credentials(key: ApiKey) -> dict[str, str]:
    """A key with an HMAC secret, by ccxt's names."""
    return {"apiKey": key.key, "secret": key.secret}


def ed25519_credentials(key: ApiKey) -> dict[str, str]:
    """The same with an Ed25519 key as PEM, which ``session.logon`` needs. A simulated key takes
    signatures of both kinds."""
    pem = _ed25519(key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"apiKey": key.key, "secret": pem.decode()}


def authenticate(request: RestRequest, call: ApiCall) -> ApiKey:
    """The key that signed a REST call. Raises ApiError."""
    key = key_named(call, request.header("X-MBX-APIKEY"))
    if request.path not in KEY_ONLY:
        check_time(call)
        body = request.body.decode(errors="replace")
        check_signature(key, _unsigned(request.raw_query) + _unsigned(body), call)
    return key


def authenticate_message(call: ApiCall) -> ApiKey:
    """The key that signed a message of the websocket API. Raises ApiError."""
    key = key_named(call, call.text("apiKey"))
    check_time(call)
    check_signature(key, _message_payload(call), call)
    return key


def key_named(call: ApiCall, name: str) -> ApiKey:
    """The API key of a name. Raises ApiError."""
    engine = call.engine
    if not KEY.fullmatch(name):
        raise ApiError(-2014, "API-key format invalid.", 401)
    key = engine.key(name)
    if key is None:
        raise KEY_REJECTED
    return key


def check_time(call: ApiCall) -> None:
    """Check that a call is neither too old nor from the future. Raises ApiError."""
    stamp_ms = whole(call.text("timestamp"), DIGITS_MAX)
    if stamp_ms is None:
        raise missing("timestamp")
    window_ms = whole(call.text("recvWindow") or str(RECEIVE_WINDOW_MS))
    if window_ms is None or window_ms > RECEIVE_WINDOW_MS_MAX:
        raise ApiError(-1131, "recvWindow must be less than 60000")
    if stamp_ms >= call.clock_ms + AHEAD_MS_MAX:
        text = "Timestamp for this request was 1000ms ahead of the server's time."
        raise ApiError(-1021, text)
    if call.clock_ms - stamp_ms > window_ms:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_signature(key: ApiKey, payload: str, call: ApiCall) -> None:
    """Check a signature: HMAC-SHA256 in hex, or Ed25519 in base64. Raises ApiError."""
    signature = call.text("signature")
    if not signature:
        raise missing("signature")
    if len(signature) == HMAC_DIGITS:
        if is_hex_signature(signature, key.secret.encode(), payload.encode()):
            return
    elif _is_ed25519_signature(key, payload, signature):
        return
    raise ApiError(-1022, "Signature for this request is not valid.")


def is_signed_by_ed25519(key: ApiKey, call: ApiCall) -> bool:
    """Whether the signature of a message is of the Ed25519 kind."""
    return _is_ed25519_signature(key, _message_payload(call), call.text("signature"))


def check_known(parameters: Iterable[str], known: frozenset[str]) -> None:
    """Check that a call has no parameter that it does not read. Raises ApiError."""
    sent = set(parameters)
    read = sent & (known | SIGNING)
    if read != sent:
        counts = f"read '{len(read)}' parameter(s) but was sent '{len(sent)}'."
        raise ApiError(-1104, f"Not all sent parameters were read; {counts}")


def permissions(call: ApiCall) -> dict[str, object]:
    """The permissions of a key: ``{"enableReading","enableWithdrawals",…}``"""
    may_trade = call.engine.settings(call.account).may_trade
    denied = (
        "ipRestrict", "enableInternalTransfer", "enableMargin", "permitsUniversalTransfer",
        "enableVanillaOptions", "enableFixApiTrade", "enableFixReadOnly",
        "enablePortfolioMarginTrading",
    )  # fmt: skip
    return {
        **dict.fromkeys(denied, False),
        "enableReading": True,
        **dict.fromkeys(("enableFutures", "enableSpotAndMarginTrading"), may_trade),
        "createTime": KEY_CREATED_MS,
        "enableWithdrawals": call.key.may_withdraw,
    }


def futures_configuration(call: ApiCall) -> dict[str, object]:
    """``{"canTrade","dualSidePosition",…}``"""
    settings = call.engine.settings(call.account)
    return {
        "feeTier": 0,
        "canTrade": settings.may_trade,
        **dict.fromkeys(("canDeposit", "canWithdraw"), True),
        "dualSidePosition": settings.hedge_mode,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def position_side(call: ApiCall) -> dict[str, object]:
    """``{"dualSidePosition"}``"""
    return {"dualSidePosition": call.engine.settings(call.account).hedge_mode}


def symbol_configurations(call: ApiCall) -> list[dict[str, object]]:
    """Every symbol has the settings of the account."""
    settings, symbol = call.engine.settings(call.account), call.text("symbol")
    row: dict[str, object] = {
        "marginType": "ISOLATED" if settings.margin_mode == "isolated" else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": settings.leverage,
    }
    listings = call.market_view.listings()
    return [row | {"symbol": one.symbol} for one in listings if symbol in ("", one.symbol)]


FUTURES_CONFIGURATION = {
    "accountConfig": Route(futures_configuration, signed=True, weight=5),
    "symbolConfig": Route(symbol_configurations, signed=True, weight=5),
    "positionSide/dual": Route(position_side, signed=True, weight=30),
}
"""By the end of the path, the calls that state the configuration of an account."""


@dataclass(frozen=True, slots=True)
class OrderRateLimit:
    """The most orders of one account in a time."""

    interval: str
    """As exchangeInfo writes it, for example "SECOND"."""
    intervals: int
    seconds: int
    limit: int
    header: str
    """End of the name of the answer's header, for example "10S"."""

    def row(self) -> dict[str, object]:
        """``{"rateLimitType","interval","intervalNum","limit"}``"""
        return _limit_row("ORDERS", self.interval, self.intervals, self.limit)


class BinanceRateLimits:
    """Counts calls and orders, in windows that begin at multiples of their length."""

    def __init__(self, weight_max: int, orders: Sequence[OrderRateLimit]) -> None:
        self._weight_max = weight_max
        self._order_limits = orders
        self._weight = (0, 0)
        self._orders: dict[tuple[str, OrderRateLimit], tuple[int, int]] = {}

    def charge(self, route: Route, call: ApiCall) -> None:
        """Count a call. Raises ApiError: it has placed too many orders, or has parameters that the
        route does not read."""
        self.spend(route.weight, call.now_ns)
        if route.reads is not None:
            check_known(call.parameters, route.reads)
        if route.orders:
            self._place(call.account, route.orders, call.now_ns)

    def spend(self, weight: int, now_ns: int) -> None:
        """Count weight. All clients of a simulator have one address."""
        self._weight = (now_ns // MINUTE_NS, weight + self._used(now_ns))

    def headers(self, route: Route, call: ApiCall) -> Mapping[str, str]:
        """``X-MBX-USED-WEIGHT-1M``, and for a key ``X-MBX-ORDER-COUNT-…``."""
        used = str(self._used(call.now_ns))
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        for limit in self._order_limits if call.account else ():
            count = str(self._placed(call.account, limit, call.now_ns))
            headers[f"X-MBX-ORDER-COUNT-{limit.header}"] = count
        return headers

    def rows(self) -> list[dict[str, object]]:
        """``rateLimits`` of exchangeInfo."""
        weight = _limit_row("REQUEST_WEIGHT", "MINUTE", 1, self._weight_max)
        return [weight, *(limit.row() for limit in self._order_limits)]

    def used_rows(self, account: str, now_ns: int) -> list[dict[str, object]]:
        """``rateLimits`` of a message: the limits, each with its count."""
        weight, *orders = self.rows()
        counts = [self._placed(account, limit, now_ns) for limit in self._order_limits]
        used = [row | {"count": count} for row, count in zip(orders, counts, strict=True)]
        return [*used, weight | {"count": self._used(now_ns)}]

    def _place(self, account: str, orders: int, now_ns: int) -> None:
        for limit in self._order_limits:
            if self._placed(account, limit, now_ns) + orders > limit.limit:
                text = f"{limit.limit} orders per {limit.intervals} {limit.interval}."
                raise ApiError(-1015, f"Too many new orders; current limit is {text}", 429)
        if len(self._orders) >= ACCOUNTS_MAX:
            self._orders.clear()
        for limit in self._order_limits:
            window = now_ns // (limit.seconds * NANOSECONDS_PER_SECOND)
            count = self._placed(account, limit, now_ns) + orders
            self._orders[account, limit] = (window, count)

    def _placed(self, account: str, limit: OrderRateLimit, now_ns: int) -> int:
        window, count = self._orders.get((account, limit), (0, 0))
        return count if window == now_ns // (limit.seconds * NANOSECONDS_PER_SECOND) else 0

    def _used(self, now_ns: int) -> int:
        window, weight = self._weight
        return weight if window == now_ns // MINUTE_NS else 0


def _limit_row(kind: str, interval: str, intervals: int, limit: int) -> dict[str, object]:
    row: dict[str, object] = {"rateLimitType": kind, "interval": interval}
    return row | {"intervalNum": intervals, "limit": limit}


def _message_payload(call: ApiCall) -> str:
    """The signed text of a message: parameters by name, without the signature."""
    parameters = call.parameters
    names = (name for name in sorted(parameters) if name != "signature")
    return "&".join(f"{name}={parameters[name]}" for name in names)


def _is_ed25519_signature(key: ApiKey, payload: str, signature: str) -> bool:
    try:
        given = base64.b64decode(signature, validate=True)
        _ed25519(key).public_key().verify(given, payload.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def _ed25519(key: ApiKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(key.secret.encode()).digest())


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
