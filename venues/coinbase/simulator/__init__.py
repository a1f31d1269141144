"""Coinbase for the simulator: Advanced Trade and Exchange. See ``kit/simulator/README.md`` for the
files."""

from collections.abc import Callable, Mapping

from kit.simulator.dialect import ConnectionRules, Dialect, MarketView, RestRequest, RestResponse
from kit.simulator.exchange.rest import RestApi
from kit.simulator.exchange.streams import StreamRegistry
from venues.coinbase.simulator import cash_flows, private_rest, rest
from venues.coinbase.simulator.authentication import (
    MATCHING_RULES,
    authenticate_advanced,
    authenticate_exchange,
)
from venues.coinbase.simulator.capture import capture_reader
from venues.coinbase.simulator.encode import CoinbaseEncoder
from venues.coinbase.simulator.errors import (
    ADVANCED_ERRORS,
    EXCHANGE_ERRORS,
    FAILURES,
    UNKNOWN_PATH,
)
from venues.coinbase.simulator.faults import UpdatesBeforeSnapshot, with_error, with_slow_consumer
from venues.coinbase.simulator.instruments import INSTRUMENTS, listing
from venues.coinbase.simulator.streams import make_stream
from venues.coinbase.simulator.websocket import CoinbaseWebsocket

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=8,
    streams_max=10_000,
    lifetime_s=24 * 3600,
    subscribe_within_s=5,
)
NOT_FOUND = RestResponse(UNKNOWN_PATH, 404)
ADVANCED_PATHS = ("/api/", "/v2/")
ADVANCED_API = RestApi(
    routes={**rest.ADVANCED_ROUTES, **private_rest.ADVANCED_ROUTES, **cash_flows.ROUTES},
    errors=ADVANCED_ERRORS,
    accept=rest.accept,
    reject=rest.advanced_reject,
    unknown=NOT_FOUND,
    authenticate=authenticate_advanced,
    parameters=rest.query_parameters,
)
EXCHANGE_API = RestApi(
    routes={**rest.EXCHANGE_ROUTES, **private_rest.EXCHANGE_ROUTES},
    errors=EXCHANGE_ERRORS,
    accept=rest.accept,
    reject=rest.exchange_reject,
    unknown=NOT_FOUND,
    authenticate=authenticate_exchange,
    parameters=rest.exchange_parameters,
)


def coinbase_spot() -> Dialect:
    """The dialect of Coinbase's spot markets."""
    streams, early_updates = StreamRegistry(make_stream), UpdatesBeforeSnapshot()
    encoder = CoinbaseEncoder(streams)
    websocket = CoinbaseWebsocket(streams, encoder, early_updates.take)
    return Dialect(
        hosts=(
            "advanced-trade-ws.coinbase.com",
            "advanced-trade-ws-user.coinbase.com",
            "ws-feed.exchange.coinbase.com",
            "api.coinbase.com",
            "api.exchange.coinbase.com",
        ),
        rules=RULES,
        instruments=INSTRUMENTS,
        matching_rules=MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams),
        faults={
            "error": with_error,
            "slow_consumer": with_slow_consumer,
            "update_before_snapshot": early_updates.keep,
        },
        list=listing,
        encode=encoder.encode,
        answer=_answer,
        open=websocket.open,
        receive=websocket.receive,
        tick=websocket.tick,
    )


async def _answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """The answer of the API that the path belongs to."""
    api = ADVANCED_API if request.path.startswith(ADVANCED_PATHS) else EXCHANGE_API
    return await api.answer(request, market_view)


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"coinbase": coinbase_spot}
