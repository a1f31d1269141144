"""Exchange's REST calls of an account.

https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/orders/create-new-order
An answer to a new order says that it is pending. An order cannot be changed here.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qs

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.orders import fills_by_order, stop_kind
from kit.simulator.matching.contract import (
    Key,
    Lifetime,
    MatchingEngine,
    OrderKind,
    OrderRejected,
    OrderTicket,
    OrderView,
    RejectCode,
)
from kit.simulator.texts import amount, instant_ns, plain, whole
from venues.coinbase.simulator.answers import CoinbaseApiError, as_json, listing_of
from venues.coinbase.simulator.private.exchange_rows import (
    account_row,
    fill_row,
    order_row,
    state,
)
from venues.coinbase.simulator.private.keys import MATCHING_RULES, engine_of, key_of_exchange_call
from venues.coinbase.simulator.private.rows import (
    ORDERS,
    Row,
    number_of,
    order_id,
)
from venues.coinbase.simulator.times import micro_text

PATHS = ("orders", "fills", "accounts", "fees")
CLIENT = "client:"
ROWS_USUAL, ROWS_MAX = 100, 1000
WAITS_S = {"min": 60, "hour": 3600, "day": 86_400}
LIFETIMES = {
    "GTC": Lifetime.GOOD_TILL_CANCEL,
    "GTT": Lifetime.GOOD_TILL_TIME,
    "IOC": Lifetime.IMMEDIATE_OR_CANCEL,
    "FOK": Lifetime.FILL_OR_KILL,
}
OPEN_STATES = frozenset({"open", "pending", "active"})
ERRORS: Mapping[RejectCode, str] = {
    RejectCode.UNKNOWN_SYMBOL: "Product not found",
    RejectCode.HALTED: "Cancel only mode",
    RejectCode.TICK: "price too precise",
    RejectCode.LOT: "size too precise",
    RejectCode.SIZE_MIN: "size is too small",
    RejectCode.NOTIONAL_MIN: "size is too small",
    RejectCode.PRICE_BAND: "price is out of range",
    RejectCode.FUNDS: "Insufficient funds",
    RejectCode.WOULD_TAKE: "post only",
    RejectCode.WOULD_NOT_FILL: "fill or kill",
    RejectCode.REDUCE_ONLY: "Invalid order",
    RejectCode.STOP_WOULD_TRIGGER: "Stop price would trigger at once",
    RejectCode.SELF_TRADE: "self trade",
    RejectCode.DUPLICATE_ID: "client_oid is in use",
    RejectCode.UNKNOWN_ORDER: "order not found",
    RejectCode.FINISHED: "Order already done",
    RejectCode.TOO_MANY: "Too many open orders",
    RejectCode.MALFORMED: "Invalid order",
}


class _Create(msgspec.Struct):
    product_id: str = ""
    side: str = ""
    type: str = "limit"
    price: str | None = None
    size: str | None = None
    funds: str | None = None
    client_oid: str = ""
    time_in_force: str = "GTC"
    cancel_after: str = ""
    post_only: bool = False
    stop: str = ""
    stop_price: str | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """A request of somebody who may."""

    request: RestRequest
    market_view: MarketView
    engine: MatchingEngine
    key: Key

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.key.account

    def instant(self, name: str, usual: int) -> int:
        """A time, in nanoseconds. Raises Refusal."""
        text = self.request.query.get(name)
        if not text:
            return usual
        found_ns = instant_ns(text)
        if found_ns is None:
            raise _wrong(f"Invalid {name}")
        return found_ns

    def limit(self) -> int:
        """Rows of a page. Raises Refusal."""
        limit = whole(self.request.query.get("limit", str(ROWS_USUAL)))
        if limit is None:
            raise _wrong("Invalid limit")
        return max(1, min(limit, ROWS_MAX))


def is_private(path: str) -> bool:
    """Whether a path needs a key."""
    return path.strip("/").split("/")[0] in PATHS


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call for which ``is_private`` holds."""
    try:
        key = key_of_exchange_call(request, market_view)
        call = _Call(request, market_view, engine_of(market_view), key)
        return as_json(_result(call, request.path.strip("/").split("/")))
    except OrderRejected as refused:
        status = 404 if refused.refusal is RejectCode.UNKNOWN_ORDER else 400
        return as_json({"message": ERRORS[refused.refusal]}, status)
    except CoinbaseApiError as refusal:
        return refusal.answer


