"""Kraken's REST calls of an account.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-extended-balance and its neighbours.
"""

from collections.abc import Sequence

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.exchange.order_fills import fills_by_order
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, private
from kit.simulator.matching.contract import FillView, OrderRejected, OrderView
from venues.kraken.simulator.authentication import KrakenAuthentication
from venues.kraken.simulator.errors import invalid
from venues.kraken.simulator.orders import (
    KrakenOrderRequest,
    amend,
    cancel_after,
    cancel_each,
    check_deadline,
    order_named,
    ticket_of,
)
from venues.kraken.simulator.rest import Row, pair_named
from venues.kraken.simulator.rows import (
    amend_id,
    asset_name,
    described,
    execution_id,
    number,
    order_id,
    order_number,
    order_row,
    trade_row,
)

PAGE = 50
IDS_MAX = 50
TIME_END_S = 10**10
BALANCE_PLACES = 10


def routes(authentication: KrakenAuthentication) -> dict[str, Route]:
    """The calls that need a key."""
    return private(
        {
            "POST /0/private/AddOrder": _add,
            "POST /0/private/AmendOrder": _amend,
            "POST /0/private/CancelOrder": _cancel,
            "POST /0/private/CancelOrderBatch": _cancel_several,
            "POST /0/private/CancelAll": _cancel_all,
            "POST /0/private/CancelAllOrdersAfter": cancel_after,
            "POST /0/private/OpenOrders": _open_orders,
            "POST /0/private/ClosedOrders": _closed_orders,
            "POST /0/private/QueryOrders": _query_orders,
            "POST /0/private/TradesHistory": _trades_history,
            "POST /0/private/QueryTrades": _query_trades,
            "POST /0/private/BalanceEx": _balances,
            "POST /0/private/GetApiKeyInfo": _key,
            "POST /0/private/WithdrawMethods": _withdrawal_methods,
            "POST /0/private/GetWebSocketsToken": authentication.issue_token,
        }
    )


def _add(call: ApiCall) -> Row:
    listing = pair_named(call).listing
    kind, flags = call.text("ordertype"), call.names("oflags")
    price, price2 = call.text("price"), call.text("price2")
    stops = kind not in ("market", "limit")
    request = KrakenOrderRequest(
        listing=listing,
        side=call.text("type"),
        kind=kind,
        volume=call.text("volume"),
        limit_price=price2 if stops else price,
        stop_price=price if stops else "",
        trail=price if kind == "trailing-stop" else "",
        time_in_force=call.text("timeinforce", "gtc"),
        expires=call.text("expiretm", "0").removeprefix("0"),
        deadline=call.text("deadline"),
        post_only="post" in flags,
        by_value="viqc" in flags,
        client_id=call.text("cl_ord_id"),
        self_trade=call.text("stptype"),
    )
    ticket = ticket_of(request, call)
    if call.flag("validate"):
        return {"descr": {"order": f"{request.side} {request.volume} @ {request.kind}"}}
    order = call.engine.place(call.account, ticket)
    return {"descr": {"order": described(order, listing)}, "txid": [order_id(order.order_id)]}


def _amend(call: ApiCall) -> Row:
    return {"amend_id": amend_id(amend(call, call.text("txid")))}


def _cancel(call: ApiCall) -> Row:
    check_deadline(call.text("deadline"), call)
    order = order_named(call.text("txid"), call.text("cl_ord_id"), call)
    call.engine.cancel(call.account, order.order_id)
    return {"count": 1}


def _cancel_several(call: ApiCall) -> Row:
    """Cancels those that can be."""
    order_ids, client_ids = call.names("orders"), call.names("cl_ord_ids")
    if not 0 < len(order_ids) + len(client_ids) <= IDS_MAX:
        raise invalid()
    outcomes = [outcome for _, outcome in cancel_each(call, order_ids, client_ids)]
    return {"count": sum(isinstance(one, OrderView) for one in outcomes)}


def _cancel_all(call: ApiCall) -> Row:
    return {"count": len(call.engine.cancel_all(call.account))}


