"""Kraken's lists of what has changed balances: the ledger.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-ledgers
"""

from kit.simulator.exchange.rest import ApiCall, Route, private
from kit.simulator.matching.contract import BookingCause, BookingView
from venues.kraken.simulator.private_rest import BALANCE_PLACES, PAGE, span_ns
from venues.kraken.simulator.rest import Row
from venues.kraken.simulator.rows import asset_name, execution_id, ledger_id, number, seconds


def routes() -> dict[str, Route]:
    """The calls that need a key."""
    return private({"POST /0/private/Ledgers": _ledgers})


def _ledgers(call: ApiCall) -> Row:
    """The entries of one asset and type, or of all, newest first."""
    start_ns, end_ns = span_ns(call)
    found = [
        one
        for one in reversed(call.engine.bookings(call.account))
        if start_ns <= one.time_ns < end_ns
        and call.text("asset", "all") in ("all", one.asset, asset_name(one.asset))
        and call.text("type", "all") in ("all", _type(one))
    ]
    first = call.integer("ofs", 0)
    page = found[first : first + PAGE]
    return {"ledger": {ledger_id(one.number): _entry(one) for one in page}, "count": len(found)}


def _type(booking: BookingView) -> str:
    if booking.cause is BookingCause.FILL:
        return "trade"
    return "deposit" if booking.amount > 0 else "withdrawal"


def _entry(booking: BookingView) -> Row:
    fill = booking.fill
    return {
        "refid": execution_id(fill) if fill else ledger_id(booking.number),
        "time": seconds(booking.time_ns),
        "type": _type(booking),
        "subtype": "",
        "aclass": "currency",
        "asset": asset_name(booking.asset),
        "amount": number(booking.amount, BALANCE_PLACES),
        "fee": number(booking.fee, BALANCE_PLACES),
        "balance": number(booking.balance, BALANCE_PLACES),
    }