def _result(call: _Call, path: Sequence[str]) -> object:
    if path[0] == "orders":
        return _of_orders(call, path[1:])
    if call.request.method == "GET" and len(path) == 1:
        return {"fills": _fills, "accounts": _accounts, "fees": _fees}[path[0]](call)
    raise CoinbaseApiError(404, {"message": "NotFound"})


def _of_orders(call: _Call, path: Sequence[str]) -> object:
    match call.request.method, *path:
        case ["POST"]:
            return _create(call)
        case ["GET"]:
            return _orders(call)
        case ["GET", name]:
            order = _found(call, name)
            if order is None:
                raise CoinbaseApiError(404, {"message": "NotFound"})
            return _rows(call, [order])[0]
        case ["DELETE"]:
            return _cancel_all(call)
        case ["DELETE", name]:
            order = _found(call, name)
            if order is None:
                raise OrderRejected(RejectCode.UNKNOWN_ORDER)
            return order_id(call.engine.cancel(call.account, order.order_id))
    raise CoinbaseApiError(404, {"message": "NotFound"})


def _create(call: _Call) -> Row:
    try:
        asked = msgspec.json.decode(call.request.body or b"{}", type=_Create)
    except msgspec.DecodeError as error:
        raise _wrong(str(error)) from None
    ticket = _ticket(asked, call.market_view)
    try:
        order = call.engine.place(call.account, ticket)
    except OrderRejected as refused:
        if refused.refusal is not RejectCode.WOULD_TAKE:
            raise
        # It is told as an order that was never on the book, and nobody finds it again.
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{call.account}/{call.market_view.time_ns()}"))
        terms = {"product_id": asked.product_id, "side": asked.side, "type": asked.type}
        rejected = {"status": "rejected", "reject_reason": ERRORS[refused.refusal]}
        at = micro_text(call.market_view.time_ns())
        numbers = {"price": asked.price, "size": asked.size, "post_only": True}
        return {"id": name, **terms, **numbers, "created_at": at, **rejected}
    pending = {"status": "pending", "settled": False, "filled_size": f"{Decimal(0):.8f}"}
    nothing = f"{Decimal(0):.16f}"
    row = order_row(order, ())
    for name in ("done_at", "done_reason"):
        row.pop(name, None)
    return {**row, **pending, "executed_value": nothing, "fill_fees": nothing}


def _ticket(asked: _Create, market_view: MarketView) -> OrderTicket:
    """Raises Refusal."""
    listing = listing_of(asked.product_id, market_view)
    if listing is None:
        raise _wrong("Product not found")
    if asked.side not in ("buy", "sell"):
        raise _wrong("Invalid side")
    if asked.type not in ("limit", "market"):
        raise _wrong("Invalid order type")
    if asked.client_oid and not _is_uuid(asked.client_oid):
        raise _wrong("client_oid must be a valid UUID")
    lifetime = LIFETIMES.get(asked.time_in_force)
    if lifetime is None:
        raise _wrong("Invalid time_in_force")
    at_market, buys = asked.type == "market", asked.side == "buy"
    value = _number("funds", asked.funds) if at_market and asked.funds else None
    stop_price = _number("stop_price", asked.stop_price) if asked.stop_price else None
    expires_ns = 0
    if at_market:
        lifetime = Lifetime.IMMEDIATE_OR_CANCEL
    elif lifetime is Lifetime.GOOD_TILL_TIME:
        if asked.cancel_after not in WAITS_S:
            raise _wrong("cancel_after must be min, hour or day")
        expires_ns = market_view.time_ns() + WAITS_S[asked.cancel_after] * NANOSECONDS_PER_SECOND
    rises = (asked.stop or ("entry" if buys else "loss")) == "entry"
    return OrderTicket(
        symbol=listing.symbol,
        buys=buys,
        kind=_kind(at_market, stop_price is not None, rises is buys),
        size=Decimal(0) if value is not None else _number("size", asked.size),
        value=value,
        price=None if at_market else _number("price", asked.price),
        stop_price=stop_price,
        lifetime=lifetime,
        expires_ns=expires_ns,
        post_only=asked.post_only and not at_market,
        client_id=asked.client_oid,
    )


