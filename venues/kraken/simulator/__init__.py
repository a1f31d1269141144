"""Kraken spot as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of streams in
``streams``, those of pairs in ``pairs``, the REST calls in ``rest``, the lines of captures in
``capture``, a simulated market's frames in ``encode``, what concerns an account in ``private`` and
its neighbours.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.simulator.dialect import (
    CaptureFormat,
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
from venues.kraken.simulator import rest
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.capture import KrakenCapture
from venues.kraken.simulator.encode import Encoder, listing
from venues.kraken.simulator.private import rest as private_rest
from venues.kraken.simulator.private import socket as private_socket
from venues.kraken.simulator.private.feed import Account
from venues.kraken.simulator.private.keys import MATCHING_RULES, Guard
from venues.kraken.simulator.streams import (
    DEPTH_USUAL,
    DEPTHS,
    INTERVAL_USUAL,
    INTERVALS,
    TRIGGER_USUAL,
    TRIGGERS,
    KrakenStreams,
)

INSTRUMENTS = (
    Instrument("BTC", "USDT", 1, 8, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USDT", 2, 8, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USDT", 2, 8, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USDT", 5, 8, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USDT", 7, 8, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 5, 8, 1, 0.04290, 0.8, 0.015, 0.5),
)
RULES = ConnectionRules(
    ping_interval_s=30,
    pong_timeout_s=60,
    messages_per_second_max=100,
    streams_max=100_000,
    lifetime_s=24 * 3600,
    idle_s=None,
    subscribe_within_s=60,
)
HEARTBEAT = b'{"channel":"heartbeat"}'
STATUS = (
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
    b'"api_version":"v2","connection_id":16174536464690282295,"upcoming_maintenance":[],'
    b'"emergency":[]}]}'
)
CHECKSUM = re.compile(rb'"checksum":([0-9]+)')


class _Params(msgspec.Struct, frozen=True):
    channel: str = ""
    symbol: list[str] = []
    depth: int = DEPTH_USUAL
    interval: int = INTERVAL_USUAL
    event_trigger: str = TRIGGER_USUAL
    snapshot: bool = True


class _Call(msgspec.Struct):
    method: str = ""
    params: _Params = _Params()
    req_id: int | None = None


_call = msgspec.json.Decoder(_Call)

VARIANTS: Mapping[str, tuple[str, Sequence[int | str], str]] = {
    "book": ("depth", DEPTHS, "Subscription depth not supported"),
    "ohlc": ("interval", INTERVALS, "Subscription ohlc interval not supported"),
    "ticker": ("event_trigger", TRIGGERS, "Subscription event_trigger not supported"),
    "trade": ("", (), ""),
}
"""By channel: the parameter that makes variants of it, which there are, the refusal of others."""


def _with_bad_checksum(frame: Frame) -> Sequence[Frame]:
    """The checksum of a book frame is another than its book's."""
    stream, payload = frame
    wrong = CHECKSUM.sub(lambda found: b'"checksum":%d' % (int(found.group(1)) ^ 1), payload)
    return [(stream, wrong)]


@dataclass(slots=True)
class KrakenSession(Session):
    """A connection, which begins with a word about the exchange's state."""

    greeted: bool = False
    account: Account = field(default_factory=Account)


