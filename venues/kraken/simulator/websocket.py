"""Kraken's websocket (API v2): public channels, channels of an account, and orders.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from kit.simulator.dialect import ExchangeStream, MarketView, WebsocketSession
from kit.simulator.exchange.account_feed import report_account
from kit.simulator.exchange.parameters import json_parameters
from kit.simulator.exchange.rest import ApiCall, ApiError, listing_named
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.matching.contract import OrderRejected
from venues.kraken.simulator.authentication import KrakenAuthentication
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.encode import KrakenEncoder
from venues.kraken.simulator.errors import ERRORS, INVALID_SESSION, UNAVAILABLE, invalid
from venues.kraken.simulator.orders import (
    KrakenOrderRequest,
    amend,
    cancel_after,
    cancel_each,
    ticket_of,
)
from venues.kraken.simulator.private_stream import KrakenAccountFeed
from venues.kraken.simulator.rest import Row
from venues.kraken.simulator.rows import amend_id, order_id
from venues.kraken.simulator.streams import (
    ACCOUNT_STREAMS,
    BALANCES,
    DEPTH_DEFAULT,
    INTERVAL_DEFAULT,
    TRIGGER_DEFAULT,
    VARIANTS,
    stream_name,
)

PATH = "v2"
RATE_COUNTER_MAX = 180
METHOD_LENGTH_MAX = 60
HEARTBEAT = b'{"channel":"heartbeat"}'
STATUS = (
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
    b'"api_version":"v2","connection_id":16174536464690282295,"upcoming_maintenance":[],'
    b'"emergency":[]}]}'
)


class _Subscription(msgspec.Struct, frozen=True):
    """The parameters of a public subscription."""

    channel: str = ""
    symbol: list[str] = []
    depth: int = DEPTH_DEFAULT
    interval: int = INTERVAL_DEFAULT
    event_trigger: str = TRIGGER_DEFAULT
    snapshot: bool = True


class _Call(msgspec.Struct):
    """``{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USDT"]},"req_id":1}``"""

    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    req_id: int | None = None


class _Addressed(msgspec.Struct):
    channel: str = ""


_call = msgspec.json.Decoder(_Call)
_addressed = msgspec.json.Decoder(_Addressed)
_subscription = msgspec.json.Decoder(_Subscription)


@dataclass(slots=True)
class KrakenSession(WebsocketSession):
    """A connection. The first message to it says the state of the exchange."""

    greeted: bool = False
    tokens: set[str] = field(default_factory=set)
    """The tokens that it has used."""
    feed: KrakenAccountFeed | None = None
    """The account whose events it gets."""


class KrakenWebsocket:
    """The only websocket, also at the host for accounts."""

    def __init__(
        self,
        streams: StreamRegistry,
        encoder: KrakenEncoder,
        authentication: KrakenAuthentication,
    ) -> None:
        self._streams = streams
        self._encoder = encoder
        self._authentication = authentication

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        return KrakenSession() if path.strip("/") == PATH else None

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        assert isinstance(session, KrakenSession)
        answers = _greeting(session)
        try:
            call = _call.decode(text)
            channel = _addressed.decode(call.params).channel
        except msgspec.DecodeError:
            return [*answers, _reply(market_view, error="Malformed request", success=False)]
        if call.method == "ping":
            return [*answers, _reply(market_view, method="pong", req_id=call.req_id)]
        subscribes = call.method in ("subscribe", "unsubscribe")
        if call.method in OPERATIONS or (subscribes and channel in ACCOUNT_STREAMS):
            return [*answers, *self._perform(session, call, market_view)]
        if not subscribes:
            error = f"Unsupported method {call.method[:METHOD_LENGTH_MAX]}"
            return [*answers, _error(market_view, call, error)]
        return [*answers, *self._change_subscriptions(session, call, market_view)]

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        """A heartbeat on every connection that is subscribed to something."""
        assert isinstance(session, KrakenSession)
        return [*_greeting(session), *([HEARTBEAT] if session.streams else [])]

    def path_of(self, text: str) -> str:
        """``add_order`` for such a message; "" for any other."""
        try:
            method = _call.decode(text).method
        except msgspec.DecodeError:
            return ""
        return method if method in OPERATIONS else ""

    def failure_of(self, text: str) -> bytes:
        """An error inside the exchange: it is not known whether the order was accepted."""
        call = _call.decode(text)
        return _encoded(error=UNAVAILABLE, method=call.method, req_id=call.req_id, success=False)

    def _change_subscriptions(
        self, session: WebsocketSession, call: _Call, market_view: MarketView
    ) -> Iterator[bytes]:
        """An acknowledgement for each symbol, in no order that a client could rely on, then the
        snapshots."""
        try:
            params = _subscription.decode(call.params)
        except msgspec.DecodeError:
            yield _reply(market_view, error="Malformed request", success=False)
            return
        if params.channel not in VARIANTS:
            yield _error(market_view, call, "Subscription name invalid")
            return
        parameter, known, error = VARIANTS[params.channel]
        variant = getattr(params, parameter, "")
        if known and variant not in known:
            yield _error(market_view, call, error)
            return
        listed = {one.symbol for one in market_view.listings()}
        begun: list[ExchangeStream] = []
        for symbol in reversed(params.symbol):
            stream = self._streams.get(stream_name(params.channel, symbol, variant))
            objection = _objection(session, call, stream, symbol in listed)
            if objection:
                yield _error(market_view, call, objection, symbol)
                continue
            result: Row = {"channel": params.channel, "symbol": symbol}
            if parameter:
                result[parameter] = variant
            if call.method == "subscribe":
                result["snapshot"] = params.snapshot
                session.streams[stream.name] = stream
                self._encoder.subscribed(stream)
                begun.append(stream)
            else:
                del session.streams[stream.name]
            yield _result(market_view, call, result)
        if params.snapshot:
            snapshots = [self._encoder.snapshot(stream, market_view) for stream in begun]
            yield from filter(None, snapshots)

    def _perform(
        self, session: KrakenSession, call: _Call, market_view: MarketView
    ) -> Iterator[bytes]:
        """A message about an account."""
        try:
            parameters = json_parameters(bytes(call.params))
            token, now_ns = parameters.get("token", ""), market_view.time_ns()
            key = self._authentication.key_of_token(token, session.tokens, now_ns)
            asked = ApiCall(parameters, market_view, ERRORS, key)
            if call.method not in OPERATIONS:
                yield from _change_account_subscription(session, call, asked)
                return
            for outcome in OPERATIONS[call.method](asked):
                if isinstance(outcome, ApiError):
                    yield _error(market_view, call, str(outcome.code))
                else:
                    yield _result(market_view, call, outcome)
        except (ApiError, OrderRejected) as error:
            yield _error(market_view, call, str(ERRORS.of(error).code))
        except ValueError:
            yield _error(market_view, call, str(invalid().code))


def _add(call: ApiCall) -> Iterator[Row | ApiError]:
    kind, trigger = call.text("order_type"), call.text("triggers.price")
    trails = kind == "trailing-stop"
    percent = "%" if call.text("triggers.price_type") == "pct" else ""
    by_value = bool(call.text("cash_order_qty"))
    if call.text("symbol") not in {one.symbol for one in call.market_view.listings()}:
        raise ApiError(f"Currency pair not supported {call.text('symbol')[:METHOD_LENGTH_MAX]}")
    request = KrakenOrderRequest(
        listing=listing_named(call.text("symbol"), call.market_view, ERRORS),
        side=call.text("side"),
        kind=kind,
        volume=call.text("cash_order_qty" if by_value else "order_qty"),
        limit_price=call.text("limit_price"),
        stop_price="" if trails else trigger,
        trail=f"{trigger}{percent}" if trails else "",
        time_in_force=call.text("time_in_force", "gtc"),
        expires=call.text("expire_time"),
        deadline=call.text("deadline"),
        post_only=call.flag("post_only"),
        by_value=by_value,
        client_id=call.text("cl_ord_id"),
        self_trade=call.text("stp_type").replace("_", "-"),
    )
    order = call.engine.place(call.account, ticket_of(request, call))
    result: Row = {"order_id": order_id(order.order_id)}
    if order.ticket.client_order_id:
        result["cl_ord_id"] = order.ticket.client_order_id
    yield result


def _amend(call: ApiCall) -> Iterator[Row | ApiError]:
    order = amend(call, call.text("order_id"))
    named: Row = {"amend_id": amend_id(order), "order_id": order_id(order.order_id)}
    if order.ticket.client_order_id:
        named["cl_ord_id"] = order.ticket.client_order_id
    yield named


def _cancel(call: ApiCall) -> Iterator[Row | ApiError]:
    """A result for each order."""
    order_ids, client_ids = call.names("order_id"), call.names("cl_ord_id")
    if not order_ids and not client_ids:
        raise invalid()
    for client_id, outcome in cancel_each(call, order_ids, client_ids):
        if isinstance(outcome, ApiError):
            yield outcome
        else:
            named = {"cl_ord_id": client_id} if client_id else {}
            yield {"order_id": order_id(outcome.order_id), **named}


def _cancel_all(call: ApiCall) -> Iterator[Row | ApiError]:
    yield {"count": len(call.engine.cancel_all(call.account))}


def _cancel_all_after(call: ApiCall) -> Iterator[Row | ApiError]:
    yield cancel_after(call)


OPERATIONS: Mapping[str, Callable[[ApiCall], Iterator[Row | ApiError]]] = {
    "add_order": _add,
    "amend_order": _amend,
    "cancel_order": _cancel,
    "cancel_all": _cancel_all,
    "cancel_all_orders_after": _cancel_all_after,
}


def _change_account_subscription(
    session: KrakenSession, call: _Call, asked: ApiCall
) -> Iterator[bytes]:
    """The acknowledgement, then the snapshot. Raises ApiError."""
    name, market_view = asked.text("channel"), asked.market_view
    if call.method == "unsubscribe":
        if session.streams.pop(name, None) is None:
            raise ApiError("Subscription Not Found")
        yield _result(market_view, call, {"channel": name})
        return
    if name in session.streams:
        raise ApiError("Already subscribed")
    if session.feed is not None and session.feed.account != asked.account:
        raise INVALID_SESSION
    feed = session.feed
    if feed is None:
        feed = session.feed = KrakenAccountFeed(session, asked.account, market_view)
        report_account(session, asked.engine, asked.account, feed.frames_of)
    session.streams[name] = ACCOUNT_STREAMS[name]
    feed.counts[name] = 0
    if name == BALANCES:
        snapshot = asked.text("snapshot", "true") == "true"
        yield _result(market_view, call, {"channel": name, "snapshot": snapshot})
        rows = feed.balances()
        if snapshot:
            yield feed.frame(name, "snapshot", rows)
        return
    orders = asked.text("snap_orders", "true") == "true"
    trades, all_states = asked.flag("snap_trades"), asked.text("order_status", "true") == "true"
    feed.all_states = all_states
    result = {"channel": name, "maxratecount": RATE_COUNTER_MAX, "ratecounter": False}
    chosen = {"snap_orders": orders, "snap_trades": trades, "order_status": all_states}
    yield _result(market_view, call, {**result, **chosen})
    yield feed.frame(name, "snapshot", feed.executions(orders, trades))


def _objection(session: WebsocketSession, call: _Call, stream: ExchangeStream, listed: bool) -> str:
    """Why a subscription cannot be changed; "": it can."""
    if not listed:
        return f"Currency pair not supported {stream.symbol[:METHOD_LENGTH_MAX]}"
    there = stream.name in session.streams
    if call.method == "unsubscribe":
        return "" if there else "Subscription Not Found"
    return "Already subscribed" if there else ""


def _greeting(session: KrakenSession) -> list[bytes]:
    if session.greeted:
        return []
    session.greeted = True
    return [STATUS]


def _error(market_view: MarketView, call: _Call, error: str, symbol: str | None = None) -> bytes:
    """``{"error","method","req_id","success":false,"symbol","time_in","time_out"}``"""
    return _reply(
        market_view,
        error=error,
        method=call.method,
        req_id=call.req_id,
        success=False,
        symbol=symbol,
    )


def _result(market_view: MarketView, call: _Call, result: Row) -> bytes:
    """``{"method","req_id","result","success":true,"time_in","time_out"}``"""
    return _reply(market_view, method=call.method, req_id=call.req_id, result=result, success=True)


def _reply(market_view: MarketView, **members: object) -> bytes:
    now = rfc3339(market_view.time_ns())
    return _encoded(**members, time_in=now, time_out=now)


def _encoded(**members: object) -> bytes:
    """Kraken writes members in the order of the alphabet."""
    found = {name: value for name, value in members.items() if value is not None}
    return msgspec.json.encode(found, order="sorted")
