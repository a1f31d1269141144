"""Kraken spot for the simulator. See ``kit/simulator/README.md`` for the files."""

from collections.abc import Callable, Mapping

from kit.simulator.dialect import ConnectionRules, Dialect, RestResponse
from kit.simulator.exchange.rest import RestApi
from kit.simulator.exchange.streams import StreamRegistry
from venues.kraken.simulator import cash_flows, private_rest, rest
from venues.kraken.simulator.authentication import (
    MATCHING_RULES,
    KrakenAuthentication,
    parameters_of,
)
from venues.kraken.simulator.capture import capture_reader
from venues.kraken.simulator.encode import KrakenEncoder
from venues.kraken.simulator.errors import ERRORS, FAILURES, UNKNOWN_METHOD
from venues.kraken.simulator.faults import with_bad_checksum
from venues.kraken.simulator.instruments import INSTRUMENTS, listing
from venues.kraken.simulator.streams import make_stream
from venues.kraken.simulator.websocket import KrakenWebsocket

RULES = ConnectionRules(
    ping_interval_s=30,
    pong_timeout_s=60,
    messages_per_second_max=100,
    streams_max=100_000,
    lifetime_s=24 * 3600,
    idle_s=None,
    subscribe_within_s=60,
)


def kraken_spot() -> Dialect:
    """The dialect of Kraken spot."""
    streams, authentication = StreamRegistry(make_stream), KrakenAuthentication()
    encoder = KrakenEncoder(streams)
    websocket = KrakenWebsocket(streams, encoder, authentication)
    rest_api = RestApi(
        routes={**rest.ROUTES, **private_rest.routes(authentication), **cash_flows.routes()},
        errors=ERRORS,
        accept=rest.accept,
        reject=rest.reject,
        unknown=RestResponse(UNKNOWN_METHOD),
        authenticate=authentication.authenticate,
        parameters=parameters_of,
    )
    return Dialect(
        hosts=("api.kraken.com", "ws.kraken.com", "ws-auth.kraken.com"),
        rules=RULES,
        instruments=INSTRUMENTS,
        matching_rules=MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams),
        faults={"bad_checksum": with_bad_checksum},
        list=listing,
        encode=encoder.encode,
        answer=rest_api.answer,
        open=websocket.open,
        receive=websocket.receive,
        tick=websocket.tick,
        path_of=websocket.path_of,
        failure_of=websocket.failure_of,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"kraken": kraken_spot}
