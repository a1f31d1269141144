"""Bybit spot for the simulator. See ``kit/simulator/README.md`` for the files."""

from collections.abc import Callable, Mapping

from kit.simulator.dialect import ConnectionRules, Dialect, RestResponse
from kit.simulator.exchange.rest import RestApi
from kit.simulator.exchange.streams import StreamRegistry
from venues.bybit.simulator import cash_flows, private_rest, rest
from venues.bybit.simulator.authentication import MATCHING_RULES, authenticate
from venues.bybit.simulator.capture import capture_reader
from venues.bybit.simulator.encode import BookTopic, BybitEncoder
from venues.bybit.simulator.errors import ERRORS, FAILURES
from venues.bybit.simulator.faults import faults
from venues.bybit.simulator.instruments import INSTRUMENTS, listing
from venues.bybit.simulator.orders import BybitOrders
from venues.bybit.simulator.streams import make_stream
from venues.bybit.simulator.websocket import BybitWebsocket

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=500,
    streams_max=1000,
    lifetime_s=7 * 24 * 3600,
    idle_s=600,
)


def bybit_spot() -> Dialect:
    """The dialect of Bybit spot."""
    streams, orders = StreamRegistry(make_stream), BybitOrders()
    encoder = BybitEncoder(streams)

    def book_of(symbol: str, depth: int) -> BookTopic | None:
        return encoder.book(streams.get(f"orderbook.{depth}.{symbol}"))

    rest_api = RestApi(
        routes={**rest.routes(book_of), **private_rest.routes(orders), **cash_flows.routes()},
        errors=ERRORS,
        accept=rest.accept,
        reject=rest.reject,
        unknown=RestResponse(b"", status=404),
        authenticate=authenticate,
        headers=private_rest.rate_headers,
    )
    websocket = BybitWebsocket(streams, encoder, orders)
    return Dialect(
        hosts=("api.bybit.com", "stream.bybit.com"),
        rules=RULES,
        instruments=INSTRUMENTS,
        matching_rules=MATCHING_RULES,
        failures=FAILURES,
        capture=capture_reader(streams),
        faults=faults(encoder),
        list=listing,
        encode=encoder.encode,
        answer=rest_api.answer,
        open=websocket.open,
        receive=websocket.receive,
        path_of=websocket.path_of,
        failure_of=websocket.failure_of,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"bybit": bybit_spot}
