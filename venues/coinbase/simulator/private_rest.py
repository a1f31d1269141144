"""Coinbase's REST calls of an account, of Advanced Trade and of Exchange.

Documentation: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api
https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from kit.simulator.exchange.order_fills import fills_by_order
from kit.simulator.exchange.rest import ApiCall, private
from kit.simulator.matching.contract import FillView, OrderView
from kit.simulator.text_conversion import plain
from venues.coinbase.simulator.authentication import MATCHING_RULES
from venues.coinbase.simulator.errors import EXCHANGE_NO_ORDER, exchange_error
from venues.coinbase.simulator.orders import (
    advanced_cancel,
    advanced_create,
    advanced_edit,
    advanced_order,
    exchange_cancel,
    exchange_cancel_all,
    exchange_create,
    exchange_order,
)
from venues.coinbase.simulator.rest import ROWS_DEFAULT, ROWS_MAX, TIME_END_NS, Row, instant
from venues.coinbase.simulator.rows import (
    advanced_account_row,
    advanced_fill_row,
    advanced_order_row,
    advanced_status,
    exchange_account_row,
    exchange_fill_row,
    exchange_order_row,
    exchange_status,
    order_id,
    user_id,
    wallet_row,
)

RowT = TypeVar("RowT")
OrderRow = Callable[[OrderView, Sequence[FillView]], Row]
OPEN_STATES = ("open", "pending", "active")
CURSOR_DIGITS_MAX = 12


def _page(call: ApiCall, rows: Sequence[RowT]) -> tuple[Sequence[RowT], str]:
    """Rows of Advanced Trade, and the cursor of the next page; "": there is none."""
    first = call.integer("cursor", 0, digits_max=CURSOR_DIGITS_MAX)
    end = first + call.limit(ROWS_DEFAULT, ROWS_MAX)
    return rows[first:end], str(end) if end < len(rows) else ""


def _any_of(call: ApiCall, *names: str) -> set[str]:
    """The values of parameters that may come more than once."""
    return {one for name in names for one in call.names(name)}


def _orders_of_time(call: ApiCall, product: str = "") -> list[OrderView]:
    start_ns, end_ns = instant(call, "start_date", 0), instant(call, "end_date", TIME_END_NS)
    orders = reversed(call.engine.orders(call.account, product))
    return [one for one in orders if start_ns <= one.created_ns < end_ns]


def _fills_of_time(call: ApiCall, start: str, end: str, product: str = "") -> list[FillView]:
    start_ns, end_ns = instant(call, start, 0), instant(call, end, TIME_END_NS)
    fills = reversed(call.engine.fills(call.account, product, start_ns))
    return [one for one in fills if one.time_ns < end_ns]


def _rows(call: ApiCall, orders: Sequence[OrderView], row: OrderRow) -> list[Row]:
    fills = fills_by_order(orders, call.engine)
    return [row(one, fills.get(one.order_id, ())) for one in orders]


def _advanced_accounts(call: ApiCall) -> Row:
    balances = call.engine.balances(call.account)
    rows = [advanced_account_row(one, call.market_view) for one in balances]
    return {"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)}


def _wallets(call: ApiCall) -> Row:
    """The accounts of the older API."""
    rows = [wallet_row(one) for one in call.engine.balances(call.account)]
    return {"pagination": {"next_starting_after": None, "limit": 250}, "data": rows}


def _advanced_order(call: ApiCall) -> Row:
    return {"order": _rows(call, [advanced_order(call)], advanced_order_row)[0]}


def _advanced_orders(call: ApiCall) -> Row:
    states, ids = _any_of(call, "order_status"), _any_of(call, "order_ids")
    products = _any_of(call, "product_id", "product_ids")
    chosen = [
        one
        for one in _orders_of_time(call)
        if (not states or advanced_status(one) in states)
        and (not products or one.ticket.symbol in products)
        and (not ids or order_id(one) in ids)
    ]
    page, cursor = _page(call, chosen)
    rows = _rows(call, page, advanced_order_row)
    return {"orders": rows, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}


def _advanced_fills(call: ApiCall) -> Row:
    orders = _any_of(call, "order_id", "order_ids")
    products = _any_of(call, "product_id", "product_ids")
    chosen = [
        fill
        for fill in _fills_of_time(call, "start_sequence_timestamp", "end_sequence_timestamp")
        if (not orders or order_id(fill.order) in orders)
        and (not products or fill.order.ticket.symbol in products)
    ]
    page, cursor = _page(call, chosen)
    return {"fills": [advanced_fill_row(one) for one in page], "cursor": cursor}


def _permissions(call: ApiCall) -> Row:
    """The rights of the key that signed the call."""
    return {
        "can_view": True,
        "can_trade": call.engine.settings(call.account).may_trade,
        "can_transfer": call.key.may_withdraw,
        "portfolio_uuid": user_id(call.account),
    }


def _summary(call: ApiCall) -> Row:
    tier, fills = MATCHING_RULES.tiers[0], call.engine.fills(call.account)
    volume = sum((fill.price * fill.size for fill in fills), Decimal(0))
    return {
        "total_volume": plain(volume),
        "total_fees": plain(sum((fill.fee for fill in fills), Decimal(0))),
        "fee_tier": {
            "pricing_tier": "Simulated",
            "usd_from": "0",
            "usd_to": "",
            "taker_fee_rate": plain(tier.taker),
            "maker_fee_rate": plain(tier.maker),
        },
    }


def _exchange_accounts(call: ApiCall) -> list[Row]:
    return [exchange_account_row(one) for one in call.engine.balances(call.account)]


def _exchange_order(call: ApiCall) -> Row:
    order = exchange_order(call)
    if order is None:
        raise EXCHANGE_NO_ORDER
    return _rows(call, [order], exchange_order_row)[0]


def _exchange_orders(call: ApiCall) -> list[Row]:
    """Newest first; open orders unless ``status`` names others."""
    wanted = call.names("status") or OPEN_STATES
    chosen = [
        one
        for one in _orders_of_time(call, call.text("product_id"))
        if "all" in wanted or exchange_status(one) in wanted
    ]
    return _rows(call, chosen[: call.limit(ROWS_DEFAULT, ROWS_MAX)], exchange_order_row)


def _exchange_fills(call: ApiCall) -> list[Row]:
    product, order = call.text("product_id"), call.text("order_id")
    if not product and not order:
        raise exchange_error("Either product_id or order_id is required")
    chosen = [
        fill
        for fill in _fills_of_time(call, "start_date", "end_date", product)
        if order in ("", order_id(fill.order))
    ]
    return [exchange_fill_row(one) for one in chosen[: call.limit(ROWS_DEFAULT, ROWS_MAX)]]


BROKERAGE = "/api/v3/brokerage"
ADVANCED_ROUTES = private(
    {
        f"GET {BROKERAGE}/accounts": _advanced_accounts,
        f"GET {BROKERAGE}/key_permissions": _permissions,
        f"GET {BROKERAGE}/transaction_summary": _summary,
        f"GET {BROKERAGE}/orders/historical/batch": _advanced_orders,
        f"GET {BROKERAGE}/orders/historical/fills": _advanced_fills,
        f"GET {BROKERAGE}/orders/historical/{{order_id}}": _advanced_order,
        f"POST {BROKERAGE}/orders": advanced_create,
        f"POST {BROKERAGE}/orders/edit": advanced_edit,
        f"POST {BROKERAGE}/orders/batch_cancel": advanced_cancel,
        "GET /v2/accounts": _wallets,
    }
)
EXCHANGE_ROUTES = private(
    {
        "GET /accounts": _exchange_accounts,
        "GET /fills": _exchange_fills,
        "GET /orders": _exchange_orders,
        "GET /orders/{order_id}": _exchange_order,
        "POST /orders": exchange_create,
        "DELETE /orders": exchange_cancel_all,
        "DELETE /orders/{order_id}": exchange_cancel,
    }
)
