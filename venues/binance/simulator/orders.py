"""Orders of spot and USD-M futures: placed, amended and cancelled over REST and websocket.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
and https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.contract import OrderType
from kit.execution.order_types import CONDITIONAL, WITH_PRICE, WITH_STOP_PRICE, side_of
from kit.simulator.exchange.listings_and_prices import whole_ticks
from kit.simulator.exchange.order_fills import fills_of
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.matching.contract import OrderRejected, OrderTicket, OrderView, SelfTradeMode
from venues.binance.simulator import rows
from venues.binance.simulator.authentication import ORDER_FORM
from venues.binance.simulator.errors import (
    INVALID_ORDER_TYPE,
    INVALID_SIDE,
    INVALID_TIME_IN_FORCE,
    NO_ORDER,
    NO_QUANTITY,
    UNKNOWN_ORDER,
    amount,
    chosen,
    client_id,
    flag,
    malformed,
    missing,
    required,
    row_of,
)
from venues.binance.simulator.instruments import check_filters, listed, traded_price
from venues.binance.simulator.rows import Row

SIDES = {"BUY": True, "SELL": False}
SPOT_TIMES_IN_FORCE = {
    "GTC": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "IOC": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "FOK": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}
FUTURES_TIMES_IN_FORCE = {
    **SPOT_TIMES_IN_FORCE,
    "GTX": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "GTD": orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
}
FUTURES_KINDS = {name: kind for kind, name in rows.FUTURES_TYPES.items()}
SELF_TRADES: Mapping[str, SelfTradeMode] = {name: mode for mode, name in rows.SELF_TRADES.items()}
RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
CLIENT_ID_LENGTH = 22
PERCENT, BASIS_POINTS = 100, 10_000
GOOD_TILL_MS_MIN = 600_000
CALLBACK_RATE_MIN, CALLBACK_RATE_MAX = Decimal("0.1"), Decimal(10)


@dataclass(frozen=True, slots=True)
class SpotOrderType:
    """A spot order type: the parameters that it needs, and those of which it needs one."""

    kind: OrderType
    needs: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    post_only: bool = False


_LIMIT = ("timeInForce", "quantity", "price")
SPOT_TYPES = {
    "LIMIT": SpotOrderType(orders_pb2.ORDER_TYPE_LIMIT, _LIMIT),
    "LIMIT_MAKER": SpotOrderType(
        orders_pb2.ORDER_TYPE_LIMIT, ("quantity", "price"), post_only=True
    ),
    "MARKET": SpotOrderType(orders_pb2.ORDER_TYPE_MARKET, one_of=("quantity", "quoteOrderQty")),
    "STOP_LOSS": SpotOrderType(
        orders_pb2.ORDER_TYPE_STOP, ("quantity",), ("stopPrice", "trailingDelta")
    ),
    "STOP_LOSS_LIMIT": SpotOrderType(orders_pb2.ORDER_TYPE_STOP_LIMIT, (*_LIMIT, "stopPrice")),
    "TAKE_PROFIT": SpotOrderType(orders_pb2.ORDER_TYPE_TAKE_PROFIT, ("quantity", "stopPrice")),
    "TAKE_PROFIT_LIMIT": SpotOrderType(
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT, (*_LIMIT, "stopPrice")
    ),
}


class ClientIdGenerator:
    """Makes client ids for orders and cancels without one; no two are alike."""

    def __init__(self) -> None:
        self._made = 0

    def of(self, call: ApiCall, name: str) -> str:
        """The client id in a parameter, or a new one. Raises ApiError."""
        given = client_id(call, name)
        if given:
            return given
        self._made += 1
        seed = f"{call.account}/{self._made}/{call.now_ms}"
        return hashlib.sha256(seed.encode()).hexdigest()[:CLIENT_ID_LENGTH]


class BinanceSpotOrders:
    """Places, amends and cancels orders of spot."""

    def __init__(self) -> None:
        self.cancel_id = ""
        """The client id of the cancel that the engine is doing; "" between cancels."""
        self._ids = ClientIdGenerator()

    def place(self, call: ApiCall) -> Row:
        """``POST /api/v3/order``"""
        ticket = spot_ticket(call, self._ids.of(call, "newClientOrderId"))
        response = _response(call)
        return _placed(call, call.engine.place(call.account, ticket), response)

    def cancel(self, call: ApiCall) -> Row:
        """``DELETE /api/v3/order``"""
        order = order_named(call)
        if order is None:
            raise UNKNOWN_ORDER
        return self._cancel(call, order, self._ids.of(call, "newClientOrderId"))

    def cancel_all(self, call: ApiCall) -> list[Row]:
        """``DELETE /api/v3/openOrders``"""
        symbol, cancel_id = listed(call).symbol, self._ids.of(call, "newClientOrderId")
        with self._cancelling(cancel_id):
            cancelled = call.engine.cancel_all(call.account, symbol)
        if not cancelled:
            raise UNKNOWN_ORDER
        return [rows.cancelled_row(one, cancel_id) for one in cancelled]

    def amend(self, call: ApiCall) -> Row:
        """``PUT /api/v3/order/amend/keepPriority``"""
        order = order_named(call)
        if order is None:
            raise NO_ORDER
        own_id = order.ticket.client_order_id
        if client_id(call, "newClientOrderId") not in ("", own_id):
            raise ApiError(-2038, "This simulator does not give an order another client id.")
        size = amount(call, "newQty")
        if not order.filled < size < order.ticket.size:
            raise ApiError(-2038, "Order amend (quantity increase) is not supported.")
        amended = call.engine.amend(call.account, order.order_id, size, None)
        row = rows.order_row(amended)
        return {
            "transactTime": rows.milliseconds(amended.updated_ns),
            "executionId": amended.order_id,
            "amendedOrder": {"origClientOrderId": own_id, "qty": row["origQty"], **row},
        }

    def replace(self, call: ApiCall) -> Row:
        """``POST /api/v3/order/cancelReplace``. An order that the filters reject cancels none."""
        mode = required(call, "cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise missing("cancelReplaceMode")
        ticket = spot_ticket(call, self._ids.of(call, "newClientOrderId"))
        check_filters(listed(call), ticket)
        response = _response(call)
        old = order_named(call, "cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = self._ids.of(call, "cancelNewClientOrderId")
        outcome: Row = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS"}
        try:
            if old is None:
                raise UNKNOWN_ORDER
            outcome["cancelResponse"] = self._cancel(call, old, cancel_id)
        except (ApiError, OrderRejected) as error:
            outcome |= {"cancelResult": "FAILURE", "cancelResponse": row_of(call, error)}
            if mode == "STOP_ON_FAILURE":
                outcome |= {"newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
                raise _replace_error(-2022, "failed", outcome) from None
        _place_instead(call, ticket, response, outcome)
        return outcome

    def _cancel(self, call: ApiCall, order: OrderView, cancel_id: str) -> Row:
        only = call.text("cancelRestrictions")
        if only and RESTRICTIONS.get(only) != rows.STATUSES[order.status]:
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        with self._cancelling(cancel_id):
            cancelled = call.engine.cancel(call.account, order.order_id)
        return rows.cancelled_row(cancelled, cancel_id)

    @contextmanager
    def _cancelling(self, cancel_id: str) -> Iterator[None]:
        """The engine reports a cancel to its listeners while it does it."""
        self.cancel_id = cancel_id
        try:
            yield
        finally:
            self.cancel_id = ""


def spot_ticket(call: ApiCall, own_id: str) -> OrderTicket:
    """The order in a call of spot. Raises ApiError."""
    listing = listed(call)
    buys = chosen(call, "side", SIDES, INVALID_SIDE)
    order_type = chosen(call, "type", SPOT_TYPES, INVALID_ORDER_TYPE)
    given = _check_form(call, order_type)
    lifetime = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    if "timeInForce" in given:
        lifetime = call.choice("timeInForce", SPOT_TIMES_IN_FORCE, INVALID_TIME_IN_FORCE)
    amounts = {one: amount(call, one) for one in given - {"timeInForce", "trailingDelta"}}
    for name, value in amounts.items():
        if not value:
            raise ApiError(-1013, f"Invalid {'price' if 'rice' in name else 'quantity'}.")
    kind, trail = order_type.kind, None
    if "trailingDelta" in given:
        share = Decimal(call.integer("trailingDelta")) / BASIS_POINTS
        if not share:
            raise ApiError(-1013, "Filter failure: TRAILING_DELTA")
        kind = orders_pb2.ORDER_TYPE_TRAILING_STOP
        trail = whole_ticks(traded_price(call.market_view, listing) * share, listing)
    return OrderTicket(
        listing.symbol,
        side_of(buys),
        kind,
        amounts.get("quantity", rows.ZERO),
        amounts.get("price"),
        amounts.get("stopPrice"),
        trail,
        lifetime,
        post_only=order_type.post_only,
        client_order_id=own_id,
        value=amounts.get("quoteOrderQty"),
        self_trade=_self_trade(call),
    )


def order_named(
    call: ApiCall, id_name: str = "orderId", client_id_name: str = "origClientOrderId"
) -> OrderView | None:
    """The order of an id, a client id, or both. Raises ApiError."""
    symbol, own_id = listed(call).symbol, call.text(client_id_name)
    if call.text(id_name):
        try:
            order: OrderView | None = call.engine.order(call.account, call.integer(id_name))
        except OrderRejected:
            order = None
        if order is not None and own_id not in ("", order.ticket.client_order_id):
            raise ApiError(-2039, "Client order ID is not correct for this order ID.")
    elif own_id:
        order = call.engine.by_client_id(call.account, own_id)
    else:
        both = f"Param '{client_id_name}' or '{id_name}' must be sent"
        raise ApiError(-1102, f"{both}, but both were empty/null!")
    return order if order is not None and order.ticket.symbol == symbol else None


class BinanceFuturesOrders:
    """Places orders of futures."""

    def __init__(self) -> None:
        self._ids = ClientIdGenerator()

    def place(self, call: ApiCall) -> Row:
        """``POST /fapi/v1/order``"""
        if FUTURES_KINDS.get(required(call, "type")) in CONDITIONAL:
            text = "Order type not supported for this endpoint. "
            raise ApiError(-4120, text + "Please use the Algo Order API endpoints instead.")
        own_id = self._ids.of(call, "newClientOrderId")
        ticket = futures_ticket(call, own_id, "stopPrice")
        response = call.text("newOrderRespType", "ACK")
        if response not in ("ACK", "RESULT"):
            raise malformed("newOrderRespType")
        order = call.engine.place(call.account, ticket)
        if response == "ACK":
            return rows.futures_acknowledged_row(order)
        return rows.futures_order_row(order)

    def place_conditional(self, call: ApiCall) -> Row:
        """``POST /fapi/v1/algoOrder``"""
        if required(call, "algoType") != "CONDITIONAL":
            raise missing("algoType")
        if FUTURES_KINDS.get(required(call, "type")) not in CONDITIONAL:
            raise INVALID_ORDER_TYPE
        ticket = futures_ticket(call, self._ids.of(call, "clientAlgoId"), "triggerPrice")
        return rows.algo_row(call.engine.place(call.account, ticket))


def futures_ticket(call: ApiCall, own_id: str, stop_name: str) -> OrderTicket:
    """The order in a call of futures; ``stop_name`` has its stop price. Raises ApiError."""
    listing = listed(call)
    buys = chosen(call, "side", SIDES, INVALID_SIDE)
    kind = chosen(call, "type", FUTURES_KINDS, INVALID_ORDER_TYPE)
    if call.text("positionSide", "BOTH") != "BOTH":
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    if flag(call, "closePosition"):
        raise ApiError(-4136, "Target strategy invalid for orderType; closePosition")
    time_in_force = "GTC"
    if kind == orders_pb2.ORDER_TYPE_LIMIT:
        time_in_force = required(call, "timeInForce")
    elif kind in WITH_PRICE:
        time_in_force = call.text("timeInForce", time_in_force)
    lifetime = FUTURES_TIMES_IN_FORCE.get(time_in_force)
    if lifetime is None:
        raise INVALID_TIME_IN_FORCE
    size = amount(call, "quantity")
    if not size:
        raise NO_QUANTITY
    trail = None
    if kind == orders_pb2.ORDER_TYPE_TRAILING_STOP:
        rate = amount(call, "callbackRate")
        if not CALLBACK_RATE_MIN <= rate <= CALLBACK_RATE_MAX:
            raise ApiError(-4130, "Invalid callback rate.")
        trail = whole_ticks(traded_price(call.market_view, listing) * rate / PERCENT, listing)
    return OrderTicket(
        listing.symbol,
        side_of(buys),
        kind,
        size,
        _price(call, "price") if kind in WITH_PRICE else None,
        _price(call, stop_name) if kind in WITH_STOP_PRICE else None,
        trail,
        lifetime,
        _expires_ns(call) if lifetime == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME else 0,
        post_only=time_in_force == "GTX",
        reduce_only=flag(call, "reduceOnly"),
        client_order_id=own_id,
        self_trade=_self_trade(call),
    )


def _self_trade(call: ApiCall) -> SelfTradeMode | None:
    name = "selfTradePreventionMode"
    return call.choice(name, SELF_TRADES, malformed(name)) if name in call.parameters else None


def _check_form(call: ApiCall, order_type: SpotOrderType) -> set[str]:
    """The parameters of ORDER_FORM that are given. Raises ApiError."""
    given = {one for one in ORDER_FORM if call.text(one)}
    for one in ORDER_FORM:
        if one in order_type.needs:
            required(call, one)
        elif one in given and one not in order_type.one_of:
            raise ApiError(-1106, f"Parameter '{one}' sent when not required.")
    options = given & {*order_type.one_of}
    if len(options) > 1:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if order_type.one_of and not options:
        first, second = order_type.one_of
        text = f"Param '{first}' or '{second}' must be sent, but both were empty/null!"
        raise ApiError(-1102, text)
    return given


def _response(call: ApiCall) -> str:
    """Market and limit orders are answered in full, others with their ids, unless a parameter says
    otherwise. Raises ApiError."""
    default = "FULL" if call.text("type") in ("LIMIT", "MARKET") else "ACK"
    response = call.text("newOrderRespType", default)
    if response not in ("ACK", "RESULT", "FULL"):
        raise missing("newOrderRespType")
    return response


def _placed(call: ApiCall, order: OrderView, response: str) -> Row:
    if response == "ACK":
        return rows.acknowledged_row(order)
    return rows.placed_row(order, fills_of(order, call.engine) if response == "FULL" else None)


def _place_instead(call: ApiCall, ticket: OrderTicket, response: str, outcome: Row) -> None:
    """The second half of a cancel-replace. Raises ApiError when a half was not done."""
    try:
        order = call.engine.place(call.account, ticket)
        outcome["newOrderResponse"] = _placed(call, order, response)
    except OrderRejected as error:
        outcome |= {"newOrderResult": "FAILURE", "newOrderResponse": row_of(call, error)}
    results = {outcome["cancelResult"], outcome["newOrderResult"]}
    if results == {"FAILURE"}:
        raise _replace_error(-2022, "failed", outcome)
    if "FAILURE" in results:
        raise _replace_error(-2021, "partially failed", outcome, 409)


def _replace_error(code: int, result: str, outcome: Row, status: int = 400) -> ApiError:
    data = msgspec.json.encode(outcome).decode()
    return ApiError(code, f"Order cancel-replace {result}.", status, data=data)


def _price(call: ApiCall, name: str) -> Decimal:
    price = amount(call, name)
    if not price:
        raise ApiError(-4001, "Price less than 0.")
    return price


def _expires_ns(call: ApiCall) -> int:
    until_ms = call.integer("goodTillDate", 0)
    if until_ms < call.now_ms + GOOD_TILL_MS_MIN:
        text = "The goodTillDate timestamp must be greater than the current time plus 600 seconds"
        raise ApiError(-5040, f"{text} and smaller than 253402300799000")
    return until_ms * NANOSECONDS_PER_MILLISECOND
