"""Bybit's REST calls of an account.

Documentation: https://bybit-exchange.github.io/docs/v5/order/open-order and its neighbours.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.order_fills import fills_by_order
from kit.simulator.exchange.paging import page_after
from kit.simulator.exchange.rest import ApiCall, ApiError, Route, private
from kit.simulator.matching.contract import FillView, OrderRejected, OrderView
from venues.bybit.simulator.errors import NO_ORDER, PARAMETER_ERROR
from venues.bybit.simulator.orders import BybitOrders, batch, order_named
from venues.bybit.simulator.rest import Row, is_spot
from venues.bybit.simulator.rows import (
    execution_row,
    order_id,
    order_number,
    order_row,
    order_status,
    user_id,
    wallet_row,
)

ORDERS_DEFAULT, ORDERS_MAX = 20, 50
EXECUTIONS_DEFAULT, EXECUTIONS_MAX = 50, 100
CLOSED_ORDERS_MAX = 500
"""So many orders that are done are still found among those that are open."""
RATE_HEADERS = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "19"}
CREATED = datetime(2026, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z")
TIME_END_MS = 10**15
PERMISSIONS = (
    "ContractTrade",
    "Options",
    "Derivatives",
    "CopyTrading",
    "BlockTrade",
    "Exchange",
    "NFT",
    "Affiliate",
    "Earn",
)
"""None of them is given."""
MARGIN_MODES = {
    "cross": "REGULAR_MARGIN",
    "isolated": "ISOLATED_MARGIN",
    "portfolio": "PORTFOLIO_MARGIN",
}


def routes(orders: BybitOrders) -> dict[str, Route]:
    """The calls that need a key."""
    queries = _Queries(orders)
    return private(
        {
            "POST /v5/order/create": orders.create,
            "POST /v5/order/amend": orders.amend,
            "POST /v5/order/cancel": orders.cancel,
            "POST /v5/order/cancel-all": orders.cancel_all,
            "POST /v5/order/create-batch": lambda call: batch(call, orders.create),
            "POST /v5/order/cancel-batch": lambda call: batch(call, orders.cancel),
            "POST /v5/order/disconnected-cancel-all": orders.set_window,
            "GET /v5/order/realtime": queries.open_orders,
            "GET /v5/order/history": queries.order_history,
            "GET /v5/execution/list": queries.executions,
            "GET /v5/account/wallet-balance": _wallet,
            "GET /v5/account/info": _account,
            "GET /v5/user/query-api": _key,
            "GET /v5/asset/coin/query-info": _coins,
        }
    )


class _Queries:
    """The calls that read orders and executions."""

    def __init__(self, orders: BybitOrders) -> None:
        self._orders = orders

    def open_orders(self, call: ApiCall) -> Row:
        """Those that are open; by an id, and with ``openOnly=1``, the newest that are done too."""
        if not is_spot(call):
            return page_of(call, [])
        named = bool(call.text("orderId") or call.text("orderLinkId"))
        if named or call.text("openOnly", "0") == "1":
            done = [one for one in _orders(call) if one.is_final][:CLOSED_ORDERS_MAX]
            still_open = [one for one in _orders(call) if not one.is_final] if named else []
            return self._order_page(call, sorted([*done, *still_open], key=_age))
        return self._order_page(
            call, reversed(call.engine.open_orders(call.account, call.text("symbol")))
        )

    def order_history(self, call: ApiCall) -> Row:
        if not is_spot(call):
            return page_of(call, [])
        start_ns, end_ns = span_ns(call)
        found = [one for one in _orders(call) if one.is_final]
        return self._order_page(
            call, [one for one in found if start_ns <= one.created_ns <= end_ns]
        )

    def executions(self, call: ApiCall) -> Row:
        if not is_spot(call) or call.text("execType", "Trade") != "Trade":
            return page_of(call, [])
        start_ns, end_ns = span_ns(call)
        chosen = _named(call)
        fills = [
            fill
            for fill in reversed(call.engine.fills(call.account, call.text("symbol"), start_ns))
            if fill.time_ns <= end_ns and (chosen is None or fill.order.order_id == chosen)
        ]
        limit = call.limit(EXECUTIONS_DEFAULT, EXECUTIONS_MAX)
        page = page_after(fills, _fill_mark, cursor_of(call), limit)
        rows = [
            (_fill_mark(one), execution_row(one, self._orders.stop_type(one.order))) for one in page
        ]
        return page_of(call, rows)

    def _order_page(self, call: ApiCall, found: Iterable[OrderView]) -> Row:
        before = order_number(cursor_of(call))
        wanted, status = call.text("orderFilter"), call.text("orderStatus")
        chosen = [
            one
            for one in found
            if (not before or one.order_id < before)
            and wanted in ("", self._orders.filter_of(one))
            and status in ("", order_status(one))
        ][: call.limit(ORDERS_DEFAULT, ORDERS_MAX)]
        fills = fills_by_order(chosen, call.engine)
        rows = [
            (
                order_id(one),
                order_row(one, fills.get(one.order_id, ()), self._orders.stop_type(one)),
            )
            for one in chosen
        ]
        return page_of(call, rows)


def rate_headers(route: Route, call: ApiCall) -> Mapping[str, str]:
    """What is left of the limits: always the same."""
    return RATE_HEADERS if route.signed else {}


def page_of(call: ApiCall, rows: Sequence[tuple[str, Row]]) -> Row:
    """Rows, and the cursor of the next page."""
    marks = [f"{mark}%3A{mark}" for mark, _ in rows]
    cursor = f"{marks[0]}%2C{marks[-1]}" if marks else ""
    category = call.text("category")
    return {"nextPageCursor": cursor, "category": category, "list": [row for _, row in rows]}


def cursor_of(call: ApiCall) -> str:
    """The mark of the row that the page follows; empty: it is the first page."""
    return call.text("cursor").rpartition(",")[2].partition(":")[0]


def span_ns(call: ApiCall) -> tuple[int, int]:
    start_ms, end_ms = call.integer("startTime", 0), call.integer("endTime", TIME_END_MS)
    return start_ms * NANOSECONDS_PER_MILLISECOND, end_ms * NANOSECONDS_PER_MILLISECOND


def _orders(call: ApiCall) -> list[OrderView]:
    """The orders that the parameters name, newest first."""
    chosen = _named(call)
    if chosen is not None:
        return [call.engine.order(call.account, chosen)] if chosen else []
    return sorted(call.engine.orders(call.account, call.text("symbol")), key=_age)


def _named(call: ApiCall) -> int | None:
    """The number of the order that is named; None: none is named, 0: there is no such order."""
    order, client_id = call.text("orderId"), call.text("orderLinkId")
    if not order and not client_id:
        return None
    try:
        return order_named(order, client_id, call).order_id
    except (ApiError, OrderRejected) as error:
        if call.errors.of(error) is not NO_ORDER:
            raise
    return 0


def _wallet(call: ApiCall) -> Row:
    if call.text("accountType") != "UNIFIED":
        raise ApiError(PARAMETER_ERROR, "accountType only support UNIFIED.")
    wanted = call.names("coin")
    balances = call.engine.balances(call.account)
    chosen = [one for one in balances if not wanted or one.asset in wanted]
    return {"list": [wallet_row(chosen, call.market_view)]}


def _account(call: ApiCall) -> Row:
    return {
        "marginMode": MARGIN_MODES[call.engine.settings(call.account).margin_mode],
        "updatedTime": str(call.now_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _key(call: ApiCall) -> Row:
    """The rights of the key that signed the call."""
    may_trade = call.engine.settings(call.account).may_trade
    wallet = ["AccountTransfer", *(["Withdraw"] if call.key.may_withdraw else [])]
    none: dict[str, list[str]] = {name: [] for name in PERMISSIONS}
    return {
        "id": str(user_id(call.key.key)),
        "note": "simulated",
        "apiKey": call.key.key,
        "readOnly": 0 if may_trade else 1,
        "secret": "",
        "permissions": {**none, "Spot": ["SpotTrade"] if may_trade else [], "Wallet": wallet},
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": CREATED,
        "unified": 0,
        "uta": 1,
        "userID": user_id(call.account),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def _coins(call: ApiCall) -> Row:
    """The assets of the listed instruments. None can be deposited or withdrawn."""
    assets = {name for one in call.market_view.listings() for name in (one.base, one.quote)}
    return {
        "rows": [
            {"name": asset, "coin": asset, "remainAmount": "0", "chains": []}
            for asset in sorted(assets)
            if call.text("coin") in ("", asset)
        ]
    }


def _age(order: OrderView) -> int:
    return -order.order_id


def _fill_mark(fill: FillView) -> str:
    return f"{fill.trade_id}-{fill.order.order_id}"
