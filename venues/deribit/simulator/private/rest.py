"""Deribit's methods of an account, the same over HTTP and over the websocket.

Documentation: https://docs.deribit.com/api-reference/trading/private-buy and its neighbours.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.market import known_listings
from kit.simulator.exchange.orders import fills_of
from kit.simulator.matching.contract import (
    FillView,
    Key,
    MatchingEngine,
    OrderRejected,
    OrderView,
    PositionView,
)
from kit.simulator.texts import whole
from venues.deribit.simulator.private.keys import Gate, engine_of
from venues.deribit.simulator.private.orders import (
    chosen,
    edit,
    is_true,
    known,
    listing_named,
    place,
    refusal_of,
)
from venues.deribit.simulator.private.rows import (
    Row,
    is_trigger_id,
    order_row,
    portfolio_row,
    position_row,
    trade_row,
    triggered_row,
)
from venues.deribit.simulator.rest import BASE_PATH, DeribitApiError, Parameters, envelope, wrong

ROWS_USUAL, ROWS_MAX = 20, 1000
TRADES_USUAL = 10


@dataclass(frozen=True, slots=True)
class Call:
    """A method called by somebody who may."""

    parameters: Parameters
    market_view: MarketView
    engine: MatchingEngine
    key: Key
    placed: set[int] = field(default_factory=set)
    """The orders of a connection; what was placed over HTTP nobody remembers."""

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.key.account

    def number(self, name: str, usual: int) -> int:
        """A whole number. Raises Refusal."""
        number = whole(self.parameters.get(name, str(usual)))
        if number is None:
            raise wrong(name, "must be an integer")
        return number

    def currency(self) -> str:
        """The parameter. Raises Refusal."""
        currency = self.parameters.get("currency", "")
        if not currency:
            raise wrong("currency", "value is required")
        return currency

    def rows(self, orders: Iterable[OrderView]) -> list[Row]:
        """Orders, in Deribit's words."""
        listings = known_listings(self.market_view)
        return [order_row(one, listings[one.ticket.symbol]) for one in orders]

    def settled_in(self, symbol: str, currency: str) -> bool:
        """Whether an instrument is of a currency."""
        listing = known_listings(self.market_view).get(symbol)
        return listing is not None and currency in ("any", listing.settle)

    def trades(self, order: OrderView) -> list[Row]:
        """Of an order, oldest first."""
        listing = known_listings(self.market_view)[order.ticket.symbol]
        return [trade_row(one, listing, self.market_view) for one in fills_of(order, self.engine)]

    def traded(self, order: OrderView, since: int = 0) -> Row:
        """An order and its trades, from the ``since``th on."""
        listing = known_listings(self.market_view)[order.ticket.symbol]
        return {"order": order_row(order, listing), "trades": self.trades(order)[since:]}


async def answer(request: RestRequest, market_view: MarketView, gate: Gate) -> RestResponse:
    """One call over HTTP."""
    method = request.path.removeprefix(BASE_PATH)
    try:
        if method == "public/auth":
            result: object = gate.sign_in(request.query, market_view, connection=False)[1]
        else:
            key = gate.key_of(request, market_view)
            result = await perform(
                method, Call(request.query, market_view, engine_of(market_view), key)
            )
    except DeribitApiError as refusal:
        return RestResponse(envelope({"error": refusal.error}, market_view), status=400)
    return RestResponse(envelope({"result": result}, market_view))


async def perform(method: str, call: Call) -> object:
    """The result of a method. Raises Refusal."""
    function = METHODS.get(method.removeprefix("private/"))
    if function is None:
        raise DeribitApiError(-32601, "Method not found")
    try:
        return await function(call)
    except OrderRejected as refused:
        raise refusal_of(refused) from None


async def _buy(call: Call) -> Row:
    return await _placed(True, call)


async def _sell(call: Call) -> Row:
    return await _placed(False, call)


async def _placed(buys: bool, call: Call) -> Row:
    order = await place(buys, call.parameters, call.engine, call.account, call.market_view)
    call.placed.add(order.order_id)
    return call.traded(order)


async def _edit(call: Call) -> Row:
    order = chosen(call.parameters, call.engine, call.account)
    return await _changed(call, order)


async def _edit_by_label(call: Call) -> Row:
    return await _changed(call, _labelled(call)[0])


async def _changed(call: Call, order: OrderView) -> Row:
    before = len(fills_of(order, call.engine))
    changed = await edit(order, call.parameters, call.engine, call.account, call.market_view)
    return call.traded(changed, before)


async def _cancel(call: Call) -> Row:
    order = chosen(call.parameters, call.engine, call.account)
    (row,) = call.rows([call.engine.cancel(call.account, order.order_id)])
    return row


