"""OKX spot and swaps for the simulator. See ``kit/simulator/README.md`` for the files."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from kit.simulator.dialect import ConnectionRules, Dialect, RestResponse
from kit.simulator.exchange.rest import RestApi
from kit.simulator.exchange.streams import StreamRegistry
from venues.okx.simulator import cash_flows, private_rest, rest
from venues.okx.simulator.authentication import MATCHING_RULES, authenticate
from venues.okx.simulator.capture import capture_reader
from venues.okx.simulator.encode import OkxEncoder
from venues.okx.simulator.errors import ERRORS, FAILURES
from venues.okx.simulator.faults import faults
from venues.okx.simulator.instruments import SPOT, SWAP, OkxInstrumentType
from venues.okx.simulator.orders import OkxOrders
from venues.okx.simulator.streams import make_stream
from venues.okx.simulator.websocket import OkxWebsocket

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=10,
    streams_max=10_000,
    lifetime_s=24 * 3600,
    idle_s=30,
    subscribe_within_s=30,
)


def okx(segment: OkxInstrumentType, hosts: Collection[str]) -> Dialect:
    """The dialect of OKX, with the instruments of one segment."""
    streams, orders = StreamRegistry(make_stream), OkxOrders()
    encoder = OkxEncoder(streams, segment)
    rest_api = RestApi(
        routes={
            **rest.routes(encoder.published),
            **private_rest.routes(orders),
            **cash_flows.routes(),
        },
        errors=ERRORS,
        accept=rest.accept,
        reject=rest.reject,
        unknown=RestResponse(b'{"msg":"Not Found","code":"404"}', status=404),
        authenticate=authenticate,
    )
    websocket = OkxWebsocket(streams, encoder, orders)
    return Dialect(
        hosts=hosts,
        rules=RULES,
        instruments=segment.instruments,
        matching_rules=MATCHING_RULES[segment.kind],
        failures=FAILURES,
        capture=capture_reader(streams),
        faults=faults(encoder),
        list=segment.listing,
        encode=encoder.encode,
        answer=rest_api.answer,
        open=websocket.open,
        receive=websocket.receive,
        tick=websocket.tick,
        path_of=websocket.path_of,
        failure_of=websocket.failure_of,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "okx": partial(okx, SPOT, ("www.okx.com", "ws.okx.com", "aws.okx.com")),
    "okx_futures": partial(okx, SWAP, ()),
}
"""The real exchange serves both at the same hosts. Here the host names are those of spot; swaps are
reached by the venue id in the path."""
