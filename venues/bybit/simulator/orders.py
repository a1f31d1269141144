"""Orders at Bybit: place, amend, cancel, the same over REST and websocket.

Documentation: https://bybit-exchange.github.io/docs/v5/order/create-order
An answer says only that the request was accepted: the ``order`` topic says what became of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OrderType
from kit.execution.order_types import side_of
from kit.simulator.exchange.bounded_cache import BoundedCache
from kit.simulator.exchange.listings_and_prices import last_price
from kit.simulator.exchange.order_fills import stop_kind
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.matching.contract import (
    MatchingEngine,
    OrderRejected,
    OrderStatus,
    OrderTicket,
    OrderView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import amount
from venues.bybit.simulator import rows
from venues.bybit.simulator.errors import (
    ILLEGAL_CATEGORY,
    NO_ORDER,
    PARAMETER_ERROR,
    REJECTIONS,
    SIZE_TOO_SMALL,
    invalid,
)
from venues.bybit.simulator.rest import BatchResult, Row
from venues.bybit.simulator.rows import order_id, order_number

StructT = TypeVar("StructT", bound=msgspec.Struct)
WINDOW_S_MIN, WINDOW_S_MAX = 3, 300
BATCH_MAX = 10
HELD_MAX = 10_000
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{0,36}")
TIMES_IN_FORCE = {
    "": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "GTC": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "PostOnly": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "IOC": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "FOK": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}
SELF_TRADES: Mapping[str, SelfTradeMode | None] = {
    "": None,
    **{name: mode for mode, name in rows.SELF_TRADES.items()},
}
ORDINARY, STOP, TAKE_PROFIT_STOP_LOSS = "Order", "StopOrder", "tpslOrder"
STOP_TYPES = {STOP: "Stop", TAKE_PROFIT_STOP_LOSS: "tpslOrder"}
CHOICES = (
    ("side", ("Buy", "Sell"), ApiError(170117, "Invalid side.")),
    ("order_type", ("Market", "Limit"), ApiError(170116, "Invalid orderType.")),
    ("time_in_force", TIMES_IN_FORCE, ApiError(170115, "Invalid timeInForce.")),
    (
        "order_filter",
        (ORDINARY, STOP, TAKE_PROFIT_STOP_LOSS),
        ApiError(170201, "Invalid orderFilter parameter"),
    ),
    ("smp_type", SELF_TRADES, ApiError(PARAMETER_ERROR, "params error: smpType invalid")),
)
"""What a field may be, and the error when it is something else."""


class _Create(msgspec.Struct, rename="camel"):
    category: str = ""
    symbol: str = ""
    side: str = ""
    order_type: str = ""
    qty: str | None = None
    price: str | None = None
    time_in_force: str = ""
    order_link_id: str = ""
    order_filter: str = ORDINARY
    trigger_price: str | None = None
    market_unit: str = ""
    take_profit: str | None = None
    stop_loss: str | None = None
    smp_type: str = ""


class _Change(msgspec.Struct, rename="camel"):
    """An amendment or a cancellation."""

    category: str = ""
    symbol: str = ""
    order_id: str | None = None
    order_link_id: str | None = None
    order_filter: str | None = None
    qty: str | None = None
    price: str | None = None
    trigger_price: str | None = None


class _Batch(msgspec.Struct):
    category: str = ""
    request: list[dict[str, Any]] = []


class _Window(msgspec.Struct, rename="camel"):
    product: str = "OPTIONS"
    time_window: int = 0


class BybitOrders:
    """The calls that change orders, and what Bybit remembers of orders besides the engine. Each
    call raises ApiError and OrderRejected."""

    def __init__(self) -> None:
        self._with_funds_held: BoundedCache[int, None] = BoundedCache(HELD_MAX)
        """Stop orders of the filter ``tpslOrder``; all others are of ``StopOrder``."""
        self._windows: dict[str, int] = {}
        """Seconds after which an account's orders are cancelled when all connections that watch
        over them are gone."""
        self._watching: dict[str, int] = {}
        """How many connections watch over an account."""

    def set_window(self, call: ApiCall) -> Row:
        """``disconnected-cancel-all``, for the next time."""
        window = _read(call.body, _Window)
        if not WINDOW_S_MIN <= window.time_window <= WINDOW_S_MAX:
            raise invalid("timeWindow")
        if window.product == "SPOT":
            self._windows[call.account] = window.time_window
        return {}

    def watch(self, account: str, engine: MatchingEngine) -> Callable[[], None]:
        """Count a connection that watches. Returns what to call when it is gone."""
        self._watching[account] = self._watching.get(account, 0) + 1
        engine.cancel_after(account, 0)

        def gone() -> None:
            self._watching[account] -= 1
            if not self._watching[account] and account in self._windows:
                engine.cancel_after(account, self._windows[account])

        return gone

    def create(self, call: ApiCall) -> Row:
        """``{"orderId","orderLinkId"}`` of a new order."""
        wanted = _read_spot(call.body, _Create)
        order = call.engine.place(call.account, _ticket(wanted, call))
        if wanted.order_filter == TAKE_PROFIT_STOP_LOSS:
            self._with_funds_held.keep(order.order_id, None)
        return _acknowledged(order)

    def amend(self, call: ApiCall) -> Row:
        """``{"orderId","orderLinkId"}`` of an amended order."""
        change = _read_spot(call.body, _Change)
        order = self._open_order(change, call)
        size, price = _optional("qty", change.qty), _optional("price", change.price)
        stop_price = _optional("triggerPrice", change.trigger_price)
        amended = call.engine.amend(call.account, order.order_id, size, price, stop_price)
        return _acknowledged(amended)

    def cancel(self, call: ApiCall) -> Row:
        """``{"orderId","orderLinkId"}`` of a cancelled order."""
        order = self._open_order(_read_spot(call.body, _Change), call)
        return _acknowledged(call.engine.cancel(call.account, order.order_id))

    def cancel_all(self, call: ApiCall) -> Row:
        """``{"list":[{"orderId","orderLinkId"}],"success":"1"}``"""
        change = _read_spot(call.body, _Change)
        wanted = change.order_filter or ORDINARY
        cancelled = [
            call.engine.cancel(call.account, order.order_id)
            for order in call.engine.open_orders(call.account, change.symbol)
            if self.filter_of(order) == wanted
        ]
        return {"list": [_acknowledged(order) for order in cancelled], "success": "1"}

    def filter_of(self, order: OrderView) -> str:
        """The ``orderFilter`` of an order. A stop that has triggered is an ordinary order."""
        if order.ticket.stop_price is None or order.status is not OrderStatus.UNTRIGGERED:
            return ORDINARY
        return TAKE_PROFIT_STOP_LOSS if order.order_id in self._with_funds_held else STOP

    def stop_type(self, order: OrderView) -> str:
        """``Stop`` or ``tpslOrder``, also after it has triggered; empty for an ordinary order."""
        if order.ticket.stop_price is None:
            return ""
        held = order.order_id in self._with_funds_held
        return STOP_TYPES[TAKE_PROFIT_STOP_LOSS if held else STOP]

    def _open_order(self, change: _Change, call: ApiCall) -> OrderView:
        order = order_named(change.order_id or "", change.order_link_id or "", call)
        if order.is_final or order.ticket.symbol != change.symbol:
            raise NO_ORDER
        if change.order_filter is not None and self.filter_of(order) != change.order_filter:
            raise NO_ORDER
        return order


def batch(call: ApiCall, handle: Callable[[ApiCall], Row]) -> BatchResult:
    """``{"list":[{"orderId","orderLinkId",…}]}`` of create-batch and cancel-batch, each order with
    its own outcome. Raises ApiError."""
    wanted = _read(call.body, _Batch)
    if not 0 < len(wanted.request) <= BATCH_MAX:
        raise ApiError(PARAMETER_ERROR, f"params error: 1 to {BATCH_MAX} orders")
    rows_found: list[Row] = []
    outcomes: list[Row] = []
    for item in wanted.request:
        body = msgspec.json.encode({**item, "category": wanted.category})
        ids: Row = {"orderId": "", "orderLinkId": item.get("orderLinkId", "")}
        code: int | str = 0
        message = "OK"
        try:
            ids = handle(replace(call, body=body))
        except (ApiError, OrderRejected) as error:
            refusal = call.errors.of(error)
            code, message = refusal.code, refusal.message
        rows_found.append({"category": wanted.category, "symbol": item.get("symbol", ""), **ids})
        outcomes.append({"code": code, "msg": message})
    return BatchResult(rows_found, outcomes)


def order_named(order: str, client_id: str, call: ApiCall) -> OrderView:
    """The order of the account with this id, or else this client id. Raises ApiError and
    OrderRejected."""
    if order:
        return call.engine.order(call.account, order_number(order))
    if not client_id:
        raise ApiError(PARAMETER_ERROR, "params error: orderId or orderLinkId is required")
    view = call.engine.by_client_id(call.account, client_id)
    if view is None:
        raise NO_ORDER
    return view


def _read(body: bytes, kind: type[StructT]) -> StructT:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise ApiError(PARAMETER_ERROR, f"params error: {error}") from None


def _read_spot(body: bytes, kind: type[StructT]) -> StructT:
    found = _read(body, kind)
    if getattr(found, "category", "") != "spot":
        raise ILLEGAL_CATEGORY
    return found


def _ticket(wanted: _Create, call: ApiCall) -> OrderTicket:
    if wanted.symbol not in {listing.symbol for listing in call.market_view.listings()}:
        raise REJECTIONS[RejectCode.UNKNOWN_SYMBOL]
    for field, allowed, error in CHOICES:
        if getattr(wanted, field) not in allowed:
            raise error
    if wanted.take_profit or wanted.stop_loss:
        raise ApiError(170227, "This feature is not supported.")
    if CLIENT_ID.fullmatch(wanted.order_link_id) is None:
        raise _unreadable("orderLinkId")
    buys, at_market = wanted.side == "Buy", wanted.order_type == "Market"
    quantity = _number("qty", wanted.qty)
    if not quantity:
        raise SIZE_TOO_SMALL
    by_value = at_market and (wanted.market_unit or ("quoteCoin" if buys else "")) == "quoteCoin"
    stop_price = _optional("triggerPrice", wanted.trigger_price)
    if wanted.order_filter != ORDINARY and stop_price is None:
        raise ApiError(170202, "Please enter the TP/SL price.")
    time_in_force = (
        orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
        if at_market
        else TIMES_IN_FORCE[wanted.time_in_force]
    )
    return OrderTicket(
        symbol=wanted.symbol,
        side=side_of(buys),
        type=_kind(wanted.symbol, buys, at_market, stop_price, call),
        size=Decimal(0) if by_value else quantity,
        value=quantity if by_value else None,
        price=None if at_market else _number("price", wanted.price),
        stop_price=stop_price,
        time_in_force=time_in_force,
        post_only=wanted.time_in_force == "PostOnly" and not at_market,
        client_order_id=wanted.order_link_id,
        self_trade=SELF_TRADES[wanted.smp_type],
    )


def _kind(
    symbol: str, buys: bool, at_market: bool, stop_price: Decimal | None, call: ApiCall
) -> OrderType:
    """A spot order does not say which way the price must go; the last price decides."""
    if stop_price is None:
        return orders_pb2.ORDER_TYPE_MARKET if at_market else orders_pb2.ORDER_TYPE_LIMIT
    last = last_price(call.market_view, symbol)
    rises = last is None or stop_price >= last
    return stop_kind(rises is not buys, at_market)


def _number(name: str, text: str | None) -> Decimal:
    number = amount(text or "")
    if number is None:
        raise _unreadable(name)
    return number


def _optional(name: str, text: str | None) -> Decimal | None:
    return _number(name, text) if text else None


def _unreadable(name: str) -> ApiError:
    return ApiError(170130, f"Data sent for paramter '{name}' is not valid.")


def _acknowledged(order: OrderView) -> Row:
    return {"orderId": order_id(order), "orderLinkId": order.ticket.client_order_id}
