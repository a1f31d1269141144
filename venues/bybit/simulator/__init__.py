"""Bybit spot as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of topics in
``streams``, the REST calls in ``rest``, the lines of captures in ``capture``, a simulated market's
frames in ``encode``, what goes wrong in ``faults``, what concerns an account in ``private`` and its
neighbours.
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

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
from venues.bybit.simulator import rest
from venues.bybit.simulator.capture import BybitCapture
from venues.bybit.simulator.encode import INSTRUMENTS, BookTopic, Encoder, listing
from venues.bybit.simulator.faults import FrameFault, faults
from venues.bybit.simulator.private import rest as private_rest
from venues.bybit.simulator.private import socket as private_socket
from venues.bybit.simulator.private.keys import MATCHING_RULES
from venues.bybit.simulator.private.orders import Orders
from venues.bybit.simulator.private.socket import PRIVATE_PATH, TRADE_PATH, PrivateSession
from venues.bybit.simulator.streams import BybitStreams, book_depth

PATH = "/v5/public/spot"
RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=500,
    streams_max=1000,
    lifetime_s=7 * 24 * 3600,
    idle_s=600,
)
TOPICS_PER_REQUEST_MAX = 10
TOPICS_LENGTH_MAX = 21_000
"""Characters of all topics of one connection."""


class _Call(msgspec.Struct):
    """``{"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT"]}``"""

    op: str = ""
    args: list[str] = []
    req_id: str | int = ""


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class BybitSession(Session):
    """A connection, which Bybit names in every answer."""

    name: str = ""


class BybitSpot:
    """``Dialect`` of Bybit spot."""

    hosts: Collection[str] = ("api.bybit.com", "stream.bybit.com")
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    matching_rules = MATCHING_RULES

    def __init__(self) -> None:
        self._orders = Orders()
        self._streams = BybitStreams()
        self._encoder = Encoder(self._streams)
        self._connections = itertools.count(1)
        self.capture: CaptureFormat = BybitCapture(self._streams)
        self.faults: Mapping[str, FrameFault] = faults(self._encoder)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """One path for all topics of spot markets, and two for accounts."""
        path = path.rstrip("/")
        if path not in (PATH, PRIVATE_PATH, TRADE_PATH):
            return None
        name = f"simulated-{next(self._connections)}"
        if path == PATH:
            return BybitSession(name=name)
        return PrivateSession(name=name, trades=path == TRADE_PATH)

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT"]}``"""
        if isinstance(session, PrivateSession):
            return private_socket.receive(session, text, market_view, self._orders)
        try:
            call = _call.decode(text)
        except msgspec.DecodeError as error:
            return [_reply(session, _Call(), f"Failed to decode incoming data:{error}")]
        if call.op == "ping":
            return [_reply(session, call, message="pong")]
        if call.op == "subscribe":
            return [*self._subscribe(session, call, market_view)]
        if call.op == "unsubscribe":
            for name in call.args:
                session.streams.pop(name, None)
            return [_reply(session, call)]
        return [_reply(session, call, "error:invalid op")]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """Nothing is said by the clock alone."""
        return []

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if request.path in private_rest.PATHS:
            return await private_rest.answer(request, market_view, self._orders)
        return await rest.answer(request, market_view, self._book)

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

    def _book(self, symbol: str, depth: int) -> BookTopic | None:
        return self._encoder.book(self._streams.get(f"orderbook.{depth}.{symbol}".encode()))

    def _subscribe(self, session: Session, call: _Call, market_view: MarketView) -> Sequence[bytes]:
        """All or nothing. What a book topic has told so far follows the acknowledgement."""
        streams = {name: self._streams.get(name.encode()) for name in call.args}
        refusal = _refusal(session, streams, market_view)
        if refusal:
            return [_reply(session, call, refusal)]
        session.streams.update(streams)
        books = (self._encoder.snapshot(one) for one in streams.values() if book_depth(one))
        return [_reply(session, call), *(book for book in books if book is not None)]


def _refusal(session: Session, streams: Mapping[str, Stream], market_view: MarketView) -> str:
    """Why these topics cannot be had, in Bybit's words; of the length limit they are not known."""
    if len(streams) > TOPICS_PER_REQUEST_MAX:
        return "args size >10"
    listed = {listing.symbol for listing in market_view.listings()}
    for name, stream in streams.items():
        if stream.channel is Channel.OTHER:
            return f"error:handler not found,topic:{name}"
        if stream.symbol not in listed:
            return f"Invalid symbol :[{name}]"
        if name in session.streams:
            return f"error:already subscribed,topic:{name}"
    if sum(map(len, (*session.streams, *streams))) > TOPICS_LENGTH_MAX:
        return f"args length >{TOPICS_LENGTH_MAX}"
    return ""


def _reply(session: Session, call: _Call, refusal: str = "", message: str = "") -> bytes:
    """``{"success":true,"ret_msg":"subscribe","conn_id":"…","req_id":"1","op":"subscribe"}``"""
    assert isinstance(session, BybitSession)
    reply = {
        "success": not refusal,
        "ret_msg": refusal or message or call.op,
        "conn_id": session.name,
        "req_id": str(call.req_id),
        "op": call.op,
    }
    return msgspec.json.encode(reply)


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"bybit": BybitSpot}
