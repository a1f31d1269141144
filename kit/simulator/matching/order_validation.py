"""Validation of new orders: their fields, their numbers and the rules of the market."""

from decimal import Decimal

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import IMMEDIATE, WITH_PRICE, WITH_STOP_PRICE
from kit.simulator.matching.contract import MatchingRules, OrderRejected, OrderTicket, RejectCode
from kit.simulator.matching.instrument_book import InstrumentBook, value_in_atoms
from kit.simulator.matching.order import MatchingOrder


def draft(
    book: InstrumentBook, account: str, ticket: OrderTicket, rules: MatchingRules, time_ns: int
) -> MatchingOrder:
    """Return the order that a ticket asks for, without a number. Raises OrderRejected."""
    if book.halted:
        raise OrderRejected(RejectCode.HALTED)
    if ticket.expire_time_ns and ticket.expire_time_ns <= time_ns:
        raise OrderRejected(RejectCode.MALFORMED, "the expiry time is in the past")
    _check_shape(ticket)
    ticks = 0
    if ticket.price is not None:
        ticks = book.ticks(ticket.price)
        if rules.price_band is not None:
            check_band(book, ticks, rules)
    mode = ticket.self_trade or rules.self_trade
    if ticket.value is None:
        lots = book.lots(ticket.size)
    else:
        probe = MatchingOrder(0, account, ticket, 0, 0, time_ns, mode)
        lots = _lots_for(book, probe, ticket.value)
        ticket = structs.replace(ticket, size=book.size(lots))
    order = MatchingOrder(0, account, ticket, ticks, lots, time_ns, mode)
    if ticket.stop_price is not None:
        order.stop_ticks = book.ticks(ticket.stop_price)
    if ticket.trailing_offset is not None:
        order.trail_ticks = book.ticks(ticket.trailing_offset)
    if book.notional_min:
        check_notional(book, order)
    return order


def check_band(book: InstrumentBook, ticks: int, rules: MatchingRules) -> None:
    """Raise OrderRejected if a price is too far from the last price."""
    last = book.orders.last_ticks
    if rules.price_band is not None and last and abs(ticks - last) > last * rules.price_band:
        raise OrderRejected(RejectCode.PRICE_BAND)


def check_notional(book: InstrumentBook, order: MatchingOrder) -> None:
    """Raise OrderRejected if an order's notional is too small. Orders without a price count at
    the last price."""
    ticks = order.ticks or order.stop_ticks or book.orders.last_ticks
    ticks = ticks or book.orders.best(not order.buys) or 0
    if ticks and book.contract.notional(ticks, order.lots) < book.notional_min:
        raise OrderRejected(RejectCode.NOTIONAL_MIN)


def check_fills(book: InstrumentBook, order: MatchingOrder) -> None:
    """Raise OrderRejected if a fill-or-kill order would not be filled completely."""
    left = order.left
    for _, lots in book.orders.offers(order):
        left -= lots
        if left <= 0:
            return
    raise OrderRejected(RejectCode.WOULD_NOT_FILL)


def _check_shape(ticket: OrderTicket) -> None:
    """Raise OrderRejected if the fields do not fit the kind of order."""
    is_priced = ticket.type in WITH_PRICE
    if is_priced is not (ticket.price is not None):
        raise OrderRejected(
            RejectCode.MALFORMED, "limit orders need a price; other orders must not have one"
        )
    trails = ticket.type == orders_pb2.ORDER_TYPE_TRAILING_STOP
    stops = ticket.type in WITH_STOP_PRICE
    if stops is not (ticket.stop_price is not None):
        raise OrderRejected(
            RejectCode.MALFORMED, "stop orders need a stop price; other orders must not have one"
        )
    if trails is not (ticket.trailing_offset is not None):
        raise OrderRejected(
            RejectCode.MALFORMED, "trailing stops need a trail; other orders must not have one"
        )
    is_market = ticket.type == orders_pb2.ORDER_TYPE_MARKET
    if ticket.value is not None and (not is_market or ticket.size):
        raise OrderRejected(
            RejectCode.MALFORMED, "only a market order without a size can have a value"
        )
    if ticket.post_only and (not is_priced or ticket.time_in_force in IMMEDIATE):
        raise OrderRejected(
            RejectCode.MALFORMED, "a post-only order must be a limit order that can rest"
        )
    is_good_till_time = ticket.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
    if is_good_till_time is not bool(ticket.expire_time_ns):
        raise OrderRejected(
            RejectCode.MALFORMED,
            "good-till-time orders need an expiry time; others must not have one",
        )


def _lots_for(book: InstrumentBook, probe: MatchingOrder, value: Decimal) -> int:
    """Return the lots that a market order gets for this value in the quote asset."""
    left, found = value_in_atoms(value), 0
    for ticks, lots in book.orders.offers(probe):
        one = book.contract.notional(ticks, 1)
        taken = min(lots, left // one)
        found += taken
        left -= taken * one
        if taken < lots:
            break
    if not found:
        raise OrderRejected(RejectCode.SIZE_MIN)
    return found
