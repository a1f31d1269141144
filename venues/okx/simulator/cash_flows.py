"""OKX's lists of what has changed balances: the bills of the trading account.

Documentation:
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-3-months
"""

from decimal import Decimal

from kit.simulator.exchange.rest import ApiCall, Route, private
from kit.simulator.matching.contract import BookingCause, BookingView
from kit.simulator.text_conversion import plain
from venues.okx.simulator.candles import milliseconds
from venues.okx.simulator.instruments import TYPES
from venues.okx.simulator.private_rest import is_in_span, page_of
from venues.okx.simulator.rest import ROOT
from venues.okx.simulator.rows import ORDER_IDS_BEGIN, Row, order_id

FUNDING_ACCOUNT, TRADING_ACCOUNT = "6", "18"
TYPE_NAMES = {
    BookingCause.FILL: ("2", "2", "1"),
    BookingCause.TRANSFER: ("1", "12", "11"),
    BookingCause.FUNDING: ("8", "173", "174"),
    BookingCause.LIQUIDATION: ("5", "111", "110"),
}
"""The type of a bill, and its subtype where it takes something and where it gives something."""


def routes() -> dict[str, Route]:
    """The calls that need a key."""
    return private({f"GET {ROOT}account/{name}": _bills for name in ("bills", "bills-archive")})


def _bills(call: ApiCall) -> list[Row]:
    """Newest first. The simulator keeps as many of both lists."""
    found = [
        one
        for one in call.engine.bookings(call.account)
        if is_in_span(call, one.time_ns)
        and call.text("type") in ("", TYPE_NAMES[one.cause][0])
        and call.text("ccy") in ("", one.asset)
        and call.text("instId") in ("", one.symbol)
    ]
    return [_bill(call, one) for one in page_of(call, found, _bill_id)]


def _bill_id(booking: BookingView) -> int:
    return ORDER_IDS_BEGIN + booking.number


def _bill(call: ApiCall, booking: BookingView) -> Row:
    fill, change = booking.fill, booking.amount - booking.fee
    bill_type, taking, giving = TYPE_NAMES[booking.cause]
    transfer = ("", "")
    if booking.cause is BookingCause.TRANSFER:
        transfer = (FUNDING_ACCOUNT, TRADING_ACCOUNT)
        transfer = transfer if change > 0 else transfer[::-1]
    profit = fill.profit if fill else change
    is_traded = booking.cause in (BookingCause.FILL, BookingCause.FUNDING)
    return {
        "billId": str(_bill_id(booking)),
        "type": bill_type,
        "subType": giving if change > 0 else taking,
        "instType": TYPES[call.traded(booking.symbol).kind] if booking.symbol else "",
        "instId": booking.symbol,
        "ccy": booking.asset,
        "balChg": plain(change),
        "bal": plain(booking.balance),
        "sz": plain(fill.size if fill else abs(change)),
        "px": plain(fill.price) if fill else "",
        "pnl": plain(profit if is_traded else Decimal(0)),
        "fee": plain(-booking.fee),
        "mgnMode": "cross" if is_traded else "",
        "from": transfer[0],
        "to": transfer[1],
        "ordId": order_id(fill.order) if fill else "",
        "tradeId": str(fill.trade_id) if fill else "",
        "clOrdId": fill.order.ticket.client_order_id if fill else "",
        "execType": ("M" if fill.is_maker else "T") if fill else "",
        **dict.fromkeys(("posBal", "posBalChg"), "0"),
        **dict.fromkeys(("notes", "interest", "tag"), ""),
        "ts": milliseconds(booking.time_ns),
    }
