"""Orders at Deribit: buy, sell, edit.

Documentation: https://docs.deribit.com/api-reference/trading/private-buy
A post-only order that would take gets a price at which it does not, unless ``reject_post_only``.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import WITH_PRICE, WITH_STOP_PRICE, side_of
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.exchange.rest import ApiCall
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import OrderRejected, OrderTicket, OrderView, RejectCode
from kit.simulator.text_conversion import amount
from venues.deribit.simulator.errors import rejection, wrong
from venues.deribit.simulator.rows import ORDER_TYPES, is_trigger_id, order_number

LABEL_LENGTH_MAX = 64
REPRICED_MAX = 2
"""How often a post-only order gets another price."""
KINDS = {name: kind for kind, name in ORDER_TYPES.items()}
TIMES_IN_FORCE = {
    "good_til_cancelled": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "good_til_day": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "immediate_or_cancel": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "fill_or_kill": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}
ALREADY_CLOSED = rejection(10010, "already_closed")


async def place(buys: bool, call: ApiCall) -> OrderView:
    """``private/buy`` and ``private/sell``. Raises ApiError and OrderRejected."""
    listing = traded_listing(call)
    ticket = _ticket(buys, call, listing)

    def attempt(price: Decimal | None) -> OrderView:
        return call.engine.place(call.account, structs.replace(ticket, price=price))

    return await _done(attempt, ticket.price, ticket, call, listing)


async def edit(order: OrderView, call: ApiCall) -> OrderView:
    """Change the amount and the prices. Raises ApiError and OrderRejected."""
    listing = call.traded(order.ticket.symbol)
    size = _size(call, listing)
    price, stop_price = _optional(call, "price"), _optional(call, "trigger_price")

    def attempt(price: Decimal | None) -> OrderView:
        return call.engine.amend(call.account, order.order_id, size, price, stop_price)

    return await _done(attempt, price, order.ticket, call, listing)


def active_order(call: ApiCall) -> OrderView:
    """The order of ``order_id``. Raises OrderRejected, and ApiError also for a stop that has
    triggered."""
    order = order_named(call)
    if order.triggered and is_trigger_id(call.text("order_id")):
        raise ALREADY_CLOSED
    return order


def order_named(call: ApiCall) -> OrderView:
    """The order of ``order_id``, also by the id of the stop that made it. Raises ApiError and
    OrderRejected."""
    text = call.text("order_id")
    if not text:
        raise wrong("order_id", "value is required")
    return call.engine.order(call.account, order_number(text))


def traded_listing(call: ApiCall) -> Listing:
    """The listing of ``instrument_name``, also when it was delisted since. Raises ApiError."""
    name = call.text("instrument_name")
    found = known_listings(call.market_view).get(name)
    if found is None:
        raise wrong("instrument_name", "instrument not found" if name else "value is required")
    return found


def _optional(call: ApiCall, name: str) -> Decimal | None:
    text = call.text(name)
    if not text:
        return None
    number = amount(text)
    if not number:
        raise wrong(name, "must be a positive number")
    return number


def _ticket(buys: bool, call: ApiCall, listing: Listing) -> OrderTicket:
    kind = KINDS.get(call.text("type", "limit"))
    if kind is None:
        raise wrong("type", "must be one of " + ", ".join(KINDS))
    time_in_force = TIMES_IN_FORCE.get(call.text("time_in_force", "good_til_cancelled"))
    if time_in_force is None:
        raise wrong("time_in_force", "must be one of " + ", ".join(TIMES_IN_FORCE))
    label = call.text("label")
    if len(label) > LABEL_LENGTH_MAX:
        raise wrong("label", f"must be at most {LABEL_LENGTH_MAX} characters long")
    size, price = _size(call, listing), _optional(call, "price")
    if size is None:
        raise wrong("amount", "value is required")
    if kind in WITH_PRICE and price is None:
        raise wrong("price", "value is required")
    stop_price, trail = (_optional(call, f"trigger_{name}") for name in ("price", "offset"))
    if kind in WITH_STOP_PRICE and stop_price is None:
        raise wrong("trigger_price", "value is required")
    if kind == orders_pb2.ORDER_TYPE_MARKET:
        time_in_force = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    return OrderTicket(
        symbol=listing.symbol,
        side=side_of(buys),
        type=kind,
        size=size,
        price=price if kind in WITH_PRICE else None,
        stop_price=stop_price if kind in WITH_STOP_PRICE else None,
        trailing_offset=trail if kind == orders_pb2.ORDER_TYPE_TRAILING_STOP else None,
        time_in_force=time_in_force,
        post_only=call.flag("post_only") and kind in WITH_PRICE,
        reduce_only=call.flag("reduce_only"),
        client_order_id=label,
    )


def _size(call: ApiCall, listing: Listing) -> Decimal | None:
    """In US dollars, also when the client counts contracts."""
    size = _optional(call, "amount")
    if size is None:
        number = _optional(call, "contracts")
        size = None if number is None else number * Decimal(listing.lot_size)
    if size is not None and size % Decimal(listing.lot_size):
        raise wrong("amount", "must be a multiple of contract size")
    return size


async def _done(
    attempt: Callable[[Decimal | None], OrderView],
    price: Decimal | None,
    ticket: OrderTicket,
    call: ApiCall,
    listing: Listing,
) -> OrderView:
    """At this price; a post-only order that would take, beside the market. Raises OrderRejected."""
    reprices = ticket.post_only and not call.flag("reject_post_only")
    for _ in range(REPRICED_MAX if reprices else 0):
        try:
            return attempt(price)
        except OrderRejected as error:
            if error.refusal is not RejectCode.WOULD_TAKE:
                raise
        price = await _beside_the_market(ticket.buys, listing, call) or price
    return attempt(price)


async def _beside_the_market(buys: bool, listing: Listing, call: ApiCall) -> Decimal | None:
    """The best price at which an order takes nothing."""
    book = await call.market_view.book(listing.symbol)
    side = None if book is None else (book.asks if buys else book.bids)
    if not side:
        return None
    tick = Decimal(listing.tick_size)
    return Decimal(side[0][0]) + (-tick if buys else tick)