def _open_orders(call: ApiCall) -> Row:
    orders = reversed(call.engine.open_orders(call.account))
    return {"open": _order_rows(call, [one for one in orders if _is_named(one, call)])}


def _closed_orders(call: ApiCall) -> Row:
    start_ns, end_ns = span_ns(call)
    orders = [
        one
        for one in call.engine.orders(call.account)
        if one.is_final and start_ns <= one.updated_ns < end_ns and _is_named(one, call)
    ]
    orders.sort(key=lambda one: (-one.updated_ns, -one.order_id))
    first = call.integer("ofs", 0)
    return {"closed": _order_rows(call, orders[first : first + PAGE]), "count": len(orders)}


def _query_orders(call: ApiCall) -> Row:
    """Those that exist. Raises ApiError when a text is no id at all."""
    names, wanted = call.names("txid"), call.text("cl_ord_id")
    if not 0 < len(names) + bool(wanted) <= IDS_MAX:
        raise invalid()
    orders = [call.engine.by_client_id(call.account, wanted)] if wanted else []
    for name in names:
        if not order_number(name):
            raise ApiError("EOrder:Invalid order")
        try:
            orders.append(call.engine.order(call.account, order_number(name)))
        except OrderRejected:
            continue
    return _order_rows(call, [one for one in orders if one is not None])


def _trades_history(call: ApiCall) -> Row:
    start_ns, end_ns = span_ns(call)
    fills = [
        fill
        for fill in reversed(call.engine.fills(call.account, "", start_ns))
        if fill.time_ns < end_ns
    ]
    first = call.integer("ofs", 0)
    return {"trades": _trade_rows(call, fills[first : first + PAGE]), "count": len(fills)}


def _query_trades(call: ApiCall) -> Row:
    names = set(call.names("txid"))
    fills = [fill for fill in call.engine.fills(call.account) if execution_id(fill) in names]
    return _trade_rows(call, fills)


def _balances(call: ApiCall) -> Row:
    return {
        asset_name(one.asset): {
            "balance": number(one.total, BALANCE_PLACES),
            "hold_trade": number(one.locked, BALANCE_PLACES),
        }
        for one in call.engine.balances(call.account)
    }


def _key(call: ApiCall) -> Row:
    """The key that signed the call, and its permissions."""
    given = {
        "modify-trades": call.engine.settings(call.account).may_trade,
        "withdraw-funds": call.key.may_withdraw,
    }
    granted = [name for name, is_given in given.items() if is_given]
    return {
        "apiKeyName": call.key.key,
        "apiKey": call.key.key,
        "nonce": call.text("nonce"),
        "nonceWindow": 0,
        "permissions": ["query-funds", "query-open-trades", "query-closed-trades", *granted],
        "iban": "",
        **dict.fromkeys(("validUntil", "queryFrom", "queryTo", "createdTime", "modifiedTime"), "0"),
        "ipAllowlist": [],
        "lastUsed": str(call.now_ns // NANOSECONDS_PER_SECOND),
    }


def _withdrawal_methods(call: ApiCall) -> list[Row]:
    """There are none; but only some keys may ask."""
    if not call.key.may_withdraw:
        raise ApiError("EGeneral:Permission denied")
    return []


def _is_named(order: OrderView, call: ApiCall) -> bool:
    return call.text("cl_ord_id") in ("", order.ticket.client_order_id)


def span_ns(call: ApiCall) -> tuple[int, int]:
    start, end = call.integer("start", 0), call.integer("end", TIME_END_S) + 1
    return start * NANOSECONDS_PER_SECOND, end * NANOSECONDS_PER_SECOND


def _order_rows(call: ApiCall, orders: Sequence[OrderView]) -> Row:
    fills = fills_by_order(orders, call.engine)
    return {
        order_id(one.order_id): order_row(
            one, call.traded(one.ticket.symbol), fills.get(one.order_id, ())
        )
        for one in orders
    }


def _trade_rows(call: ApiCall, fills: Sequence[FillView]) -> Row:
    return {
        execution_id(fill): trade_row(fill, call.traded(fill.order.ticket.symbol)) for fill in fills
    }
