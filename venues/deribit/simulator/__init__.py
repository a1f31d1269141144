"""Deribit as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. The conversation is here, the names of channels in
``streams``, the methods in ``rest``, instruments in ``contracts``, the lines of captures in
``capture``, a simulated market's frames in ``encode``, what can go wrong in ``faults``, what
concerns an account in ``private`` and its neighbours.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from venues.deribit.simulator import rest
from venues.deribit.simulator.capture import DeribitCapture
from venues.deribit.simulator.contracts import listing, native_symbol
from venues.deribit.simulator.encode import Encoder
from venues.deribit.simulator.faults import TEST_REQUEST, TOO_MANY_REQUESTS, DeribitFaults
from venues.deribit.simulator.private import rest as private_rest
from venues.deribit.simulator.private.keys import MATCHING_RULES, Gate
from venues.deribit.simulator.private.socket import AccountSessions, Member
from venues.deribit.simulator.rest import BASE_PATH, DeribitApiError, envelope, wrong
from venues.deribit.simulator.streams import NAME, RAW, DeribitStreams

PATH = "/ws/api/v2"
HEARTBEAT_S_MIN = 10
RULES = ConnectionRules(
    ping_interval_s=30,
    pong_timeout_s=90,
    messages_per_second_max=1000,  # credits end a connection before
    streams_max=500,
    lifetime_s=7 * 24 * 3600,
    idle_s=None,
    subscribe_within_s=None,
)
INSTRUMENTS = (
    Instrument("BTC", "USD", 1, 0, 5, 61_800.0, 3_000.0, 0.030, 4.0, lot_units=10),
    Instrument("ETH", "USD", 2, 0, 5, 2_650.0, 2_000.0, 0.035, 3.0),
)
"""Inverse perpetuals: sizes are US dollars, in contracts of 10 and of 1."""
CREDITS_PER_SECOND = 10_000
CREDITS, CALL_COST = 50_000, 500
SUBSCRIPTION_CREDITS, SUBSCRIPTION_COST = 30_000, 3_000
"""Who has none left is told so and sent away."""
HEARTBEAT = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'


class _Call(msgspec.Struct):
    method: str
    params: dict[str, Any] = {}
    id: int | str | None = None


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class DeribitSession(Session):
    """A connection, whether its client still answers, and how much it may still ask."""

    credits: int = CREDITS
    subscription_credits: int = SUBSCRIPTION_CREDITS
    heartbeat_s: int = 0
    """How often the client wants to hear something; 0: never."""
    age_s: int = 0
    heard: bool = False
    """Whether the client has said something since the last heartbeat."""
    asked: bool = False
    """Whether it was asked to answer, and has not yet."""
    member: Member = field(default_factory=Member)


class Deribit:
    """``Dialect`` of Deribit."""

    hosts: Collection[str] = ("www.deribit.com",)
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    matching_rules = MATCHING_RULES

    def __init__(self) -> None:
        self._gate = Gate()
        self._lounge = AccountSessions(self._gate)
        self._streams = DeribitStreams()
        self._encoder = Encoder(self._streams)
        self.capture: CaptureFormat = DeribitCapture(self._streams)
        self._markets: dict[str, Instrument] = {}
        """By native symbol; there may come more."""
        self._own_faults = DeribitFaults()
        self.faults = self._own_faults.by_name

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        return DeribitSession() if path.rstrip("/") == PATH else None

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":[…]}}``"""
        assert isinstance(session, DeribitSession)
        session.heard = True
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [envelope({"error": DeribitApiError(-32700, "Parse error").error}, market_view)]
        session.asked = session.asked and call.method != "public/test"
        if not _paid(session, call.method):
            session.closing = "too many requests"
            return [TOO_MANY_REQUESTS]
        try:
            if _concerns_account(call.method):
                member = session.member
                work = self._lounge.perform(session, member, call.method, text, market_view)
                result, more = await work, list[bytes]()
            else:
                result, more = await self._perform(session, call, market_view)
        except DeribitApiError as refusal:
            return [envelope({"id": call.id, "error": refusal.error}, market_view)]
        return [envelope({"id": call.id, "result": result}, market_view), *more]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """Heartbeats, as often as the client wants them; with a question when it was silent. Who
        does not answer until the next one is gone."""
        assert isinstance(session, DeribitSession)
        session.age_s += 1
        session.credits = min(session.credits + CREDITS_PER_SECOND, CREDITS)
        more = session.subscription_credits + CREDITS_PER_SECOND
        session.subscription_credits = min(more, SUBSCRIPTION_CREDITS)
        if self._own_faults.ends(session.streams.values()):
            session.closing = "too many requests"
        if not session.heartbeat_s or session.age_s % session.heartbeat_s:
            return []
        if session.asked:
            session.closing = "no answer to a test request"
        if session.heard:
            session.heard = False
            return [HEARTBEAT]
        session.asked = True
        return [HEARTBEAT, TEST_REQUEST]

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if _concerns_account(request.path.removeprefix(BASE_PATH)):
            return await private_rest.answer(request, market_view, self._gate)
        return await rest.answer(request, market_view)

    def path_of(self, text: str) -> str:
        """``private/buy`` of such a message."""
        try:
            method = _call.decode(text).method
        except msgspec.DecodeError:
            return ""
        return method if method.removeprefix("private/") in private_rest.METHODS else ""

    def failure_of(self, text: str) -> bytes:
        """Something in the exchange goes wrong: whether the order was taken is not known."""
        error = {"message": "timed_out", "code": 13888}
        reply = {"jsonrpc": "2.0", "id": _call.decode(text).id, "error": error}
        return msgspec.json.encode({**reply, "testnet": False})

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    async def _perform(
        self, session: DeribitSession, call: _Call, market_view: MarketView
    ) -> tuple[object, list[bytes]]:
        """The result, and what a new subscription begins with."""
        if call.method == "public/subscribe":
            return self._subscribe(session, _channels(call), market_view)
        if call.method in ("public/unsubscribe", "public/unsubscribe_all"):
            gone = list(session.streams) if call.method.endswith("_all") else _channels(call)
            known = [name for name in gone if session.streams.pop(name, None) is not None]
            return "ok" if call.method.endswith("_all") else known, []
        if call.method == "public/set_heartbeat":
            interval = call.params.get("interval")
            if not isinstance(interval, int) or interval < HEARTBEAT_S_MIN:
                raise wrong("interval", f"must be at least {HEARTBEAT_S_MIN}")
            session.heartbeat_s, session.age_s = interval, 0
            return "ok", []
        if call.method == "public/disable_heartbeat":
            session.heartbeat_s = 0
            return "ok", []
        parameters = {name: str(value) for name, value in call.params.items()}
        return await rest.perform(call.method, parameters, market_view), []

    def _subscribe(
        self, session: DeribitSession, names: Sequence[str], market_view: MarketView
    ) -> tuple[list[str], list[bytes]]:
        """What is wrong, or not for everyone, is left out of the answer without a word."""
        listed = {one.symbol: one for one in market_view.listings()}
        accepted: list[str] = []
        begin: list[bytes] = []
        for name in dict.fromkeys(names):
            stream = self._streams.get(name)
            known = NAME.fullmatch(name) and not name.endswith(RAW) and stream.symbol in listed
            full = len(session.streams) >= RULES.streams_max and name not in session.streams
            if not known or full or self._own_faults.omits(stream):
                continue
            accepted.append(name)
            is_book = stream.channel is Channel.BOOK and name not in session.streams
            if is_book and not listed[stream.symbol].derived:
                # A tape brings its own snapshots.
                instrument = self._markets[stream.symbol]
                begin.append(self._encoder.snapshot(instrument, market_view.time_ns()))
            session.streams[name] = stream
        return accepted, begin

    def list(self, instrument: Instrument) -> Listing:
        self._markets[native_symbol(instrument)] = instrument
        return listing(instrument)


def _concerns_account(method: str) -> bool:
    return method.startswith("private/") or method == "public/auth"


def _paid(session: DeribitSession, method: str) -> bool:
    """Subscriptions have credits of their own."""
    if method in ("public/subscribe", "public/unsubscribe"):
        session.subscription_credits -= SUBSCRIPTION_COST
    else:
        session.credits -= CALL_COST
    return min(session.subscription_credits, session.credits) >= 0


def _channels(call: _Call) -> list[str]:
    names = call.params.get("channels")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong("channels", "must be a list of names")
    return names


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"deribit": Deribit}