async def _cancel_all(call: Call) -> int:
    return len(call.engine.cancel_all(call.account))


async def _cancel_all_by_instrument(call: Call) -> int:
    symbol = listing_named(call.parameters, call.market_view).symbol
    return len(call.engine.cancel_all(call.account, symbol))


async def _cancel_all_by_currency(call: Call) -> int:
    currency = call.currency()
    return _cancel_those(
        call,
        [one for one in _open(call) if call.settled_in(one.ticket.symbol, currency)],
    )


async def _cancel_by_label(call: Call) -> int:
    label = call.parameters.get("label", "")
    return _cancel_those(call, [one for one in _open(call) if one.ticket.client_id == label])


async def _close_position(call: Call) -> Row:
    symbol = listing_named(call.parameters, call.market_view).symbol
    held = [one for one in call.engine.positions(call.account) if one.symbol == symbol]
    if not held or not held[0].size:
        raise DeribitApiError(11030, "other_reject", reason="no_position")
    close = {"amount": f"{abs(held[0].size):f}", "reduce_only": "true"}
    more = {**call.parameters, **close}
    order = await place(held[0].size < 0, more, call.engine, call.account, call.market_view)
    return call.traded(order)


async def _order_state(call: Call) -> Row:
    order = known(call.parameters, call.engine, call.account)
    if order.triggered and is_trigger_id(call.parameters["order_id"]):
        return triggered_row(order, known_listings(call.market_view)[order.ticket.symbol])
    (row,) = call.rows([order])
    return row


async def _order_state_by_label(call: Call) -> list[Row]:
    """Of a currency: all that are open, and the newest that are done."""
    currency, label = call.currency(), call.parameters.get("label", "")
    found = [
        one
        for one in call.engine.orders(call.account)
        if one.ticket.client_id == label and call.settled_in(one.ticket.symbol, currency)
    ]
    listings = known_listings(call.market_view)
    stops = [triggered_row(one, listings[one.ticket.symbol]) for one in found if one.triggered]
    return call.rows(reversed(found)) + stops


async def _open_orders(call: Call) -> list[Row]:
    return call.rows(_open(call))


async def _open_orders_by_currency(call: Call) -> list[Row]:
    currency = call.currency()
    return call.rows(one for one in _open(call) if call.settled_in(one.ticket.symbol, currency))


async def _open_orders_by_instrument(call: Call) -> list[Row]:
    symbol = listing_named(call.parameters, call.market_view).symbol
    return call.rows(call.engine.open_orders(call.account, symbol))


async def _open_orders_by_label(call: Call) -> list[Row]:
    currency, label = call.currency(), call.parameters.get("label", "")
    found = [one for one in _open(call) if call.settled_in(one.ticket.symbol, currency)]
    return call.rows(one for one in found if not label or one.ticket.client_id == label)


async def _order_history_by_currency(call: Call) -> list[Row]:
    currency = call.currency()
    return _history(
        call,
        [
            one
            for one in call.engine.orders(call.account)
            if call.settled_in(one.ticket.symbol, currency)
        ],
    )


async def _order_history_by_instrument(call: Call) -> list[Row]:
    symbol = listing_named(call.parameters, call.market_view).symbol
    return _history(call, call.engine.orders(call.account, symbol))


async def _trades_by_currency(call: Call) -> Row:
    currency = call.currency()
    fills = call.engine.fills(call.account)
    return _trades(call, [one for one in fills if call.settled_in(_symbol(one), currency)])


async def _trades_by_instrument(call: Call) -> Row:
    symbol = listing_named(call.parameters, call.market_view).symbol
    return _trades(call, call.engine.fills(call.account, symbol))


async def _trades_by_order(call: Call) -> list[Row]:
    order = chosen(call.parameters, call.engine, call.account)
    return call.trades(order)


async def _position(call: Call) -> Row:
    listing = listing_named(call.parameters, call.market_view)
    for position in call.engine.positions(call.account):
        if position.symbol == listing.symbol:
            return position_row(position, listing, call.market_view)
    zero, mark = Decimal(0), call.market_view.mark(listing.symbol)
    price = Decimal(mark.mark_price) if mark is not None and mark.mark_price else zero
    none = PositionView(call.account, listing.symbol, zero, zero, price, zero, None, zero, zero)
    return position_row(none, listing, call.market_view)


async def _positions(call: Call) -> list[Row]:
    currency, listings = call.parameters.get("currency", "any"), known_listings(call.market_view)
    return [
        position_row(one, listings[one.symbol], call.market_view)
        for one in call.engine.positions(call.account)
        if call.settled_in(one.symbol, currency)
    ]


