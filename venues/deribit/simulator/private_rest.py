"""Deribit's methods of an account, the same over HTTP and over the websocket.

Documentation: https://docs.deribit.com/api-reference/trading/private-buy and its neighbours.
"""

from collections.abc import Iterable, Mapping

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.exchange.order_fills import fills_of
from kit.simulator.exchange.rest import ApiCall, Handler
from kit.simulator.matching.contract import FillView, OrderView
from venues.deribit.simulator.errors import NOT_FOUND, rejection, wrong
from venues.deribit.simulator.orders import active_order, edit, order_named, place, traded_listing
from venues.deribit.simulator.rows import (
    Row,
    is_trigger_id,
    order_row,
    portfolio_rows,
    position_row,
    trade_row,
    triggered_row,
)

ROWS_DEFAULT, ROWS_MAX = 20, 1000
TRADES_DEFAULT = 10
TIME_END_MS = 10**15
RECENT_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
SEQUENCE_MAX = 10**17
SEVERAL_LABELLED = rejection(11030, "other_reject", reason="multiple_orders_with_same_label")
NO_POSITION = rejection(11030, "other_reject", reason="no_position")


async def _buy(call: ApiCall) -> Row:
    return _traded(call, await place(True, call))


async def _sell(call: ApiCall) -> Row:
    return _traded(call, await place(False, call))


async def _edit(call: ApiCall) -> Row:
    return await _changed(call, active_order(call))


async def _edit_by_label(call: ApiCall) -> Row:
    found = _labelled(call)
    if not found:
        raise NOT_FOUND
    if len(found) > 1:
        raise SEVERAL_LABELLED
    return await _changed(call, found[0])


async def _changed(call: ApiCall, order: OrderView) -> Row:
    before = len(fills_of(order, call.engine))
    return _traded(call, await edit(order, call), before)


def _cancel(call: ApiCall) -> Row:
    order = call.engine.cancel(call.account, active_order(call).order_id)
    return order_row(order, call.traded(order.ticket.symbol))


def _cancel_all(call: ApiCall) -> int:
    return len(call.engine.cancel_all(call.account))


def _cancel_all_by_instrument(call: ApiCall) -> int:
    return len(call.engine.cancel_all(call.account, traded_listing(call).symbol))


def _cancel_by_label(call: ApiCall) -> int:
    found = _labelled(call)
    return len([call.engine.cancel(call.account, order.order_id) for order in found])


async def _close_position(call: ApiCall) -> Row:
    symbol = traded_listing(call).symbol
    held = [one for one in call.engine.positions(call.account) if one.symbol == symbol]
    if not held or not held[0].size:
        raise NO_POSITION
    close = {"amount": f"{abs(held[0].size):f}", "reduce_only": "true"}
    return _traded(call, await place(held[0].size < 0, call.having(close)))


def _order_state(call: ApiCall) -> Row:
    order = order_named(call)
    listing = call.traded(order.ticket.symbol)
    if order.triggered and is_trigger_id(call.text("order_id")):
        return triggered_row(order, listing)
    return order_row(order, listing)


def _order_state_by_label(call: ApiCall) -> list[Row]:
    """Of a currency: all that are open, and the newest that are done."""
    label, listings = call.text("label"), _listings_of_currency(call)
    found = [
        one
        for one in call.engine.orders(call.account)
        if one.ticket.client_order_id == label and one.ticket.symbol in listings
    ]
    stops = [triggered_row(one, call.traded(one.ticket.symbol)) for one in found if one.triggered]
    return _rows(call, reversed(found)) + stops


def _open_orders(call: ApiCall) -> list[Row]:
    return _rows(call, call.engine.open_orders(call.account))


def _open_orders_by_instrument(call: ApiCall) -> list[Row]:
    return _rows(call, call.engine.open_orders(call.account, traded_listing(call).symbol))


def _order_history_by_instrument(call: ApiCall) -> list[Row]:
    """Orders that are done, newest first; those that were cancelled unfilled only on request."""
    orders = call.engine.orders(call.account, traded_listing(call).symbol)
    count, first = call.integer("count", ROWS_DEFAULT, ROWS_MAX), call.integer("offset", 0)
    unfilled = call.flag("include_unfilled")
    done = [one for one in reversed(orders) if one.is_final and (one.filled or unfilled)]
    return _rows(call, done[first : first + count])


def _trades_by_currency(call: ApiCall) -> Row:
    listings = _listings_of_currency(call)
    fills = call.engine.fills(call.account)
    return _trades(call, [one for one in fills if one.order.ticket.symbol in listings])


