"""What clients do with orders at Advanced Trade: create, edit, cancel.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
A refusal is an answer with status 200 that says ``success`` is false. A client order id that was
used before gives the first order again.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from kit.simulator.dialect import MarketView
from kit.simulator.exchange.orders import stop_kind
from kit.simulator.matching.contract import (
    STOPS,
    Lifetime,
    MatchingEngine,
    OrderKind,
    OrderRejected,
    OrderTicket,
    OrderView,
    RejectCode,
)
from kit.simulator.texts import amount, instant_ns
from venues.coinbase.simulator.answers import CoinbaseApiError, listing_of
from venues.coinbase.simulator.private.rows import (
    ORDERS,
    Row,
    configuration,
    number_of,
    order_id,
)

StructT = TypeVar("StructT", bound=msgspec.Struct)
UNKNOWN = "UNKNOWN_FAILURE_REASON"
NO_PREVIEW = "UNKNOWN_PREVIEW_FAILURE_REASON"
CANCEL_OK, CANCEL_UNKNOWN = "UNKNOWN_CANCEL_FAILURE_REASON", "UNKNOWN_CANCEL_ORDER"
ERRORS: Mapping[RejectCode, tuple[str, str]] = {
    RejectCode.UNKNOWN_SYMBOL: ("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID"),
    RejectCode.HALTED: ("ORDER_ENTRY_DISABLED", NO_PREVIEW),
    RejectCode.TICK: ("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION"),
    RejectCode.LOT: ("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION"),
    RejectCode.SIZE_MIN: (UNKNOWN, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    RejectCode.NOTIONAL_MIN: (UNKNOWN, "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
    RejectCode.PRICE_BAND: ("INVALID_LIMIT_PRICE", "PREVIEW_INVALID_LIMIT_PRICE"),
    RejectCode.FUNDS: ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
    RejectCode.WOULD_TAKE: (
        "INVALID_LIMIT_PRICE_POST_ONLY",
        "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
    ),
    RejectCode.WOULD_NOT_FILL: ("INVALID_NO_LIQUIDITY", "PREVIEW_INVALID_NO_LIQUIDITY"),
    RejectCode.REDUCE_ONLY: ("INVALID_REQUEST", NO_PREVIEW),
    RejectCode.STOP_WOULD_TRIGGER: (UNKNOWN, "PREVIEW_INVALID_STOP_PRICE"),
    RejectCode.SELF_TRADE: ("COMMANDER_REJECTED_NEW_ORDER", NO_PREVIEW),
    RejectCode.DUPLICATE_ID: ("COMMANDER_REJECTED_NEW_ORDER", NO_PREVIEW),
    RejectCode.UNKNOWN_ORDER: (UNKNOWN, NO_PREVIEW),
    RejectCode.FINISHED: (UNKNOWN, NO_PREVIEW),
    RejectCode.TOO_MANY: ("COMMANDER_REJECTED_NEW_ORDER", NO_PREVIEW),
    RejectCode.MALFORMED: ("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_ORDER_CONFIG"),
}


class _Terms(msgspec.Struct):
    """What stands in any of the configurations."""

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


class _Failed(Exception):
    """The order is refused, in an answer with status 200."""

    def __init__(self, error: str, preview: str = NO_PREVIEW, message: str = "") -> None:
        super().__init__(error)
        self.error, self.preview, self.message = error, preview, message


def invalid(message: str) -> CoinbaseApiError:
    """The request itself is wrong."""
    said = {"error": "INVALID_ARGUMENT", "error_details": message, "message": message}
    return CoinbaseApiError(400, said)


def create(body: bytes, engine: MatchingEngine, account: str, market_view: MarketView) -> Row:
    """``POST orders``. Raises Refusal."""
    call = _read(body, _Create)
    if not call.client_order_id:
        raise invalid("client_order_id is required")
    try:
        order = engine.place(account, _ticket(call, market_view))
    except OrderRejected as refused:
        error, preview = ERRORS[refused.refusal]
        return _failure(call, _Failed(error, preview, _words(refused)))
    except _Failed as failed:
        return _failure(call, failed)
    success = {
        "order_id": order_id(order),
        "product_id": order.ticket.symbol,
        "side": "BUY" if order.ticket.buys else "SELL",
        "client_order_id": order.ticket.client_id,
        "attached_order_id": "",
    }
    return {
        "success": True,
        "success_response": success,
        "order_configuration": configuration(order),
    }


def edit(body: bytes, engine: MatchingEngine, account: str) -> Row:
    """``POST orders/edit``: limit orders that are good until cancelled. Raises Refusal."""
    call = _read(body, _Edit)
    try:
        order = engine.order(account, number_of(ORDERS, call.order_id))
        ticket = order.ticket
        waits = ticket.lifetime is Lifetime.GOOD_TILL_CANCEL
        if ticket.kind is not OrderKind.LIMIT or not waits:
            return _not_edited("ONLY_LIMIT_ORDER_EDITS_SUPPORTED")
        size, price = _optional(call.size), _optional(call.price)
        if size is not None and size <= order.filled:
            return _not_edited("CANNOT_EDIT_TO_BELOW_FILLED_SIZE")
        engine.amend(account, order.order_id, size, price)
    except _Failed as failed:
        return _not_edited(failed.error, failed.preview)
    except OrderRejected as refused:
        if refused.refusal is RejectCode.UNKNOWN_ORDER:
            return _not_edited("ORDER_NOT_FOUND")
        if refused.refusal is RejectCode.FINISHED:
            return _not_edited("ONLY_OPEN_ORDERS_CAN_BE_EDITED")
        return _not_edited("UNKNOWN_EDIT_ORDER_FAILURE_REASON", ERRORS[refused.refusal][1])
    return {"success": True, "errors": []}


def cancel(body: bytes, engine: MatchingEngine, account: str) -> Row:
    """``POST orders/batch_cancel``. Raises Refusal."""
    call = _read(body, _Cancel)
    if not call.order_ids:
        raise invalid("order_ids is required")
    results = []
    for name in call.order_ids:
        try:
            engine.cancel(account, number_of(ORDERS, name))
            reason = CANCEL_OK
        except OrderRejected:
            reason = CANCEL_UNKNOWN
        done = reason == CANCEL_OK
        results.append({"success": done, "failure_reason": reason, "order_id": name})
    return {"results": results}


def found(name: str, engine: MatchingEngine, account: str) -> OrderView:
    """By its id. Raises Refusal."""
    try:
        return engine.order(account, number_of(ORDERS, name))
    except OrderRejected:
        words = "order with this orderID was not found"
        said = {"error": "unknown", "error_details": words, "message": words}
        raise CoinbaseApiError(404, said) from None


def _ticket(call: _Create, market_view: MarketView) -> OrderTicket:
    """Raises _Failed."""
    if listing_of(call.product_id, market_view) is None:
        raise _Failed(*ERRORS[RejectCode.UNKNOWN_SYMBOL])
    if call.side not in ("BUY", "SELL"):
        raise _Failed("INVALID_SIDE", "PREVIEW_INVALID_SIDE")
    if len(call.order_configuration) != 1:
        raise _Failed(*ERRORS[RejectCode.MALFORMED])
    ((name, terms),) = call.order_configuration.items()
    buys = call.side == "BUY"
    kinds: Mapping[str, tuple[OrderKind, Lifetime]] = {
        "market_market_ioc": (OrderKind.MARKET, Lifetime.IMMEDIATE_OR_CANCEL),
        "sor_limit_ioc": (OrderKind.LIMIT, Lifetime.IMMEDIATE_OR_CANCEL),
        "limit_limit_fok": (OrderKind.LIMIT, Lifetime.FILL_OR_KILL),
        "limit_limit_gtc": (OrderKind.LIMIT, Lifetime.GOOD_TILL_CANCEL),
        "limit_limit_gtd": (OrderKind.LIMIT, Lifetime.GOOD_TILL_TIME),
        "stop_limit_stop_limit_gtc": (_stop(terms, buys), Lifetime.GOOD_TILL_CANCEL),
        "stop_limit_stop_limit_gtd": (_stop(terms, buys), Lifetime.GOOD_TILL_TIME),
    }
    if name not in kinds:
        raise _Failed(*ERRORS[RejectCode.MALFORMED])
    kind, lifetime = kinds[name]
    value = _optional(terms.quote_size) if kind is OrderKind.MARKET else None
    size = None if value is not None else _optional(terms.base_size)
    if size is None and value is None:
        raise _Failed(*ERRORS[RejectCode.SIZE_MIN])
    return OrderTicket(
        symbol=call.product_id,
        buys=buys,
        kind=kind,
        size=size or Decimal(0),
        value=value,
        price=_optional(terms.limit_price) if kind is not OrderKind.MARKET else None,
        stop_price=_optional(terms.stop_price) if kind in STOPS else None,
        lifetime=lifetime,
        expires_ns=_instant(terms.end_time) if lifetime is Lifetime.GOOD_TILL_TIME else 0,
        post_only=terms.post_only,
        client_id=call.client_order_id,
    )


def _stop(terms: _Terms, buys: bool) -> OrderKind:
    """A stop that is reached from the other side takes a profit."""
    up = terms.stop_direction != "STOP_DIRECTION_STOP_DOWN"
    return stop_kind(up is not buys, at_market=False)


def _instant(text: str) -> int:
    found_ns = instant_ns(text)
    if found_ns is None:
        raise _Failed(*ERRORS[RejectCode.MALFORMED])
    return found_ns


def _optional(text: str | None) -> Decimal | None:
    """Raises _Failed."""
    if text is None:
        return None
    number = amount(text)
    if not number:
        raise _Failed(*ERRORS[RejectCode.SIZE_MIN])
    return number


def _read(body: bytes, kind: type[StructT]) -> StructT:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from None


def _words(refused: OrderRejected) -> str:
    funds = refused.refusal is RejectCode.FUNDS
    return "Insufficient balance in source account" if funds else ""


def _failure(call: _Create, failed: _Failed) -> Row:
    return {
        "success": False,
        "error_response": {
            "error": failed.error,
            "message": failed.message,
            "error_details": "",
            "preview_failure_reason": failed.preview,
        },
        "order_configuration": call.order_configuration,
    }


def _not_edited(reason: str, preview: str = NO_PREVIEW) -> Row:
    why = {"edit_failure_reason": reason, "preview_failure_reason": preview}
    return {"success": False, "errors": [why]}
