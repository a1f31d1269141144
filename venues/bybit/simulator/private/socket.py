"""Bybit's websockets of an account: ``/v5/private`` tells what happens, ``/v5/trade`` takes orders.

Documentation: https://bybit-exchange.github.io/docs/v5/websocket/private/order
https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
A topic begins with silence: what there was before is asked for over REST.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from kit.simulator.dialect import Channel, MarketView, Session, Stream
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    Key,
    OrderChanged,
)
from kit.simulator.private.memory import Memory
from kit.simulator.private.orders import fills_of
from venues.bybit.simulator.private.keys import check_time, engine_of, key_of_socket, now_ms
from venues.bybit.simulator.private.orders import Orders
from venues.bybit.simulator.private.rows import (
    Row,
    execution_row,
    order_row,
    wallet_row,
)
from venues.bybit.simulator.rest import PARAMETER_ERROR, BybitApiError

PRIVATE_PATH, TRADE_PATH = "/v5/private", "/v5/trade"
KINDS = ("order", "execution", "execution.fast", "wallet", "position")
TOPICS: Mapping[str, Stream] = {
    name: Stream(name, Channel.OTHER, "")
    for kind in KINDS
    for name in (kind, *(f"{kind}.{category}" for category in ("spot", "linear", "inverse")))
} | {name: Stream(name, Channel.OTHER, "") for name in ("dcp.spot", "dcp.future", "dcp.option")}
WATCHING = "dcp.spot"
ACTIONS = {"order.create": "create", "order.amend": "amend", "order.cancel": "cancel"}
REQUEST_IDS_MAX = 10_000
"""So many are remembered of a connection."""
REPEATED_LOGIN, NOT_AUTHORIZED, NO_SUCH_OPERATION, DUPLICATE_REQUEST = 20001, 10005, 10404, 20006


class _Call(msgspec.Struct):
    """``{"op":"auth","args":["key",1662350400000,"signature"]}`` or ``{"op":"order.create",…}``"""

    op: str = ""
    args: list[msgspec.Raw] = []
    req_id: str | int = ""
    request_id: str = msgspec.field(default="", name="reqId")
    header: dict[str, str | int] = {}


_call = msgspec.json.Decoder(_Call)
_texts = msgspec.json.Decoder(list[str])
_login = msgspec.json.Decoder(list[str | int])


@dataclass(slots=True)
class PrivateSession(Session):
    """A connection at which somebody may sign in."""

    name: str = ""
    trades: bool = False
    """Whether it takes orders."""
    key: Key | None = None
    heard: bool = False
    """Whether the engine reports events to it."""
    request_ids: Memory[str, None] = field(default_factory=lambda: Memory(REQUEST_IDS_MAX))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


def receive(
    session: PrivateSession, text: str, market_view: MarketView, orders: Orders
) -> list[bytes]:
    """The client said something."""
    try:
        call = _call.decode(text)
    except msgspec.DecodeError as error:
        return [_reply(session, _Call(), f"Failed to decode incoming data:{error}")]
    if session.trades:
        return [_trade(session, call, market_view, orders)]
    if call.op == "ping":
        pong = {"req_id": str(call.req_id), "op": "pong", "args": [str(now_ms(market_view))]}
        return [msgspec.json.encode({**pong, "conn_id": session.name})]
    if call.op == "auth":
        session.key = _signed_in(call, market_view)
        return [_reply(session, call, "" if session.key else "Params Error", "")]
    if call.op not in ("subscribe", "unsubscribe"):
        return [_reply(session, call, "error:invalid op")]
    return [_subscribe(session, call, market_view, orders)]


def path_of(text: str) -> str:
    """``order.create`` of such a message, otherwise nothing."""
    try:
        operation = _call.decode(text).op
    except msgspec.DecodeError:
        return ""
    return operation if operation in ACTIONS else ""


def failure_of(text: str) -> bytes:
    """Something in the exchange goes wrong: whether the order was taken is not known."""
    call = _call.decode(text)
    reply = {
        "reqId": call.request_id,
        "retCode": 10016,
        "retMsg": "Internal server error.",
        "data": {},
    }
    return msgspec.json.encode({**reply, "op": call.op, "retExtInfo": {}, "connId": ""})


def _subscribe(
    session: PrivateSession, call: _Call, market_view: MarketView, orders: Orders
) -> bytes:
    """All or nothing."""
    try:
        names = [_texts.decode(b"[%s]" % bytes(one))[0] for one in call.args]
    except msgspec.DecodeError:
        return _reply(session, call, "Params Error")
    if session.key is None:
        return _reply(session, call, "Request not authorized")
    if call.op == "unsubscribe":
        for name in names:
            session.streams.pop(name, None)
        return _reply(session, call, message="")
    for name in names:
        if name not in TOPICS:
            return _reply(session, call, f"error:handler not found,topic:{name}")
        if name in session.streams:
            return _reply(session, call, f"error:already subscribed,topic:{name}")
    session.streams.update({name: TOPICS[name] for name in names})
    if WATCHING in names:
        gone = orders.watch(session.key.account, engine_of(market_view))
        session.when_closed.append(gone)
    if not session.heard:
        session.heard = True
        account = session.key.account
        teller = _Teller(session, market_view, orders)
        session.when_closed.append(engine_of(market_view).listen(account, teller.hear))
    return _reply(session, call, message="")


@dataclass(frozen=True, slots=True)
class _Teller:
    """Puts what happens to an account into Bybit's words, for one connection."""

    session: PrivateSession
    market_view: MarketView
    orders: Orders

    def hear(self, event: AccountEvent) -> None:
        """An order comes before its execution, an execution before the wallet."""
        if isinstance(event, OrderChanged):
            self._tell("order", lambda: self._order(event))
            if event.fill is not None:
                row = execution_row(event.fill, self.orders.stop_type(event.order))
                self._tell("execution", lambda: row)
                self._tell("execution.fast", lambda: _fast(row))
        elif isinstance(event, BalanceChanged):
            self._tell("wallet", lambda: wallet_row([event.balance], self.market_view))

    def _order(self, event: OrderChanged) -> Row:
        order = event.order
        fills = fills_of(order, engine_of(self.market_view))
        row = order_row(order, fills, self.orders.stop_type(order))
        return {**row, "feeCurrency": "", "closedPnl": "0"}

    def _tell(self, kind: str, row: Callable[[], Row]) -> None:
        for name in (kind, f"{kind}.spot"):
            if name not in self.session.streams:
                continue
            made = row()
            body = made if kind == "wallet" else {"category": "spot", **made}
            frame = {
                "id": f"{self.session.name}_{next(self.session.numbers)}",
                "topic": name,
                "creationTime": now_ms(self.market_view),
                "data": [body],
            }
            self.session.tell(TOPICS[name], msgspec.json.encode(frame))


