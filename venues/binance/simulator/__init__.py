"""Binance as it would speak itself, for the simulator: spot, and USD-M futures.

``DIALECTS`` is what the simulator looks for. The conversation is here; what differs between the two
is in ``segments`` and ``messages``; the names of streams are in ``streams``, the REST calls in
``rest`` and ``symbols``, the lines of captures in ``capture``, a simulated market's frames in
``encode``, what goes wrong nowhere else in ``faults``. What needs a key is in ``private`` (keys and
signatures), ``private_calls``, ``private_socket`` and ``private_markets``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from kit.simulator.dialect import (
    CaptureFormat,
    Channel,
    Dialect,
    Frame,
    MarketView,
    RestRequest,
    RestResponse,
    Session,
    Stream,
)
from kit.simulator.events import Instrument
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market import Step
from venues.binance.simulator import rest
from venues.binance.simulator.capture import BinanceCapture, data_of
from venues.binance.simulator.encode import Encoder, native_symbol
from venues.binance.simulator.private.socket import ApiSession
from venues.binance.simulator.segments import FUTURES, ROUTES, SPOT, Segment
from venues.binance.simulator.streams import NAME, PUBLIC, BinanceStreams

INVALID_JSON = b'{"code":3,"msg":"Invalid JSON: expected value"}'


class _Call(msgspec.Struct):
    method: str = ""
    params: list[Any] = []
    id: int | str | None = None


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class BinanceSession(Session):
    """A connection, and by which route it came."""

    route: str = ""
    """One of ROUTES; "" where everything comes over one address."""


class Binance:
    """``Dialect`` of one of Binance's markets."""

    def __init__(self, segment: Segment) -> None:
        self.hosts = segment.hosts
        self.rules = segment.rules
        self.instruments = segment.instruments
        self.faults = segment.faults
        self.failures: Mapping[int, bytes] = rest.FAILURES
        self._segment = segment
        self._private = segment.private()
        self.matching_rules = self._private.matching_rules
        self._streams = BinanceStreams()
        self._encoder = Encoder(self._streams, segment.messages)
        self.capture: CaptureFormat = BinanceCapture(self._streams)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """``/stream?streams=a/b`` wraps each event in its stream's name, ``/ws/a`` does not.
        Futures have a route before it; what comes without one is served as ``/public``."""
        if path.rstrip("/") == self._private.api_path:
            return self._private.api.open()
        parts = path.strip("/").split("/")
        session = BinanceSession()
        if self._segment.routed:
            session.route = parts.pop(0) if parts[0] in ROUTES else ROUTES[0]
            name = query.get("listenKey") or query.get("streams") or "".join(parts[-1:])
            self._listen(session, name)
        if parts == ["stream"]:
            names = query.get("streams", "").split("/")
        elif "ws" in parts:
            session.shape = data_of
            names = parts[parts.index("ws") + 1 :]
        else:
            return None
        self._subscribe(session, [name for name in names if NAME.fullmatch(name)])
        return session

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}``"""
        if isinstance(session, ApiSession):
            return [self._private.api.answer(session, text, market_view)]
        try:
            call = _call.decode(text)
        except msgspec.ValidationError as error:
            return [_error(2, f"Invalid request: {error}", None)]
        except msgspec.DecodeError:
            return [INVALID_JSON]
        if call.method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return [self._change_subscriptions(session, call)]
        if call.method == "LIST_SUBSCRIPTIONS":
            return [_result(list(session.streams), call.id)]
        if call.method == "SET_PROPERTY" and call.params[:1] == ["combined"]:
            session.shape = None if call.params[-1] is True else data_of
            return [_result(None, call.id)]
        if call.method == "GET_PROPERTY":
            return [_result(session.shape is None, call.id)]
        return [_error(2, f"Invalid request: unknown method {call.method[:60]}", call.id)]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """A listen key may have expired; besides, nothing is said by the clock alone."""
        if self._private.listen_keys is not None:
            self._private.listen_keys.tick(session, market_view)
        return []

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        private = await self._private.calls.answer(request, market_view)
        if private is not None:
            return private
        usage, now_ns = self._private.calls.usage, market_view.time_ns()
        usage.spend(self._private.public_weight(request), now_ns)
        found = await self._segment.rest.answer(request, market_view)
        return replace(found, headers={**found.headers, **usage.headers("", now_ns)})

    def path_of(self, text: str) -> str:
        """Of a call over the websocket API."""
        return self._private.api.path_of(text)

    def failure_of(self, text: str) -> bytes:
        """The answer to such a call when nobody knows what has become of it."""
        return self._private.api.failure_of(text)

    def list(self, instrument: Instrument) -> Listing:
        segment = self._segment
        spot = segment.kind is InstrumentKind.SPOT
        return Listing(
            native_symbol(instrument),
            instrument.base,
            instrument.quote,
            tick_size=segment.messages.price(instrument)(1),
            lot_size=segment.messages.size(instrument)(1),
            minimum_notional=segment.minimum_notional[instrument.quote],
            kind=segment.kind,
            settle="" if spot else instrument.quote,
        )

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    def _change_subscriptions(self, session: Session, call: _Call) -> bytes:
        names = [name for name in call.params if isinstance(name, str)]
        if len(names) != len(call.params) or not names:
            return _error(2, "Invalid request: params must be names of streams", call.id)
        if call.method == "UNSUBSCRIBE":
            for name in names:
                session.streams.pop(name, None)
            return _result(None, call.id)
        if not all(map(NAME.fullmatch, names)):
            return _error(2, "Invalid request: invalid stream name", call.id)
        if len(session.streams.keys() | set(names)) > self.rules.streams_max:
            return _error(2, "Invalid request: too many streams", call.id)
        self._subscribe(session, names)
        return _result(None, call.id)

    def _listen(self, session: Session, name: str) -> None:
        """The address of a connection may have a listen key in it."""
        if self._private.listen_keys is not None:
            self._private.listen_keys.attach(session, name)

    def _subscribe(self, session: Session, names: Iterable[str]) -> None:
        """A stream of another route is accepted like any other, and then never says anything."""
        for name in names:
            if _serves(session, name):
                session.streams[name] = self._streams.asked(name.encode())
            else:
                session.streams[name] = Stream(name, Channel.OTHER, "")


def _serves(session: Session, name: str) -> bool:
    route = session.route if isinstance(session, BinanceSession) else ""
    return not route or route == ("public" if PUBLIC.fullmatch(name) else "market")


def _result(result: object, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"result": result, "id": call_id})


def _error(code: int, message: str, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "msg": message}, "id": call_id})


DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "binance": lambda: Binance(SPOT),
    "binance_futures": lambda: Binance(FUTURES),
}