def _kind(at_market: bool, waits: bool, stops: bool) -> OrderKind:
    if waits:
        return stop_kind(not stops, at_market)
    return OrderKind.MARKET if at_market else OrderKind.LIMIT


def _found(call: _Call, name: str) -> OrderView | None:
    """By its id, or by its client's."""
    if name.startswith(CLIENT):
        return call.engine.by_client_id(call.account, name.removeprefix(CLIENT))
    try:
        return call.engine.order(call.account, number_of(ORDERS, name))
    except OrderRejected:
        return None


def _cancel_all(call: _Call) -> list[str]:
    """Of a product, whose name may also be written with a slash."""
    product = call.request.query.get("product_id", "")
    if call.request.body:
        try:
            said = msgspec.json.decode(call.request.body, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise _wrong(str(error)) from None
        product = said.get("product_id", product)
    cancelled = call.engine.cancel_all(call.account, product.replace("/", "-"))
    return [order_id(order) for order in cancelled]


def _orders(call: _Call) -> list[Row]:
    """Newest first; those that are open, unless others are asked for."""
    asked = parse_qs(call.request.raw_query)
    states = {one for text in asked.get("status", ()) for one in text.split(",")}
    wanted = states or OPEN_STATES
    start_ns, end_ns = call.instant("start_date", 0), call.instant("end_date", 2**63)
    product = call.request.query.get("product_id", "")
    chosen = [
        one
        for one in reversed(call.engine.orders(call.account, product))
        if start_ns <= one.created_ns < end_ns and ("all" in wanted or state(one) in wanted)
    ]
    return _rows(call, chosen[: call.limit()])


def _fills(call: _Call) -> list[Row]:
    """Newest first."""
    product, order = (call.request.query.get(name, "") for name in ("product_id", "order_id"))
    if not product and not order:
        raise _wrong("Either product_id or order_id is required")
    start_ns, end_ns = call.instant("start_date", 0), call.instant("end_date", 2**63)
    rows = [
        fill_row(fill)
        for fill in reversed(call.engine.fills(call.account, product, start_ns))
        if fill.time_ns < end_ns and order in ("", order_id(fill.order))
    ]
    return rows[: call.limit()]


def _accounts(call: _Call) -> list[Row]:
    return [account_row(one) for one in call.engine.balances(call.account)]


def _fees(call: _Call) -> Row:
    tier = MATCHING_RULES.tiers[0]
    rates = {"maker_fee_rate": plain(tier.maker), "taker_fee_rate": plain(tier.taker)}
    return {**rates, "usd_volume": None}


def _rows(call: _Call, orders: Sequence[OrderView]) -> list[Row]:
    fills = fills_by_order(orders, call.engine)
    return [order_row(one, fills.get(one.order_id, ())) for one in orders]


def _number(name: str, text: str | None) -> Decimal:
    number = amount(text or "")
    if number is None:
        raise _wrong(f"Invalid {name}")
    if not number:
        raise _wrong(f"{name} is too small")
    return number


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _wrong(message: str) -> CoinbaseApiError:
    return CoinbaseApiError(400, {"message": message})