def _fast(row: Row) -> Row:
    """What the fast topic tells of an execution."""
    names = ("symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId")
    return {name: row[name] for name in (*names, "side", "execTime", "seq")}


def _trade(session: PrivateSession, call: _Call, market_view: MarketView, orders: Orders) -> bytes:
    if call.op == "ping":
        pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(now_ms(market_view))]}
        return msgspec.json.encode({**pong, "connId": session.name})
    try:
        if call.op == "auth":
            return _sign_in_to_trade(session, call, market_view)
        return _do(session, call, market_view, orders)
    except BybitApiError as refusal:
        return _traded(session, call, market_view, {}, refusal.code, refusal.message)


def _sign_in_to_trade(session: PrivateSession, call: _Call, market_view: MarketView) -> bytes:
    if session.key is not None:
        raise BybitApiError(REPEATED_LOGIN, "Repeat auth")
    session.key = _signed_in(call, market_view)
    code, message = (0, "OK") if session.key else (10004, "Invalid sign")
    reply = {"retCode": code, "retMsg": message, "op": "auth", "connId": session.name}
    named = {"reqId": call.request_id} if call.request_id else {}
    return msgspec.json.encode({**named, **reply})


def _do(session: PrivateSession, call: _Call, market_view: MarketView, orders: Orders) -> bytes:
    """Raises Refusal."""
    if session.key is None:
        raise BybitApiError(NOT_AUTHORIZED, "Request not authorized")
    if call.op not in ACTIONS:
        raise BybitApiError(NO_SUCH_OPERATION, "op type is not found")
    if call.request_id in session.request_ids:
        raise BybitApiError(DUPLICATE_REQUEST, "reqId is duplicated")
    if call.request_id:
        session.request_ids.keep(call.request_id, None)
    stamp, window = (
        str(call.header.get(name, usual))
        for name, usual in (("X-BAPI-TIMESTAMP", ""), ("X-BAPI-RECV-WINDOW", "5000"))
    )
    check_time(stamp, window, market_view)
    if len(call.args) != 1:
        raise BybitApiError(PARAMETER_ERROR, "params error: args must have one item")
    row = orders.do(ACTIONS[call.op], bytes(call.args[0]), session.key.account, market_view)
    return _traded(session, call, market_view, row)


def _traded(
    session: PrivateSession,
    call: _Call,
    market_view: MarketView,
    data: Row,
    code: int = 0,
    message: str = "OK",
) -> bytes:
    time_ms = str(now_ms(market_view))
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


def _signed_in(call: _Call, market_view: MarketView) -> Key | None:
    try:
        return key_of_socket(_login.decode(b"[%s]" % b",".join(map(bytes, call.args))), market_view)
    except msgspec.DecodeError:
        return None


def _reply(
    session: PrivateSession, call: _Call, refusal: str = "", message: str | None = None
) -> bytes:
    """``{"success":true,"ret_msg":"","op":"auth","conn_id":"…"}``"""
    reply: dict[str, object] = {
        "success": not refusal,
        "ret_msg": refusal or (call.op if message is None else message),
        "conn_id": session.name,
        "op": call.op,
    }
    if call.req_id != "":
        reply["req_id"] = str(call.req_id)
    return msgspec.json.encode(reply)
