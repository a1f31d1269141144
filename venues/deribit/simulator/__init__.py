"""Deribit for the simulator. See ``kit/simulator/README.md`` for the files."""

from collections.abc import Callable, Mapping

import msgspec

from kit.simulator.dialect import ConnectionRules, Dialect, RestResponse
from kit.simulator.exchange.rest import RestApi, Route, private, public
from kit.simulator.exchange.streams import StreamRegistry
from venues.deribit.simulator import cash_flows, private_rest, rest
from venues.deribit.simulator.authentication import MATCHING_RULES, DeribitAuthentication
from venues.deribit.simulator.capture import capture_reader
from venues.deribit.simulator.encode import DeribitEncoder
from venues.deribit.simulator.errors import (
    BAD_REQUEST,
    ERRORS,
    FAILURES,
    METHOD_NOT_FOUND,
    error_row,
)
from venues.deribit.simulator.faults import DeribitFaults
from venues.deribit.simulator.instruments import INSTRUMENTS
from venues.deribit.simulator.rest import BASE_PATH
from venues.deribit.simulator.streams import make_stream
from venues.deribit.simulator.websocket import STREAMS_MAX, DeribitWebsocket

RULES = ConnectionRules(
    ping_interval_s=30,
    pong_timeout_s=90,
    messages_per_second_max=1000,  # the credits of a connection are used up before
    streams_max=STREAMS_MAX,
    lifetime_s=7 * 24 * 3600,
    idle_s=None,
    subscribe_within_s=None,
)
UNKNOWN_METHOD = msgspec.json.encode({"jsonrpc": "2.0", "error": error_row(METHOD_NOT_FOUND)})


def deribit_futures() -> Dialect:
    streams, authentication = StreamRegistry(make_stream), DeribitAuthentication()
    encoder, faults = DeribitEncoder(streams), DeribitFaults()
    websocket = DeribitWebsocket(streams, encoder, authentication, faults)
    routes = public({f"GET {BASE_PATH}{name}": one for name, one in rest.METHODS.items()})
    methods = {**private_rest.METHODS, **cash_flows.METHODS}
    routes |= private({f"GET {BASE_PATH}{name}": one for name, one in methods.items()})
    routes[f"GET {BASE_PATH}public/auth"] = Route(authentication.sign_in)
    rest_api = RestApi(
        routes=routes,
        errors=ERRORS,
        accept=rest.accept,
        reject=rest.reject,
        unknown=RestResponse(UNKNOWN_METHOD, BAD_REQUEST),
        authenticate=authentication.authenticate,
    )
    return Dialect(
        hosts=("www.deribit.com",),
        rules=RULES,
        instruments=INSTRUMENTS,
        matching_rules=MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams),
        faults=faults.by_name,
        list=websocket.add,
        encode=encoder.encode,
        answer=rest_api.answer,
        open=websocket.open,
        receive=websocket.receive,
        tick=websocket.tick,
        path_of=websocket.path_of,
        failure_of=websocket.failure_of,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"deribit": deribit_futures}
