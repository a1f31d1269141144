"""Orders at Kraken: place, amend, cancel, the same over REST and websocket.

Documentation: https://docs.kraken.com/api/docs/rest-api/add-order
https://docs.kraken.com/api/docs/websocket-v2/add_order
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.order_types import WITH_PRICE, WITH_STOP_PRICE, side_of
from kit.simulator.exchange.listings_and_prices import last_price, whole_ticks
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import (
    OrderRejected,
    OrderTicket,
    OrderView,
    SelfTradeMode,
)
from kit.simulator.text_conversion import amount, instant_ns, whole
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.errors import DEADLINE_ELAPSED, UNKNOWN_ORDER, invalid
from venues.kraken.simulator.instruments import pair_of
from venues.kraken.simulator.rest import Row
from venues.kraken.simulator.rows import ORDER_TYPES, order_number, places

CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[ -~]{1,18}"
)
"""A UUID with or without hyphens, or a short text."""
KINDS = {name: kind for kind, name in ORDER_TYPES.items()}
TIMES_IN_FORCE = {
    "gtc": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "ioc": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "fok": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
    "gtd": orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
}
SELF_TRADES: Mapping[str, SelfTradeMode | None] = {
    "": None,
    "cancel-newest": SelfTradeMode.CANCEL_NEWEST,
    "cancel-oldest": SelfTradeMode.CANCEL_OLDEST,
    "cancel-both": SelfTradeMode.CANCEL_BOTH,
}
SECONDS_DIGITS_MAX = 11
TIMEOUT_S_MAX = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class KrakenOrderRequest:
    """An order as a client asks for it. Numbers are texts as the client has written them."""

    listing: Listing
    side: str
    kind: str
    volume: str
    limit_price: str = ""
    stop_price: str = ""
    trail: str = ""
    """``+100`` in the quote currency, ``+5%`` of the price."""
    time_in_force: str = "gtc"
    expires: str = ""
    """Seconds since 1970, ``+30`` seconds from now, or RFC 3339."""
    deadline: str = ""
    post_only: bool = False
    by_value: bool = False
    client_id: str = ""
    self_trade: str = ""
    """``cancel-newest``"""


def ticket_of(request: KrakenOrderRequest, call: ApiCall) -> OrderTicket:
    """The order for the engine. Raises ApiError."""
    kind = KINDS.get(request.kind)
    if kind is None:
        raise invalid("ordertype")
    if request.side not in ("buy", "sell"):
        raise invalid("type")
    time_in_force = TIMES_IN_FORCE.get(request.time_in_force.lower())
    if time_in_force is None or (
        time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
    ) is not bool(request.expires):
        raise invalid("timeinforce")
    if kind == orders_pb2.ORDER_TYPE_MARKET:
        time_in_force = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    if request.client_id and CLIENT_ID.fullmatch(request.client_id) is None:
        raise invalid("cl_ord_id")
    check_deadline(request.deadline, call)
    if request.self_trade not in SELF_TRADES:
        raise invalid("stptype")
    if request.post_only and kind != orders_pb2.ORDER_TYPE_LIMIT:
        raise invalid("oflags")
    listing = request.listing
    volume = _size(request.volume, listing, request.by_value)
    return OrderTicket(
        symbol=listing.symbol,
        side=side_of(request.side == "buy"),
        type=kind,
        size=Decimal(0) if request.by_value else volume,
        value=volume if request.by_value else None,
        price=_price(request.limit_price, listing) if kind in WITH_PRICE else None,
        stop_price=_price(request.stop_price, listing) if kind in WITH_STOP_PRICE else None,
        trailing_offset=_trail(request, call)
        if kind == orders_pb2.ORDER_TYPE_TRAILING_STOP
        else None,
        time_in_force=time_in_force,
        expire_time_ns=_instant_ns(request.expires, call) if request.expires else 0,
        post_only=request.post_only,
        client_order_id=request.client_id,
        self_trade=SELF_TRADES[request.self_trade],
    )


def amend(call: ApiCall, order_id: str) -> OrderView:
    """Change ``order_qty``, ``limit_price`` and ``trigger_price``; what is missing stays. Raises
    ApiError and OrderRejected."""
    check_deadline(call.text("deadline"), call)
    order = order_named(order_id, call.text("cl_ord_id"), call)
    listing = call.traded(order.ticket.symbol)
    size, price, stop_price = map(call.text, ("order_qty", "limit_price", "trigger_price"))
    return call.engine.amend(
        call.account,
        order.order_id,
        _size(size, listing) if size else None,
        _price(price, listing) if price else None,
        _price(stop_price, listing) if stop_price else None,
    )


def cancel_each(
    call: ApiCall, order_ids: list[str], client_ids: list[str]
) -> Iterator[tuple[str, OrderView | ApiError]]:
    """Cancel the orders that are named. Yields the client id by which each was named, and the order
    or why it was not cancelled."""
    for order_id, client_id in [
        *((one, "") for one in order_ids),
        *(("", one) for one in client_ids),
    ]:
        try:
            order = order_named(order_id, client_id, call)
            yield client_id, call.engine.cancel(call.account, order.order_id)
        except (ApiError, OrderRejected) as error:
            yield client_id, call.errors.of(error)


def cancel_after(call: ApiCall) -> Row:
    """The dead man's switch: ``{"currentTime","triggerTime"}``. Raises ApiError."""
    seconds = call.integer("timeout")
    if seconds > TIMEOUT_S_MAX:
        raise invalid("timeout")
    call.engine.cancel_after(call.account, seconds)
    trigger = rfc3339(call.now_ns + seconds * NANOSECONDS_PER_SECOND) if seconds else "0"
    return {"currentTime": rfc3339(call.now_ns), "triggerTime": trigger}


