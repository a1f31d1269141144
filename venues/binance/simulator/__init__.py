"""Binance spot and USD-M futures for the simulator; ``kit/simulator/README.md`` has the files."""

from collections.abc import Callable, Mapping

from kit.simulator.dialect import ConnectionRules, Dialect
from kit.simulator.exchange.rest import ApiErrors, RestApi, Route
from kit.simulator.market import INSTRUMENTS as SPOT_INSTRUMENTS
from venues.binance.simulator import cash_flows, private_rest, rest
from venues.binance.simulator.authentication import (
    FUTURES_MATCHING_RULES,
    SPOT_MATCHING_RULES,
    BinanceRateLimits,
    OrderRateLimit,
    authenticate,
)
from venues.binance.simulator.capture import FUTURES_PARSERS, SPOT_PARSERS, capture_reader
from venues.binance.simulator.encode import (
    BinanceEncoder,
    BinanceFuturesMessages,
    BinanceSpotMessages,
)
from venues.binance.simulator.errors import FAILURES, FUTURES_ERRORS, SPOT_ERRORS
from venues.binance.simulator.faults import FUTURES_FAULTS, SPOT_FAULTS
from venues.binance.simulator.instruments import (
    FUTURES_INSTRUMENTS,
    futures_listing,
    spot_listing,
)
from venues.binance.simulator.orders import BinanceFuturesOrders, BinanceSpotOrders
from venues.binance.simulator.private_stream import (
    ListenKeyRegistry,
    futures_event_rows,
    spot_event_rows,
)
from venues.binance.simulator.streams import BinanceStreamRegistry
from venues.binance.simulator.websocket import (
    FUTURES_METHODS,
    SPOT_METHODS,
    STREAMS_MAX,
    BinanceWebsocket,
    BinanceWebsocketApi,
)

SPOT_HOSTS = (
    "api.binance.com",
    "ws-api.binance.com",
    "stream.binance.com",
    "data-stream.binance.vision",
    "data-api.binance.vision",
)
FUTURES_HOSTS = ("fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com")
SPOT_RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=5,
    streams_max=STREAMS_MAX,
    lifetime_s=24 * 3600,
)
FUTURES_RULES = ConnectionRules(
    ping_interval_s=180,
    pong_timeout_s=600,
    messages_per_second_max=10,
    streams_max=STREAMS_MAX,
    lifetime_s=24 * 3600,
)
SPOT_WEIGHT_MAX, FUTURES_WEIGHT_MAX = 6_000, 2_400
"""Per minute."""
SPOT_ORDER_LIMITS = (
    OrderRateLimit("SECOND", 10, 10, 100, "10S"),
    OrderRateLimit("DAY", 1, 86_400, 200_000, "1D"),
)
FUTURES_ORDER_LIMITS = (
    OrderRateLimit("SECOND", 10, 10, 300, "10S"),
    OrderRateLimit("MINUTE", 1, 60, 1_200, "1M"),
)


def binance_spot() -> Dialect:
    """The dialect of Binance spot."""
    streams, messages, orders = BinanceStreamRegistry(), BinanceSpotMessages(), BinanceSpotOrders()
    limits = BinanceRateLimits(SPOT_WEIGHT_MAX, SPOT_ORDER_LIMITS)
    calls = private_rest.spot_routes(orders)
    routes = rest.spot_routes(messages, limits) | calls | cash_flows.spot_routes()
    methods = {name: calls[path] for name, path in SPOT_METHODS.items()}
    events = spot_event_rows(lambda: orders.cancel_id)
    api = BinanceWebsocketApi("/ws-api/v3", methods, limits, SPOT_ERRORS, events)
    websocket = BinanceWebsocket(streams, api)
    return Dialect(
        hosts=SPOT_HOSTS,
        rules=SPOT_RULES,
        instruments=SPOT_INSTRUMENTS,
        matching_rules=SPOT_MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams, SPOT_PARSERS),
        faults=SPOT_FAULTS,
        list=spot_listing,
        encode=BinanceEncoder(streams, messages).encode,
        answer=_rest_api(routes, SPOT_ERRORS, limits).answer,
        open=websocket.open,
        receive=websocket.receive,
        path_of=api.path_of,
        failure_of=api.failure_of,
    )


def binance_futures() -> Dialect:
    """The dialect of Binance USD-M futures."""
    streams, messages = BinanceStreamRegistry(), BinanceFuturesMessages()
    limits = BinanceRateLimits(FUTURES_WEIGHT_MAX, FUTURES_ORDER_LIMITS)
    listen_keys = ListenKeyRegistry(futures_event_rows)
    calls = private_rest.futures_routes(BinanceFuturesOrders(), FUTURES_MATCHING_RULES)
    methods = {name: calls[path] for name, path in FUTURES_METHODS.items()}
    api = BinanceWebsocketApi("/ws-fapi/v1", methods, limits, FUTURES_ERRORS)
    websocket = BinanceWebsocket(streams, api, listen_keys)
    routes = rest.futures_routes(messages, limits) | calls | listen_keys.routes()
    routes |= cash_flows.futures_routes()
    return Dialect(
        hosts=FUTURES_HOSTS,
        rules=FUTURES_RULES,
        instruments=FUTURES_INSTRUMENTS,
        matching_rules=FUTURES_MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams, FUTURES_PARSERS),
        faults=FUTURES_FAULTS,
        list=futures_listing,
        encode=BinanceEncoder(streams, messages).encode,
        answer=_rest_api(routes, FUTURES_ERRORS, limits).answer,
        open=websocket.open,
        receive=websocket.receive,
        tick=listen_keys.tick,
        path_of=api.path_of,
        failure_of=api.failure_of,
    )


def _rest_api(routes: Mapping[str, Route], errors: ApiErrors, limits: BinanceRateLimits) -> RestApi:
    return RestApi(
        routes=routes,
        errors=errors,
        accept=rest.accept,
        reject=rest.reject,
        unknown=rest.UNKNOWN_PATH,
        authenticate=authenticate,
        parameters=rest.parameters,
        charge=limits.charge,
        headers=limits.headers,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "binance": binance_spot,
    "binance_futures": binance_futures,
}
