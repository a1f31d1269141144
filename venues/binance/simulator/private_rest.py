"""Binance's REST calls that need a key: orders, fills, balances and positions.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints,
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api and
https://developers.binance.com/docs/wallet
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.rest import ApiCall, ApiError, Route
from kit.simulator.matching.contract import (
    FillView,
    MatchingRules,
    OrderRejected,
    OrderView,
    PositionView,
)
from venues.binance.simulator import rows
from venues.binance.simulator.authentication import (
    AMEND,
    CANCEL,
    FUTURES_CONFIGURATION,
    LIST,
    PLACE,
    QUERY,
    REPLACE,
    SYMBOL,
    permissions,
)
from venues.binance.simulator.errors import (
    INVALID_SIDE,
    NO_ORDER,
    UNKNOWN_ORDER,
    amount,
    flag,
    malformed,
    required,
    row_of,
)
from venues.binance.simulator.instruments import coins, listed
from venues.binance.simulator.orders import BinanceFuturesOrders, BinanceSpotOrders, order_named
from venues.binance.simulator.rest import TIME_END_MS
from venues.binance.simulator.rows import (
    NOTIONAL_CAP,
    ZERO,
    Row,
    asset_row,
    leverage,
    milliseconds,
    padded_number,
    plain_number,
    position_row,
)

ROWS_DEFAULT, ROWS_MAX = 500, 1_000
DAY_MS = 86_400_000
SPOT_SPAN = (DAY_MS, ApiError(-1127, "More than 24 hours between startTime and endTime."))
"""The longest time between startTime and endTime, and the error of a longer one."""
FUTURES_SPAN = (7 * DAY_MS, ApiError(-4165, "Invalid time interval: maximum is 7 days."))
NO_POSITION = PositionView("", "", ZERO, ZERO, ZERO, ZERO, None, ZERO, ZERO)
Span = tuple[int, ApiError]


def spot_routes(orders: BinanceSpotOrders) -> dict[str, Route]:
    """The calls of spot that need a key."""
    root = "/api/v3"
    return _wallet_routes() | {
        f"POST {root}/order": _route(orders.place, PLACE, orders=1),
        f"DELETE {root}/order": _route(orders.cancel, CANCEL),
        f"GET {root}/order": _route(_spot_order, QUERY, 4),
        f"POST {root}/order/cancelReplace": _route(orders.replace, REPLACE, orders=1),
        f"PUT {root}/order/amend/keepPriority": _route(orders.amend, AMEND, 4),
        f"GET {root}/openOrders": _route(_spot_open_orders, SYMBOL, 6),
        f"DELETE {root}/openOrders": _route(orders.cancel_all, SYMBOL),
        f"GET {root}/allOrders": _route(_spot_orders, LIST, 20),
        f"GET {root}/myTrades": _route(_spot_fills, LIST | {"fromId"}, 20),
        f"GET {root}/account": _route(_spot_account, frozenset({"omitZeroBalances"}), 20),
    }


def futures_routes(orders: BinanceFuturesOrders, rules: MatchingRules) -> dict[str, Route]:
    """The calls of USD-M futures that need a key."""
    root, account = "/fapi/v1", _FuturesAccount(rules)
    return _wallet_routes() | {
        f"POST {root}/order": _route(orders.place, weight=0, orders=1),
        f"PUT {root}/order": _route(_amend, orders=1),
        f"DELETE {root}/order": _route(_cancel),
        f"GET {root}/order": _route(_futures_order),
        f"GET {root}/openOrders": _route(_futures_open_orders),
        f"GET {root}/allOrders": _route(_futures_orders, weight=5),
        f"DELETE {root}/allOpenOrders": _route(_cancel_all),
        f"DELETE {root}/batchOrders": _route(_cancel_batch),
        f"POST {root}/countdownCancelAll": _route(_count_down, weight=10),
        f"POST {root}/algoOrder": _route(orders.place_conditional, weight=0, orders=1),
        f"DELETE {root}/algoOrder": _route(_cancel_conditional),
        f"GET {root}/algoOrder": _route(_conditional_order),
        f"GET {root}/openAlgoOrders": _route(_open_conditional_orders),
        f"GET {root}/allAlgoOrders": _route(_conditional_orders, weight=5),
        f"DELETE {root}/algoOpenOrders": _route(_cancel_all_conditional),
        f"GET {root}/userTrades": _route(_futures_fills, weight=5),
        f"GET {root}/leverageBracket": _route(account.brackets),
        **{f"GET {root}/{name}": route for name, route in FUTURES_CONFIGURATION.items()},
        "GET /fapi/v3/account": _route(account.account, weight=5),
        "GET /fapi/v3/balance": _route(_balances, weight=5),
        "GET /fapi/v3/positionRisk": _route(account.positions, weight=5),
    }


def _wallet_routes() -> dict[str, Route]:
    none = frozenset[str]()
    return {
        "GET /sapi/v1/capital/config/getall": _route(coins, none, 10),
        "GET /sapi/v1/account/apiRestrictions": _route(permissions, none),
        "GET /sapi/v1/margin/allPairs": _route(lambda call: [], SYMBOL),
        "GET /sapi/v1/margin/isolated/allPairs": _route(lambda call: [], SYMBOL),
    }


def _route(
    handle: Callable[[ApiCall], object],
    reads: frozenset[str] | None = None,
    weight: int = 1,
    orders: int = 0,
) -> Route:
    return Route(handle, signed=True, weight=weight, orders=orders, reads=reads)


def _spot_order(call: ApiCall) -> Row:
    return rows.order_row(_found(order_named(call)))


def _found(order: OrderView | None) -> OrderView:
    if order is None:
        raise NO_ORDER
    return order


def _symbol(call: ApiCall) -> str:
    """The symbol of an optional parameter."""
    return listed(call).symbol if "symbol" in call.parameters else ""


def _spot_open_orders(call: ApiCall) -> list[Row]:
    return [rows.order_row(one) for one in call.engine.open_orders(call.account, _symbol(call))]


def _spot_orders(call: ApiCall) -> list[Row]:
    found = call.engine.orders(call.account, listed(call).symbol)
    return [rows.order_row(one) for one in _page(call, found, "orderId", SPOT_SPAN)]


def _page(call: ApiCall, orders: Sequence[OrderView], id_name: str, span: Span) -> list[OrderView]:
    """The oldest from an id or a time on; otherwise the newest."""
    start_ms, end_ms = _times_ms(call, span)
    first = call.integer("orderId", 0)
    found = [
        one
        for one in orders
        if one.order_id >= first and start_ms <= milliseconds(one.created_ns) <= end_ms
    ]
    limit = call.integer("limit", ROWS_DEFAULT, ROWS_MAX)
    return found[:limit] if call.parameters.keys() & {id_name, "startTime"} else found[-limit:]


def _fills(call: ApiCall, span: Span) -> list[FillView]:
    """The oldest from an id or a time on; otherwise the newest."""
    symbol = listed(call).symbol
    start_ms, end_ms = _times_ms(call, span)
    first, order_id = call.integer("fromId", 0), call.integer("orderId", 0)
    limit = call.integer("limit", ROWS_DEFAULT, ROWS_MAX)
    found = [
        one
        for one in call.engine.fills(call.account, symbol, start_ms * NANOSECONDS_PER_MILLISECOND)
        if one.trade_id >= first
        and order_id in (0, one.order.order_id)
        and start_ms <= milliseconds(one.time_ns) <= end_ms
    ]
    return found[:limit] if call.parameters.keys() & {"fromId", "startTime"} else found[-limit:]


def _times_ms(call: ApiCall, span: Span) -> tuple[int, int]:
    start_ms, end_ms = call.integer("startTime", 0), call.integer("endTime", TIME_END_MS)
    span_ms_max, error = span
    if call.parameters.keys() >= {"startTime", "endTime"} and end_ms - start_ms > span_ms_max:
        raise error
    return start_ms, end_ms


def _spot_fills(call: ApiCall) -> list[Row]:
    return [rows.fill_row(one) for one in _fills(call, SPOT_SPAN)]


def _futures_fills(call: ApiCall) -> list[Row]:
    return [rows.futures_fill_row(one) for one in _fills(call, FUTURES_SPAN)]


def _spot_account(call: ApiCall) -> Row:
    omits_zero = flag(call, "omitZeroBalances")
    balances = [
        {"asset": one.asset, "free": padded_number(one.free), "locked": padded_number(one.locked)}
        for one in call.engine.balances(call.account)
        if one.total or not omits_zero
    ]
    rates = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates | {"maker": "0.00100000", "taker": "0.00100000"},
        "canTrade": call.engine.settings(call.account).may_trade,
        **dict.fromkeys(("canWithdraw", "canDeposit"), True),
        **dict.fromkeys(("brokered", "requireSelfTradePrevention", "preventSor"), False),
        "updateTime": call.now_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": int(hashlib.sha256(call.account.encode()).hexdigest()[:7], 16),
    }


def _book_order(call: ApiCall) -> OrderView | None:
    """The named order of futures, if it has reached the book."""
    found = order_named(call)
    return found if found is not None and rows.is_order(found) else None


def _futures_order(call: ApiCall) -> Row:
    return rows.futures_order_row(_found(_book_order(call)))


def _amend(call: ApiCall) -> Row:
    order = _found(_book_order(call))
    if required(call, "side") != rows.side_of(order.ticket):
        raise INVALID_SIDE
    size, price = amount(call, "quantity"), amount(call, "price")
    if (size, price) == (order.ticket.size, order.ticket.price):
        raise ApiError(-5027, "No need to modify the order.")
    amended = call.engine.amend(call.account, order.order_id, size, price)
    return rows.futures_order_row(amended)


def _cancel(call: ApiCall) -> Row:
    order = _book_order(call)
    if order is None:
        raise UNKNOWN_ORDER
    return rows.futures_order_row(call.engine.cancel(call.account, order.order_id))


def _cancel_all(call: ApiCall) -> Row:
    return _cancel_open(call, conditional=False)


def _cancel_all_conditional(call: ApiCall) -> Row:
    return _cancel_open(call, conditional=True)


def _cancel_open(call: ApiCall, conditional: bool) -> Row:
    for order in call.engine.open_orders(call.account, listed(call).symbol):
        if rows.is_order(order) is not conditional:
            call.engine.cancel(call.account, order.order_id)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _cancel_batch(call: ApiCall) -> list[Row]:
    """The names of its lists may be in any case."""
    lists = {name.lower(): text for name, text in call.parameters.items()}
    try:
        ids = msgspec.json.decode(lists.get("orderidlist", "[]"), type=list[int | str])
        names = msgspec.json.decode(lists.get("origclientorderidlist", "[]"), type=list[str])
    except msgspec.DecodeError:
        raise malformed("orderIdList") from None
    named = [("orderId", str(one)) for one in ids] + [("origClientOrderId", one) for one in names]
    return [_cancel_one(call.having({name: text})) for name, text in named]


def _cancel_one(call: ApiCall) -> Row:
    try:
        return _cancel(call)
    except (ApiError, OrderRejected) as error:
        return row_of(call, error)


def _count_down(call: ApiCall) -> Row:
    """The engine's countdown is for all symbols of an account."""
    symbol, time_ms = listed(call).symbol, call.integer("countdownTime", 0)
    call.engine.cancel_after(call.account, time_ms / 1_000)
    return {"symbol": symbol, "countdownTime": str(time_ms)}


