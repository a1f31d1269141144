"""Binance spot as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of streams in
``streams``, the REST calls in ``rest``, the lines of captures in ``capture``, a simulated market's
frames in ``encode``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from kit.simulator.dialect import (
    Answer,
    CaptureFormat,
    ConnectionRules,
    Dialect,
    Floor,
    Frame,
    Listing,
    Request,
    Session,
    Stream,
)
from kit.simulator.events import Instrument
from kit.simulator.market import INSTRUMENTS, Step
from venues.binance.simulator import rest
from venues.binance.simulator.capture import BinanceCapture, data_of
from venues.binance.simulator.encode import Encoder, listing
from venues.binance.simulator.streams import NAME, Streams

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=5,
    streams_max=1024,
    lifetime_s=24 * 3600,
)
INVALID_JSON = b'{"code":3,"msg":"Invalid JSON: expected value"}'


class _Call(msgspec.Struct):
    method: str = ""
    params: list[Any] = []
    id: int | str | None = None


_call = msgspec.json.Decoder(_Call)


class BinanceSpot:
    """``Dialect`` of Binance spot."""

    hosts: Collection[str] = (
        "api.binance.com",
        "stream.binance.com",
        "data-stream.binance.vision",
        "data-api.binance.vision",
    )
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    faults: Mapping[str, Callable[[Frame], Sequence[Frame]]] = {}

    def __init__(self) -> None:
        self._streams = Streams()
        self._encoder = Encoder(self._streams)
        self.capture: CaptureFormat = BinanceCapture(self._streams)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """``/stream?streams=a/b`` wraps each event in its stream's name, ``/ws/a`` does not."""
        parts = path.strip("/").split("/")
        if parts == ["stream"]:
            session = Session()
            names = query.get("streams", "").split("/")
        elif "ws" in parts:
            session = Session(shape=data_of)
            names = parts[parts.index("ws") + 1 :]
        else:
            return None
        self._subscribe(session, [name for name in names if NAME.fullmatch(name)])
        return session

    async def receive(self, session: Session, text: str, floor: Floor) -> list[bytes]:
        """``{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}``"""
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

    def tick(self, session: Session, floor: Floor) -> list[bytes]:
        """Nothing is said by the clock alone."""
        return []

    async def answer(self, request: Request, floor: Floor) -> Answer:
        return await rest.answer(request, floor)

    def list(self, instrument: Instrument) -> Listing:
        return listing(instrument)

    def encode(self, step: Step, wanted: Collection[Stream], floor: Floor) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, floor)

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
        if len(session.streams.keys() | set(names)) > RULES.streams_max:
            return _error(2, "Invalid request: too many streams", call.id)
        self._subscribe(session, names)
        return _result(None, call.id)

    def _subscribe(self, session: Session, names: Iterable[str]) -> None:
        for name in names:
            session.streams[name] = self._streams.get(name.encode())


def _result(result: object, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"result": result, "id": call_id})


def _error(code: int, message: str, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "msg": message}, "id": call_id})


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"binance": BinanceSpot}
