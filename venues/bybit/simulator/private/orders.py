"""What clients do with orders at Bybit: place, amend, cancel.

Documentation: https://bybit-exchange.github.io/docs/v5/order/create-order
The same over REST and websocket. An answer says only that the request was taken: what became of it
is told by the ``order`` topic.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from kit.simulator.dialect import MarketView
from kit.simulator.matching.contract import (
    Lifetime,
    MatchingEngine,
    OrderKind,
    OrderRejected,
    OrderTicket,
    OrderView,
    RejectCode,
    Status,
)
from kit.simulator.private.market import last_price
from kit.simulator.private.memory import Memory
from kit.simulator.private.orders import stop_kind
from kit.simulator.texts import amount
from venues.bybit.simulator.private.keys import engine_of
from venues.bybit.simulator.private.rows import Row, order_id, order_number
from venues.bybit.simulator.rest import PARAMETER_ERROR, BybitApiError

StructT = TypeVar("StructT", bound=msgspec.Struct)
WINDOW_S_MIN, WINDOW_S_MAX = 3, 300
HELD_MAX = 10_000
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{0,36}")
LIFETIMES = {
    "": Lifetime.GOOD_TILL_CANCEL,
    "GTC": Lifetime.GOOD_TILL_CANCEL,
    "PostOnly": Lifetime.GOOD_TILL_CANCEL,
    "IOC": Lifetime.IMMEDIATE_OR_CANCEL,
    "FOK": Lifetime.FILL_OR_KILL,
}
ORDINARY, STOP, TAKE_PROFIT_STOP_LOSS = "Order", "StopOrder", "tpslOrder"
FILTERS = (ORDINARY, STOP, TAKE_PROFIT_STOP_LOSS)
STOP_TYPES = {STOP: "Stop", TAKE_PROFIT_STOP_LOSS: "tpslOrder"}
NO_ORDER = BybitApiError(170213, "Order does not exist.")
ERRORS: Mapping[RejectCode, tuple[int, str]] = {
    RejectCode.UNKNOWN_SYMBOL: (170121, "Invalid symbol."),
    RejectCode.HALTED: (170151, "The trading pair is not open yet."),
    RejectCode.TICK: (170134, "Order price has too many decimals."),
    RejectCode.LOT: (170137, "Order quantity has too many decimals."),
    RejectCode.SIZE_MIN: (170136, "Order quantity exceeded lower limit."),
    RejectCode.NOTIONAL_MIN: (170140, "Order value exceeded lower limit."),
    RejectCode.PRICE_BAND: (170132, "Order price too high."),
    RejectCode.FUNDS: (170131, "Insufficient balance."),
    RejectCode.WOULD_TAKE: (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    RejectCode.WOULD_NOT_FILL: (170210, "New order rejected."),
    RejectCode.REDUCE_ONLY: (170210, "New order rejected."),
    RejectCode.STOP_WOULD_TRIGGER: (170210, "New order rejected."),
    RejectCode.SELF_TRADE: (170210, "New order rejected."),
    RejectCode.DUPLICATE_ID: (170141, "Duplicate clientOrderId."),
    RejectCode.UNKNOWN_ORDER: (NO_ORDER.code, NO_ORDER.message),
    RejectCode.FINISHED: (NO_ORDER.code, NO_ORDER.message),
    RejectCode.TOO_MANY: (
        170810,
        "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
    ),
    RejectCode.MALFORMED: (PARAMETER_ERROR, "params error: order invalid"),
}


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


class _Window(msgspec.Struct, rename="camel"):
    product: str = "OPTIONS"
    time_window: int = 0


class Orders:
    """What Bybit knows of orders besides the engine."""

    def __init__(self) -> None:
        self._with_funds_held: Memory[int, None] = Memory(HELD_MAX)
        """Stop orders of the filter ``tpslOrder``; those of ``StopOrder`` are all others."""
        self._windows: dict[str, int] = {}
        """Seconds after which an account's orders are cancelled when all connections that watch
        over them are gone."""
        self._watching: dict[str, int] = {}
        """How many there are."""

    def set_window(self, body: bytes, account: str) -> Row:
        """``disconnected-cancel-all``, for the next time. Raises Refusal."""
        call = _read(body or b"{}", _Window)
        if not WINDOW_S_MIN <= call.time_window <= WINDOW_S_MAX:
            raise BybitApiError(PARAMETER_ERROR, "params error: timeWindow invalid")
        if call.product == "SPOT":
            self._windows[account] = call.time_window
        return {}

    def watch(self, account: str, engine: MatchingEngine) -> Callable[[], None]:
        """A connection watches. Returns what says that it is gone."""
        self._watching[account] = self._watching.get(account, 0) + 1
        engine.cancel_after(account, 0)

        def gone() -> None:
            self._watching[account] -= 1
            if not self._watching[account] and account in self._windows:
                engine.cancel_after(account, self._windows[account])

        return gone

    def do(self, name: str, body: bytes, account: str, market_view: MarketView) -> Row:
        """``create``, ``amend``, ``cancel`` or ``cancel-all``. Raises Refusal."""
        kind: type[_Create | _Change] = _Create if name == "create" else _Change
        call = _read(body or b"{}", kind)
        if call.category != "spot":
            raise BybitApiError(PARAMETER_ERROR, "Illegal category")
        engine = engine_of(market_view)
        try:
            if isinstance(call, _Create):
                return _acknowledged(self._create(call, engine, account, market_view))
            if name == "cancel-all":
                return self._cancel_all(call, engine, account)
            order = self._chosen(call, engine, account)
            if name == "cancel":
                return _acknowledged(engine.cancel(account, order.order_id))
            return _acknowledged(self._amend(call, order, engine))
        except OrderRejected as refused:
            raise BybitApiError(*ERRORS[refused.refusal]) from None

    def filter_of(self, order: OrderView) -> str:
        """Among which orders it counts. A stop that has triggered is an ordinary order."""
        if order.ticket.stop_price is None or order.status is not Status.UNTRIGGERED:
            return ORDINARY
        return TAKE_PROFIT_STOP_LOSS if order.order_id in self._with_funds_held else STOP

    def stop_type(self, order: OrderView) -> str:
        """``Stop`` or ``tpslOrder``, also of one that has triggered; empty of an ordinary one."""
        if order.ticket.stop_price is None:
            return ""
        held = order.order_id in self._with_funds_held
        return STOP_TYPES[TAKE_PROFIT_STOP_LOSS if held else STOP]

    def _create(
        self, call: _Create, engine: MatchingEngine, account: str, market_view: MarketView
    ) -> OrderView:
        order = engine.place(account, _ticket(call, market_view))
        if call.order_filter == TAKE_PROFIT_STOP_LOSS:
            self._with_funds_held.keep(order.order_id, None)
        return order

    def _chosen(self, call: _Change, engine: MatchingEngine, account: str) -> OrderView:
        """The order that is named, when it is open. Raises Refusal and Refused."""
        order = found(call.order_id or "", call.order_link_id or "", engine, account)
        if order.is_final or order.ticket.symbol != call.symbol:
            raise NO_ORDER
        if call.order_filter is not None and self.filter_of(order) != call.order_filter:
            raise NO_ORDER
        return order

    def _amend(self, call: _Change, order: OrderView, engine: MatchingEngine) -> OrderView:
        size, price = _optional("qty", call.qty), _optional("price", call.price)
        stop_price = _optional("triggerPrice", call.trigger_price)
        return engine.amend(order.account, order.order_id, size, price, stop_price)

    def _cancel_all(self, call: _Change, engine: MatchingEngine, account: str) -> Row:
        wanted = call.order_filter or ORDINARY
        cancelled = [
            engine.cancel(account, order.order_id)
            for order in engine.open_orders(account, call.symbol)
            if self.filter_of(order) == wanted
        ]
        return {"list": [_acknowledged(order) for order in cancelled], "success": "1"}


def _read(body: bytes, kind: type[StructT]) -> StructT:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BybitApiError(PARAMETER_ERROR, f"params error: {error}") from None


def found(order: str, client_id: str, engine: MatchingEngine, account: str) -> OrderView:
    """By its id, or else its client id. Raises Refusal and Refused."""
    if order:
        return engine.order(account, order_number(order))
    if not client_id:
        raise BybitApiError(PARAMETER_ERROR, "params error: orderId or orderLinkId is required")
    view = engine.by_client_id(account, client_id)
    if view is None:
        raise NO_ORDER
    return view


def _ticket(call: _Create, market_view: MarketView) -> OrderTicket:
    if call.symbol not in {listing.symbol for listing in market_view.listings()}:
        raise BybitApiError(170121, "Invalid symbol.")
    if call.side not in ("Buy", "Sell"):
        raise BybitApiError(170117, "Invalid side.")
    if call.order_type not in ("Market", "Limit"):
        raise BybitApiError(170116, "Invalid orderType.")
    if call.time_in_force not in LIFETIMES:
        raise BybitApiError(170115, "Invalid timeInForce.")
    if call.order_filter not in FILTERS:
        raise BybitApiError(170201, "Invalid orderFilter parameter")
    if call.take_profit or call.stop_loss:
        raise BybitApiError(170227, "This feature is not supported.")
    if CLIENT_ID.fullmatch(call.order_link_id) is None:
        raise BybitApiError(170130, "Data sent for paramter 'orderLinkId' is not valid.")
    buys, at_market = call.side == "Buy", call.order_type == "Market"
    quantity = _number("qty", call.qty)
    if not quantity:
        raise BybitApiError(*ERRORS[RejectCode.SIZE_MIN])
    by_value = at_market and (call.market_unit or ("quoteCoin" if buys else "")) == "quoteCoin"
    stop_price = _optional("triggerPrice", call.trigger_price)
    if call.order_filter != ORDINARY and stop_price is None:
        raise BybitApiError(170202, "Please enter the TP/SL price.")
    lifetime = Lifetime.IMMEDIATE_OR_CANCEL if at_market else LIFETIMES[call.time_in_force]
    return OrderTicket(
        symbol=call.symbol,
        buys=buys,
        kind=_kind(call.symbol, buys, at_market, stop_price, market_view),
        size=Decimal(0) if by_value else quantity,
        value=quantity if by_value else None,
        price=None if at_market else _number("price", call.price),
        stop_price=stop_price,
        lifetime=lifetime,
        post_only=call.time_in_force == "PostOnly" and not at_market,
        client_id=call.order_link_id,
    )


def _kind(
    symbol: str, buys: bool, at_market: bool, stop_price: Decimal | None, market_view: MarketView
) -> OrderKind:
    """Which way the price must go is not said by a spot order, but by where the price is."""
    if stop_price is None:
        return OrderKind.MARKET if at_market else OrderKind.LIMIT
    last = last_price(market_view, symbol)
    rises = last is None or stop_price >= last
    return stop_kind(rises is not buys, at_market)


def _number(name: str, text: str | None) -> Decimal:
    number = amount(text or "")
    if number is None:
        raise BybitApiError(170130, f"Data sent for paramter '{name}' is not valid.")
    return number


def _optional(name: str, text: str | None) -> Decimal | None:
    return _number(name, text) if text else None


def _acknowledged(order: OrderView) -> Row:
    return {"orderId": order_id(order), "orderLinkId": order.ticket.client_id}
