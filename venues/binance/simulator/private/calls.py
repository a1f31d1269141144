"""How private calls come to those who answer them, by REST or by websocket, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.matching.contract import OrderRejected
from kit.simulator.matching.contract import RejectCode as Reason
from venues.binance.simulator.private.keys import (
    Call,
    check_known,
    check_signature,
    check_time,
    key_of,
    rest_key,
    rest_params,
)
from venues.binance.simulator.rest import BinanceApiError, OrderLimit

ACCOUNTS_MAX = 10_000
"""More accounts than these are not counted for."""
Words = Mapping[Reason, tuple[int, str]]
"""A market's code and text for what the engine refuses."""


@dataclass(frozen=True, slots=True)
class Route:
    """One private call."""

    handle: Callable[[Call], object]
    """Gives the body. Raises Refusal, and Refused of the engine."""
    reads: frozenset[str] | None = frozenset()
    """The parameters that it knows, besides those of signing; None: it does not mind others."""
    weight: int = 1
    orders: int = 0
    """How many orders it places."""
    signed: bool = True
    """False: the key alone is enough."""


class Usage:
    """What was spent of the limits, in windows that begin at multiples of their length."""

    def __init__(self, weight_limit: int, order_limits: Sequence[OrderLimit]) -> None:
        self._weight_limit = weight_limit
        self._order_limits = order_limits
        self._weight = (0, 0)
        self._orders: dict[tuple[str, OrderLimit], tuple[int, int]] = {}

    def spend(self, weight: int, now_ns: int) -> None:
        """Count a call. All clients of a simulator have one address."""
        window = now_ns // (60 * NANOSECONDS_PER_SECOND)
        self._weight = (window, weight + (self._weight[1] if self._weight[0] == window else 0))

    def place(self, account: str, orders: int, now_ns: int) -> None:
        """Count orders. Raises Refusal when an account has placed too many."""
        for limit in self._order_limits:
            if self.placed(account, limit, now_ns) + orders > limit.limit:
                words = f"{limit.limit} orders per {limit.intervals} {limit.interval}."
                raise BinanceApiError(-1015, f"Too many new orders; current limit is {words}", 429)
        if len(self._orders) >= ACCOUNTS_MAX:
            self._orders.clear()
        for limit in self._order_limits:
            window = now_ns // (limit.seconds * NANOSECONDS_PER_SECOND)
            count = self.placed(account, limit, now_ns) + orders
            self._orders[account, limit] = (window, count)

    def placed(self, account: str, limit: OrderLimit, now_ns: int) -> int:
        """Orders of an account in the window that is now."""
        window, count = self._orders.get((account, limit), (0, 0))
        return count if window == now_ns // (limit.seconds * NANOSECONDS_PER_SECOND) else 0

    def headers(self, account: str, now_ns: int) -> dict[str, str]:
        """``X-MBX-USED-WEIGHT-1M`` and ``X-MBX-ORDER-COUNT-…``."""
        used = str(self._used(now_ns))
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        for limit in self._order_limits if account else ():
            count = str(self.placed(account, limit, now_ns))
            headers[f"X-MBX-ORDER-COUNT-{limit.header}"] = count
        return headers

    def rows(self, account: str, now_ns: int) -> list[dict[str, object]]:
        """The same as ``rateLimits`` of a websocket's answer."""
        weight = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self._weight_limit,
            "count": self._used(now_ns),
        }
        return [*self.order_rows(account, now_ns), weight]

    def order_rows(self, account: str, now_ns: int) -> list[dict[str, object]]:
        """What was spent of the limits of orders."""
        return [
            {
                "rateLimitType": "ORDERS",
                "interval": limit.interval,
                "intervalNum": limit.intervals,
                "limit": limit.limit,
                "count": self.placed(account, limit, now_ns),
            }
            for limit in self._order_limits
        ]

    def _used(self, now_ns: int) -> int:
        window, weight = self._weight
        return weight if window == now_ns // (60 * NANOSECONDS_PER_SECOND) else 0


class PrivateCalls:
    """The private calls of one market."""

    def __init__(self, routes: Mapping[tuple[str, str], Route], words: Words, usage: Usage) -> None:
        """``routes``: by method and path."""
        self.usage = usage
        self._routes = routes
        self._words = words
        self._paths = {path for _, path in routes}

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse | None:
        """One REST call; None: it is no private one."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return None
        self.usage.spend(route.weight, market_view.time_ns())
        account, status = "", 200
        try:
            call = _rest_call(request, market_view, route)
            account = call.account
            body = msgspec.json.encode(self.run(route, call))
        except BinanceApiError as refusal:
            body, status = refusal.body, refusal.status
        return RestResponse(body, status, self.usage.headers(account, market_view.time_ns()))

    def run(self, route: Route, call: Call) -> object:
        """What a call gives. Raises Refusal."""
        if route.reads is not None:
            check_known(call.params, route.reads)
        if route.orders:
            self.usage.place(call.account, route.orders, call.market_view.time_ns())
        try:
            return route.handle(call)
        except OrderRejected as refused:
            raise self.worded(refused) from None

    def worded(self, refused: OrderRejected) -> BinanceApiError:
        """What the engine refuses, in this market's words."""
        code, words = self._words[refused.refusal]
        return BinanceApiError(code, words)


def _rest_call(request: RestRequest, market_view: MarketView, route: Route) -> Call:
    engine = market_view.engine
    if engine is None:
        raise BinanceApiError(-1016, "This service is no longer available.", 503)
    params, payload = rest_params(request)
    key = key_of(engine, rest_key(request))
    call = Call(key, params, market_view, engine)
    if route.signed:
        check_time(params, call.now_ms)
        check_signature(key, payload, params)
    return call
