"""Kraken's REST calls of an account.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-extended-balance and its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.market import known_listings
from kit.simulator.exchange.orders import fills_by_order
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import FillView, Key, MatchingEngine, OrderRejected, OrderView
from kit.simulator.texts import whole
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.pairs import by_name
from venues.kraken.simulator.private.keys import TOKEN_S, Guard, engine_of
from venues.kraken.simulator.private.orders import (
    Wish,
    amend,
    cancel,
    chosen,
    instant,
    place,
    ticket_of,
)
from venues.kraken.simulator.private.rows import (
    Row,
    amend_id,
    asset_name,
    described,
    execution_id,
    number,
    order_id,
    order_number,
    order_row,
    trade_row,
)
from venues.kraken.simulator.rest import KrakenApiError, envelope

PREFIX = "/0/private/"
PAGE = 50
DIGITS_MAX = 12
IDS_MAX = 50
TIMEOUT_S_MAX = 86_400
BALANCE_PLACES = 10
INVALID = "EGeneral:Invalid arguments"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request of somebody who may."""

    fields: Mapping[str, object]
    market_view: MarketView
    engine: MatchingEngine
    key: Key
    guard: Guard

    @property
    def account(self) -> str:
        return self.key.account

    def text(self, name: str, usual: str = "") -> str:
        """A field."""
        return str(self.fields.get(name, usual))

    def number(self, name: str, usual: int = 0) -> int:
        """A whole number. Raises Refusal."""
        number = whole(self.text(name, str(usual)), DIGITS_MAX)
        if number is None:
            raise KrakenApiError(f"{INVALID}:{name}")
        return number

    def says(self, name: str) -> bool:
        """Whether a field is true."""
        return self.text(name).lower() in ("true", "1")

    def listing(self, symbol: str) -> Listing:
        """Of an order, whose market may be gone from the list."""
        listings = known_listings(self.market_view)
        if symbol not in listings:
            raise KrakenApiError("EQuery:Unknown asset pair")
        return listings[symbol]

    def span_ns(self) -> tuple[int, int]:
        """``start`` and ``end``. Raises Refusal."""
        end = self.number("end", 10**10) + 1
        return self.number("start") * NANOSECONDS_PER_SECOND, end * NANOSECONDS_PER_SECOND

    def order_rows(self, orders: Sequence[OrderView]) -> Row:
        """By id."""
        fills = fills_by_order(orders, self.engine)
        return {
            order_id(one.order_id): order_row(
                one, self.listing(one.ticket.symbol), fills.get(one.order_id, ())
            )
            for one in orders
        }


async def answer(request: RestRequest, market_view: MarketView, guard: Guard) -> RestResponse:
    """One call under PREFIX."""
    handler = HANDLERS.get(request.path.removeprefix(PREFIX))
    if handler is None:
        return RestResponse(b'{"error":["EGeneral:Unknown method"]}')
    try:
        key, fields = guard.admit(request, market_view)
        call = _Call(fields, market_view, engine_of(market_view), key, guard)
        return envelope(handler(call))
    except KrakenApiError as refusal:
        return RestResponse(refusal.body)


def _add(call: _Call) -> Row:
    listing = _listing_named(call)
    kind, flags = call.text("ordertype"), call.text("oflags").split(",")
    price, price2 = call.text("price"), call.text("price2")
    stops = kind not in ("market", "limit")
    wish = Wish(
        listing=listing,
        side=call.text("type"),
        kind=kind,
        volume=call.text("volume"),
        limit_price=price2 if stops else price,
        stop_price=price if stops else "",
        trail=price if kind == "trailing-stop" else "",
        lifetime=call.text("timeinforce", "gtc"),
        expires=call.text("expiretm", "0").removeprefix("0"),
        deadline=call.text("deadline"),
        post_only="post" in flags,
        by_value="viqc" in flags,
        client_id=call.text("cl_ord_id"),
    )
    if call.says("validate"):
        ticket_of(wish, call.market_view)
        return {"descr": {"order": f"{wish.side} {wish.volume} @ {wish.kind}"}}
    order = place(wish, call.engine, call.account, call.market_view)
    return {"descr": {"order": described(order, listing)}, "txid": [order_id(order.order_id)]}


def _amend(call: _Call) -> Row:
    order = _chosen(call)
    size, price = call.text("order_qty"), call.text("limit_price")
    changed = amend(
        order,
        call.listing(order.ticket.symbol),
        size,
        price,
        call.text("trigger_price"),
        call.engine,
    )
    return {"amend_id": amend_id(changed)}


def _cancel(call: _Call) -> Row:
    cancel(_chosen(call), call.engine)
    return {"count": 1}


def _cancel_several(call: _Call) -> Row:
    """Those of them that can be."""
    names, client_ids = call.fields.get("orders", []), call.fields.get("cl_ord_ids", [])
    if not isinstance(names, list) or not isinstance(client_ids, list):
        raise KrakenApiError(INVALID)
    if not 0 < len(names) + len(client_ids) <= IDS_MAX:
        raise KrakenApiError(INVALID)
    count = 0
    for name, client_id in [*((one, "") for one in names), *(("", one) for one in client_ids)]:
        try:
            order = chosen(str(name), str(client_id), call.engine, call.account)
            cancel(order, call.engine)
        except KrakenApiError:
            continue
        count += 1
    return {"count": count}


def _cancel_all(call: _Call) -> Row:
    return {"count": len(call.engine.cancel_all(call.account))}


