"""Deribit's lists of what has changed balances: the transaction log, over HTTP and the websocket.

Documentation:
https://docs.deribit.com/api-reference/account-management/private-get_transaction_log
A trade changes the balance by its fee only. Its profit is paid by the settlement at 08:00 UTC, with
that of the open position. The simulated exchange pays funding when it is due, Deribit at 08:00 too.
"""

from collections.abc import Mapping

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.rest import ApiCall, Handler
from kit.simulator.matching.contract import BookingCause, BookingView
from venues.deribit.simulator.candles import number
from venues.deribit.simulator.private_rest import SEQUENCE_MAX, TIME_END_MS, currency_of
from venues.deribit.simulator.rest import trade_id
from venues.deribit.simulator.rows import ZERO, Row, order_id

ROWS_DEFAULT, ROWS_MAX = 100, 250


def _log(call: ApiCall) -> Row:
    """Newest first. ``continuation`` is the id of the last row of the page before."""
    currency = currency_of(call)
    start_ms = call.integer("start_timestamp")
    end_ms = call.integer("end_timestamp", TIME_END_MS)
    before = call.integer("continuation", SEQUENCE_MAX)
    found = [
        one
        for one in reversed(call.engine.bookings(call.account))
        if one.asset == currency
        and start_ms <= one.time_ns // NANOSECONDS_PER_MILLISECOND <= end_ms
        and one.number < before
    ]
    count = call.integer("count", ROWS_DEFAULT, ROWS_MAX)
    page = found[:count]
    more = page[-1].number if len(found) > count else None
    return {"logs": [_row(call, one) for one in page], "continuation": more}


METHODS: Mapping[str, Handler] = {"private/get_transaction_log": _log}


def _type(booking: BookingView) -> str:
    match booking.cause:
        case BookingCause.FILL:
            return "trade"
        case BookingCause.FUNDING | BookingCause.SETTLEMENT:
            return "settlement"
        case BookingCause.LIQUIDATION:
            return "correction"
    return "deposit" if booking.amount > 0 else "withdrawal"


def _row(call: ApiCall, booking: BookingView) -> Row:
    fill, change = booking.fill, booking.amount - booking.fee
    is_funding = booking.cause is BookingCause.FUNDING
    row: Row = {
        "id": booking.number,
        "user_seq": booking.number,
        "user_id": 1,
        "username": call.account,
        "type": _type(booking),
        "timestamp": booking.time_ns // NANOSECONDS_PER_MILLISECOND,
        "currency": booking.asset,
        "instrument_name": booking.symbol or None,
        "cashflow": number(fill.profit if fill is not None else booking.amount),
        "change": number(change),
        "commission": number(booking.fee),
        "interest_pl": number(booking.amount) if is_funding else None,
        "total_interest_pl": number(booking.amount) if is_funding else None,
        "balance": number(booking.balance),
        "equity": number(booking.balance),
        "info": None,
    }
    if fill is not None:
        row |= {
            "trade_id": trade_id(fill.trade_id, call.traded(booking.symbol).base),
            "order_id": order_id(fill.order),
            "amount": number(fill.size),
            "price": number(fill.price),
            "side": "open buy" if fill.order.ticket.buys else "open sell",
            "user_role": "maker" if fill.is_maker else "taker",
            "profit_as_cashflow": False,
            "session_rpl": number(ZERO),
        }
    return row