async def _account_summary(call: Call) -> Row:
    for row in portfolios(call.engine, call.account, call.market_view):
        if row["currency"] == call.currency():
            return row
    raise wrong("currency", "unknown currency")


async def _account_summaries(call: Call) -> Row:
    return {
        "id": 1,
        "username": call.account,
        "type": "main",
        "email": "",
        "summaries": portfolios(call.engine, call.account, call.market_view),
    }


def portfolios(engine: MatchingEngine, account: str, market_view: MarketView) -> list[Row]:
    """Of each currency that settles something here."""
    listings = known_listings(market_view)
    settles = {listing.settle for listing in listings.values()}
    positions = engine.positions(account)
    return [
        portfolio_row(
            balance,
            [one for one in positions if listings[one.symbol].settle == balance.asset],
            market_view,
        )
        for balance in engine.balances(account)
        if balance.asset in settles
    ]


METHODS: Mapping[str, Callable[[Call], Awaitable[object]]] = {
    "buy": _buy,
    "sell": _sell,
    "edit": _edit,
    "edit_by_label": _edit_by_label,
    "cancel": _cancel,
    "cancel_all": _cancel_all,
    "cancel_all_by_instrument": _cancel_all_by_instrument,
    "cancel_all_by_currency": _cancel_all_by_currency,
    "cancel_by_label": _cancel_by_label,
    "close_position": _close_position,
    "get_order_state": _order_state,
    "get_order_state_by_label": _order_state_by_label,
    "get_open_orders": _open_orders,
    "get_open_orders_by_currency": _open_orders_by_currency,
    "get_open_orders_by_instrument": _open_orders_by_instrument,
    "get_open_orders_by_label": _open_orders_by_label,
    "get_order_history_by_currency": _order_history_by_currency,
    "get_order_history_by_instrument": _order_history_by_instrument,
    "get_user_trades_by_currency": _trades_by_currency,
    "get_user_trades_by_currency_and_time": _trades_by_currency,
    "get_user_trades_by_instrument": _trades_by_instrument,
    "get_user_trades_by_instrument_and_time": _trades_by_instrument,
    "get_user_trades_by_order": _trades_by_order,
    "get_position": _position,
    "get_positions": _positions,
    "get_account_summary": _account_summary,
    "get_account_summaries": _account_summaries,
}


def _open(call: Call) -> list[OrderView]:
    return call.engine.open_orders(call.account)


def _labelled(call: Call) -> list[OrderView]:
    """Raises Refusal when none is open, or more than one is."""
    label = call.parameters.get("label", "")
    found = [one for one in _open(call) if label and one.ticket.client_id == label]
    if not found:
        raise DeribitApiError(10004, "order_not_found")
    if len(found) > 1:
        raise DeribitApiError(11030, "other_reject", reason="multiple_orders_with_same_label")
    return found


def _cancel_those(call: Call, orders: Iterable[OrderView]) -> int:
    return len([call.engine.cancel(call.account, order.order_id) for order in orders])


def _history(call: Call, orders: list[OrderView]) -> list[Row]:
    """What is done, newest first; what was cancelled unfilled only on request."""
    count, first = min(call.number("count", ROWS_USUAL), ROWS_MAX), call.number("offset", 0)
    unfilled = is_true(call.parameters, "include_unfilled")
    done = [one for one in reversed(orders) if one.is_final and (one.filled or unfilled)]
    return call.rows(done[first : first + count])


def _trades(call: Call, fills: list[FillView]) -> Row:
    """Newest first, unless a time is asked for or they are to be sorted."""
    count = min(call.number("count", TRADES_USUAL), ROWS_MAX)
    start_ns = call.number("start_timestamp", 0) * NANOSECONDS_PER_MILLISECOND
    end_ns = (call.number("end_timestamp", 10**15) + 1) * NANOSECONDS_PER_MILLISECOND
    first, last = call.number("start_seq", 0), call.number("end_seq", 10**17)
    inside = [
        fill
        for fill in fills
        if start_ns <= fill.time_ns < end_ns and first <= fill.trade_id <= last
    ]
    usual = "asc" if start_ns or first else "desc"
    sorting = call.parameters.get("sorting", "default")
    if (usual if sorting == "default" else sorting) == "desc":
        inside.reverse()
    listings = known_listings(call.market_view)
    rows = [trade_row(one, listings[_symbol(one)], call.market_view) for one in inside[:count]]
    return {"trades": rows, "has_more": len(inside) > count}


def _symbol(fill: FillView) -> str:
    return fill.order.ticket.symbol
