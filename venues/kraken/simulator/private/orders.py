"""What clients do with orders at Kraken: place, amend, cancel.

Documentation: https://docs.kraken.com/api/docs/rest-api/add-order
https://docs.kraken.com/api/docs/websocket-v2/add_order
REST and websocket have other names for the same; both are made a Wish here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView
from kit.simulator.exchange.market import last_price, whole_ticks
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import (
    PRICED,
    STOP_PRICED,
    Lifetime,
    MatchingEngine,
    OrderKind,
    OrderRejected,
    OrderTicket,
    OrderView,
    RejectCode,
)
from kit.simulator.texts import amount, instant_ns, whole
from venues.kraken.simulator.pairs import pair_of
from venues.kraken.simulator.private.rows import order_number, places
from venues.kraken.simulator.rest import KrakenApiError

CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[ -~]{1,18}"
)
"""A UUID with or without hyphens, or a short text."""
KINDS = {
    "market": OrderKind.MARKET,
    "limit": OrderKind.LIMIT,
    "stop-loss": OrderKind.STOP,
    "stop-loss-limit": OrderKind.STOP_LIMIT,
    "take-profit": OrderKind.TAKE_PROFIT,
    "take-profit-limit": OrderKind.TAKE_PROFIT_LIMIT,
    "trailing-stop": OrderKind.TRAILING_STOP,
}
LIFETIMES = {
    "gtc": Lifetime.GOOD_TILL_CANCEL,
    "ioc": Lifetime.IMMEDIATE_OR_CANCEL,
    "fok": Lifetime.FILL_OR_KILL,
    "gtd": Lifetime.GOOD_TILL_TIME,
}
SECONDS_DIGITS_MAX = 11
UNKNOWN_ORDER = "EOrder:Unknown order"
ERRORS: Mapping[RejectCode, str] = {
    RejectCode.UNKNOWN_SYMBOL: "EQuery:Unknown asset pair",
    RejectCode.HALTED: "EService:Market in cancel_only mode",
    RejectCode.TICK: "EOrder:Tick size check failed",
    RejectCode.LOT: "EGeneral:Invalid arguments:volume",
    RejectCode.SIZE_MIN: "EOrder:Order minimum not met",
    RejectCode.NOTIONAL_MIN: "EOrder:Cost minimum not met",
    RejectCode.PRICE_BAND: "EOrder:Invalid price",
    RejectCode.FUNDS: "EOrder:Insufficient funds",
    RejectCode.WOULD_TAKE: "EOrder:Post only order",
    RejectCode.WOULD_NOT_FILL: "EOrder:Invalid order",
    RejectCode.REDUCE_ONLY: "EOrder:Reduce only:Non-PC",
    RejectCode.STOP_WOULD_TRIGGER: "EOrder:Invalid price",
    RejectCode.DUPLICATE_ID: "EGeneral:Invalid arguments:cl_ord_id",
    RejectCode.UNKNOWN_ORDER: UNKNOWN_ORDER,
    RejectCode.FINISHED: UNKNOWN_ORDER,
    RejectCode.TOO_MANY: "EOrder:Orders limit exceeded",
    RejectCode.SELF_TRADE: "EOrder:Invalid order",
    RejectCode.MALFORMED: "EGeneral:Invalid arguments",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An order as a client asks for it. Numbers are as the client has written them."""

    listing: Listing
    side: str
    kind: str
    volume: str
    limit_price: str = ""
    stop_price: str = ""
    trail: str = ""
    """``+100`` in the quote currency, ``+5%`` of the price."""
    lifetime: str = "gtc"
    expires: str = ""
    """Seconds since 1970, ``+30`` seconds from now, or RFC 3339."""
    deadline: str = ""
    post_only: bool = False
    by_value: bool = False
    client_id: str = ""


def place(wish: Wish, engine: MatchingEngine, account: str, market_view: MarketView) -> OrderView:
    """Raises Refusal."""
    ticket = ticket_of(wish, market_view)
    try:
        return engine.place(account, ticket)
    except OrderRejected as refused:
        raise refusal_of(refused) from None


