"""Examplex as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of streams in
``streams``, the REST calls in ``rest``, the lines of captures in ``capture``, a simulated market's
frames in ``encode``.

To change: all of it, until a client that is known to be right (ccxt, or the exchange's own) cannot
tell it from the exchange. Faults that only this exchange can have go into ``faults``, by name.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from kit.simulator.dialect import (
    CaptureFormat,
    Channel,
    ConnectionRules,
    Dialect,
    Frame,
    MarketView,
    RestRequest,
    RestResponse,
    Session,
    Stream,
)
from kit.simulator.events import Instrument
from kit.simulator.listing import Listing
from kit.simulator.market import Step
from ops.templates.examplex.simulator import rest
from ops.templates.examplex.simulator.capture import ExamplexCapture
from ops.templates.examplex.simulator.encode import INSTRUMENTS, Encoder, listing
from ops.templates.examplex.simulator.streams import Streams

PATH = "/feed"
RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=100,
    streams_max=1000,
    lifetime_s=24 * 3600,
    idle_s=60,
)
PONG = "pong"


class _Call(msgspec.Struct):
    """``{"op":"subscribe","id":1,"channels":["trades"],"symbols":["BTC-USD"]}``"""

    op: str
    id: int = 0
    channels: list[str] = []
    symbols: list[str] = []


_call = msgspec.json.Decoder(_Call)


class ExamplexExchange:
    """``Dialect`` of Examplex."""

    hosts: Collection[str] = ("feed.examplex.invalid", "api.examplex.invalid")
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    faults: Mapping[str, Callable[[Frame], Sequence[Frame]]] = {}

    def __init__(self) -> None:
        self._streams = Streams()
        self._encoder = Encoder(self._streams)
        self._markets: dict[str, Instrument] = {}
        self.capture: CaptureFormat = ExamplexCapture(self._streams)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        return Session() if path.rstrip("/") == PATH else None

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """What a client may say is in ``_Call``."""
        try:
            call = _call.decode(text)
        except msgspec.DecodeError as error:
            return [_refusal(0, str(error), [])]
        if call.op == "ping":
            return [_reply(call, PONG)]
        if call.op == "subscribe":
            return [*self._subscribe(session, call, market_view)]
        if call.op == "unsubscribe":
            for stream in self._named(call):
                session.streams.pop(stream.name, None)
            return [_reply(call, "unsubscribed")]
        return [_refusal(call.id, "unknown op", [])]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """Nothing is said by the clock alone."""
        return []

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        return await rest.answer(request, market_view)

    def list(self, instrument: Instrument) -> Listing:
        found = listing(instrument)
        self._markets[found.symbol] = instrument
        return found

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    def _subscribe(self, session: Session, call: _Call, market_view: MarketView) -> Sequence[bytes]:
        """Unknown symbols are refused, the others are not. A book begins with the whole of it."""
        listed = {one.symbol: one for one in market_view.listings()}
        said = [_reply(call, "subscribed")]
        unknown = [symbol for symbol in call.symbols if symbol not in listed]
        if unknown:
            said.append(_refusal(call.id, "unknown symbols", unknown))
        for stream in self._named(call):
            if stream.symbol not in listed or stream.channel is Channel.OTHER:
                continue
            session.streams[stream.name] = stream
            # A tape brings its own snapshots.
            if stream.channel is Channel.BOOK and not listed[stream.symbol].derived:
                market = self._markets[stream.symbol]
                said.append(self._encoder.snapshot(market, market_view.time_ns()))
        return said

    def _named(self, call: _Call) -> Sequence[Stream]:
        return [self._streams.get(name, one) for one in call.symbols for name in call.channels]


def _reply(call: _Call, answer: str) -> bytes:
    return msgspec.json.encode({"answer": answer, "id": call.id})


def _refusal(request_id: int, why: str, symbols: Sequence[str]) -> bytes:
    refusal = {"answer": "refused", "id": request_id, "why": why, "symbols": symbols}
    return msgspec.json.encode(refusal)


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"examplex": ExamplexExchange}
