"""Examplex for the simulator. See ``kit/simulator/README.md`` for the files.

To change: hosts and rules. Faults of this exchange alone go into ``faults``, by name; with
orders come ``authentication``, ``private_rest``, ``orders``, ``rows`` and ``private_stream``.
"""

from collections.abc import Callable, Mapping

from kit.simulator.dialect import ConnectionRules, Dialect, RestResponse
from kit.simulator.exchange.rest import RestApi
from kit.simulator.exchange.streams import StreamRegistry
from ops.templates.examplex.simulator import rest
from ops.templates.examplex.simulator.capture import capture_reader
from ops.templates.examplex.simulator.encode import ExamplexEncoder
from ops.templates.examplex.simulator.errors import ERRORS, FAILURES, NO_SUCH_PATH
from ops.templates.examplex.simulator.instruments import INSTRUMENTS
from ops.templates.examplex.simulator.streams import make_stream
from ops.templates.examplex.simulator.websocket import ExamplexWebsocket

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=100,
    streams_max=1000,
    lifetime_s=24 * 3600,
    idle_s=60,
)


def examplex() -> Dialect:
    streams = StreamRegistry(make_stream)
    encoder = ExamplexEncoder(streams)
    websocket = ExamplexWebsocket(streams, encoder)
    rest_api = RestApi(
        routes=rest.ROUTES,
        errors=ERRORS,
        accept=rest.accept,
        reject=rest.reject,
        unknown=RestResponse(NO_SUCH_PATH, status=404),
    )
    return Dialect(
        hosts=("feed.examplex.invalid", "api.examplex.invalid"),
        rules=RULES,
        instruments=INSTRUMENTS,
        failures=FAILURES,
        capture=capture_reader(streams),
        list=websocket.add,
        encode=encoder.encode,
        answer=rest_api.answer,
        open=websocket.open,
        receive=websocket.receive,
    )


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"examplex": examplex}
