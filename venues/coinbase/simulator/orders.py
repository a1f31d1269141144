"""Orders that clients place, edit and cancel, at Advanced Trade and at Exchange.

Documentation:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/orders/create-new-order
Advanced Trade rejects an order with ``"success":false``; a client order id that was used before
returns the first order. Exchange reports a new order as pending, and has no call to change it.
"""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.contract import OrderType, TimeInForce
from kit.execution.order_types import CONDITIONAL, side_of
from kit.simulator.exchange.order_fills import stop_kind
from kit.simulator.exchange.rest import ApiCall, ApiError
from kit.simulator.matching.contract import OrderRejected, OrderTicket, OrderView, RejectCode
from kit.simulator.text_conversion import amount, instant_ns
from venues.coinbase.simulator.candles import micro_text
from venues.coinbase.simulator.errors import (
    ADVANCED_NO_ORDER,
    INVALID_SIDE,
    ORDER_REJECTED,
    advanced_error,
    exchange_error,
    exchange_invalid,
    order_error,
)
from venues.coinbase.simulator.rest import Row
from venues.coinbase.simulator.rows import (
    ORDERS,
    configuration,
    exchange_order_row,
    number_of,
    order_id,
)

StructT = TypeVar("StructT", bound=msgspec.Struct)
CANCEL_OK, CANCEL_UNKNOWN = "UNKNOWN_CANCEL_FAILURE_REASON", "UNKNOWN_CANCEL_ORDER"
CLIENT = "client:"
"""Comes before a client's id in a path of Exchange."""
WAITS_S = {"min": 60, "hour": 3600, "day": 86_400}
LIMIT, STOP_LIMIT = orders_pb2.ORDER_TYPE_LIMIT, orders_pb2.ORDER_TYPE_STOP_LIMIT
CONFIGURATIONS: Mapping[str, tuple[OrderType, TimeInForce]] = {
    "market_market_ioc": (
        orders_pb2.ORDER_TYPE_MARKET,
        orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    ),
    "sor_limit_ioc": (LIMIT, orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL),
    "limit_limit_fok": (LIMIT, orders_pb2.TIME_IN_FORCE_FILL_OR_KILL),
    "limit_limit_gtc": (LIMIT, orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL),
    "limit_limit_gtd": (LIMIT, orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME),
    "stop_limit_stop_limit_gtc": (STOP_LIMIT, orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL),
    "stop_limit_stop_limit_gtd": (STOP_LIMIT, orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME),
}
"""The kinds of orders of Advanced Trade. Its direction makes a stop one that takes a profit."""
EDIT_REASONS: Mapping[RejectCode, str] = {
    RejectCode.UNKNOWN_ORDER: "ORDER_NOT_FOUND",
    RejectCode.FINISHED: "ONLY_OPEN_ORDERS_CAN_BE_EDITED",
}
TYPES = {"limit": orders_pb2.ORDER_TYPE_LIMIT, "market": orders_pb2.ORDER_TYPE_MARKET}
TIMES_IN_FORCE = {
    "GTC": orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
    "GTT": orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME,
    "IOC": orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    "FOK": orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
}

DEFAULTS = {"type": "limit", "time_in_force": "GTC"}
"""What an order of Exchange may leave out."""


class _Terms(msgspec.Struct):
    """The members of all configurations."""

    base_size: str | None = None
    quote_size: str | None = None
    limit_price: str | None = None
    stop_price: str | None = None
    stop_direction: str = ""
    end_time: str = ""
    post_only: bool = False


class _Create(msgspec.Struct):
    client_order_id: str = ""
    product_id: str = ""
    side: str = ""
    order_configuration: dict[str, _Terms] = {}


class _Edit(msgspec.Struct):
    order_id: str = ""
    price: str | None = None
    size: str | None = None


class _Cancel(msgspec.Struct):
    order_ids: list[str] = []


def advanced_create(call: ApiCall) -> Row:
    """``{"success":true,"success_response":{"order_id":…},"order_configuration":{…}}``"""
    body = _read(call.body, _Create)
    if not body.client_order_id:
        raise advanced_error("client_order_id is required")
    try:
        order = call.engine.place(call.account, _advanced_ticket(body, call))
    except (ApiError, OrderRejected) as error:
        found = call.errors.of(error)
        if found.status != ORDER_REJECTED:
            raise found from None
        return _not_created(body, found)
    success = {
        "order_id": order_id(order),
        "product_id": order.ticket.symbol,
        "side": "BUY" if order.ticket.buys else "SELL",
        "client_order_id": order.ticket.client_order_id,
        "attached_order_id": "",
    }
    return {
        "success": True,
        "success_response": success,
        "order_configuration": configuration(order),
    }


