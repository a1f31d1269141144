"""The private calls of USD-M futures that place, change and cancel orders.

Documentation: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.market import whole_ticks
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import (
    PRICED,
    STOP_PRICED,
    STOPS,
    Lifetime,
    OrderKind,
    OrderRejected,
    OrderTicket,
    OrderView,
)
from kit.simulator.matching.contract import RejectCode as Reason
from venues.binance.simulator.private import futures_rows as words
from venues.binance.simulator.private.calls import Route
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.private.spot_tickets import (
    check_filters,
    read_self_trade,
    traded_price,
)
from venues.binance.simulator.rest import BinanceApiError

BATCH_MAX = 5
GOOD_TILL_MS_MIN = 600_000
PERCENT = 100
LIFETIMES: Mapping[str, tuple[Lifetime, bool]] = {
    "GTC": (Lifetime.GOOD_TILL_CANCEL, False),
    "IOC": (Lifetime.IMMEDIATE_OR_CANCEL, False),
    "FOK": (Lifetime.FILL_OR_KILL, False),
    "GTX": (Lifetime.GOOD_TILL_CANCEL, True),
    "GTD": (Lifetime.GOOD_TILL_TIME, False),
}
"""And whether it is post-only."""
KINDS: Mapping[str, OrderKind] = {name: kind for kind, name in words.TYPES.items()}
ID_LETTERS = 22
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class FuturesOrders:
    """Answers the calls."""

    def __init__(self) -> None:
        self._serial = 0

    def routes(self) -> dict[tuple[str, str], Route]:
        """By method and path."""
        root = "/fapi/v1"
        return {
            ("POST", f"{root}/order"): Route(self._place, None, 0, orders=1),
            ("POST", f"{root}/order/test"): Route(self._test, None),
            ("PUT", f"{root}/order"): Route(_modify, None, 1, orders=1),
            ("DELETE", f"{root}/order"): Route(_cancel, None),
            ("GET", f"{root}/order"): Route(_order, None),
            ("GET", f"{root}/openOrder"): Route(_open_order, None),
            ("DELETE", f"{root}/allOpenOrders"): Route(_cancel_all, None),
            ("POST", f"{root}/batchOrders"): Route(self._place_batch, None, 5, orders=5),
            ("PUT", f"{root}/batchOrders"): Route(_modify_batch, None, 5, orders=5),
            ("DELETE", f"{root}/batchOrders"): Route(_cancel_batch, None),
            ("POST", f"{root}/algoOrder"): Route(self._place_conditional, None, 0, orders=1),
            ("DELETE", f"{root}/algoOrder"): Route(_cancel_conditional, None),
            ("GET", f"{root}/algoOrder"): Route(_conditional, None),
            ("DELETE", f"{root}/algoOpenOrders"): Route(_cancel_all_conditional, None),
            ("POST", f"{root}/countdownCancelAll"): Route(_count_down, None, 10),
        }

    def _place(self, call: Call) -> object:
        if KINDS.get(call.text("type")) in STOPS:
            text = "Order type not supported for this endpoint. "
            raise BinanceApiError(-4120, text + "Please use the Algo Order API endpoints instead.")
        client_id = call.client_id("newClientOrderId") or self._new_id(call)
        ticket = read_ticket(call, client_id, "stopPrice")
        response = call.params.get("newOrderRespType", "ACK")
        if response not in ("ACK", "RESULT"):
            raise BinanceApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
        order = call.engine.place(call.account, ticket)
        return words.acknowledged(order) if response == "ACK" else words.order_row(order)

    def _test(self, call: Call) -> object:
        check_filters(call.listing(), read_ticket(call, "", "stopPrice"))
        return {}

    def _place_conditional(self, call: Call) -> object:
        if call.text("algoType") != "CONDITIONAL":
            raise BinanceApiError(-1102, "Mandatory parameter 'algoType' was malformed.")
        if KINDS.get(call.text("type")) not in STOPS:
            raise BinanceApiError(-1116, "Invalid orderType.")
        client_id = call.client_id("clientAlgoId") or self._new_id(call)
        ticket = read_ticket(call, client_id, "triggerPrice")
        return words.algo_row(call.engine.place(call.account, ticket))

    def _place_batch(self, call: Call) -> object:
        return _each(call, self._place)

    def _new_id(self, call: Call) -> str:
        self._serial += 1
        seed = f"{call.account}/{self._serial}/{call.now_ms}"
        return hashlib.sha256(seed.encode()).hexdigest()[:ID_LETTERS]


def read_ticket(call: Call, client_id: str, stop_name: str) -> OrderTicket:
    """The order that a call wants. Raises Refusal."""
    listing = call.listing()
    side, kind = call.text("side"), KINDS.get(call.text("type"))
    if side not in ("BUY", "SELL"):
        raise BinanceApiError(-1117, "Invalid side.")
    if kind is None:
        raise BinanceApiError(-1116, "Invalid orderType.")
    if call.params.get("positionSide", "BOTH") != "BOTH":
        raise BinanceApiError(-4061, "Order's position side does not match user's setting.")
    if call.flag("closePosition"):
        raise BinanceApiError(
            -4136, "Target strategy invalid for orderType; closePosition is not pretended"
        )
    lifetime, post_only = Lifetime.GOOD_TILL_CANCEL, False
    if kind in PRICED:
        name = (
            call.text("timeInForce")
            if kind is OrderKind.LIMIT
            else call.params.get("timeInForce", "GTC")
        )
        if name not in LIFETIMES:
            raise BinanceApiError(-1115, "Invalid timeInForce.")
        lifetime, post_only = LIFETIMES[name]
    size = call.amount("quantity")
    if not size:
        raise BinanceApiError(-4003, "Quantity less than or equal to zero.")
    return OrderTicket(
        listing.symbol,
        side == "BUY",
        kind,
        size,
        _price(call, "price") if kind in PRICED else None,
        _price(call, stop_name) if kind in STOP_PRICED else None,
        _trail(call, listing) if kind is OrderKind.TRAILING_STOP else None,
        lifetime,
        _expires_ns(call) if lifetime is Lifetime.GOOD_TILL_TIME else 0,
        post_only=post_only,
        reduce_only=call.flag("reduceOnly"),
        client_id=client_id,
        self_trade=read_self_trade(call),
    )


def find_order(call: Call) -> OrderView | None:
    """One that has come to the book."""
    found = call.named_order("orderId", "origClientOrderId")
    return found if found is not None and words.is_order(found) else None


def find_conditional(call: Call) -> OrderView | None:
    """One of the algo service. Its calls name no symbol."""
    number = call.number("algoId", 0)
    if number:
        try:
            found: OrderView | None = call.engine.order(call.account, number - words.ALGO_ID_FIRST)
        except OrderRejected:
            found = None
    else:
        found = call.engine.by_client_id(call.account, call.text("clientAlgoId"))
    return found if found is not None and words.is_conditional(found) else None


def _price(call: Call, name: str) -> Decimal:
    price = call.amount(name)
    if not price:
        raise BinanceApiError(-4001, "Price less than 0.")
    return price


def _trail(call: Call, listing: Listing) -> Decimal:
    """The engine's trail is a distance; Binance's a share of the price, in percent."""
    rate = call.amount("callbackRate")
    if not Decimal("0.1") <= rate <= 10:
        raise BinanceApiError(-4130, "Invalid callback rate.")
    return whole_ticks(traded_price(call.market_view, listing) * rate / PERCENT, listing)


def _expires_ns(call: Call) -> int:
    until_ms = call.number("goodTillDate", 0)
    if until_ms < call.now_ms + GOOD_TILL_MS_MIN:
        text = "The goodTillDate timestamp must be greater than the current time plus 600 seconds"
        raise BinanceApiError(-5040, f"{text} and smaller than 253402300799000")
    return until_ms * NANOSECONDS_PER_MILLISECOND


def _order(call: Call) -> object:
    order = find_order(call)
    if order is None:
        raise BinanceApiError(-2013, "Order does not exist.")
    return words.order_row(order)


def _open_order(call: Call) -> object:
    order = find_order(call)
    if order is None or order.is_final:
        raise BinanceApiError(-2013, "Order does not exist.")
    return words.order_row(order)


def _modify(call: Call) -> object:
    order = find_order(call)
    if order is None:
        raise BinanceApiError(-2013, "Order does not exist.")
    if call.text("side") != ("BUY" if order.ticket.buys else "SELL"):
        raise BinanceApiError(-1117, "Invalid side.")
    size, price = call.amount("quantity"), call.amount("price")
    if (size, price) == (order.ticket.size, order.ticket.price):
        raise BinanceApiError(-5027, "No need to modify the order.")
    return words.order_row(call.engine.amend(call.account, order.order_id, size, price))


def _cancel(call: Call) -> object:
    order = find_order(call)
    if order is None:
        raise OrderRejected(Reason.UNKNOWN_ORDER)
    return words.order_row(call.engine.cancel(call.account, order.order_id))


def _cancel_all(call: Call) -> object:
    """Conditional orders stay."""
    for order in call.engine.open_orders(call.account, call.listing().symbol):
        if words.is_order(order):
            call.engine.cancel(call.account, order.order_id)
    return DONE


def _conditional(call: Call) -> object:
    order = find_conditional(call)
    if order is None:
        raise BinanceApiError(-2013, "Order does not exist.")
    return words.algo_row(order)


def _cancel_conditional(call: Call) -> object:
    order = find_conditional(call)
    if order is None or words.is_order(order):
        raise OrderRejected(Reason.UNKNOWN_ORDER)
    call.engine.cancel(call.account, order.order_id)
    ids = {"algoId": words.algo_id(order), "clientAlgoId": order.ticket.client_id}
    return ids | {"code": "200", "msg": "success"}


def _cancel_all_conditional(call: Call) -> object:
    for order in call.engine.open_orders(call.account, call.listing().symbol):
        if not words.is_order(order):
            call.engine.cancel(call.account, order.order_id)
    return DONE


def _count_down(call: Call) -> object:
    """The engine's countdown is for all symbols of an account."""
    symbol, time_ms = call.listing().symbol, call.number("countdownTime", 0)
    call.engine.cancel_after(call.account, time_ms / 1_000)
    return {"symbol": symbol, "countdownTime": str(time_ms)}


