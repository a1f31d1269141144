"""What clients do with orders at Deribit: buy, sell, edit, cancel.

Documentation: https://docs.deribit.com/api-reference/trading/private-buy
A post-only order that would take gets a price at which it does not, unless ``reject_post_only``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from kit.simulator.dialect import MarketView
from kit.simulator.exchange.market import known_listings
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
from kit.simulator.texts import amount
from venues.deribit.simulator.private.rows import is_trigger_id, order_number
from venues.deribit.simulator.rest import DeribitApiError, Parameters, wrong

LABEL_LENGTH_MAX = 64
REPRICED_MAX = 2
"""So often a post-only order gets another price."""
TRUE = ("true", "1")
KINDS = {
    "market": OrderKind.MARKET,
    "limit": OrderKind.LIMIT,
    "stop_market": OrderKind.STOP,
    "stop_limit": OrderKind.STOP_LIMIT,
    "take_market": OrderKind.TAKE_PROFIT,
    "take_limit": OrderKind.TAKE_PROFIT_LIMIT,
    "trailing_stop": OrderKind.TRAILING_STOP,
}
LIFETIMES = {
    "good_til_cancelled": Lifetime.GOOD_TILL_CANCEL,
    "good_til_day": Lifetime.GOOD_TILL_CANCEL,
    "immediate_or_cancel": Lifetime.IMMEDIATE_OR_CANCEL,
    "fill_or_kill": Lifetime.FILL_OR_KILL,
}
NOT_FOUND, NOT_OPEN = (10004, "order_not_found"), (11044, "not_open_order")
ERRORS: Mapping[RejectCode, tuple[int, str]] = {
    RejectCode.UNKNOWN_SYMBOL: (10020, "invalid_or_unsupported_instrument"),
    RejectCode.HALTED: (10012, "book_closed"),
    RejectCode.TICK: (10043, "price_wrong_tick"),
    RejectCode.LOT: (10021, "invalid_amount"),
    RejectCode.SIZE_MIN: (10002, "qty_too_low"),
    RejectCode.NOTIONAL_MIN: (10032, "whole_cost_too_low"),
    RejectCode.PRICE_BAND: (10007, "price_too_high"),
    RejectCode.FUNDS: (10009, "not_enough_funds"),
    RejectCode.WOULD_TAKE: (11054, "post_only_reject"),
    RejectCode.WOULD_NOT_FILL: (11030, "other_reject"),
    RejectCode.REDUCE_ONLY: (11030, "other_reject reduce_only"),
    RejectCode.STOP_WOULD_TRIGGER: (11036, "invalid_trigger_price"),
    RejectCode.SELF_TRADE: (10003, "order_overlap"),
    RejectCode.DUPLICATE_ID: (11030, "other_reject"),
    RejectCode.UNKNOWN_ORDER: NOT_FOUND,
    RejectCode.FINISHED: NOT_OPEN,
    RejectCode.TOO_MANY: (10013, "max_total_open_orders"),
    RejectCode.MALFORMED: (11029, "invalid_arguments"),
}


def refusal_of(refused: OrderRejected) -> DeribitApiError:
    """In Deribit's words."""
    return DeribitApiError(*ERRORS[refused.refusal])


async def place(
    buys: bool,
    parameters: Parameters,
    engine: MatchingEngine,
    account: str,
    market_view: MarketView,
) -> OrderView:
    """``private/buy`` and ``private/sell``. Raises Refusal and Refused."""
    listing = listing_named(parameters, market_view)
    ticket = _ticket(buys, parameters, listing)

    def attempt(price: Decimal | None) -> OrderView:
        return engine.place(account, replace(ticket, price=price))

    reprices = _reprices(ticket, parameters)
    return await _done(attempt, ticket.price, reprices, buys, listing, market_view)


async def edit(
    order: OrderView,
    parameters: Parameters,
    engine: MatchingEngine,
    account: str,
    market_view: MarketView,
) -> OrderView:
    """Amount and price, or what stands for it. Raises Refusal and Refused."""
    listing = known_listings(market_view)[order.ticket.symbol]
    size = _size(parameters, listing)
    price = optional(parameters, "price")
    stop_price = optional(parameters, "trigger_price")
    ticket = order.ticket

    def attempt(price: Decimal | None) -> OrderView:
        return engine.amend(account, order.order_id, size, price, stop_price)

    reprices = _reprices(ticket, parameters)
    return await _done(attempt, price, reprices, ticket.buys, listing, market_view)


