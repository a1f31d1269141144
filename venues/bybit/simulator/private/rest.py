"""Bybit's REST calls of an account.

Documentation: https://bybit-exchange.github.io/docs/v5/order/open-order and its neighbours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.matching.contract import FillView, Key, MatchingEngine, OrderRejected, OrderView
from kit.simulator.private.orders import fills_by_order
from kit.simulator.texts import plain, whole
from venues.bybit.simulator.private.keys import (
    MATCHING_RULES,
    engine_of,
    key_of_call,
    now_ms,
    user_id,
)
from venues.bybit.simulator.private.orders import ERRORS, NO_ORDER, Orders, found
from venues.bybit.simulator.private.rows import (
    Row,
    execution_row,
    order_id,
    order_number,
    order_row,
    order_status,
    wallet_row,
)
from venues.bybit.simulator.rest import PARAMETER_ERROR, BybitApiError, envelope

ORDERS_USUAL, ORDERS_MAX = 20, 50
EXECUTIONS_USUAL, EXECUTIONS_MAX = 50, 100
CLOSED_ORDERS_MAX = 500
"""So many that are done are still found among those that are open."""
ACTIONS = {f"/v5/order/{name}": name for name in ("create", "amend", "cancel", "cancel-all")}
RATE_HEADERS = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "19"}
CREATED = datetime(2026, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Call:
    """A request of somebody who may."""

    query: Mapping[str, str]
    market_view: MarketView
    engine: MatchingEngine
    key: Key
    orders: Orders

    @property
    def account(self) -> str:
        return self.key.account

    def number(self, name: str, usual: int) -> int:
        """A whole number among the parameters. Raises Refusal."""
        number = whole(self.query.get(name, str(usual)))
        if number is None:
            raise BybitApiError(PARAMETER_ERROR, f"params error: {name} invalid")
        return number

    def limit(self, usual: int, most: int) -> int:
        """How many rows a page has. Raises Refusal."""
        return max(1, min(self.number("limit", usual), most))

    def before(self) -> str:
        """Of what row the page continues; empty: it is the first."""
        return self.query.get("cursor", "").rpartition(",")[2].partition(":")[0]

    def is_spot(self) -> bool:
        """Nothing of other categories is traded here. Raises Refusal."""
        category = self.query.get("category", "")
        if category not in ("spot", "linear", "inverse", "option"):
            raise BybitApiError(PARAMETER_ERROR, "Illegal category")
        return category == "spot"

    def page(self, rows: Sequence[tuple[str, Row]]) -> Row:
        """Rows with what they are continued by."""
        marks = [f"{mark}%3A{mark}" for mark, _ in rows]
        cursor = f"{marks[0]}%2C{marks[-1]}" if marks else ""
        category = self.query.get("category", "")
        return {
            "nextPageCursor": cursor,
            "category": category,
            "list": [row for _, row in rows],
        }


async def answer(request: RestRequest, market_view: MarketView, orders: Orders) -> RestResponse:
    """One call at one of PATHS."""
    try:
        key = key_of_call(request, market_view)
        if request.path in ACTIONS:
            name = ACTIONS[request.path]
            result = orders.do(name, request.body, key.account, market_view)
        elif request.path == WINDOW_PATH:
            result = orders.set_window(request.body, key.account)
        else:
            call = _Call(request.query, market_view, engine_of(market_view), key, orders)
            result = HANDLERS[request.path](call)
    except BybitApiError as refusal:
        return envelope({}, market_view, refusal.code, refusal.message, RATE_HEADERS)
    except OrderRejected as refused:
        return envelope({}, market_view, *ERRORS[refused.refusal], RATE_HEADERS)
    return envelope(result, market_view, headers=RATE_HEADERS)


def _open_orders(call: _Call) -> Row:
    """Those that are open; by an id, and with ``openOnly=1``, the newest that are done too."""
    if not call.is_spot():
        return call.page([])
    named = bool(call.query.get("orderId") or call.query.get("orderLinkId"))
    if named or call.query.get("openOnly", "0") == "1":
        done = [one for one in _orders(call) if one.is_final][:CLOSED_ORDERS_MAX]
        still_open = [one for one in _orders(call) if not one.is_final] if named else []
        return _order_page(call, sorted([*done, *still_open], key=_age))
    symbol = call.query.get("symbol", "")
    return _order_page(call, reversed(call.engine.open_orders(call.account, symbol)))


def _order_history(call: _Call) -> Row:
    """Those that are done."""
    if not call.is_spot():
        return call.page([])
    start_ns = call.number("startTime", 0) * NANOSECONDS_PER_MILLISECOND
    end_ns = call.number("endTime", 10**15) * NANOSECONDS_PER_MILLISECOND
    done = [one for one in _orders(call) if one.is_final and start_ns <= one.created_ns <= end_ns]
    return _order_page(call, done)


def _executions(call: _Call) -> Row:
    """Newest first."""
    if not call.is_spot():
        return call.page([])
    start_ns = call.number("startTime", 0) * NANOSECONDS_PER_MILLISECOND
    end_ns = call.number("endTime", 10**15) * NANOSECONDS_PER_MILLISECOND
    chosen = _named(call)
    fills = [
        fill
        for fill in call.engine.fills(call.account, call.query.get("symbol", ""), start_ns)
        if fill.time_ns <= end_ns and (chosen is None or fill.order.order_id == chosen)
    ]
    if call.query.get("execType", "Trade") != "Trade":
        fills = []
    rows = list(reversed(fills))
    before = call.before()
    if before:
        marks = [_fill_mark(fill) for fill in rows]
        rows = rows[marks.index(before) + 1 :] if before in marks else []
    limit = call.limit(EXECUTIONS_USUAL, EXECUTIONS_MAX)
    return call.page(
        [
            (_fill_mark(fill), execution_row(fill, call.orders.stop_type(fill.order)))
            for fill in rows[:limit]
        ]
    )


def _wallet(call: _Call) -> Row:
    if call.query.get("accountType") != "UNIFIED":
        raise BybitApiError(PARAMETER_ERROR, "accountType only support UNIFIED.")
    wanted = [coin for coin in call.query.get("coin", "").split(",") if coin]
    balances = [
        one for one in call.engine.balances(call.account) if not wanted or one.asset in wanted
    ]
    return {"list": [wallet_row(balances, call.market_view)]}


def _account(call: _Call) -> Row:
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(now_ms(call.market_view)),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _key(call: _Call) -> Row:
    """What the key that asks may do."""
    wallet = ["AccountTransfer", *(["Withdraw"] if call.key.may_withdraw else [])]
    none: dict[str, list[str]] = {
        name: []
        for name in (
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
    }
    return {
        "id": str(user_id(call.key.key)),
        "note": "simulated",
        "apiKey": call.key.key,
        "readOnly": 0,
        "secret": "",
        "permissions": {**none, "Spot": ["SpotTrade"], "Wallet": wallet},
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


def _coins(call: _Call) -> Row:
    """What the exchange trades. Nothing can be sent to or from it."""
    assets = {one.base for one in call.market_view.listings()}
    assets |= {one.quote for one in call.market_view.listings()}
    wanted = call.query.get("coin", "")
    return {
        "rows": [
            {"name": asset, "coin": asset, "remainAmount": "0", "chains": []}
            for asset in sorted(assets)
            if wanted in ("", asset)
        ]
    }


def _fee_rate(call: _Call) -> Row:
    tier = MATCHING_RULES.tiers[0]
    rates = {"takerFeeRate": plain(tier.taker), "makerFeeRate": plain(tier.maker)}
    wanted = call.query.get("symbol", "")
    symbols = [one.symbol for one in call.market_view.listings() if wanted in ("", one.symbol)]
    return {"category": "spot", "list": [{"symbol": symbol, **rates} for symbol in symbols]}


def _positions(call: _Call) -> Row:
    """Spot markets know none."""
    call.is_spot()
    return call.page([])


HANDLERS: Mapping[str, Callable[[_Call], Row]] = {
    "/v5/order/realtime": _open_orders,
    "/v5/order/history": _order_history,
    "/v5/execution/list": _executions,
    "/v5/account/wallet-balance": _wallet,
    "/v5/account/info": _account,
    "/v5/account/fee-rate": _fee_rate,
    "/v5/user/query-api": _key,
    "/v5/asset/coin/query-info": _coins,
    "/v5/position/list": _positions,
}
WINDOW_PATH = "/v5/order/disconnected-cancel-all"
PATHS = frozenset({*ACTIONS, *HANDLERS, WINDOW_PATH})


def _orders(call: _Call) -> list[OrderView]:
    """What the parameters name, newest first."""
    chosen = _named(call)
    if chosen is not None:
        return [call.engine.order(call.account, chosen)] if chosen else []
    return sorted(call.engine.orders(call.account, call.query.get("symbol", "")), key=_age)


def _named(call: _Call) -> int | None:
    """The number of the order that is named; None: none is, 0: there is none of that name."""
    order, client_id = call.query.get("orderId", ""), call.query.get("orderLinkId", "")
    if not order and not client_id:
        return None
    try:
        return found(order, client_id, call.engine, call.account).order_id
    except BybitApiError as refusal:
        if refusal is not NO_ORDER:
            raise
    except OrderRejected:
        pass
    return 0


def _order_page(call: _Call, orders: Iterable[OrderView]) -> Row:
    before = order_number(call.before())
    wanted, status = call.query.get("orderFilter", ""), call.query.get("orderStatus", "")
    chosen = [
        order
        for order in orders
        if (not before or order.order_id < before)
        and wanted in ("", call.orders.filter_of(order))
        and status in ("", order_status(order))
    ]
    page = chosen[: call.limit(ORDERS_USUAL, ORDERS_MAX)]
    fills, stop_type = fills_by_order(page, call.engine), call.orders.stop_type
    return call.page(
        [
            (order_id(one), order_row(one, fills.get(one.order_id, ()), stop_type(one)))
            for one in page
        ]
    )


def _age(order: OrderView) -> int:
    return -order.order_id


def _fill_mark(fill: FillView) -> str:
    return f"{fill.trade_id}-{fill.order.order_id}"