def _each(call: Call, handle: Callable[[Call], object]) -> list[object]:
    """Each of a batch by itself: its answer, or its error."""
    try:
        batch = msgspec.json.decode(call.text("batchOrders"), type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise BinanceApiError(-4082, "Invalid number of batch orders.") from None
    if not 0 < len(batch) <= BATCH_MAX:
        raise BinanceApiError(-4082, "Invalid number of batch orders.")
    return [_one(call, handle, fields) for fields in batch]


def _one(call: Call, handle: Callable[[Call], object], fields: Mapping[str, Any]) -> object:
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
    }
    try:
        return handle(replace(call, params=texts))
    except BinanceApiError as refusal:
        return refusal.error
    except OrderRejected as refused:
        code, text = words.REFUSALS[refused.refusal]
        return {"code": code, "msg": text}


def _modify_batch(call: Call) -> object:
    return _each(call, _modify)


def _cancel_batch(call: Call) -> object:
    """The names of its lists may be written in any case."""
    symbol = call.text("symbol")
    lists = {name.lower(): text for name, text in call.params.items()}
    try:
        ids = msgspec.json.decode(lists.get("orderidlist", "[]"), type=list[int | str])
        names = msgspec.json.decode(lists.get("origclientorderidlist", "[]"), type=list[str])
    except msgspec.DecodeError:
        raise BinanceApiError(
            -1130, "Data sent for parameter 'orderIdList' is not valid."
        ) from None
    wanted = [("orderId", one) for one in ids] + [("origClientOrderId", one) for one in names]
    return [_one(call, _cancel, {"symbol": symbol, name: value}) for name, value in wanted]