def ticket_of(wish: Wish, market_view: MarketView) -> OrderTicket:
    """What the engine is asked for. Raises Refusal."""
    kind = KINDS.get(wish.kind)
    if kind is None:
        raise KrakenApiError("EGeneral:Invalid arguments:ordertype")
    if wish.side not in ("buy", "sell"):
        raise KrakenApiError("EGeneral:Invalid arguments:type")
    lifetime = LIFETIMES.get(wish.lifetime.lower())
    if lifetime is None or (lifetime is Lifetime.GOOD_TILL_TIME) is not bool(wish.expires):
        raise KrakenApiError("EGeneral:Invalid arguments:timeinforce")
    if kind is OrderKind.MARKET:
        lifetime = Lifetime.IMMEDIATE_OR_CANCEL
    if wish.client_id and CLIENT_ID.fullmatch(wish.client_id) is None:
        raise KrakenApiError("EGeneral:Invalid arguments:cl_ord_id")
    if wish.deadline and instant(wish.deadline, market_view) <= market_view.time_ns():
        raise KrakenApiError("EService:Deadline elapsed")
    if wish.post_only and kind is not OrderKind.LIMIT:
        raise KrakenApiError("EGeneral:Invalid arguments:oflags")
    volume = size_of(wish.volume, wish.listing, wish.by_value)
    return OrderTicket(
        symbol=wish.listing.symbol,
        buys=wish.side == "buy",
        kind=kind,
        size=Decimal(0) if wish.by_value else volume,
        value=volume if wish.by_value else None,
        price=price_of(wish.limit_price, wish.listing) if kind in PRICED else None,
        stop_price=price_of(wish.stop_price, wish.listing) if kind in STOP_PRICED else None,
        trail=_trail(wish, market_view) if kind is OrderKind.TRAILING_STOP else None,
        lifetime=lifetime,
        expires_ns=instant(wish.expires, market_view) if wish.expires else 0,
        post_only=wish.post_only,
        client_id=wish.client_id,
    )


def amend(
    order: OrderView,
    listing: Listing,
    size: str,
    price: str,
    stop_price: str,
    engine: MatchingEngine,
) -> OrderView:
    """What is empty stays as it is. Raises Refusal."""
    try:
        return engine.amend(
            order.account,
            order.order_id,
            size_of(size, listing) if size else None,
            price_of(price, listing) if price else None,
            price_of(stop_price, listing) if stop_price else None,
        )
    except OrderRejected as refused:
        raise refusal_of(refused) from None


def cancel(order: OrderView, engine: MatchingEngine) -> OrderView:
    """Raises Refusal."""
    try:
        return engine.cancel(order.account, order.order_id)
    except OrderRejected as refused:
        raise refusal_of(refused) from None


def chosen(order: str, client_id: str, engine: MatchingEngine, account: str) -> OrderView:
    """By its id, or else its client id. Raises Refusal."""
    if order:
        try:
            return engine.order(account, order_number(order))
        except OrderRejected:
            raise KrakenApiError(UNKNOWN_ORDER) from None
    if not client_id:
        raise KrakenApiError("EGeneral:Invalid arguments")
    found = engine.by_client_id(account, client_id)
    if found is None:
        raise KrakenApiError(UNKNOWN_ORDER)
    return found


def refusal_of(refused: OrderRejected) -> KrakenApiError:
    """In Kraken's words."""
    return KrakenApiError(ERRORS[refused.refusal])


def instant(text: str, market_view: MarketView) -> int:
    """A time in nanoseconds. Raises Refusal."""
    seconds = whole(text.removeprefix("+"), SECONDS_DIGITS_MAX)
    if seconds is not None:
        start_ns = market_view.time_ns() if text.startswith("+") else 0
        return start_ns + seconds * NANOSECONDS_PER_SECOND
    found_ns = instant_ns(text)
    if found_ns is None:
        raise KrakenApiError("EGeneral:Invalid arguments")
    return found_ns


def size_of(text: str, listing: Listing, by_value: bool = False) -> Decimal:
    """Raises Refusal."""
    size = amount(text)
    if not size:
        raise KrakenApiError("EGeneral:Invalid arguments:volume")
    if not by_value and len(text.partition(".")[2].rstrip("0")) > places(listing.lot_size):
        raise KrakenApiError("EGeneral:Invalid arguments:volume")
    return size


def price_of(text: str, listing: Listing) -> Decimal:
    """Raises Refusal."""
    price = amount(text)
    if not price:
        raise KrakenApiError("EGeneral:Invalid arguments:price")
    most = places(listing.tick_size)
    if len(text.partition(".")[2].rstrip("0")) > most:
        name = pair_of(listing).altname
        words = f"{name} price can only be specified up to {most} decimals."
        raise KrakenApiError(f"EOrder:Invalid price:{words}")
    return price


def _trail(wish: Wish, market_view: MarketView) -> Decimal:
    """In quote units, in whole ticks."""
    text = wish.trail.removeprefix("+").removesuffix("%")
    if not wish.trail.endswith("%"):
        return price_of(text, wish.listing)
    percent, last = amount(text), last_price(market_view, wish.listing.symbol)
    if not percent or last is None:
        raise KrakenApiError("EGeneral:Invalid arguments:price")
    return whole_ticks(last * percent / 100, wish.listing)