def advanced_edit(call: ApiCall) -> Row:
    """``{"success":true,"errors":[]}``, for limit orders that are good until cancelled."""
    body = _read(call.body, _Edit)
    try:
        order = call.engine.order(call.account, number_of(ORDERS, body.order_id))
        ticket = order.ticket
        if (ticket.type, ticket.time_in_force) != CONFIGURATIONS["limit_limit_gtc"]:
            raise order_error("ONLY_LIMIT_ORDER_EDITS_SUPPORTED")
        size, price = _optional(body.size), _optional(body.price)
        if size is not None and size <= order.filled:
            raise order_error("CANNOT_EDIT_TO_BELOW_FILLED_SIZE")
        call.engine.amend(call.account, order.order_id, size, price)
    except (ApiError, OrderRejected) as error:
        found = call.errors.of(error)
        reason = str(found.code)
        if isinstance(error, OrderRejected):
            reason = EDIT_REASONS.get(error.refusal, "UNKNOWN_EDIT_ORDER_FAILURE_REASON")
        preview = found.details["preview"]
        why = {"edit_failure_reason": reason, "preview_failure_reason": preview}
        return {"success": False, "errors": [why]}
    return {"success": True, "errors": []}


def advanced_cancel(call: ApiCall) -> Row:
    """``{"results":[{"success":true,"failure_reason":…,"order_id":…}]}``"""
    body = _read(call.body, _Cancel)
    if not body.order_ids:
        raise advanced_error("order_ids is required")
    results = []
    for name in body.order_ids:
        try:
            call.engine.cancel(call.account, number_of(ORDERS, name))
            reason = CANCEL_OK
        except OrderRejected:
            reason = CANCEL_UNKNOWN
        done = reason == CANCEL_OK
        results.append({"success": done, "failure_reason": reason, "order_id": name})
    return {"results": results}


def advanced_order(call: ApiCall) -> OrderView:
    """The order that ``order_id`` names. Raises ApiError."""
    try:
        return call.engine.order(call.account, number_of(ORDERS, call.text("order_id")))
    except OrderRejected:
        raise ADVANCED_NO_ORDER from None


def exchange_create(call: ApiCall) -> Row:
    """The order as pending. One that is rejected is written too, but no other call finds it."""
    ticket = _exchange_ticket(call)
    try:
        order = call.engine.place(call.account, ticket)
    except OrderRejected as error:
        if error.refusal is not RejectCode.WOULD_TAKE:
            raise
        return _not_booked(call, call.errors.of(error))
    pending = {"status": "pending", "filled_size": f"{Decimal(0):.8f}"}
    nothing = f"{Decimal(0):.16f}"
    row = {**exchange_order_row(order, ()), **pending}
    for name in ("done_at", "done_reason"):
        row.pop(name, None)
    return {**row, "executed_value": nothing, "fill_fees": nothing}


def exchange_cancel(call: ApiCall) -> str:
    """The id of the order."""
    order = exchange_order(call)
    if order is None:
        raise OrderRejected(RejectCode.UNKNOWN_ORDER)
    return order_id(call.engine.cancel(call.account, order.order_id))


def exchange_cancel_all(call: ApiCall) -> list[str]:
    """The ids of the orders. ccxt writes the product with a slash."""
    product = call.text("product_id").replace("/", "-")
    return [order_id(order) for order in call.engine.cancel_all(call.account, product)]


def exchange_order(call: ApiCall) -> OrderView | None:
    """The order that ``order_id`` names: an id, or a client's id after ``client:``."""
    name = call.text("order_id")
    if name.startswith(CLIENT):
        return call.engine.by_client_id(call.account, name.removeprefix(CLIENT))
    try:
        return call.engine.order(call.account, number_of(ORDERS, name))
    except OrderRejected:
        return None