def order_named(order_id: str, client_id: str, call: ApiCall) -> OrderView:
    """The order of the account with this id, or else this client id. Raises ApiError and
    OrderRejected."""
    if order_id:
        return call.engine.order(call.account, order_number(order_id))
    if not client_id:
        raise invalid()
    found = call.engine.by_client_id(call.account, client_id)
    if found is None:
        raise UNKNOWN_ORDER
    return found


def check_deadline(text: str, call: ApiCall) -> None:
    """Raises ApiError when a deadline is over; empty: there is none."""
    if text and _instant_ns(text, call) <= call.now_ns:
        raise DEADLINE_ELAPSED


def _instant_ns(text: str, call: ApiCall) -> int:
    seconds = whole(text.removeprefix("+"), SECONDS_DIGITS_MAX)
    if seconds is not None:
        start_ns = call.now_ns if text.startswith("+") else 0
        return start_ns + seconds * NANOSECONDS_PER_SECOND
    found_ns = instant_ns(text)
    if found_ns is None:
        raise invalid()
    return found_ns


def _size(text: str, listing: Listing, by_value: bool = False) -> Decimal:
    size = amount(text)
    if not size:
        raise invalid("volume")
    if not by_value and len(text.partition(".")[2].rstrip("0")) > places(listing.lot_size):
        raise invalid("volume")
    return size


def _price(text: str, listing: Listing) -> Decimal:
    price = amount(text)
    if not price:
        raise invalid("price")
    most = places(listing.tick_size)
    if len(text.partition(".")[2].rstrip("0")) > most:
        name = pair_of(listing).altname
        words = f"{name} price can only be specified up to {most} decimals."
        raise ApiError(f"EOrder:Invalid price:{words}")
    return price


def _trail(request: KrakenOrderRequest, call: ApiCall) -> Decimal:
    """In quote units, in whole ticks."""
    text = request.trail.removeprefix("+").removesuffix("%")
    if not request.trail.endswith("%"):
        return _price(text, request.listing)
    percent, last = amount(text), last_price(call.market_view, request.listing.symbol)
    if not percent or last is None:
        raise invalid("price")
    return whole_ticks(last * percent / 100, request.listing)
