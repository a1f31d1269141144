"""What of Binance's private side differs between its markets, put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kit.simulator.dialect import Floor, Request
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    HouseRules,
    OrderChanged,
)
from venues.binance.simulator import private_wallet
from venues.binance.simulator import private_words as words
from venues.binance.simulator.private_calls import PrivateCalls, Usage
from venues.binance.simulator.private_socket import WebsocketApi
from venues.binance.simulator.private_spot import WEBSOCKET_METHODS, SpotCalls
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

    house_rules: HouseRules
    calls: PrivateCalls
    api: WebsocketApi
    api_path: str
    """Of the websocket over which calls are made."""
    public_weight: Callable[[Request], int]


def spot() -> PrivateSide:
    """Of the spot market."""
    usage = Usage(SPOT_WEIGHT_LIMIT, SPOT_ORDER_LIMITS)
    answering = SpotCalls(usage)
    routes = answering.routes() | private_wallet.routes()
    calls = PrivateCalls(routes, words.REFUSALS, usage)

    def rows(event: AccountEvent, floor: Floor) -> list[dict[str, object]]:
        now_ms = words.milliseconds(floor.time_ns())
        if isinstance(event, OrderChanged):
            return [words.execution_report(event, answering.cancel_id, now_ms)]
        if isinstance(event, BalanceChanged):
            return [words.account_position(event.balance, now_ms)]
        return []

    methods = {name: routes[path] for name, path in WEBSOCKET_METHODS.items()}
    return PrivateSide(
        HouseRules(self_trade=words.SELF_TRADE_USUAL),
        calls,
        WebsocketApi(calls, methods, rows),
        "/ws-api/v3",
        _spot_weight,
    )


def futures() -> PrivateSide:
    """Of USD-M futures."""
    usage = Usage(FUTURES_WEIGHT_LIMIT, FUTURES_ORDER_LIMITS)
    calls = PrivateCalls(private_wallet.routes(), words.REFUSALS, usage)
    return PrivateSide(
        HouseRules(), calls, WebsocketApi(calls, {}, None), "/ws-fapi/v1", lambda request: 1
    )


def _spot_weight(request: Request) -> int:
    name = request.path.rpartition("/")[2]
    if name != "depth":
        return SPOT_PUBLIC_WEIGHTS.get(name, 1)
    text = request.query.get("limit", "100")
    limit = int(text) if text.isdecimal() and len(text) < 9 else 100
    return next((cost for most, cost in ((100, 5), (500, 25), (1_000, 50)) if limit <= most), 250)
