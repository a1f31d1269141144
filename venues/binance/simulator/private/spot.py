"""The private calls of Binance's spot market.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
and .../account-endpoints. The methods of the websocket API are the same calls by other names.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.orders import fills_of
from kit.simulator.matching.contract import OrderRejected, OrderTicket, OrderView
from kit.simulator.matching.contract import RejectCode as Reason
from venues.binance.simulator.private import spot_rows as words
from venues.binance.simulator.private.calls import Route, Usage
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.private.spot_tickets import PLACING, check_filters, read_ticket
from venues.binance.simulator.rest import BinanceApiError

CANCELLING = frozenset(
    {"symbol", "orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions"}
)
ASKING = frozenset({"symbol", "orderId", "origClientOrderId"})
LISTING = frozenset({"symbol", "orderId", "startTime", "endTime", "limit"})
REPLACING = PLACING | {
    "cancelReplaceMode",
    "cancelNewClientOrderId",
    "cancelOrigClientOrderId",
    "cancelOrderId",
    "cancelRestrictions",
    "orderRateLimitExceededMode",
}
AMENDING = ASKING | {"newClientOrderId", "newQty"}
ROWS_USUAL, ROWS_MAX = 500, 1_000
DAY_MS = 86_400_000
END_MS = 2**63 // NANOSECONDS_PER_MILLISECOND
RESPONSES = ("ACK", "RESULT", "FULL")
RESTRICTIONS: Mapping[str, str] = {
    "ONLY_NEW": "NEW",
    "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED",
}
ID_LETTERS = 22
WEBSOCKET_METHODS: Mapping[str, tuple[str, str]] = {
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "order.status": ("GET", "/api/v3/order"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
}


class SpotCalls:
    """Answers the calls, and knows in whose name a cancel is being made."""

    def __init__(self, usage: Usage) -> None:
        self.cancel_id = ""
        """Of the cancel that the engine is doing just now."""
        self._usage = usage
        self._serial = 0

    def routes(self) -> dict[tuple[str, str], Route]:
        """By method and path."""
        symbol = frozenset({"symbol"})
        return {
            ("POST", "/api/v3/order"): Route(self._place, PLACING, 1, orders=1),
            ("POST", "/api/v3/order/test"): Route(self._test, PLACING),
            ("DELETE", "/api/v3/order"): Route(self._cancel, CANCELLING),
            ("GET", "/api/v3/order"): Route(self._order, ASKING, 4),
            ("POST", "/api/v3/order/cancelReplace"): Route(self._replace, REPLACING, 1, orders=1),
            ("PUT", "/api/v3/order/amend/keepPriority"): Route(self._amend, AMENDING, 4),
            ("GET", "/api/v3/openOrders"): Route(self._open_orders, symbol, 6),
            ("DELETE", "/api/v3/openOrders"): Route(self._cancel_all, symbol),
            ("GET", "/api/v3/allOrders"): Route(self._all_orders, LISTING, 20),
            ("GET", "/api/v3/myTrades"): Route(self._fills, LISTING | {"fromId"}, 20),
            ("GET", "/api/v3/account"): Route(_account, frozenset({"omitZeroBalances"}), 20),
            ("GET", "/api/v3/rateLimit/order"): Route(self._rate_limits, frozenset(), 40),
        }

    def _place(self, call: Call) -> object:
        ticket = read_ticket(call, call.client_id("newClientOrderId") or self._new_id(call))
        response = _response(call)
        return _placed(call, call.engine.place(call.account, ticket), response)

    def _test(self, call: Call) -> object:
        check_filters(call.listing(), read_ticket(call, call.client_id("newClientOrderId")))
        return {}

    def _cancel(self, call: Call) -> object:
        order = call.named_order("orderId", "origClientOrderId")
        if order is None:
            raise OrderRejected(Reason.UNKNOWN_ORDER)
        cancel_id = call.client_id("newClientOrderId") or self._new_id(call)
        return self._cancelled(call, order, cancel_id)

    def _cancelled(self, call: Call, order: OrderView, cancel_id: str) -> dict[str, object]:
        only = call.params.get("cancelRestrictions")
        if only and RESTRICTIONS.get(only) != words.STATUSES[order.status]:
            raise BinanceApiError(-2011, "Order was not canceled due to cancel restrictions.")
        with self._cancelling(cancel_id):
            done = call.engine.cancel(call.account, order.order_id)
        return words.cancelled_order(done, cancel_id)

    def _order(self, call: Call) -> object:
        order = call.named_order("orderId", "origClientOrderId")
        if order is None:
            raise BinanceApiError(-2013, "Order does not exist.")
        return words.known_order(order)

    def _replace(self, call: Call) -> object:
        """Nothing is cancelled for an order that could not be placed by the look of it."""
        mode = call.text("cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise BinanceApiError(-1102, "Mandatory parameter 'cancelReplaceMode' was not sent.")
        ticket = read_ticket(call, call.client_id("newClientOrderId") or self._new_id(call))
        check_filters(call.listing(), ticket)
        response = _response(call)
        old = call.named_order("cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = call.client_id("cancelNewClientOrderId") or self._new_id(call)
        outcome: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS"}
        try:
            if old is None:
                raise OrderRejected(Reason.UNKNOWN_ORDER)
            outcome["cancelResponse"] = self._cancelled(call, old, cancel_id)
        except (OrderRejected, BinanceApiError) as refused:
            outcome |= {"cancelResult": "FAILURE", "cancelResponse": _error(refused)}
            if mode == "STOP_ON_FAILURE":
                outcome |= {"newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
                raise BinanceApiError(-2022, "Order cancel-replace failed.", data=outcome) from None
        _place_instead(call, ticket, response, outcome)
        return outcome

    def _amend(self, call: Call) -> object:
        order = call.named_order("orderId", "origClientOrderId")
        if order is None:
            raise BinanceApiError(-2013, "Order does not exist.")
        client_id = order.ticket.client_id
        if call.client_id("newClientOrderId") not in ("", client_id):
            raise BinanceApiError(-2038, "This simulator does not give an order another client id.")
        size = call.amount("newQty")
        if not order.filled < size < order.ticket.size:
            raise BinanceApiError(-2038, "Order amend (quantity increase) is not supported.")
        done = call.engine.amend(call.account, order.order_id, size, None)
        row = words.known_order(done)
        amended = {"origClientOrderId": client_id, "qty": row["origQty"]} | row
        time_ms = words.milliseconds(done.updated_ns)
        return {"transactTime": time_ms, "executionId": done.order_id, "amendedOrder": amended}

    def _open_orders(self, call: Call) -> object:
        symbol = call.listing().symbol if "symbol" in call.params else ""
        return [words.known_order(one) for one in call.engine.open_orders(call.account, symbol)]

    def _cancel_all(self, call: Call) -> object:
        symbol, cancel_id = call.listing().symbol, self._new_id(call)
        with self._cancelling(cancel_id):
            done = call.engine.cancel_all(call.account, symbol)
        if not done:
            raise OrderRejected(Reason.UNKNOWN_ORDER)
        return [words.cancelled_order(one, cancel_id) for one in done]

    def _all_orders(self, call: Call) -> object:
        """From an id or a time on, the oldest; otherwise the newest."""
        symbol = call.listing().symbol
        start_ms, end_ms = _times_ms(call)
        first = call.number("orderId", 0)
        limit = call.number("limit", ROWS_USUAL, ROWS_MAX)
        found = [
            one
            for one in call.engine.orders(call.account, symbol)
            if one.order_id >= first and start_ms <= words.milliseconds(one.created_ns) <= end_ms
        ]
        from_the_start = {"orderId", "startTime"} & call.params.keys()
        return [
            words.known_order(one) for one in (found[:limit] if from_the_start else found[-limit:])
        ]

    def _fills(self, call: Call) -> object:
        """From an id or a time on, the oldest; otherwise the newest."""
        symbol = call.listing().symbol
        start_ms, end_ms = _times_ms(call)
        first, order_id = call.number("fromId", 0), call.number("orderId", 0)
        limit = call.number("limit", ROWS_USUAL, ROWS_MAX)
        since_ns = start_ms * NANOSECONDS_PER_MILLISECOND
        found = [
            one
            for one in call.engine.fills(call.account, symbol, since_ns)
            if one.trade_id >= first
            and order_id in (0, one.order.order_id)
            and start_ms <= words.milliseconds(one.time_ns) <= end_ms
        ]
        from_the_start = {"fromId", "startTime"} & call.params.keys()
        return [
            words.fill_row(one) for one in (found[:limit] if from_the_start else found[-limit:])
        ]

    def _rate_limits(self, call: Call) -> object:
        return self._usage.order_rows(call.account, call.market_view.time_ns())

    @contextmanager
    def _cancelling(self, cancel_id: str) -> Iterator[None]:
        """The engine tells its listeners of a cancel while it does it."""
        self.cancel_id = cancel_id
        try:
            yield
        finally:
            self.cancel_id = ""

    def _new_id(self, call: Call) -> str:
        """As the exchange makes them up; no two alike."""
        self._serial += 1
        seed = f"{call.account}/{self._serial}/{call.now_ms}"
        return hashlib.sha256(seed.encode()).hexdigest()[:ID_LETTERS]


def _response(call: Call) -> str:
    """A market or limit order is told in full, the others by their id, unless it was asked for.
    Raises Refusal."""
    usual = "FULL" if call.params.get("type") in ("LIMIT", "MARKET") else "ACK"
    response = call.params.get("newOrderRespType", usual)
    if response not in RESPONSES:
        raise BinanceApiError(-1102, "Mandatory parameter 'newOrderRespType' was malformed.")
    return response


def _placed(call: Call, order: OrderView, response: str) -> dict[str, object]:
    if response == "ACK":
        return words.acknowledged_order(order)
    fills = fills_of(order, call.engine) if response == "FULL" else None
    return words.placed_order(order, fills)


def _place_instead(call: Call, ticket: OrderTicket, response: str, outcome: dict[str, Any]) -> None:
    """The second half of a cancel-replace. Raises Refusal when not both halves were done."""
    try:
        order = call.engine.place(call.account, ticket)
        outcome["newOrderResponse"] = _placed(call, order, response)
    except OrderRejected as refused:
        outcome |= {"newOrderResult": "FAILURE", "newOrderResponse": _error(refused)}
    results = {outcome["cancelResult"], outcome["newOrderResult"]}
    if results == {"FAILURE"}:
        raise BinanceApiError(-2022, "Order cancel-replace failed.", data=outcome)
    if "FAILURE" in results:
        raise BinanceApiError(-2021, "Order cancel-replace partially failed.", 409, data=outcome)


def _error(refused: OrderRejected | BinanceApiError) -> dict[str, object]:
    if isinstance(refused, BinanceApiError):
        return refused.error
    code, message = words.REFUSALS[refused.refusal]
    return {"code": code, "msg": message}


def _times_ms(call: Call) -> tuple[int, int]:
    start_ms, end_ms = call.number("startTime", 0), call.number("endTime", END_MS)
    if {"startTime", "endTime"} <= call.params.keys() and end_ms - start_ms > DAY_MS:
        raise BinanceApiError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def _account(call: Call) -> object:
    balances = [
        {"asset": one.asset, "free": words.number(one.free), "locked": words.number(one.locked)}
        for one in call.engine.balances(call.account)
        if one.total or not call.flag("omitZeroBalances")
    ]
    rates = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates | {"maker": "0.00100000", "taker": "0.00100000"},
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.now_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": int(hashlib.sha256(call.account.encode()).hexdigest()[:7], 16),
    }
