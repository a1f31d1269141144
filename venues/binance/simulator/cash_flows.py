"""Binance's lists of what has changed balances: deposits and withdrawals, the income of futures.

Documentation: https://developers.binance.com/docs/wallet and
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.exchange.rest import ApiCall, Handler, Route, private
from kit.simulator.matching.contract import BookingCause, BookingView
from venues.binance.simulator.rest import TIME_END_MS
from venues.binance.simulator.rows import Row, milliseconds, padded_number, plain_number

ROWS_DEFAULT, ROWS_MAX = 100, 1_000
USUAL_MS = 7 * 86_400_000
"""How far back the list reaches when no time is given."""
INCOME_TYPES = {
    BookingCause.TRANSFER: "TRANSFER",
    BookingCause.FUNDING: "FUNDING_FEE",
    BookingCause.LIQUIDATION: "INSURANCE_CLEAR",
}


def spot_routes() -> dict[str, Route]:
    """The calls of spot. There are no transfers between wallets, and no dividends."""
    handlers: dict[str, Handler] = {
        "GET /sapi/v1/capital/deposit/hisrec": _deposits,
        "GET /sapi/v1/capital/withdraw/history": _withdrawals,
        "GET /sapi/v1/asset/transfer": lambda call: {"total": 0, "rows": []},
        "GET /sapi/v1/asset/assetDividend": lambda call: {"total": 0, "rows": []},
    }
    return private(handlers)


def _deposits(call: ApiCall) -> list[Row]:
    """Transfers into the account, newest first."""
    return [
        {
            "id": str(one.number),
            "amount": padded_number(one.amount),
            "coin": one.asset,
            "network": one.asset,
            "status": 1,
            "address": "",
            "addressTag": "",
            "txId": f"simulated-{one.number}",
            "insertTime": milliseconds(one.time_ns),
            "completeTime": milliseconds(one.time_ns),
            "transferType": 1,
            "unlockConfirm": "0/0",
            "confirmTimes": "0/0",
            "walletType": 0,
        }
        for one in _wallet_page(call, is_deposit=True)
    ]


def _withdrawals(call: ApiCall) -> list[Row]:
    """Transfers out of the account, newest first. They cost nothing."""
    return [
        {
            "id": str(one.number),
            "amount": padded_number(-one.amount),
            "transactionFee": "0",
            "coin": one.asset,
            "status": 6,
            "address": "",
            "txId": f"simulated-{one.number}",
            "applyTime": _second_text(one.time_ns),
            "completeTime": _second_text(one.time_ns),
            "network": one.asset,
            "transferType": 1,
            "walletType": 0,
        }
        for one in _wallet_page(call, is_deposit=False)
    ]


def _wallet_page(call: ApiCall, *, is_deposit: bool) -> list[BookingView]:
    start_ms, end_ms = call.integer("startTime", 0), call.integer("endTime", TIME_END_MS)
    found = [
        one
        for one in reversed(call.engine.bookings(call.account))
        if one.cause is BookingCause.TRANSFER
        and (one.amount > 0) is is_deposit
        and start_ms <= milliseconds(one.time_ns) <= end_ms
        and call.text("coin") in ("", one.asset)
    ]
    begin = call.integer("offset", 0)
    return found[begin : begin + call.limit(ROWS_MAX, ROWS_MAX)]


def _second_text(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def futures_routes() -> dict[str, Route]:
    """The calls of USD-M futures."""
    return {"GET /fapi/v1/income": Route(_income, signed=True, weight=30)}


def _income(call: ApiCall) -> list[Row]:
    """Oldest first, in numbered pages; without a time those of seven days."""
    has_time = call.parameters.keys() & {"startTime", "endTime"}
    start_ms = call.integer("startTime", 0 if has_time else call.clock_ms - USUAL_MS)
    end_ms = call.integer("endTime", TIME_END_MS)
    found = [
        row
        for booking in call.engine.bookings(call.account)
        if start_ms <= milliseconds(booking.time_ns) <= end_ms
        for row in _income_rows(booking)
        if call.text("symbol") in ("", row["symbol"])
        and call.text("incomeType") in ("", row["incomeType"])
    ]
    limit = call.limit(ROWS_DEFAULT, ROWS_MAX)
    begin = (max(1, call.integer("page", 1)) - 1) * limit
    return found[begin : begin + limit]


def _income_rows(booking: BookingView) -> Iterator[Row]:
    if booking.fill is None:
        yield _income_row(booking, INCOME_TYPES[booking.cause], booking.amount)
        return
    if booking.amount:
        yield _income_row(booking, "REALIZED_PNL", booking.amount)
    if booking.fee:
        yield _income_row(booking, "COMMISSION", -booking.fee)


def _income_row(booking: BookingView, income_type: str, amount: Decimal) -> Row:
    return {
        "symbol": booking.symbol,
        "incomeType": income_type,
        "income": plain_number(amount),
        "asset": booking.asset,
        "info": str(booking.fill.trade_id) if booking.fill else income_type,
        "time": milliseconds(booking.time_ns),
        "tranId": booking.number,
        "tradeId": str(booking.fill.trade_id) if booking.fill else "",
    }
