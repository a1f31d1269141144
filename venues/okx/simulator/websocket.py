"""OKX's websockets: public channels, channels of an account, and orders.

Documentation: https://www.okx.com/docs-v5/en/#overview-websocket and
#order-book-trading-trade-ws-place-order
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.simulator.dialect import MarketView, WebsocketSession
from kit.simulator.exchange.account_feed import report_account
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.exchange.streams import AccountStreams, StreamRegistry
from kit.simulator.text_conversion import whole
from venues.okx.simulator.authentication import key_of_login
from venues.okx.simulator.encode import OkxEncoder
from venues.okx.simulator.errors import ERRORS, NOT_LOGGED_IN
from venues.okx.simulator.faults import CONNECTION, SERVICE_UPGRADE
from venues.okx.simulator.orders import Handle, OkxOrders, batch, cancel, texts_of
from venues.okx.simulator.private_stream import OkxAccountFeed
from venues.okx.simulator.streams import ACCOUNT_CHANNELS, ADDRESSES

ROOT = "/ws/v5/"
NAMES = ("public", "business", "private")
PRIVATE_MESSAGES_PER_SECOND_MAX = 1_000
NOTICE_S = 30
"""How long after the notice of a service upgrade a connection is closed."""
REPEATED_S = 5
"""How often the account and the positions are sent again."""
WRONG_CHANNEL = (
    "Wrong URL or channel:{channel},instId:{name} doesn't exist. Please use the correct URL, "
    "channel and parameters referring to API document."
)
TIMEOUT = (
    "Endpoint request timeout (does not mean that the request was successful or failed, please "
    "check the request result)."
)


class _Call(msgspec.Struct):
    """``{"id":"1","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}``"""

    op: str = ""
    args: list[dict[str, Any]] = []
    id: str | None = None


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class OkxSession(WebsocketSession):
    """A connection to one of the addresses."""

    address: str = "public"
    closes_in_s: int = 0
    """After the notice of a service upgrade; 0: there was none."""
    feed: OkxAccountFeed | None = None
    """None: it is not logged in."""
    arguments: dict[str, dict[str, str]] = field(default_factory=dict)
    """Its subscriptions to channels of the account, by the text of the argument."""
    seconds: int = 0
    """Since the first of these subscriptions."""

    def notice(self, payload: bytes) -> bytes:
        """Sees each payload that is sent, and leaves it as it is."""
        if payload == SERVICE_UPGRADE:
            self.closes_in_s = NOTICE_S
        return payload


class OkxWebsocket:
    """All websockets."""

    def __init__(self, streams: StreamRegistry, encoder: OkxEncoder, orders: OkxOrders) -> None:
        self._streams = streams
        self._account_streams = AccountStreams()
        self._encoder = encoder
        self._orders = orders
        self._operations: Mapping[str, Handle] = {
            "order": orders.place,
            "batch-orders": orders.place,
            "amend-order": orders.amend,
            "cancel-order": cancel,
        }

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        """``/ws/v5/public``, ``/ws/v5/business`` or ``/ws/v5/private``."""
        address = path.removeprefix(ROOT)
        if not path.startswith(ROOT) or address not in NAMES:
            return None
        session = OkxSession(address=address)
        session.shape = session.notice
        if address == "private":
            session.messages_per_second_max = PRIVATE_MESSAGES_PER_SECOND_MAX
        return session

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        assert isinstance(session, OkxSession)
        if text == "ping":
            return [b"pong"]
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [_illegal(text)]
        if call.op == "login" and session.address != "public":
            return [self._log_in(session, call, market_view)]
        if call.op in self._operations and session.address == "private":
            return [self._operate(session, call)]
        if call.op not in ("subscribe", "unsubscribe") or not call.args:
            return [_illegal(text)]
        change = self._subscribe if call.op == "subscribe" else self._unsubscribe
        return [
            answer
            for one in call.args
            for answer in change(session, texts_of(one), call.id, market_view)
        ]

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        """The account and the positions, from time to time."""
        assert isinstance(session, OkxSession)
        if session.closes_in_s:
            session.closes_in_s -= 1
            if not session.closes_in_s:
                session.closing = "service upgrade"
        if session.feed is None or not session.arguments:
            return []
        session.seconds += 1
        if session.seconds % REPEATED_S:
            return []
        subscriptions, feed = session.arguments.values(), session.feed
        return [frame for one in subscriptions for frame in feed.all_of(one, "event_update")]

    def path_of(self, text: str) -> str:
        """``order`` for such a message; "" for any other."""
        try:
            operation = _call.decode(text).op
        except msgspec.DecodeError:
            return ""
        return operation if operation in self._operations else ""

    def failure_of(self, text: str) -> bytes:
        """An error inside the exchange: it is not known whether the order was accepted."""
        return _rejected(_call.decode(text), ApiError("50004", TIMEOUT))

    def _log_in(self, session: OkxSession, call: _Call, market_view: MarketView) -> bytes:
        """A second login changes nothing."""
        login = ApiCall(texts_of(call.args[0]) if call.args else {}, market_view, ERRORS)
        try:
            login = ApiCall({}, market_view, ERRORS, key_of_login(login))
        except ApiError as error:
            return _failed(call.id, ERRORS.of(error))
        if session.feed is None:
            streams = self._account_streams
            session.feed = OkxAccountFeed(login, session.arguments, self._orders, streams)
            session.streams["login"] = streams.get("login")
            report_account(session, login.engine, login.account, session.feed.frames_of)
        return _event("login", call.id, code="0", msg="")

    def _operate(self, session: OkxSession, call: _Call) -> bytes:
        if session.feed is None:
            return _rejected(call, NOT_LOGGED_IN)
        login = session.feed.call
        items = [_with_symbol(texts_of(one), login) for one in call.args]
        try:
            answer = batch(login, self._operations[call.op], items)
        except ApiError as error:
            return _rejected(call, ERRORS.of(error))
        return msgspec.json.encode({"id": call.id, "op": call.op, **answer})

    def _subscribe(
        self,
        session: OkxSession,
        argument: dict[str, str],
        call_id: str | None,
        market_view: MarketView,
    ) -> list[bytes]:
        """Each argument is confirmed or rejected by itself."""
        channel, name = argument.get("channel", ""), argument.get("instId", "")
        confirmed = _event("subscribe", call_id, arg=argument)
        if channel in ACCOUNT_CHANNELS and session.address == ACCOUNT_CHANNELS[channel]:
            if session.feed is None:
                return [_failed(call_id, NOT_LOGGED_IN)]
            text = _text(argument)
            session.arguments[text] = argument
            session.streams[text] = self._account_streams.get(channel, name)
            return [confirmed, *session.feed.all_of(argument, "snapshot")]
        stream = self._streams.get(f"{channel}:{name}")
        # Lines late in a capture may be about symbols that its head does not have.
        is_listed = any(
            one.symbol == stream.symbol or one.derived for one in market_view.listings()
        )
        if ADDRESSES.get(channel) != session.address or not is_listed:
            message = WRONG_CHANNEL.format(channel=channel[:60], name=name[:60])
            return [_failed(call_id, ApiError("60018", message))]
        session.streams[stream.name] = stream
        return [confirmed, *self._encoder.first(stream, market_view)]

    def _unsubscribe(
        self,
        session: OkxSession,
        argument: dict[str, str],
        call_id: str | None,
        market_view: MarketView,
    ) -> list[bytes]:
        text = _text(argument)
        session.arguments.pop(text, None)
        session.streams.pop(text, None)
        session.streams.pop(f"{argument.get('channel', '')}:{argument.get('instId', '')}", None)
        return [_event("unsubscribe", call_id, arg=argument)]


def _with_symbol(item: dict[str, str], call: ApiCall) -> dict[str, str]:
    """The item with the ``instId`` of its ``instIdCode``; its own ``instId`` is not read."""
    if "instIdCode" not in item:
        return {**item, "instId": ""}
    listings = call.market_view.listings()
    code = whole(item["instIdCode"]) or 0
    symbol = listings[code - 1].symbol if 0 < code <= len(listings) else "unknown"
    return {**item, "instId": symbol}


def _text(argument: Mapping[str, str]) -> str:
    return msgspec.json.encode(argument).decode()


def _rejected(call: _Call, error: ApiError) -> bytes:
    """The answer to an operation: ``{"id","op","code","msg","data":[]}``"""
    reply = {"id": call.id, "op": call.op, "code": error.code, "msg": error.message}
    return msgspec.json.encode({**reply, "data": []})


def _event(event: str, call_id: str | None, **rest: object) -> bytes:
    named = {} if call_id is None else {"id": call_id}
    return msgspec.json.encode({**named, "event": event, **rest, "connId": CONNECTION})


def _failed(call_id: str | None, error: ApiError) -> bytes:
    return _event("error", call_id, code=error.code, msg=error.message)


def _illegal(text: str) -> bytes:
    return _failed(None, ApiError("60012", f"Illegal request: {text[:500]}"))