def _futures_open_orders(call: ApiCall) -> list[Row]:
    found = call.engine.open_orders(call.account, _symbol(call))
    return [rows.futures_order_row(one) for one in found if rows.is_order(one)]


def _futures_orders(call: ApiCall) -> list[Row]:
    found = call.engine.orders(call.account, listed(call).symbol)
    wanted = [one for one in found if rows.is_order(one)]
    return [rows.futures_order_row(one) for one in _page(call, wanted, "orderId", FUTURES_SPAN)]


def _conditional_named(call: ApiCall) -> OrderView | None:
    """The conditional order of an id or a client id; no symbol is needed. Raises ApiError."""
    number = call.integer("algoId", 0)
    found: OrderView | None
    if number:
        try:
            found = call.engine.order(call.account, number - rows.ALGO_ID_FIRST)
        except OrderRejected:
            found = None
    else:
        found = call.engine.by_client_id(call.account, required(call, "clientAlgoId"))
    return found if found is not None and rows.is_conditional(found) else None


def _conditional_order(call: ApiCall) -> Row:
    return rows.algo_row(_found(_conditional_named(call)))


def _cancel_conditional(call: ApiCall) -> Row:
    order = _conditional_named(call)
    if order is None or rows.is_order(order):
        raise UNKNOWN_ORDER
    call.engine.cancel(call.account, order.order_id)
    ids: Row = {"algoId": rows.algo_id(order), "clientAlgoId": order.ticket.client_order_id}
    return ids | {"code": "200", "msg": "success"}


