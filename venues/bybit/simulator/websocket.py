"""Bybit's websockets: public topics, topics of an account, and orders.

Documentation: https://bybit-exchange.github.io/docs/v5/ws/connect
https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
A topic of an account begins with silence: a client asks over REST for what there was before.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import Channel, ExchangeStream, MarketView, WebsocketSession
from kit.simulator.exchange.account_feed import report_account
from kit.simulator.exchange.bounded_cache import BoundedCache
from kit.simulator.exchange.rest import NO_KEY, ApiCall, ApiError, engine_of
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.matching.contract import ApiKey, OrderRejected
from venues.bybit.simulator.authentication import check_time, key_of_socket
from venues.bybit.simulator.encode import BybitEncoder
from venues.bybit.simulator.errors import ERRORS, PARAMETER_ERROR, SYSTEM_ERROR
from venues.bybit.simulator.orders import BybitOrders
from venues.bybit.simulator.private_stream import BybitAccountFeed
from venues.bybit.simulator.rest import Row
from venues.bybit.simulator.streams import ACCOUNT_TOPICS, book_depth

PUBLIC_PATH, PRIVATE_PATH, TRADE_PATH = "/v5/public/spot", "/v5/private", "/v5/trade"
TOPICS_PER_REQUEST_MAX = 10
TOPICS_LENGTH_MAX = 21_000
"""Characters of all topics of one connection."""
WATCHING = "dcp.spot"
"""The topic of a connection whose end may cancel the account's orders."""
ORDER_OPERATIONS = ("order.create", "order.amend", "order.cancel")
REQUEST_IDS_MAX = 10_000
"""So many are remembered for a connection."""
REPEATED_LOGIN = ApiError(20001, "Repeat auth")
NOT_AUTHORIZED = ApiError(10005, "Request not authorized")
NO_SUCH_OPERATION = ApiError(10404, "op type is not found")
DUPLICATE_REQUEST = ApiError(20006, "reqId is duplicated")
WRONG_SIGNATURE = ApiError(10004, "Invalid sign")


class _Call(msgspec.Struct):
    """``{"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT"]}``,
    ``{"op":"auth","args":["key",1662350400000,"signature"]}`` or ``{"op":"order.create",…}``"""

    op: str = ""
    args: list[msgspec.Raw] = []
    req_id: str | int = ""
    request_id: str = msgspec.field(default="", name="reqId")
    header: dict[str, str | int] = {}


_call = msgspec.json.Decoder(_Call)
_texts = msgspec.json.Decoder(list[str])
_login = msgspec.json.Decoder(list[str | int])


