"""Orders at OKX: place, amend, cancel, each one of a batch by itself, the same over REST and
websocket.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order and
#order-book-trading-algo-trading-post-place-algo-order
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.order_types import side_of
from kit.simulator.exchange.bounded_cache import BoundedCache
from kit.simulator.exchange.listings_and_prices import last_price, whole_ticks
from kit.simulator.exchange.order_fills import stop_kind
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.matching.contract import (
    OrderRejected,
    OrderTicket,
    OrderView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import amount
from venues.okx.simulator.errors import (
    EMPTY_BODY,
    ERRORS,
    JSON_ERROR,
    NO_LIMIT_PRICE,
    NOTHING_CHANGES,
    ORDER_FINISHED,
    RATE_LIMIT,
    WRONG_MODE,
    invalid,
)
from venues.okx.simulator.rest import listing_of, required
from venues.okx.simulator.rows import (
    ALGO_IDS_BEGIN,
    ORDER_IDS_BEGIN,
    Row,
    algo_id,
    is_conditional,
    is_order,
    order_id,
)

ChoiceT = TypeVar("ChoiceT")
Handle = Callable[[ApiCall], Row]
"""Does what one item of a batch says; its fields are the parameters of the call."""
BATCH_MAX = 20
LIMIT_WINDOW_NS, LIMIT = 2 * NANOSECONDS_PER_SECOND, 60
"""So many orders of one account in one instrument, in each two seconds."""
COUNTED_MAX = 10_000
FORMS_MAX = 10_000
ID_DIGITS_MAX = 20
AT_MARKET = "-1"
TRIGGER, TRAILING = "trigger", "move_order_stop"
CLIENT_ID = re.compile(r"[A-Za-z0-9]{0,32}")
SIDES = {"buy": True, "sell": False}
TIMES_IN_FORCE = {
    "market": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "limit": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "post_only": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "ioc": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "fok": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}
SELF_TRADES: Mapping[str, SelfTradeMode | None] = {
    "": None,
    "cancel_maker": SelfTradeMode.CANCEL_OLDEST,
    "cancel_taker": SelfTradeMode.CANCEL_NEWEST,
    "cancel_both": SelfTradeMode.CANCEL_BOTH,
}
MODES = dict.fromkeys(("cash", "cross", "isolated"))
ORDER_MODES = {InstrumentKind.SPOT: ("cash",), InstrumentKind.PERPETUAL: ("cross",)}
ALGO_MODES = {InstrumentKind.SPOT: ("cash", "cross"), InstrumentKind.PERPETUAL: ("cross",)}
UNSUPPORTED = {"posSide": ("", "net"), "attachAlgoOrds": ("", "[]")}
"""The only values of fields that the exchange does not simulate."""


class OkxOrders:
    """The calls that change orders, and what OKX remembers of orders besides the engine."""

    def __init__(self) -> None:
        self.request_id = ""
        """The ``reqId`` of the amendment that is being made."""
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._forms: BoundedCache[int, str] = BoundedCache(FORMS_MAX)
        self._newest_form = TRIGGER

    def form_of(self, order: OrderView) -> str:
        """The form in which an algo order came: one of FORMS, or ``move_order_stop``."""
        if order.ticket.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
            return TRAILING
        return self._forms.get(order.order_id) or self._newest_form

    def place(self, call: ApiCall) -> Row:
        """``{"ordId","clOrdId","tag","sMsg"}``. Raises ApiError and OrderRejected."""
        listing = listing_of(call)
        ticket = _ticket(call, listing)
        self._count(call, listing.symbol)
        order = call.engine.place(call.account, ticket)
        return {**_ids(order, call), "sMsg": "Order placed"}

    def place_algo(self, call: ApiCall) -> Row:
        """``{"algoId","algoClOrdId","clOrdId","tag"}``. Raises ApiError and OrderRejected."""
        listing = listing_of(call)
        ticket, form = _algo_ticket(call, listing)
        self._count(call, listing.symbol)
        # The engine reports a new order before its number is known here.
        self._newest_form = form
        try:
            order = call.engine.place(call.account, ticket)
        finally:
            self._newest_form = TRIGGER
        self._forms.keep(order.order_id, form)
        return {**_algo_ids(order), "clOrdId": "", "tag": call.text("tag")}

    def amend(self, call: ApiCall) -> Row:
        """``{"ordId","clOrdId","tag","reqId"}``. Raises ApiError and OrderRejected."""
        order = order_named(call)
        if order is None or order.is_final:
            raise ORDER_FINISHED
        if not call.text("newSz") and not call.text("newPx"):
            raise NOTHING_CHANGES
        size, price = _optional(call, "newSz"), _optional(call, "newPx")
        self.request_id = call.text("reqId")
        try:
            amended = call.engine.amend(call.account, order.order_id, size, price)
        finally:
            self.request_id = ""
        return {**_ids(amended, call), "reqId": call.text("reqId")}

    def amend_algo(self, call: ApiCall) -> Row:
        """``{"algoId","algoClOrdId","reqId"}`` of an algo order that has not triggered. A stop
        keeps its kind, at market or with a limit. Raises ApiError and OrderRejected."""
        order = algo_named(call)
        if order is None or order.is_final or is_order(order):
            raise ORDER_FINISHED
        form = self.form_of(order)
        part = "new" if form == TRIGGER else f"new{form.capitalize()}"
        stop, limit = f"{part}TriggerPx", f"{part}OrdPx"
        if form == TRAILING or not any(map(call.text, ("newSz", stop, limit))):
            raise NOTHING_CHANGES
        price = _limit_price(call, limit)
        if call.text(limit) and (price is None) is not (order.ticket.price is None):
            raise invalid(limit)
        size, stop_price = _optional(call, "newSz"), _optional(call, stop)
        call.engine.amend(call.account, order.order_id, size, price, stop_price)
        return {**_algo_ids(order), "reqId": call.text("reqId")}

    def _count(self, call: ApiCall, symbol: str) -> None:
        """Raises ApiError: the account places too many orders in one instrument."""
        window = call.now_ns // LIMIT_WINDOW_NS
        if len(self._counts) >= COUNTED_MAX:
            self._counts.clear()
        newest, count = self._counts.get((call.account, symbol), (0, 0))
        count = count + 1 if newest == window else 1
        if count > LIMIT:
            raise RATE_LIMIT
        self._counts[call.account, symbol] = (window, count)


def cancel(call: ApiCall) -> Row:
    """``{"ordId","clOrdId","tag"}``. Raises ApiError and OrderRejected."""
    listing_of(call)
    order = order_named(call)
    if order is None:
        raise OrderRejected(RejectCode.UNKNOWN_ORDER)
    return _ids(call.engine.cancel(call.account, order.order_id), call)


def cancel_algo(call: ApiCall) -> Row:
    """``{"algoId","algoClOrdId","tag"}``. Raises ApiError and OrderRejected."""
    listing_of(call)
    order = algo_named(call)
    if order is None or is_order(order):
        raise OrderRejected(RejectCode.UNKNOWN_ORDER)
    call.engine.cancel(call.account, order.order_id)
    return {**_algo_ids(order), "tag": ""}


def batch(call: ApiCall, handle: Handle, items: Sequence[Mapping[str, str]]) -> Row:
    """The answer to all items, each with its own code: ``{"code","msg","data":[{…,"sCode","sMsg"}],
    "inTime","outTime"}``. The code is "0": all are done, "1": none, "2": some. Raises ApiError."""
    if not 0 < len(items) <= BATCH_MAX:
        raise ApiError("51111", f"Maximum {BATCH_MAX} orders can be placed in bulk")
    rows = [_item_row(call.having(item), handle) for item in items]
    done = sum(row["sCode"] == "0" for row in rows)
    code, message = "2", "Bulk operation partially succeeded."
    if done in (0, len(rows)):
        code = "0" if done else "1"
        message = "All operations failed" if not done and len(rows) > 1 else ""
    times = {"inTime": f"{call.now_ms}000", "outTime": f"{call.now_ms}001"}
    return {"code": code, "msg": message, "data": rows, **times}


def items_of(body: bytes) -> list[dict[str, str]]:
    """The objects of a body, which is one or a list of them. Raises ApiError."""
    if not body:
        raise EMPTY_BODY
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise JSON_ERROR from None
    found = decoded if isinstance(decoded, list) else [decoded]
    if not all(isinstance(one, dict) for one in found):
        raise JSON_ERROR
    return [texts_of(one) for one in found]


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Values as texts. OKX writes most of them so; clients may write numbers and booleans."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def order_named(call: ApiCall) -> OrderView | None:
    """The order of an ``ordId`` or a ``clOrdId``, of the right instrument; an order that was an
    algo order has no ``clOrdId``. Raises ApiError."""
    order = _found(call, "ordId", "clOrdId", ORDER_IDS_BEGIN)
    if order is None or not is_order(order):
        return None
    return None if is_conditional(order) and not call.text("ordId") else order


def algo_named(call: ApiCall) -> OrderView | None:
    """The algo order of an ``algoId`` or an ``algoClOrdId``. Raises ApiError."""
    order = _found(call, "algoId", "algoClOrdId", ALGO_IDS_BEGIN)
    return order if order is not None and is_conditional(order) else None


def _found(call: ApiCall, id_name: str, client_id_name: str, ids_begin: int) -> OrderView | None:
    client_id = call.text(client_id_name)
    order: OrderView | None = None
    if call.text(id_name):
        number = call.integer(id_name, digits_max=ID_DIGITS_MAX) - ids_begin
        try:
            order = call.engine.order(call.account, number)
        except OrderRejected:
            return None
    elif client_id:
        order = call.engine.by_client_id(call.account, client_id)
    else:
        raise ApiError("51003", f"Either {client_id_name} or {id_name} is required.")
    if order is None or call.text("instId") not in ("", order.ticket.symbol):
        return None
    return order


def _item_row(call: ApiCall, handle: Handle) -> Row:
    try:
        row = {"sCode": "0", "sMsg": ""} | handle(call)
    except (ApiError, OrderRejected) as error:
        found = ERRORS.of(error)
        row = {name: call.text(name) for name in ("ordId", "clOrdId", "tag")}
        row |= {"sCode": found.code, "sMsg": found.message}
    return row | {"ts": str(call.now_ms)}


def _ticket(call: ApiCall, listing: Listing) -> OrderTicket:
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(call, ORDER_MODES[listing.kind])
    name = required(call, "ordType")
    if name == "optimal_limit_ioc" and not spot:
        name = "market"
    if name not in TIMES_IN_FORCE:
        raise invalid("ordType")
    at_market, buys, size = name == "market", _choice(call, "side", SIDES), _amount(call, "sz")
    target = call.text("tgtCcy") or ("quote_ccy" if buys else "base_ccy")
    if target not in ("base_ccy", "quote_ccy"):
        raise invalid("tgtCcy")
    by_value = at_market and spot and target == "quote_ccy"
    if not at_market and not call.text("px"):
        raise NO_LIMIT_PRICE
    return OrderTicket(
        listing.symbol,
        side_of(buys),
        orders_pb2.ORDER_TYPE_MARKET if at_market else orders_pb2.ORDER_TYPE_LIMIT,
        Decimal(0) if by_value else size,
        None if at_market else _amount(call, "px"),
        time_in_force=TIMES_IN_FORCE[name],
        post_only=name == "post_only",
        reduce_only=call.flag("reduceOnly") and not spot,
        client_order_id=_client_id(call, "clOrdId"),
        value=size if by_value else None,
        self_trade=call.choice("stpMode", SELF_TRADES),
    )


def _algo_ticket(call: ApiCall, listing: Listing) -> tuple[OrderTicket, str]:
    """The ticket of an algo order, and its form."""
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(call, ALGO_MODES[listing.kind])
    buys, form = _choice(call, "side", SIDES), required(call, "ordType")
    last = last_price(call.market_view, listing.symbol)
    if last is None:
        raise ERRORS.rejections[RejectCode.HALTED]
    kind, stop, price, trail = orders_pb2.ORDER_TYPE_TRAILING_STOP, None, None, None
    if form == TRIGGER:
        stop, price = _amount(call, "triggerPx"), _limit_price(call, "orderPx")
        kind = stop_kind((stop >= last) is not buys, price is None)
    elif form == "conditional":
        loses = bool(call.text("slTriggerPx"))
        if loses is bool(call.text("tpTriggerPx")):
            raise invalid("ordType")
        form = "sl" if loses else "tp"
        stop, price = _amount(call, f"{form}TriggerPx"), _limit_price(call, f"{form}OrdPx")
        kind = stop_kind(not loses, price is None)
    elif form == TRAILING:
        trail = _trail(call, listing, last)
    else:
        raise invalid("ordType")
    if spot and buys and price is None and call.text("tgtCcy") != "base_ccy":
        raise invalid("tgtCcy")  # the engine has no stops for an amount of the quote currency
    ticket = OrderTicket(
        listing.symbol,
        side_of(buys),
        kind,
        _amount(call, "sz"),
        price,
        stop,
        trail,
        reduce_only=call.flag("reduceOnly") and not spot,
        client_order_id=_client_id(call, "algoClOrdId") or _client_id(call, "clOrdId"),
    )
    return ticket, form


def _check_mode(call: ApiCall, allowed: Sequence[str]) -> None:
    """There is no margin trading on spot, and one net position in each swap."""
    _choice(call, "tdMode", MODES)
    if call.text("tdMode") not in allowed:
        raise WRONG_MODE
    for name, values in UNSUPPORTED.items():
        if call.text(name) not in values:
            raise invalid(name)


def _choice(call: ApiCall, name: str, choices: Mapping[str, ChoiceT]) -> ChoiceT:
    required(call, name)
    return call.choice(name, choices)


def _amount(call: ApiCall, name: str) -> Decimal:
    number = amount(required(call, name))
    if not number:
        raise invalid(name)
    return number


def _optional(call: ApiCall, name: str) -> Decimal | None:
    return _amount(call, name) if call.text(name) else None


def _limit_price(call: ApiCall, name: str) -> Decimal | None:
    """None: at market."""
    return None if call.text(name, AT_MARKET) == AT_MARKET else _amount(call, name)


def _trail(call: ApiCall, listing: Listing, last: Decimal) -> Decimal:
    """A distance, or a share of the price."""
    if call.text("callbackSpread"):
        return whole_ticks(_amount(call, "callbackSpread"), listing)
    return whole_ticks(last * _amount(call, "callbackRatio"), listing)


def _client_id(call: ApiCall, name: str) -> str:
    text = call.text(name)
    if not CLIENT_ID.fullmatch(text):
        raise invalid(name)
    return text


def _ids(order: OrderView, call: ApiCall) -> Row:
    ids = {"ordId": order_id(order), "clOrdId": order.ticket.client_order_id}
    return {**ids, "tag": call.text("tag")}


def _algo_ids(order: OrderView) -> Row:
    return {"algoId": algo_id(order), "algoClOrdId": order.ticket.client_order_id}