def _advanced_ticket(body: _Create, call: ApiCall) -> OrderTicket:
    """Raises ApiError and OrderRejected."""
    if not _is_listed(body.product_id, call):
        raise OrderRejected(RejectCode.UNKNOWN_SYMBOL)
    if body.side not in ("BUY", "SELL"):
        raise INVALID_SIDE
    name, terms = next(iter(body.order_configuration.items()), ("", _Terms()))
    if len(body.order_configuration) != 1 or name not in CONFIGURATIONS:
        raise OrderRejected(RejectCode.MALFORMED)
    kind, time_in_force = CONFIGURATIONS[name]
    buys, at_market = body.side == "BUY", kind == orders_pb2.ORDER_TYPE_MARKET
    if kind == STOP_LIMIT:
        rises = terms.stop_direction != "STOP_DIRECTION_STOP_DOWN"
        kind = stop_kind(rises is not buys, at_market=False)
    value = _optional(terms.quote_size) if at_market else None
    size = None if value is not None else _optional(terms.base_size)
    if size is None and value is None:
        raise OrderRejected(RejectCode.SIZE_MIN)
    expires_ns = (
        instant_ns(terms.end_time)
        if time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
        else 0
    )
    if expires_ns is None:
        raise OrderRejected(RejectCode.MALFORMED)
    return OrderTicket(
        symbol=body.product_id,
        side=side_of(buys),
        type=kind,
        size=size or Decimal(0),
        value=value,
        price=None if at_market else _optional(terms.limit_price),
        stop_price=_optional(terms.stop_price) if kind in CONDITIONAL else None,
        time_in_force=time_in_force,
        expire_time_ns=expires_ns,
        post_only=terms.post_only,
        client_order_id=body.client_order_id,
    )


def _exchange_ticket(call: ApiCall) -> OrderTicket:
    """Raises ApiError and OrderRejected."""
    product = call.text("product_id")
    if not _is_listed(product, call):
        raise OrderRejected(RejectCode.UNKNOWN_SYMBOL)
    call = call.having({name: call.text(name) or text for name, text in DEFAULTS.items()})
    buys = call.choice("side", {"buy": True, "sell": False})
    kind = call.choice("type", TYPES, exchange_invalid("order type"))
    client_id = call.text("client_oid")
    if client_id and not _is_uuid(client_id):
        raise exchange_error("client_oid must be a valid UUID")
    time_in_force = call.choice("time_in_force", TIMES_IN_FORCE)
    at_market, expires_ns = kind == orders_pb2.ORDER_TYPE_MARKET, 0
    value = _number(call, "funds") if at_market and call.text("funds") else None
    stop_price = _number(call, "stop_price") if call.text("stop_price") else None
    if at_market:
        time_in_force = orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    elif time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
        wrong = exchange_error("cancel_after must be min, hour or day")
        wait_s = call.choice("cancel_after", WAITS_S, wrong)
        expires_ns = call.now_ns + wait_s * NANOSECONDS_PER_SECOND
    if stop_price is not None:
        rises = call.text("stop", "entry" if buys else "loss") == "entry"
        kind = stop_kind(rises is not buys, at_market)
    return OrderTicket(
        symbol=product,
        side=side_of(buys),
        type=kind,
        size=Decimal(0) if value is not None else _number(call, "size"),
        value=value,
        price=None if at_market else _number(call, "price"),
        stop_price=stop_price,
        time_in_force=time_in_force,
        expire_time_ns=expires_ns,
        post_only=call.flag("post_only") and not at_market,
        client_order_id=client_id,
    )


def _not_created(body: _Create, error: ApiError) -> Row:
    return {
        "success": False,
        "error_response": {
            "error": error.code,
            "message": error.message,
            "error_details": "",
            "preview_failure_reason": error.details["preview"],
        },
        "order_configuration": body.order_configuration,
    }


def _not_booked(call: ApiCall, error: ApiError) -> Row:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{call.account}/{call.now_ns}")),
        **{name: call.text(name) for name in ("product_id", "side", "price", "size")},
        "type": call.text("type", "limit"),
        "post_only": True,
        "created_at": micro_text(call.now_ns),
        "status": "rejected",
        "reject_reason": error.message,
    }


def _is_listed(product: str, call: ApiCall) -> bool:
    return any(one.symbol == product for one in call.market_view.listings())


def _optional(text: str | None) -> Decimal | None:
    """A number of Advanced Trade. Raises OrderRejected."""
    if text is None:
        return None
    number = amount(text)
    if not number:
        raise OrderRejected(RejectCode.SIZE_MIN)
    return number


def _number(call: ApiCall, name: str) -> Decimal:
    """A number of Exchange. Raises ApiError."""
    number = amount(call.text(name))
    if number is None:
        raise exchange_invalid(name)
    if not number:
        raise exchange_error(f"{name} is too small")
    return number


def _read(body: bytes, kind: type[StructT]) -> StructT:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise advanced_error(str(error)) from None


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