@dataclass(slots=True)
class BybitSession(WebsocketSession):
    """A connection. Bybit repeats its name in every answer."""

    path: str = PUBLIC_PATH
    name: str = ""
    key: ApiKey = NO_KEY
    reports: bool = False
    """Whether the events of the account are reported to it."""
    request_ids: BoundedCache[str, None] = field(
        default_factory=lambda: BoundedCache(REQUEST_IDS_MAX)
    )
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class BybitWebsocket:
    """All websockets."""

    def __init__(self, streams: StreamRegistry, encoder: BybitEncoder, orders: BybitOrders) -> None:
        self._streams = streams
        self._encoder = encoder
        self._orders = orders
        self._operations: Mapping[str, Callable[[ApiCall], Row]] = dict(
            zip(ORDER_OPERATIONS, (orders.create, orders.amend, orders.cancel), strict=True)
        )
        self._connections = itertools.count(1)

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        """One path for all topics of spot markets, and two for accounts."""
        path = path.rstrip("/")
        if path not in (PUBLIC_PATH, PRIVATE_PATH, TRADE_PATH):
            return None
        return BybitSession(path=path, name=f"simulated-{next(self._connections)}")

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        assert isinstance(session, BybitSession)
        try:
            call = _call.decode(text)
            if session.path == TRADE_PATH:
                return [self._trade(session, call, market_view)]
            if call.op == "ping":
                return [_pong(session, call, market_view)]
            if call.op == "auth" and session.path == PRIVATE_PATH:
                session.key = _signed_in(call, market_view) or NO_KEY
                return [_reply(session, call, "" if session.key is not NO_KEY else "Params Error")]
            if call.op not in ("subscribe", "unsubscribe"):
                return [_reply(session, call, "error:invalid op")]
            names = [_texts.decode(b"[%s]" % bytes(one))[0] for one in call.args]
        except msgspec.DecodeError as error:
            return [_reply(session, _Call(), f"Failed to decode incoming data:{error}")]
        return self._change_subscriptions(session, call, names, market_view)

    def path_of(self, text: str) -> str:
        """``order.create`` for such a message; "" for any other."""
        try:
            operation = _call.decode(text).op
        except msgspec.DecodeError:
            return ""
        return operation if operation in ORDER_OPERATIONS else ""

    def failure_of(self, text: str) -> bytes:
        """An error inside the exchange: it is not known whether the order was accepted."""
        call = _call.decode(text)
        reply = {
            "reqId": call.request_id,
            "retCode": SYSTEM_ERROR,
            "retMsg": "Internal server error.",
            "data": {},
        }
        return msgspec.json.encode({**reply, "op": call.op, "retExtInfo": {}, "connId": ""})

    def _change_subscriptions(
        self, session: BybitSession, call: _Call, names: Sequence[str], market_view: MarketView
    ) -> list[bytes]:
        """All or nothing. A book topic sends the book after the acknowledgement."""
        is_private = session.path == PRIVATE_PATH
        if is_private and session.key is NO_KEY:
            return [_reply(session, call, "Request not authorized")]
        if call.op == "unsubscribe":
            for name in names:
                session.streams.pop(name, None)
            return [_reply(session, call)]
        if is_private:
            streams = {name: ACCOUNT_TOPICS.get(name, _no_topic(name)) for name in names}
        else:
            streams = {name: self._streams.get(name) for name in names}
        objection = _objection(session, streams, market_view)
        if objection:
            return [_reply(session, call, objection)]
        session.streams.update(streams)
        if is_private:
            self._report(session, names, market_view)
        books = (self._encoder.snapshot(one) for one in streams.values() if book_depth(one))
        return [_reply(session, call), *(book for book in books if book is not None)]

    def _report(self, session: BybitSession, names: Sequence[str], market_view: MarketView) -> None:
        engine, account = engine_of(market_view, ERRORS), session.key.account
        if WATCHING in names:
            session.when_closed.append(self._orders.watch(account, engine))
        if not session.reports:
            session.reports = True
            feed = BybitAccountFeed(session, session.name, market_view, self._orders)
            report_account(session, engine, account, feed.frames_of)

    def _trade(self, session: BybitSession, call: _Call, market_view: MarketView) -> bytes:
        """The answer to a message about orders."""
        if call.op == "ping":
            pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [_now_ms(market_view)]}
            return msgspec.json.encode({**pong, "connId": session.name})
        try:
            if call.op == "auth":
                return _sign_in_to_trade(session, call, market_view)
            data = self._perform(session, call, market_view)
        except (ApiError, OrderRejected) as error:
            found = ERRORS.of(error)
            return _traded(session, call, market_view, {}, found.code, found.message)
        return _traded(session, call, market_view, data)

    def _perform(self, session: BybitSession, call: _Call, market_view: MarketView) -> Row:
        if session.key is NO_KEY:
            raise NOT_AUTHORIZED
        operation = self._operations.get(call.op)
        if operation is None:
            raise NO_SUCH_OPERATION
        if call.request_id in session.request_ids:
            raise DUPLICATE_REQUEST
        if call.request_id:
            session.request_ids.keep(call.request_id, None)
        stamp = str(call.header.get("X-BAPI-TIMESTAMP", ""))
        window = str(call.header.get("X-BAPI-RECV-WINDOW", "5000"))
        check_time(stamp, window, market_view.clock_ns() // NANOSECONDS_PER_MILLISECOND)
        if len(call.args) != 1:
            raise ApiError(PARAMETER_ERROR, "params error: args must have one item")
        return operation(ApiCall({}, market_view, ERRORS, session.key, body=bytes(call.args[0])))


def _no_topic(name: str) -> ExchangeStream:
    return ExchangeStream(name, Channel.OTHER, "")


def _objection(
    session: BybitSession, streams: Mapping[str, ExchangeStream], market_view: MarketView
) -> str:
    """Why a client cannot subscribe to these topics; "": it can. Bybit does not document its words
    for the limit of the length."""
    is_private = session.path == PRIVATE_PATH
    if len(streams) > TOPICS_PER_REQUEST_MAX and not is_private:
        return f"args size >{TOPICS_PER_REQUEST_MAX}"
    listed = {listing.symbol for listing in market_view.listings()}
    for name, stream in streams.items():
        known = name in ACCOUNT_TOPICS if is_private else stream.channel is not Channel.OTHER
        if not known:
            return f"error:handler not found,topic:{name}"
        if not is_private and stream.symbol not in listed:
            return f"Invalid symbol :[{name}]"
        if name in session.streams:
            return f"error:already subscribed,topic:{name}"
    if sum(map(len, (*session.streams, *streams))) > TOPICS_LENGTH_MAX:
        return f"args length >{TOPICS_LENGTH_MAX}"
    return ""


def _signed_in(call: _Call, market_view: MarketView) -> ApiKey | None:
    try:
        args = _login.decode(b"[%s]" % b",".join(map(bytes, call.args)))
    except msgspec.DecodeError:
        return None
    return key_of_socket(args, market_view)


def _sign_in_to_trade(session: BybitSession, call: _Call, market_view: MarketView) -> bytes:
    if session.key is not NO_KEY:
        raise REPEATED_LOGIN
    key = _signed_in(call, market_view)
    session.key = key or NO_KEY
    code, message = (0, "OK") if key else (WRONG_SIGNATURE.code, WRONG_SIGNATURE.message)
    named = {"reqId": call.request_id} if call.request_id else {}
    reply = {"retCode": code, "retMsg": message, "op": "auth", "connId": session.name}
    return msgspec.json.encode({**named, **reply})


def _traded(
    session: BybitSession,
    call: _Call,
    market_view: MarketView,
    data: Row,
    code: int | str = 0,
    message: str = "OK",
) -> bytes:
    time_ms = _now_ms(market_view)
    named = {"reqId": call.request_id} if call.request_id else {}
    reply = {
        **named,
        "retCode": code,
        "retMsg": message,
        "op": call.op,
        "data": data,
        "retExtInfo": {},
        "header": {
            "X-Bapi-Limit": "20",
            "X-Bapi-Limit-Status": "19",
            "X-Bapi-Limit-Reset-Timestamp": time_ms,
            "Traceid": f"{next(session.numbers):032x}",
            "Timenow": time_ms,
        },
        "connId": session.name,
    }
    return msgspec.json.encode(reply)


def _pong(session: BybitSession, call: _Call, market_view: MarketView) -> bytes:
    if session.path == PUBLIC_PATH:
        return _reply(session, call, message="pong")
    pong = {"req_id": str(call.req_id), "op": "pong", "args": [_now_ms(market_view)]}
    return msgspec.json.encode({**pong, "conn_id": session.name})


def _reply(session: BybitSession, call: _Call, objection: str = "", message: str = "") -> bytes:
    """``{"success":true,"ret_msg":"subscribe","conn_id":"…","req_id":"1","op":"subscribe"}``; a
    private connection says nothing in ``ret_msg``, and repeats only an id that it was given."""
    is_public = session.path == PUBLIC_PATH
    named = {"req_id": str(call.req_id)} if is_public or call.req_id != "" else {}
    reply = {
        "success": not objection,
        "ret_msg": objection or message or (call.op if is_public else ""),
        "conn_id": session.name,
        **named,
        "op": call.op,
    }
    return msgspec.json.encode(reply)


def _now_ms(market_view: MarketView) -> str:
    return str(market_view.time_ns() // NANOSECONDS_PER_MILLISECOND)