class KrakenSpot:
    """``Dialect`` of Kraken spot."""

    hosts: Collection[str] = ("api.kraken.com", "ws.kraken.com", "ws-auth.kraken.com")
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    matching_rules = MATCHING_RULES
    faults: Mapping[str, Callable[[Frame], Sequence[Frame]]] = {"bad_checksum": _with_bad_checksum}

    def __init__(self) -> None:
        self._streams = KrakenStreams()
        self._encoder = Encoder(self._streams)
        self._guard = Guard()
        self.capture: CaptureFormat = KrakenCapture(self._streams)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """``/v2``, also of the host for accounts."""
        return KrakenSession() if path.strip("/") == "v2" else None

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USDT"]}}``"""
        answers = _greeting(session)
        if isinstance(session, KrakenSession) and private_socket.concerns_account(text):
            account, guard = session.account, self._guard
            return [*answers, *private_socket.receive(session, account, text, market_view, guard)]
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [*answers, _reply(market_view, error="Malformed request", success=False)]
        if call.method == "ping":
            return [*answers, _reply(market_view, method="pong", req_id=call.req_id)]
        if call.method not in ("subscribe", "unsubscribe"):
            method = call.method[:60]
            error = _error(market_view, call, f"Unsupported method {method}")
            return [*answers, error]
        return [*answers, *self._change_subscriptions(session, call, market_view)]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """A heartbeat on every connection that is subscribed to something."""
        return [*_greeting(session), *([HEARTBEAT] if session.streams else [])]

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if request.path.startswith(private_rest.PREFIX):
            return await private_rest.answer(request, market_view, self._guard)
        return await rest.answer(request, market_view)

    def path_of(self, text: str) -> str:
        return private_socket.path_of(text)

    def failure_of(self, text: str) -> bytes:
        return private_socket.failure_of(text)

    def list(self, instrument: Instrument) -> Listing:
        return listing(instrument)

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    def _change_subscriptions(
        self, session: Session, call: _Call, market_view: MarketView
    ) -> Iterator[bytes]:
        """An acknowledgement for each symbol, in no order that a client could rely on, then what
        the subscriptions begin with."""
        params = call.params
        if params.channel not in VARIANTS:
            yield _error(market_view, call, "Subscription name invalid")
            return
        parameter, known, refusal = VARIANTS[params.channel]
        variant = getattr(params, parameter, "")
        if known and variant not in known:
            yield _error(market_view, call, refusal)
            return
        listed = {one.symbol for one in market_view.listings()}
        begun: list[Stream] = []
        for symbol in reversed(params.symbol):
            stream = self._streams.get(params.channel, symbol, variant)
            error = _objection(session, call, stream, symbol in listed)
            if error:
                yield _error(market_view, call, error, symbol)
                continue
            result: dict[str, object] = {"channel": params.channel, "symbol": symbol}
            if parameter:
                result[parameter] = variant
            if call.method == "subscribe":
                result["snapshot"] = params.snapshot
                session.streams[stream.name] = stream
                self._encoder.subscribed(stream)
                begun.append(stream)
            else:
                del session.streams[stream.name]
            yield _reply(
                market_view, method=call.method, req_id=call.req_id, result=result, success=True
            )
        if params.snapshot:
            yield from filter(
                None, [self._encoder.snapshot(stream, market_view) for stream in begun]
            )


def _objection(session: Session, call: _Call, stream: Stream, listed: bool) -> str:
    """Why a subscription cannot be changed; "": it can."""
    if not listed:
        return f"Currency pair not supported {stream.symbol[:60]}"
    there = stream.name in session.streams
    if call.method == "unsubscribe":
        return "" if there else "Subscription Not Found"
    return "Already subscribed" if there else ""


def _greeting(session: Session) -> list[bytes]:
    if not isinstance(session, KrakenSession) or session.greeted:
        return []
    session.greeted = True
    return [STATUS]


def _error(market_view: MarketView, call: _Call, error: str, symbol: str | None = None) -> bytes:
    """``{"error","method","success":false,"symbol","time_in","time_out"}``"""
    return _reply(
        market_view,
        error=error,
        method=call.method,
        req_id=call.req_id,
        success=False,
        symbol=symbol,
    )


def _reply(market_view: MarketView, **members: object) -> bytes:
    """Kraken's answers have their members in the order of the alphabet."""
    now = rfc3339(market_view.time_ns())
    said = {name: value for name, value in members.items() if value is not None}
    return msgspec.json.encode({**said, "time_in": now, "time_out": now}, order="sorted")


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"kraken": KrakenSpot}
