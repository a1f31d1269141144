"""What clients say to Kraken's websocket of an account: subscriptions and orders.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/add_order and its neighbours.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from kit.simulator.dialect import MarketView, Session
from kit.simulator.exchange.market import known_listings
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.private.feed import BALANCES, STREAMS, Account, Teller
from venues.kraken.simulator.private.keys import Guard, engine_of
from venues.kraken.simulator.private.orders import (
    Wish,
    amend,
    cancel,
    chosen,
    instant,
    place,
)
from venues.kraken.simulator.private.rest import cancel_after
from venues.kraken.simulator.private.rows import Row, amend_id, order_id
from venues.kraken.simulator.rest import KrakenApiError

RATE_COUNTER_MAX = 180
UNAVAILABLE = "EService:Unavailable"


class _Triggers(msgspec.Struct):
    price: Decimal | None = None
    price_type: str = "static"


class _Params(msgspec.Struct):
    token: str = ""
    channel: str = ""
    snap_orders: bool = True
    snap_trades: bool = False
    snapshot: bool = True
    order_status: bool = True
    order_type: str = ""
    side: str = ""
    symbol: str = ""
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    triggers: _Triggers | None = None
    time_in_force: str = "gtc"
    expire_time: str = ""
    deadline: str = ""
    post_only: bool = False
    cl_ord_id: str | list[str] = ""
    order_id: str | list[str] = ""
    timeout: int = 0


class _Head(msgspec.Struct):
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    req_id: int | None = None


class _Addressed(msgspec.Struct):
    channel: str = ""


_head = msgspec.json.Decoder(_Head)
_addressed = msgspec.json.Decoder(_Addressed)
_params = msgspec.json.Decoder(_Params)


@dataclass(frozen=True, slots=True)
class _Call:
    """A message of somebody who may."""

    method: str
    params: _Params
    request_id: int | None
    session: Session
    account: Account
    owner: str
    market_view: MarketView


def concerns_account(text: str) -> bool:
    """Whether a message is for this module."""
    try:
        head = _head.decode(text)
        if head.method in METHODS:
            return True
        subscribes = head.method in ("subscribe", "unsubscribe")
        return subscribes and _addressed.decode(head.params).channel in STREAMS
    except msgspec.DecodeError:
        return False


def receive(
    session: Session, account: Account, text: str, market_view: MarketView, guard: Guard
) -> list[bytes]:
    """Such a message."""
    head = _head.decode(text)
    replies = _Replies(head.method, head.req_id, market_view)
    try:
        params = _params.decode(head.params)
        owner = guard.account_of(params.token, account.tokens, market_view)
        call = _Call(head.method, params, head.req_id, session, account, owner, market_view)
        if head.method in METHODS:
            return [*METHODS[head.method](call, replies)]
        return [*_change_subscription(call, replies)]
    except msgspec.DecodeError:
        return [replies.error("EGeneral:Invalid arguments")]
    except KrakenApiError as refusal:
        return [replies.error(refusal.error)]


def path_of(text: str) -> str:
    """``add_order`` of such a message, otherwise nothing."""
    try:
        method = _head.decode(text).method
    except msgspec.DecodeError:
        return ""
    return method if method in METHODS else ""


def failure_of(text: str) -> bytes:
    """Something in the exchange goes wrong: whether the order was taken is not known."""
    head = _head.decode(text)
    reply = {"error": UNAVAILABLE, "method": head.method, "req_id": head.req_id, "success": False}
    return msgspec.json.encode({name: one for name, one in reply.items() if one is not None})


@dataclass(frozen=True, slots=True)
class _Replies:
    """Members are in the order of the alphabet."""

    method: str
    request_id: int | None
    market_view: MarketView

    def error(self, error: str) -> bytes:
        """``{"error","method","req_id","success":false,"time_in","time_out"}``"""
        return self._said(error=error, success=False)

    def result(self, result: Row) -> bytes:
        """``{"method","req_id","result","success":true,"time_in","time_out"}``"""
        return self._said(result=result, success=True)

    def _said(self, **members: object) -> bytes:
        now = rfc3339(self.market_view.time_ns())
        said = {**members, "method": self.method, "time_in": now, "time_out": now}
        if self.request_id is not None:
            said["req_id"] = self.request_id
        return msgspec.json.encode(said, order="sorted")


def _add(call: _Call, replies: _Replies) -> Iterator[bytes]:
    params = call.params
    listing = known_listings(call.market_view).get(params.symbol)
    if listing is None:
        raise KrakenApiError(f"Currency pair not supported {params.symbol[:60]}")
    by_value = params.cash_order_qty is not None
    triggers = params.triggers or _Triggers()
    trail = _text(triggers.price) if params.order_type == "trailing-stop" else ""
    wish = Wish(
        listing=listing,
        side=params.side,
        kind=params.order_type,
        volume=_text(params.cash_order_qty if by_value else params.order_qty),
        limit_price=_text(params.limit_price),
        stop_price="" if trail else _text(triggers.price),
        trail=f"{trail}%" if trail and triggers.price_type == "pct" else trail,
        lifetime=params.time_in_force,
        expires=params.expire_time,
        deadline=params.deadline,
        post_only=params.post_only,
        by_value=by_value,
        client_id=_one(params.cl_ord_id),
    )
    order = place(wish, engine_of(call.market_view), call.owner, call.market_view)
    result: Row = {"order_id": order_id(order.order_id)}
    if order.ticket.client_id:
        result["cl_ord_id"] = order.ticket.client_id
    yield replies.result(result)


def _amend(call: _Call, replies: _Replies) -> Iterator[bytes]:
    params, engine = call.params, engine_of(call.market_view)
    if params.deadline and instant(params.deadline, call.market_view) <= call.market_view.time_ns():
        raise KrakenApiError("EService:Deadline elapsed")
    order = chosen(_one(params.order_id), _one(params.cl_ord_id), engine, call.owner)
    listing = known_listings(call.market_view)[order.ticket.symbol]
    texts = map(_text, (params.order_qty, params.limit_price, params.trigger_price))
    size, price, stop_price = texts
    changed = amend(order, listing, size, price, stop_price, engine)
    named_by = {"order_id": order_id(order.order_id)}
    if order.ticket.client_id:
        named_by["cl_ord_id"] = order.ticket.client_id
    yield replies.result({"amend_id": amend_id(changed), **named_by})


def _cancel(call: _Call, replies: _Replies) -> Iterator[bytes]:
    """An answer for each."""
    engine = engine_of(call.market_view)
    wanted = [(name, "") for name in _several(call.params.order_id)]
    wanted += [("", name) for name in _several(call.params.cl_ord_id)]
    if not wanted:
        raise KrakenApiError("EGeneral:Invalid arguments")
    for name, client_id in wanted:
        try:
            order = cancel(chosen(name, client_id, engine, call.owner), engine)
        except KrakenApiError as refusal:
            yield replies.error(refusal.error)
            continue
        result: Row = {"order_id": order_id(order.order_id)}
        if client_id:
            result["cl_ord_id"] = client_id
        yield replies.result(result)


def _cancel_all(call: _Call, replies: _Replies) -> Iterator[bytes]:
    yield replies.result({"count": len(engine_of(call.market_view).cancel_all(call.owner))})


def _cancel_all_after(call: _Call, replies: _Replies) -> Iterator[bytes]:
    timeout = str(call.params.timeout)
    yield replies.result(
        cancel_after(timeout, engine_of(call.market_view), call.owner, call.market_view)
    )


METHODS: Mapping[str, Callable[[_Call, _Replies], Iterator[bytes]]] = {
    "add_order": _add,
    "amend_order": _amend,
    "cancel_order": _cancel,
    "cancel_all": _cancel_all,
    "cancel_all_orders_after": _cancel_all_after,
}


def _change_subscription(call: _Call, replies: _Replies) -> Iterator[bytes]:
    """The acknowledgement, then the snapshot."""
    session, account, params = call.session, call.account, call.params
    name = params.channel
    if call.method == "unsubscribe":
        if session.streams.pop(name, None) is None:
            raise KrakenApiError("Subscription Not Found")
        yield replies.result({"channel": name})
        return
    if name in session.streams:
        raise KrakenApiError("Already subscribed")
    if account.owner not in ("", call.owner):
        raise KrakenApiError("ESession:Invalid session")
    session.streams[name] = STREAMS[name]
    account.counts[name] = 0
    teller = Teller(session, account, call.market_view)
    if not account.owner:
        account.owner = call.owner
        session.when_closed.append(engine_of(call.market_view).listen(call.owner, teller.hear))
    if name == BALANCES:
        yield replies.result({"channel": name, "snapshot": params.snapshot})
        shown = teller.balances()
        if params.snapshot:
            yield teller.frame(name, "snapshot", shown)
        return
    account.all_states = params.order_status
    result = {"channel": name, "maxratecount": RATE_COUNTER_MAX, "ratecounter": False}
    shown_orders, shown_trades = params.snap_orders, params.snap_trades
    chosen_rows = {"snap_orders": shown_orders, "snap_trades": shown_trades}
    yield replies.result({**result, **chosen_rows, "order_status": params.order_status})
    yield teller.frame(name, "snapshot", teller.executions(shown_orders, shown_trades))


def _text(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _one(names: str | list[str]) -> str:
    several = _several(names)
    return several[0] if several else ""


def _several(names: str | list[str]) -> list[str]:
    if isinstance(names, list):
        return names
    return [names] if names else []
