"""Deribit's websocket: JSON-RPC methods, channels, heartbeats, and what a lost connection means.

Documentation: https://docs.deribit.com/articles/json-rpc-overview
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from kit.simulator.dialect import Channel, MarketView, WebsocketSession
from kit.simulator.exchange.account_feed import report_account
from kit.simulator.exchange.parameters import json_parameters
from kit.simulator.exchange.rest import NO_KEY, ApiCall, ApiError
from kit.simulator.exchange.streams import AccountStreams, StreamRegistry
from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument
from kit.simulator.matching.contract import ApiKey, MatchingEngine, OrderRejected
from venues.deribit.simulator import private_rest, rest
from venues.deribit.simulator.authentication import DeribitAuthentication
from venues.deribit.simulator.encode import DeribitEncoder
from venues.deribit.simulator.errors import (
    ERRORS,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    TOO_MANY_REQUESTS,
    error_row,
    unauthorized,
    wrong,
)
from venues.deribit.simulator.faults import TEST_REQUEST, DeribitFaults
from venues.deribit.simulator.instruments import listing, native_symbol
from venues.deribit.simulator.private_stream import DeribitAccountFeed
from venues.deribit.simulator.rest import envelope
from venues.deribit.simulator.rows import order_number
from venues.deribit.simulator.streams import ACCOUNT_CHANNEL, NAME, RAW

PATH = "/ws/api/v2"
STREAMS_MAX = 500
HEARTBEAT_S_MIN = 10
HEARTBEAT = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'
CREDITS_PER_SECOND = 10_000
CREDITS, CALL_COST = 50_000, 500
SUBSCRIPTION_CREDITS, SUBSCRIPTION_COST = 30_000, 3_000
"""A connection without credits gets an error and is closed."""
CONNECTION, ACCOUNT = "connection", "account"
PLACING = ("private/buy", "private/sell")


class _Call(msgspec.Struct):
    """``{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":[…]}}``"""

    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | str | None = None


class _Channels(msgspec.Struct):
    channels: list[str]


_call = msgspec.json.Decoder(_Call)
_channels = msgspec.json.Decoder(_Channels)


@dataclass(slots=True)
class DeribitSession(WebsocketSession):
    """A connection: its credits, its heartbeats, and who is signed in."""

    credits: int = CREDITS
    subscription_credits: int = SUBSCRIPTION_CREDITS
    heartbeat_s: int = 0
    """How often the client wants a heartbeat; 0: never."""
    age_s: int = 0
    active: bool = False
    """Whether the client has sent something since the last heartbeat."""
    tested: bool = False
    """Whether a test request awaits its answer."""
    key: ApiKey = NO_KEY
    reports: bool = False
    """Whether the events of the account are reported to it."""
    cancels: bool = False
    """Whether the orders that it placed are cancelled when it ends."""
    placed: set[int] | None = None
    """The numbers of those orders; None: nothing was called yet."""


class DeribitWebsocket:
    """The only websocket."""

    def __init__(
        self,
        streams: StreamRegistry,
        encoder: DeribitEncoder,
        authentication: DeribitAuthentication,
        faults: DeribitFaults,
    ) -> None:
        self._streams = streams
        self._account_streams = AccountStreams()
        self._encoder = encoder
        self._authentication = authentication
        self._faults = faults
        self._markets: dict[str, Instrument] = {}
        """By native symbol."""
        self._cancelling: set[str] = set()
        """Accounts whose new connections cancel their orders when they end."""

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        return DeribitSession() if path.rstrip("/") == PATH else None

    def add(self, instrument: Instrument) -> Listing:
        """The listing of a simulated instrument, whose book channel begins with a snapshot."""
        self._markets[native_symbol(instrument)] = instrument
        return listing(instrument)

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        assert isinstance(session, DeribitSession)
        session.active = True
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [envelope({"error": error_row(PARSE_ERROR)}, market_view)]
        session.tested = session.tested and call.method != "public/test"
        if not _paid(session, call.method):
            session.closing = "too many requests"
            return [TOO_MANY_REQUESTS]
        snapshots: list[bytes] = []
        try:
            result = await self._result(session, call, market_view, snapshots)
        except (ApiError, OrderRejected) as error:
            row = error_row(ERRORS.of(error))
            return [envelope({"id": call.id, "error": row}, market_view)]
        return [envelope({"id": call.id, "result": result}, market_view), *snapshots]

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        """Heartbeats, as often as the client wants them; a test request to a silent client. One
        that does not answer until the next heartbeat is disconnected."""
        assert isinstance(session, DeribitSession)
        session.age_s += 1
        session.credits = min(session.credits + CREDITS_PER_SECOND, CREDITS)
        more = session.subscription_credits + CREDITS_PER_SECOND
        session.subscription_credits = min(more, SUBSCRIPTION_CREDITS)
        if self._faults.ends(session.streams.values()):
            session.closing = "too many requests"
        if not session.heartbeat_s or session.age_s % session.heartbeat_s:
            return []
        if session.tested:
            session.closing = "no answer to a test request"
        if session.active:
            session.active = False
            return [HEARTBEAT]
        session.tested = True
        return [HEARTBEAT, TEST_REQUEST]

    def path_of(self, text: str) -> str:
        """``private/buy`` for such a message; "" for any other."""
        try:
            method = _call.decode(text).method
        except msgspec.DecodeError:
            return ""
        return method if method in private_rest.METHODS else ""

    def failure_of(self, text: str) -> bytes:
        """An error inside the exchange: it is not known whether the order was accepted."""
        error = {"message": "timed_out", "code": 13888}
        reply = {"jsonrpc": "2.0", "id": _call.decode(text).id, "error": error}
        return msgspec.json.encode({**reply, "testnet": False})

    async def _result(
        self, session: DeribitSession, call: _Call, market_view: MarketView, snapshots: list[bytes]
    ) -> object:
        """The result of a method. Raises ApiError and OrderRejected."""
        try:
            asked = ApiCall(json_parameters(bytes(call.params)), market_view, ERRORS)
        except ValueError:
            raise wrong("params", "must be an object") from None
        match call.method:
            case "public/subscribe":
                return self._subscribe(session, _names(call), market_view, snapshots)
            case "public/unsubscribe" | "private/unsubscribe":
                names = _names(call)
                return [one for one in names if session.streams.pop(one, None) is not None]
            case "public/unsubscribe_all":
                session.streams.clear()
                return "ok"
            case "public/set_heartbeat":
                session.heartbeat_s, session.age_s = asked.integer("interval"), 0
                if session.heartbeat_s < HEARTBEAT_S_MIN:
                    session.heartbeat_s = 0
                    raise wrong("interval", f"must be at least {HEARTBEAT_S_MIN}")
                return "ok"
            case "public/auth":
                return self._sign_in(session, asked)
            case method if method.startswith("private/"):
                return await self._private(session, call, asked)
        return await _performed(rest.METHODS, call.method, asked)

    def _subscribe(
        self,
        session: DeribitSession,
        names: Sequence[str],
        market_view: MarketView,
        snapshots: list[bytes],
    ) -> list[str]:
        """Channels that do not exist, or need a key, are left out of the answer."""
        listed = {one.symbol: one for one in market_view.listings()}
        accepted: list[str] = []
        for name in dict.fromkeys(names):
            stream = self._streams.get(name)
            known = NAME.fullmatch(name) and not name.endswith(RAW) and stream.symbol in listed
            full = len(session.streams) >= STREAMS_MAX and name not in session.streams
            if not known or full or self._faults.omits(stream):
                continue
            accepted.append(name)
            is_book = stream.channel is Channel.BOOK and name not in session.streams
            if is_book and not listed[stream.symbol].derived:
                # A capture has its own snapshots.
                instrument = self._markets[stream.symbol]
                snapshots.append(self._encoder.snapshot(instrument, market_view.time_ns()))
            session.streams[name] = stream
        return accepted

    def _sign_in(self, session: DeribitSession, asked: ApiCall) -> object:
        key = self._authentication.key_of_grant(asked)
        if session.key is not NO_KEY and session.key.account != key.account:
            raise unauthorized("other_account")
        session.key = key
        session.cancels = session.cancels or key.account in self._cancelling
        return self._authentication.tokens_of(key, True, asked)

    async def _private(self, session: DeribitSession, call: _Call, asked: ApiCall) -> object:
        """A method of an account."""
        token, key = asked.text("access_token"), session.key
        if token:
            key = self._authentication.key_of_token(token, asked.now_ns)
        if key is NO_KEY:
            raise unauthorized()
        asked = asked.signed_by(key)
        if call.method == "private/subscribe":
            return self._subscribe_account(session, _names(call), asked)
        if call.method.endswith("cancel_on_disconnect"):
            return self._cancel_on_disconnect(call.method, session, asked)
        placed = _placed_by(session, key.account, asked.engine)
        result = await _performed(private_rest.METHODS, call.method, asked)
        if call.method in PLACING and isinstance(result, dict):
            placed.add(order_number(result["order"]["order_id"]))
        return result

    def _subscribe_account(
        self, session: DeribitSession, names: Sequence[str], asked: ApiCall
    ) -> list[str]:
        accepted = [name for name in dict.fromkeys(names) if ACCOUNT_CHANNEL.fullmatch(name)]
        session.streams.update({name: self._account_streams.get(name) for name in accepted})
        if accepted and not session.reports:
            session.reports = True
            feed = DeribitAccountFeed(session, asked.account, asked.market_view)
            report_account(session, asked.engine, asked.account, feed.frames_of)
        return accepted

    def _cancel_on_disconnect(self, method: str, session: DeribitSession, asked: ApiCall) -> object:
        scope = asked.text("scope", CONNECTION)
        if scope not in (CONNECTION, ACCOUNT):
            raise wrong("scope", "must be connection or account")
        if method.startswith("private/get_"):
            on = session.cancels if scope == CONNECTION else asked.account in self._cancelling
            return {"scope": scope, "enabled": on}
        session.cancels = method.startswith("private/enable_")
        if scope == ACCOUNT and session.cancels:
            self._cancelling.add(asked.account)
        elif scope == ACCOUNT:
            self._cancelling.discard(asked.account)
        return "ok"


def _placed_by(session: DeribitSession, account: str, engine: MatchingEngine) -> set[int]:
    """The orders of a connection, which may be cancelled when it ends."""
    if session.placed is not None:
        return session.placed
    placed = session.placed = set()

    def ended() -> None:
        for number in sorted(placed) if session.cancels else ():
            try:
                engine.cancel(account, number)
            except OrderRejected:
                continue

    session.when_closed.append(ended)
    return placed


def _paid(session: DeribitSession, method: str) -> bool:
    """Whether the connection has credits for a call. Subscriptions have credits of their own."""
    if method in ("public/subscribe", "public/unsubscribe"):
        session.subscription_credits -= SUBSCRIPTION_COST
    else:
        session.credits -= CALL_COST
    return min(session.subscription_credits, session.credits) >= 0


def _names(call: _Call) -> list[str]:
    try:
        return _channels.decode(call.params).channels
    except msgspec.DecodeError:
        raise wrong("channels", "must be a list of names") from None


async def _performed(methods: Mapping[str, object], method: str, asked: ApiCall) -> object:
    handler = methods.get(method)
    if not callable(handler):
        raise METHOD_NOT_FOUND
    result = handler(asked)
    return await result if inspect.isawaitable(result) else result
