"""Examplex's websocket.

To change: paths, messages and answers, until a client that is known to be right (ccxt, or the
exchange's own) cannot tell it from the exchange.
"""

from collections.abc import Mapping, Sequence

import msgspec

from kit.simulator.dialect import Channel, ExchangeStream, MarketView, WebsocketSession
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument
from ops.templates.examplex.simulator.encode import ExamplexEncoder
from ops.templates.examplex.simulator.instruments import listing

PATH = "/feed"
PONG = "pong"


class _Call(msgspec.Struct):
    """``{"op":"subscribe","id":1,"channels":["trades"],"symbols":["BTC-USD"]}``"""

    op: str
    id: int = 0
    channels: list[str] = []
    symbols: list[str] = []


_call = msgspec.json.Decoder(_Call)


class ExamplexWebsocket:
    """The only websocket. It takes no orders."""

    def __init__(self, streams: StreamRegistry, encoder: ExamplexEncoder) -> None:
        self._streams = streams
        self._encoder = encoder
        self._markets: dict[str, Instrument] = {}

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        return WebsocketSession() if path.rstrip("/") == PATH else None

    def add(self, instrument: Instrument) -> Listing:
        """The listing of a simulated instrument, whose book begins with a snapshot."""
        found = listing(instrument)
        self._markets[found.symbol] = instrument
        return found

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        try:
            call = _call.decode(text)
        except msgspec.DecodeError as error:
            return [_rejection(0, str(error), [])]
        if call.op == "ping":
            return [_reply(call, PONG)]
        if call.op == "subscribe":
            return self._subscribe(session, call, market_view)
        if call.op == "unsubscribe":
            for stream in self._named(call):
                session.streams.pop(stream.name, None)
            return [_reply(call, "unsubscribed")]
        return [_rejection(call.id, "unknown op", [])]

    def _subscribe(
        self, session: WebsocketSession, call: _Call, market_view: MarketView
    ) -> list[bytes]:
        """Unknown symbols are rejected, the others are not. A book begins with a snapshot."""
        listed = {one.symbol: one for one in market_view.listings()}
        answers = [_reply(call, "subscribed")]
        unknown = [symbol for symbol in call.symbols if symbol not in listed]
        if unknown:
            answers.append(_rejection(call.id, "unknown symbols", unknown))
        for stream in self._named(call):
            if stream.symbol not in listed or stream.channel is Channel.OTHER:
                continue
            session.streams[stream.name] = stream
            # A capture has its own snapshots.
            if stream.channel is Channel.BOOK and not listed[stream.symbol].derived:
                market = self._markets[stream.symbol]
                answers.append(self._encoder.snapshot(market, market_view.time_ns()))
        return answers

    def _named(self, call: _Call) -> Sequence[ExchangeStream]:
        return [self._streams.get(f"{one}:{to}") for to in call.symbols for one in call.channels]


def _reply(call: _Call, answer: str) -> bytes:
    return msgspec.json.encode({"answer": answer, "id": call.id})


def _rejection(request_id: int, why: str, symbols: Sequence[str]) -> bytes:
    rejection = {"answer": "refused", "id": request_id, "why": why, "symbols": symbols}
    return msgspec.json.encode(rejection)
