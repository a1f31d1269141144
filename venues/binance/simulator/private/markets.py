"""What of Binance's private side differs between its markets, put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.fees import FeeTier
from kit.simulator.dialect import MarketView, RestRequest
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    Cause,
    MatchingRules,
    OrderChanged,
    PositionChanged,
)
from kit.simulator.texts import whole
from venues.binance.simulator.private import futures_rows as futures_words
from venues.binance.simulator.private import spot_rows as words
from venues.binance.simulator.private import wallet
from venues.binance.simulator.private.calls import PrivateCalls, Route, Usage
from venues.binance.simulator.private.futures import FuturesOrders
from venues.binance.simulator.private.futures_account import FuturesAccount
from venues.binance.simulator.private.listen import ListenKeys
from venues.binance.simulator.private.socket import WebsocketApi
from venues.binance.simulator.private.spot import WEBSOCKET_METHODS, SpotCalls
from venues.binance.simulator.rest import OrderLimit

SPOT_WEIGHT_LIMIT = 6_000
SPOT_ORDER_LIMITS = (
    OrderLimit("SECOND", 10, 10, 100, "10S"),
    OrderLimit("DAY", 1, 86_400, 200_000, "1D"),
)
FUTURES_WEIGHT_LIMIT = 2_400
FUTURES_ORDER_LIMITS = (
    OrderLimit("SECOND", 10, 10, 300, "10S"),
    OrderLimit("MINUTE", 1, 60, 1_200, "1M"),
)
FUTURES_PUBLIC_WEIGHTS: Mapping[str, int] = {
    "trades": 5,
    "historicalTrades": 20,
    "aggTrades": 20,
    "klines": 5,
}
FUTURES_METHODS: Mapping[str, tuple[str, str]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
SPOT_PUBLIC_WEIGHTS: Mapping[str, int] = {
    "exchangeInfo": 20,
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
}


@dataclass(frozen=True, slots=True)
class PrivateSide:
    """Of one market."""

    matching_rules: MatchingRules
    calls: PrivateCalls
    api: WebsocketApi
    api_path: str
    """Of the websocket over which calls are made."""
    public_weight: Callable[[RestRequest], int]
    listen_keys: ListenKeys | None = None
    """Where accounts are told of on connections of their own."""


def spot() -> PrivateSide:
    """Of the spot market."""
    usage = Usage(SPOT_WEIGHT_LIMIT, SPOT_ORDER_LIMITS)
    answering = SpotCalls(usage)
    routes = answering.routes() | wallet.routes()
    calls = PrivateCalls(routes, words.REFUSALS, usage)

    def rows(event: AccountEvent, market_view: MarketView) -> list[dict[str, object]]:
        now_ms = words.milliseconds(market_view.time_ns())
        if isinstance(event, OrderChanged):
            return [words.execution_report(event, answering.cancel_id, now_ms)]
        if isinstance(event, BalanceChanged):
            return [words.account_position(event.balance, now_ms)]
        return []

    methods = {name: routes[path] for name, path in WEBSOCKET_METHODS.items()}
    return PrivateSide(
        MatchingRules(self_trade=words.SELF_TRADE_USUAL),
        calls,
        WebsocketApi(calls, methods, rows),
        "/ws-api/v3",
        _spot_weight,
    )


def futures() -> PrivateSide:
    """Of USD-M futures."""
    usage = Usage(FUTURES_WEIGHT_LIMIT, FUTURES_ORDER_LIMITS)
    rules = MatchingRules(
        tiers=(FeeTier(Decimal("0.0002"), Decimal("0.0005")),),
        self_trade=words.SELF_TRADE_USUAL,
    )
    listen_keys = ListenKeys(_futures_rows)
    path = "/fapi/v1/listenKey"
    routes = {
        **FuturesOrders().routes(),
        **FuturesAccount(rules, usage).routes(),
        **wallet.routes(),
        ("POST", path): Route(listen_keys.start, None, signed=False),
        ("PUT", path): Route(listen_keys.keep, None, signed=False),
        ("DELETE", path): Route(listen_keys.stop, None, signed=False),
    }
    calls = PrivateCalls(routes, futures_words.REFUSALS, usage)
    methods = {name: routes[path] for name, path in FUTURES_METHODS.items()}
    api = WebsocketApi(calls, methods, None)
    return PrivateSide(rules, calls, api, "/ws-fapi/v1", _futures_weight, listen_keys)


def _futures_rows(event: AccountEvent, market_view: MarketView) -> list[dict[str, object]]:
    """What is said of an event. Money that is only locked is not spoken of."""
    now_ms = words.milliseconds(market_view.time_ns())
    if isinstance(event, BalanceChanged):
        told = event.why != "order"
        return [futures_words.balance_update(event, now_ms)] if told else []
    if isinstance(event, PositionChanged):
        return [futures_words.position_update(event.position, event.why, now_ms)]
    order = event.order
    rows = []
    if futures_words.is_order(order):
        rows.append(futures_words.order_update(event, now_ms))
    triggers = event.cause is Cause.TRIGGERED or not futures_words.is_order(order)
    if futures_words.is_conditional(order) and (triggers or order.is_final):
        rows.append(futures_words.algo_update(order, now_ms))
    return rows


def _futures_weight(request: RestRequest) -> int:
    name = request.path.rpartition("/")[2]
    if name != "depth":
        return FUTURES_PUBLIC_WEIGHTS.get(name, 1)
    limit = whole(request.query.get("limit", "")) or 500
    return next((cost for most, cost in ((50, 2), (100, 5), (500, 10)) if limit <= most), 20)


def _spot_weight(request: RestRequest) -> int:
    name = request.path.rpartition("/")[2]
    if name != "depth":
        return SPOT_PUBLIC_WEIGHTS.get(name, 1)
    limit = whole(request.query.get("limit", "")) or 100
    return next((cost for most, cost in ((100, 5), (500, 25), (1_000, 50)) if limit <= most), 250)
