"""OKX as an exchange would speak it, spot and swaps: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of channels in
``streams``, the REST calls in ``rest``, the lines of captures in ``capture``, a simulated market's
frames in ``encode`` and ``books``, what the two kinds of instruments do not share in ``listings``.
What needs a key is in ``private``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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
from kit.simulator.matching.contract import MatchingRules, RejectCode, Status
from venues.okx.simulator import listings, rest
from venues.okx.simulator.capture import OkxCapture
from venues.okx.simulator.encode import Encoder
from venues.okx.simulator.faults import SERVICE_UPGRADE, Fault, faults
from venues.okx.simulator.listings import Segment
from venues.okx.simulator.private.orders import Orders
from venues.okx.simulator.private.rest import PrivateRest
from venues.okx.simulator.private.rows import SELF_TRADE_USUAL
from venues.okx.simulator.private.socket import MESSAGES_PER_SECOND_MAX, Private, PrivateSocket
from venues.okx.simulator.streams import OkxStreams, access_of, symbol_of

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=10,
    streams_max=10_000,
    lifetime_s=24 * 3600,
    idle_s=30,
    subscribe_within_s=30,
)
ROOT = "/ws/v5/"
ACCESSES = ("public", "business", "private")
CLOSED = (RejectCode.WOULD_TAKE, RejectCode.WOULD_NOT_FILL)
"""Orders are taken all the same, and cancelled at once."""
NOTICE_S = 30
"""A connection ends so long after the notice of a service upgrade."""
CONNECTION = "a4d3ae55"
"""What stands for the connection's id in every answer."""
WRONG_CHANNEL = (
    "Wrong URL or channel:{channel},instId:{name} doesn't exist. Please use the correct URL, "
    "channel and parameters referring to API document."
)


class _Argument(msgspec.Struct):
    channel: str = ""
    instId: str = ""  # noqa: N815 - OKX's word


class _Call(msgspec.Struct):
    op: str = ""
    args: list[_Argument] = []
    id: str | None = None


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class OkxSession(Session):
    """A connection to one of the addresses."""

    access: str = "public"
    ends_in_s: int = 0
    """After the notice of a service upgrade; 0: there was none."""
    private: Private = field(default_factory=Private)

    def hear(self, text: bytes) -> bytes:
        """What is sent passes here, unchanged."""
        if text == SERVICE_UPGRADE:
            self.ends_in_s = NOTICE_S
        return text


class Okx:
    """``Dialect`` of OKX, of the instruments of one segment."""

    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES

    def __init__(self, segment: Segment, hosts: Collection[str]) -> None:
        self.hosts = hosts
        self.instruments: Sequence[Instrument] = segment.instruments
        self._segment = segment
        self.matching_rules = MatchingRules(
            tiers=segment.fee_tiers,
            self_trade=SELF_TRADE_USUAL,
            outcomes=dict.fromkeys(CLOSED, Status.CANCELLED),
        )
        orders = Orders()
        self._rest = PrivateRest(self.matching_rules, orders)
        self._socket = PrivateSocket(self.matching_rules, orders, self._rest)
        self._streams = OkxStreams()
        self._encoder = Encoder(self._streams, segment)
        self.capture: CaptureFormat = OkxCapture(self._streams)
        self.faults: Mapping[str, Fault] = faults(self._encoder)

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """``/ws/v5/public``, ``/ws/v5/business`` or ``/ws/v5/private``."""
        access = path.removeprefix(ROOT)
        if not path.startswith(ROOT) or access not in ACCESSES:
            return None
        session = OkxSession(access=access)
        session.shape = session.hear
        if access == "private":
            session.messages_per_second_max = MESSAGES_PER_SECOND_MAX
        return session

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"id":"1","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}``"""
        if text == "ping":
            return [b"pong"]
        if isinstance(session, OkxSession) and session.access != "public":
            private = session.private
            told = self._socket.receive(session, private, session.access, text, market_view)
            if told is not None:
                return told
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [_illegal(text)]
        if call.op not in ("subscribe", "unsubscribe") or not call.args:
            return [_illegal(text)]
        change = self._subscribe if call.op == "subscribe" else self._unsubscribe
        return [
            answer for one in call.args for answer in change(session, one, call.id, market_view)
        ]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """Nothing is said by the clock but what is subscribed to. What was given notice, ends."""
        if not isinstance(session, OkxSession):
            return []
        if session.ends_in_s:
            session.ends_in_s -= 1
            if not session.ends_in_s:
                session.closing = "service upgrade"
        return self._socket.tick(session.private)

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        private = await self._rest.answer(request, market_view)
        return private or await rest.answer(request, market_view, self._encoder.told)

    def path_of(self, text: str) -> str:
        """Of an operation over a websocket."""
        return self._socket.path_of(text)

    def failure_of(self, text: str) -> bytes:
        """The answer to one when nobody knows what has become of it."""
        return self._socket.failure_of(text)

    def list(self, instrument: Instrument) -> Listing:
        return self._segment.listing(instrument)

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    def _subscribe(
        self, session: Session, one: _Argument, call_id: str | None, market_view: MarketView
    ) -> Sequence[bytes]:
        """Each argument is confirmed or refused for itself."""
        access = session.access if isinstance(session, OkxSession) else ""
        if access_of(one.channel) != access or not _is_known(one, market_view):
            message = WRONG_CHANNEL.format(channel=one.channel[:60], name=one.instId[:60])
            return [_event("error", call_id, code="60018", msg=message)]
        stream = self._streams.get(one.channel, one.instId)
        session.streams[stream.name] = stream
        confirmed = _event("subscribe", call_id, arg=msgspec.to_builtins(one))
        return [confirmed, *self._encoder.greeting(stream, market_view)]

    def _unsubscribe(
        self, session: Session, one: _Argument, call_id: str | None, market_view: MarketView
    ) -> Sequence[bytes]:
        session.streams.pop(f"{one.channel}:{one.instId}", None)
        return [_event("unsubscribe", call_id, arg=msgspec.to_builtins(one))]


def _is_known(one: _Argument, market_view: MarketView) -> bool:
    """Of a tape only the beginning is known: any name may come."""
    symbol = symbol_of(one.channel, one.instId)
    return any(listing.symbol == symbol or listing.derived for listing in market_view.listings())


def _event(event: str, call_id: str | None, **rest: Any) -> bytes:
    named = {} if call_id is None else {"id": call_id}
    return msgspec.json.encode({**named, "event": event, **rest, "connId": CONNECTION})


def _illegal(text: str) -> bytes:
    return _event("error", None, code="60012", msg=f"Illegal request: {text[:500]}")


DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "okx": partial(Okx, listings.SPOT, ("www.okx.com", "ws.okx.com", "aws.okx.com")),
    "okx_futures": partial(Okx, listings.SWAP, ()),
}
"""Both answer at the same hosts in the real world. By its host name only spot can be reached here,
swaps by the venue's id in the path."""