def _open_conditional_orders(call: ApiCall) -> list[Row]:
    found = call.engine.open_orders(call.account, _symbol(call))
    return [rows.algo_row(one) for one in found if not rows.is_order(one)]


def _conditional_orders(call: ApiCall) -> list[Row]:
    found = call.engine.orders(call.account, listed(call).symbol)
    wanted = [one for one in found if rows.is_conditional(one)]
    return [rows.algo_row(one) for one in _page(call, wanted, "algoId", FUTURES_SPAN)]


class _FuturesAccount:
    """Balances, positions and margins."""

    def __init__(self, rules: MatchingRules) -> None:
        self._rules = rules

    def account(self, call: ApiCall) -> Row:
        positions = call.engine.positions(call.account)
        gain = sum((one.unrealized for one in positions), ZERO)
        assets = [asset_row(one, gain, call.now_ms) for one in call.engine.balances(call.account)]
        totals = ("walletBalance", "marginBalance", "initialMargin", "maintMargin")
        dollars = next((row for row in assets if row["asset"] == "USDT"), {})
        sums = {f"total{name[0].upper()}{name[1:]}": dollars.get(name, "0") for name in totals}
        available = dollars.get("availableBalance", "0")
        return sums | {
            "totalUnrealizedProfit": plain_number(gain),
            "totalPositionInitialMargin": sums["totalInitialMargin"],
            "totalOpenOrderInitialMargin": "0",
            "totalCrossWalletBalance": sums["totalWalletBalance"],
            "totalCrossUnPnl": plain_number(gain),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "canTrade": True,
            "assets": assets,
            "positions": [position_row(one, self._rules, call.now_ms) for one in positions],
        }

    def positions(self, call: ApiCall) -> list[Row]:
        """A symbol that is named always has a position."""
        positions = {one.symbol: one for one in call.engine.positions(call.account)}
        symbol = _symbol(call)
        if symbol:
            positions = {symbol: positions.get(symbol) or replace(NO_POSITION, symbol=symbol)}
        return [position_row(one, self._rules, call.now_ms) for one in positions.values()]

    def brackets(self, call: ApiCall) -> object:
        """One for each symbol: the engine has the same margin for all sizes."""
        ratio = plain_number(self._rules.maintenance_margin)
        bracket: Row = {
            "bracket": 1,
            "initialLeverage": leverage(self._rules),
            "notionalCap": NOTIONAL_CAP,
            "notionalFloor": 0,
            "maintMarginRatio": msgspec.Raw(ratio.encode()),
            "cum": 0,
        }
        found = [{"symbol": one.symbol, "brackets": [bracket]} for one in call.listings()]
        return found[0] if call.text("symbol") else found


def _balances(call: ApiCall) -> list[Row]:
    gain = sum((one.unrealized for one in call.engine.positions(call.account)), ZERO)
    found = [asset_row(one, gain, call.now_ms) for one in call.engine.balances(call.account)]
    return [row | {"balance": row["walletBalance"], "marginAvailable": True} for row in found]