def chosen(parameters: Parameters, engine: MatchingEngine, account: str) -> OrderView:
    """The order of an id. Raises Refused, and Refusal, also for a stop that has triggered."""
    order = known(parameters, engine, account)
    if order.triggered and is_trigger_id(parameters["order_id"]):
        raise DeribitApiError(10010, "already_closed")
    return order


def known(parameters: Parameters, engine: MatchingEngine, account: str) -> OrderView:
    """The order of an id, be it of the stop that has made it. Raises Refusal and Refused."""
    text = parameters.get("order_id", "")
    if not text:
        raise wrong("order_id", "value is required")
    return engine.order(account, order_number(text))


def listing_named(parameters: Parameters, market_view: MarketView) -> Listing:
    """Raises Refusal."""
    name = parameters.get("instrument_name", "")
    found = known_listings(market_view).get(name)
    if found is None:
        raise wrong("instrument_name", "instrument not found" if name else "value is required")
    return found


def is_true(parameters: Parameters, name: str) -> bool:
    """Whether a parameter is set."""
    return parameters.get(name, "").lower() in TRUE


def optional(parameters: Parameters, name: str) -> Decimal | None:
    """A number that may be missing. Raises Refusal."""
    text = parameters.get(name)
    if text is None:
        return None
    number = amount(text)
    if not number:
        raise wrong(name, "must be a positive number")
    return number


def _ticket(buys: bool, parameters: Parameters, listing: Listing) -> OrderTicket:
    kind = KINDS.get(parameters.get("type", "limit"))
    if kind is None:
        raise wrong("type", "must be one of " + ", ".join(KINDS))
    lifetime = LIFETIMES.get(parameters.get("time_in_force", "good_til_cancelled"))
    if lifetime is None:
        raise wrong("time_in_force", "must be one of " + ", ".join(LIFETIMES))
    label = parameters.get("label", "")
    if len(label) > LABEL_LENGTH_MAX:
        raise wrong("label", f"must be at most {LABEL_LENGTH_MAX} characters long")
    size, price = _size(parameters, listing), optional(parameters, "price")
    if size is None:
        raise wrong("amount", "value is required")
    if kind in PRICED and price is None:
        raise wrong("price", "value is required")
    stop_price, trail = (optional(parameters, f"trigger_{name}") for name in ("price", "offset"))
    if kind in STOP_PRICED and stop_price is None:
        raise wrong("trigger_price", "value is required")
    if kind is OrderKind.MARKET:
        lifetime = Lifetime.IMMEDIATE_OR_CANCEL
    return OrderTicket(
        symbol=listing.symbol,
        buys=buys,
        kind=kind,
        size=size,
        price=price if kind in PRICED else None,
        stop_price=stop_price if kind in STOP_PRICED else None,
        trail=trail if kind is OrderKind.TRAILING_STOP else None,
        lifetime=lifetime,
        post_only=is_true(parameters, "post_only") and kind in PRICED,
        reduce_only=is_true(parameters, "reduce_only"),
        client_id=label,
    )


def _size(parameters: Parameters, listing: Listing) -> Decimal | None:
    """In US dollars, also when it was said in contracts."""
    size = optional(parameters, "amount")
    if size is None:
        number = optional(parameters, "contracts")
        size = None if number is None else number * Decimal(listing.lot_size)
    if size is not None and size % Decimal(listing.lot_size):
        raise wrong("amount", "must be a multiple of contract size")
    return size


def _reprices(ticket: OrderTicket, parameters: Parameters) -> bool:
    return ticket.post_only and not is_true(parameters, "reject_post_only")


async def _done(
    attempt: Callable[[Decimal | None], OrderView],
    price: Decimal | None,
    reprices: bool,
    buys: bool,
    listing: Listing,
    market_view: MarketView,
) -> OrderView:
    """At this price; or if it would take, and ``reprices``, beside the market. Raises Refused."""
    for _ in range(REPRICED_MAX if reprices else 0):
        try:
            return attempt(price)
        except OrderRejected as refused:
            if refused.refusal is not RejectCode.WOULD_TAKE:
                raise
        price = await _beside_the_market(buys, listing, market_view) or price
    return attempt(price)


async def _beside_the_market(
    buys: bool, listing: Listing, market_view: MarketView
) -> Decimal | None:
    """The best price at which an order takes nothing."""
    book = await market_view.book(listing.symbol)
    side = None if book is None else (book.asks if buys else book.bids)
    if not side:
        return None
    tick = Decimal(listing.tick_size)
    return Decimal(side[0][0]) + (-tick if buys else tick)