def _cancel_all_after(call: _Call) -> Row:
    return cancel_after(call.text("timeout"), call.engine, call.account, call.market_view)


def cancel_after(
    timeout: str, engine: MatchingEngine, account: str, market_view: MarketView
) -> Row:
    """The dead man's switch. Raises Refusal."""
    seconds = whole(timeout)
    if seconds is None or seconds > TIMEOUT_S_MAX:
        raise KrakenApiError(f"{INVALID}:timeout")
    engine.cancel_after(account, seconds)
    now_ns = market_view.time_ns()
    trigger = rfc3339(now_ns + seconds * NANOSECONDS_PER_SECOND) if seconds else "0"
    return {"currentTime": rfc3339(now_ns), "triggerTime": trigger}


def _open_orders(call: _Call) -> Row:
    wanted = call.text("cl_ord_id")
    orders = [
        one
        for one in reversed(call.engine.open_orders(call.account))
        if wanted in ("", one.ticket.client_id)
    ]
    return {"open": call.order_rows(orders)}


def _closed_orders(call: _Call) -> Row:
    """Newest first, in pages."""
    start_ns, end_ns = call.span_ns()
    wanted = call.text("cl_ord_id")
    orders = [
        one
        for one in call.engine.orders(call.account)
        if one.is_final
        and start_ns <= one.updated_ns < end_ns
        and wanted in ("", one.ticket.client_id)
    ]
    orders.sort(key=lambda one: (-one.updated_ns, -one.order_id))
    first = call.number("ofs")
    return {"closed": call.order_rows(orders[first : first + PAGE]), "count": len(orders)}


def _query_orders(call: _Call) -> Row:
    """Those of them that there are. Raises Refusal when one is no id at all."""
    names = [one for one in call.text("txid").split(",") if one]
    wanted = call.text("cl_ord_id")
    if not 0 < len(names) + bool(wanted) <= IDS_MAX:
        raise KrakenApiError(INVALID)
    orders = [call.engine.by_client_id(call.account, wanted)] if wanted else []
    for name in names:
        if not order_number(name):
            raise KrakenApiError("EOrder:Invalid order")
        try:
            orders.append(call.engine.order(call.account, order_number(name)))
        except OrderRejected:
            continue
    return call.order_rows([one for one in orders if one is not None])


def _trades_history(call: _Call) -> Row:
    """Newest first, in pages."""
    start_ns, end_ns = call.span_ns()
    fills = [
        fill
        for fill in reversed(call.engine.fills(call.account, "", start_ns))
        if fill.time_ns < end_ns
    ]
    first = call.number("ofs")
    return {"trades": _trades(call, fills[first : first + PAGE]), "count": len(fills)}


def _query_trades(call: _Call) -> Row:
    names = set(call.text("txid").split(","))
    fills = [fill for fill in call.engine.fills(call.account) if execution_id(fill) in names]
    return _trades(call, fills)


def _balance(call: _Call) -> Row:
    return {
        asset_name(one.asset): number(one.total, BALANCE_PLACES)
        for one in call.engine.balances(call.account)
    }


def _extended_balance(call: _Call) -> Row:
    return {
        asset_name(one.asset): {
            "balance": number(one.total, BALANCE_PLACES),
            "hold_trade": number(one.locked, BALANCE_PLACES),
        }
        for one in call.engine.balances(call.account)
    }


def _trade_volume(call: _Call) -> Row:
    """Only what is traded, not the fees that follow from it."""
    value = sum((one.price * one.size for one in call.engine.fills(call.account)), Decimal(0))
    return {"currency": "ZUSD", "volume": number(value, 4)}


def _withdrawal_methods(call: _Call) -> list[Row]:
    """Nothing can be taken out; but only some keys may ask."""
    if not call.key.may_withdraw:
        raise KrakenApiError("EGeneral:Permission denied")
    return []


def _token(call: _Call) -> Row:
    return {"token": call.guard.issue(call.key, call.market_view), "expires": TOKEN_S}


HANDLERS: Mapping[str, Callable[[_Call], Row | list[Row]]] = {
    "AddOrder": _add,
    "AmendOrder": _amend,
    "CancelOrder": _cancel,
    "CancelOrderBatch": _cancel_several,
    "CancelAll": _cancel_all,
    "CancelAllOrdersAfter": _cancel_all_after,
    "OpenOrders": _open_orders,
    "ClosedOrders": _closed_orders,
    "QueryOrders": _query_orders,
    "TradesHistory": _trades_history,
    "QueryTrades": _query_trades,
    "Balance": _balance,
    "BalanceEx": _extended_balance,
    "TradeVolume": _trade_volume,
    "WithdrawMethods": _withdrawal_methods,
    "GetWebSocketsToken": _token,
}


def _listing_named(call: _Call) -> Listing:
    found = by_name(call.market_view.listings()).get(call.text("pair"))
    if found is None:
        raise KrakenApiError("EQuery:Unknown asset pair")
    return found.listing


def _chosen(call: _Call) -> OrderView:
    deadline = call.text("deadline")
    if deadline and instant(deadline, call.market_view) <= call.market_view.time_ns():
        raise KrakenApiError("EService:Deadline elapsed")
    return chosen(call.text("txid"), call.text("cl_ord_id"), call.engine, call.account)


def _trades(call: _Call, fills: Sequence[FillView]) -> Row:
    return {
        execution_id(fill): trade_row(fill, call.listing(fill.order.ticket.symbol))
        for fill in fills
    }
