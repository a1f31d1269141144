"""Coinbase's lists of what has changed balances: the transactions of an account.

Documentation: https://docs.cdp.coinbase.com/coinbase-app/track-apis/transactions
"""

from kit.simulator.exchange.paging import page_after
from kit.simulator.exchange.rest import ApiCall, private
from kit.simulator.matching.contract import BookingView
from kit.simulator.text_conversion import plain
from venues.coinbase.simulator.candles import micro_text
from venues.coinbase.simulator.rest import Row
from venues.coinbase.simulator.rows import FILLS, account_id, made_id, order_id

ROWS_DEFAULT, ROWS_MAX = 25, 100
IDS_BEGIN = 1 << 64
SECOND_END = len("2019-02-28T12:35:20")


def _transactions(call: ApiCall) -> Row:
    """Newest first. An account is named by its id or its asset."""
    account = call.text("account_id")
    found = [
        one
        for one in reversed(call.engine.bookings(call.account))
        if account in (one.asset, account_id(one.asset))
    ]
    limit = call.limit(ROWS_DEFAULT, ROWS_MAX)
    page = page_after(found, _id, call.text("starting_after"), limit)
    more = _id(page[-1]) if page and page[-1] is not found[-1] else None
    pagination = {"limit": limit, "order": "desc", "next_starting_after": more}
    return {"pagination": pagination, "data": [_row(one) for one in page]}


ROUTES = private({"GET /v2/accounts/{account_id}/transactions": _transactions})


def _id(booking: BookingView) -> str:
    return made_id(FILLS, IDS_BEGIN + booking.number)


def _row(booking: BookingView) -> Row:
    fill, number = booking.fill, _id(booking)
    amount = {"amount": plain(booking.amount - booking.fee), "currency": booking.asset}
    path = f"/v2/accounts/{account_id(booking.asset)}/transactions/{number}"
    row: Row = {
        "id": number,
        "type": "advanced_trade_fill" if fill else "transfer",
        "status": "completed",
        "amount": amount,
        "native_amount": amount,
        "description": None,
        "created_at": f"{micro_text(booking.time_ns)[:SECOND_END]}Z",
        "updated_at": f"{micro_text(booking.time_ns)[:SECOND_END]}Z",
        "resource": "transaction",
        "resource_path": path,
    }
    if fill is not None:
        row["advanced_trade_fill"] = {
            "fill_price": plain(fill.price),
            "product_id": booking.symbol,
            "order_id": order_id(fill.order),
            "commission": plain(fill.fee),
            "order_side": "buy" if fill.order.ticket.buys else "sell",
        }
    return row