def _trades_by_instrument(call: ApiCall) -> Row:
    return _trades(call, call.engine.fills(call.account, traded_listing(call).symbol))


def _trades_by_order(call: ApiCall) -> list[Row]:
    return _trade_rows(call, fills_of(active_order(call), call.engine))


def _positions(call: ApiCall) -> list[Row]:
    listings = _listings_of_currency(call, call.text("currency", "any"))
    return [
        position_row(one, call.traded(one.symbol), call.market_view)
        for one in call.engine.positions(call.account)
        if one.symbol in listings
    ]


def _account_summary(call: ApiCall) -> Row:
    for row in portfolio_rows(call.engine, call.account, call.market_view):
        if row["currency"] == currency_of(call):
            return row
    raise wrong("currency", "unknown currency")


def _account_summaries(call: ApiCall) -> Row:
    return {
        "id": 1,
        "username": call.account,
        "type": "main",
        "email": "",
        "summaries": portfolio_rows(call.engine, call.account, call.market_view),
    }


METHODS: Mapping[str, Handler] = {
    "private/buy": _buy,
    "private/sell": _sell,
    "private/edit": _edit,
    "private/edit_by_label": _edit_by_label,
    "private/cancel": _cancel,
    "private/cancel_all": _cancel_all,
    "private/cancel_all_by_instrument": _cancel_all_by_instrument,
    "private/cancel_by_label": _cancel_by_label,
    "private/close_position": _close_position,
    "private/get_order_state": _order_state,
    "private/get_order_state_by_label": _order_state_by_label,
    "private/get_open_orders": _open_orders,
    "private/get_open_orders_by_instrument": _open_orders_by_instrument,
    "private/get_order_history_by_instrument": _order_history_by_instrument,
    "private/get_user_trades_by_currency_and_time": _trades_by_currency,
    "private/get_user_trades_by_instrument": _trades_by_instrument,
    "private/get_user_trades_by_instrument_and_time": _trades_by_instrument,
    "private/get_user_trades_by_order": _trades_by_order,
    "private/get_positions": _positions,
    "private/get_account_summary": _account_summary,
    "private/get_account_summaries": _account_summaries,
}


def currency_of(call: ApiCall) -> str:
    currency = call.text("currency")
    if not currency:
        raise wrong("currency", "value is required")
    return currency


def _listings_of_currency(call: ApiCall, currency: str = "") -> set[str]:
    """The symbols that a currency settles; ``any`` stands for all."""
    wanted = currency or currency_of(call)
    listings = known_listings(call.market_view).values()
    return {one.symbol for one in listings if wanted in ("any", one.settle)}


def _labelled(call: ApiCall) -> list[OrderView]:
    """The open orders with the label."""
    label = call.text("label")
    orders = call.engine.open_orders(call.account)
    return [one for one in orders if label and one.ticket.client_order_id == label]


def _rows(call: ApiCall, orders: Iterable[OrderView]) -> list[Row]:
    return [order_row(one, call.traded(one.ticket.symbol)) for one in orders]


def _traded(call: ApiCall, order: OrderView, since: int = 0) -> Row:
    """An order and its trades, from the ``since``th on."""
    fills = fills_of(order, call.engine)[since:]
    row = order_row(order, call.traded(order.ticket.symbol))
    return {"order": row, "trades": _trade_rows(call, fills)}


def _trades(call: ApiCall, fills: list[FillView]) -> Row:
    """Newest first, unless a time is asked for or a sorting is given. The trades of the last day
    are in one list, older ones in another."""
    count = call.integer("count", TRADES_DEFAULT, ROWS_MAX)
    start_ns = call.integer("start_timestamp", 0) * NANOSECONDS_PER_MILLISECOND
    end_ns = (call.integer("end_timestamp", TIME_END_MS) + 1) * NANOSECONDS_PER_MILLISECOND
    first, last = call.integer("start_seq", 0), call.integer("end_seq", SEQUENCE_MAX)
    recent_ns, historical = call.now_ns - RECENT_NS, call.flag("historical")
    inside = [
        fill
        for fill in fills
        if (fill.time_ns < recent_ns) == historical
        and start_ns <= fill.time_ns < end_ns
        and first <= fill.trade_id <= last
    ]
    default = "asc" if start_ns or first else "desc"
    sorting = call.text("sorting", "default")
    if (default if sorting == "default" else sorting) == "desc":
        inside.reverse()
    return {"trades": _trade_rows(call, inside[:count]), "has_more": len(inside) > count}


def _trade_rows(call: ApiCall, fills: Iterable[FillView]) -> list[Row]:
    return [trade_row(one, call.traded(one.order.ticket.symbol), call.market_view) for one in fills]
