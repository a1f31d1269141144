"""Bybit's lists of what has changed balances: the transaction log.

Documentation: https://bybit-exchange.github.io/docs/v5/account/transaction-log
"""

from kit.simulator.exchange.paging import page_after
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, private
from kit.simulator.matching.contract import BookingCause, BookingView
from kit.simulator.text_conversion import plain
from venues.bybit.simulator.errors import PARAMETER_ERROR
from venues.bybit.simulator.private_rest import (
    ORDERS_DEFAULT,
    ORDERS_MAX,
    cursor_of,
    page_of,
    span_ns,
)
from venues.bybit.simulator.rest import Row
from venues.bybit.simulator.rows import milliseconds, order_id

SPAN_NS_MAX = 7 * 86_400 * 10**9
NO_VALUES = dict.fromkeys(("feeRate", "bonusChange", "extraFees", "transSubType"), "")


def routes() -> dict[str, Route]:
    """The calls that need a key."""
    return private({"GET /v5/account/transaction-log": _log})


def _log(call: ApiCall) -> Row:
    """Newest first. The last day where no time is given."""
    start_ns, end_ns = span_ns(call)
    if {"startTime", "endTime"} <= call.parameters.keys() and end_ns - start_ns > SPAN_NS_MAX:
        raise ApiError(PARAMETER_ERROR, "The time range must not be over 7 days.")
    found = [
        one
        for one in reversed(call.engine.bookings(call.account))
        if start_ns <= one.time_ns <= end_ns
        and call.text("currency") in ("", one.asset)
        and call.text("type") in ("", _type(one))
        and call.text("category") in ("", _category(one))
    ]
    page = page_after(found, _mark, cursor_of(call), call.limit(ORDERS_DEFAULT, ORDERS_MAX))
    return page_of(call, [(_mark(one), _row(one)) for one in page])


def _mark(booking: BookingView) -> str:
    return str(booking.number)


def _type(booking: BookingView) -> str:
    if booking.cause is BookingCause.FILL:
        return "TRADE"
    return "TRANSFER_IN" if booking.amount > 0 else "TRANSFER_OUT"


def _category(booking: BookingView) -> str:
    return "spot" if booking.fill else ""


def _row(booking: BookingView) -> Row:
    fill, amount = booking.fill, plain(booking.amount)
    side = "None" if fill is None else "Buy" if fill.order.ticket.buys else "Sell"
    return {
        **NO_VALUES,
        "id": f"{booking.number}_{booking.symbol}_{booking.asset}",
        "symbol": booking.symbol,
        "category": _category(booking),
        "side": side,
        "transactionTime": milliseconds(booking.time_ns),
        "type": _type(booking),
        "qty": amount,
        "size": "0",
        "currency": booking.asset,
        "tradePrice": plain(fill.price) if fill else "",
        "funding": "",
        "fee": plain(booking.fee),
        "cashFlow": amount,
        "change": plain(booking.amount - booking.fee),
        "cashBalance": plain(booking.balance),
        "tradeId": str(fill.trade_id) if fill else "",
        "orderId": order_id(fill.order) if fill else "",
        "orderLinkId": fill.order.ticket.client_order_id if fill else "",
    }
