"""OKX's REST calls of an account.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade, #trading-account and
#funding-account
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TypeVar

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.exchange.order_fills import fills_by_order, fills_of
from kit.simulator.exchange.paging import page_by_id
from kit.simulator.exchange.rest import ApiCall, Handler, Route, private
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import OrderView
from venues.okx.simulator.errors import NO_ORDER, invalid
from venues.okx.simulator.instruments import TYPES
from venues.okx.simulator.orders import (
    ID_DIGITS_MAX,
    Handle,
    OkxOrders,
    algo_named,
    batch,
    cancel,
    cancel_algo,
    items_of,
    order_named,
)
from venues.okx.simulator.rest import ROOT, required
from venues.okx.simulator.rows import (
    ALGO_IDS_BEGIN,
    ORDER_IDS_BEGIN,
    STATES,
    Row,
    account_row,
    algo_id,
    algo_row,
    algo_state,
    algo_type,
    fill_row,
    is_order,
    order_id,
    order_row,
    position_row,
)

RowT = TypeVar("RowT")
ROWS_MAX = 100
LEVERAGES_MAX = 20
COUNTDOWN_S_MIN, COUNTDOWN_S_MAX = 10, 120
TIME_END_MS = 10**15


def routes(orders: OkxOrders) -> dict[str, Route]:
    """The calls that need a key."""
    queries = _AlgoQueries(orders)
    handlers: dict[str, Handler] = {
        "POST trade/order": _batch(orders.place),
        "POST trade/batch-orders": _batch(orders.place),
        "POST trade/amend-order": _batch(orders.amend),
        "POST trade/cancel-order": _batch(cancel),
        "POST trade/cancel-batch-orders": _batch(cancel),
        "POST trade/order-algo": _batch(orders.place_algo),
        "POST trade/amend-algos": _batch(orders.amend_algo),
        "POST trade/cancel-algos": _batch(cancel_algo),
        "POST trade/cancel-all-after": _cancel_after,
        "GET trade/order": _order,
        "GET trade/orders-pending": _open_orders,
        "GET trade/orders-history": _past_orders,
        "GET trade/fills": _fills,
        "GET trade/fills-history": _fills,
        "GET trade/order-algo": queries.order,
        "GET trade/orders-algo-pending": queries.open_orders,
        "GET account/balance": balances,
        "GET account/positions": positions,
        "GET account/config": _config,
        "GET account/leverage-info": _leverages,
        "GET asset/currencies": _currencies,
    }
    return private({one.replace(" ", f" {ROOT}"): handle for one, handle in handlers.items()})


class _AlgoQueries:
    """The calls that read algo orders."""

    def __init__(self, orders: OkxOrders) -> None:
        self._orders = orders

    def order(self, call: ApiCall) -> list[Row]:
        """One, by its id or client id."""
        order = algo_named(call)
        if order is None:
            raise NO_ORDER
        return [self._row(call, order)]

    def open_orders(self, call: ApiCall) -> list[Row]:
        """Those that have not triggered, of the given types."""
        required(call, "ordType")
        found = [
            one
            for one in call.engine.open_orders(call.account)
            if not is_order(one)
            and fits(call, call.traded(one.ticket.symbol))
            and algo_type(self._orders.form_of(one)) in call.names("ordType")
            and call.text("state") in ("", algo_state(one))
            and call.text("algoId") in ("", algo_id(one))
        ]
        page = page_of(call, found, lambda one: ALGO_IDS_BEGIN + one.order_id)
        return [self._row(call, one) for one in page]

    def _row(self, call: ApiCall, order: OrderView) -> Row:
        return algo_row(order, call.traded(order.ticket.symbol), self._orders.form_of(order))


def fits(call: ApiCall, listing: Listing) -> bool:
    """Whether an instrument is one that ``instType`` and ``instId`` choose."""
    kinds, wanted = ("", "ANY", TYPES[listing.kind]), call.names("instId")
    return call.text("instType") in kinds and (not wanted or listing.symbol in wanted)


def balances(call: ApiCall) -> list[Row]:
    """The trading account, with the assets that ``ccy`` chooses."""
    wanted = call.names("ccy")
    held = [
        one
        for one in call.engine.balances(call.account)
        if (one.total or one.locked) and (not wanted or one.asset in wanted)
    ]
    gains: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in call.engine.positions(call.account):
        gains[call.traded(position.symbol).settle] += position.unrealized
    return [account_row(held, gains, call.now_ms)]


def positions(call: ApiCall) -> list[Row]:
    """The positions that are not zero."""
    return [
        position_row(one, listing, call.now_ms)
        for one in call.engine.positions(call.account)
        if fits(call, listing := call.traded(one.symbol))
    ]


def _batch(handle: Handle) -> Callable[[ApiCall], Row]:
    return lambda call: batch(call, handle, items_of(call.body))


def _order(call: ApiCall) -> list[Row]:
    order = order_named(call)
    if order is None:
        raise NO_ORDER
    return [order_row(order, call.traded(order.ticket.symbol), fills_of(order, call.engine))]


def _open_orders(call: ApiCall) -> list[Row]:
    return _order_rows(call, call.engine.open_orders(call.account))


def _past_orders(call: ApiCall) -> list[Row]:
    required(call, "instType")
    orders = call.engine.orders(call.account)
    return _order_rows(
        call, [one for one in orders if one.is_final and is_in_span(call, one.created_ns)]
    )


def _order_rows(call: ApiCall, orders: Iterable[OrderView]) -> list[Row]:
    chosen = [
        one
        for one in orders
        if is_order(one)
        and fits(call, call.traded(one.ticket.symbol))
        and call.text("state") in ("", STATES[one.status])
    ]
    page = page_of(call, chosen, lambda one: ORDER_IDS_BEGIN + one.order_id)
    fills = fills_by_order(page, call.engine)
    return [
        order_row(one, call.traded(one.ticket.symbol), fills.get(one.order_id, ())) for one in page
    ]


def _fills(call: ApiCall) -> list[Row]:
    found = [
        one
        for one in call.engine.fills(call.account, call.text("instId"))
        if fits(call, call.traded(one.order.ticket.symbol))
        and call.text("ordId") in ("", order_id(one.order))
        and is_in_span(call, one.time_ns)
    ]
    page = page_of(call, found, lambda one: ORDER_IDS_BEGIN + one.trade_id)
    return [fill_row(one, call.traded(one.order.ticket.symbol)) for one in page]


def is_in_span(call: ApiCall, time_ns: int) -> bool:
    time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
    return call.integer("begin", 0) <= time_ms <= call.integer("end", TIME_END_MS)


def page_of(call: ApiCall, rows: Sequence[RowT], number: Callable[[RowT], int]) -> list[RowT]:
    """Newest first; ``after`` an id are older rows, ``before`` it newer ones, both left out."""
    below, above = (
        call.integer(name, digits_max=ID_DIGITS_MAX) if call.text(name) else None
        for name in ("after", "before")
    )
    return page_by_id(list(reversed(rows)), number, call.limit(ROWS_MAX, ROWS_MAX), below, above)


def _config(call: ApiCall) -> list[Row]:
    """``perm`` has the rights of the key."""
    settings = call.engine.settings(call.account)
    given = {"read_only": True, "trade": settings.may_trade, "withdraw": call.key.may_withdraw}
    uid = str(ORDER_IDS_BEGIN)
    row: Row = {
        "uid": uid,
        "mainUid": uid,
        "acctLv": "4" if settings.margin_mode == "portfolio" else "2",
        "acctStpMode": "cancel_maker",
        "posMode": "long_short_mode" if settings.hedge_mode else "net_mode",
        "autoLoan": False,
        "greeksType": "PA",
        "level": "Lv1",
        "label": call.key.key,
        "perm": ",".join(name for name, is_given in given.items() if is_given),
        "ip": "",
        "type": "0",
        "roleType": "0",
        "spotOffsetType": "",
    }
    return [row]


def _leverages(call: ApiCall) -> list[Row]:
    """The leverage of each instrument of ``instId``: that of the account."""
    names = call.names("instId")
    if not 0 < len(names) <= LEVERAGES_MAX:
        raise invalid("instId")
    row: Row = {
        "mgnMode": call.choice("mgnMode", {"cross": "cross", "isolated": "isolated"}),
        "posSide": "net",
        "ccy": "",
        "lever": str(call.engine.settings(call.account).leverage),
    }
    listings = [call.having({"instId": one}).listing("instId") for one in names]
    return [row | {"instId": one.symbol} for one in listings]


def _currencies(call: ApiCall) -> list[Row]:
    listings = call.market_view.listings()
    names = dict.fromkeys(name for one in listings for name in (one.base, one.quote))
    flags = dict.fromkeys(("canDep", "canWd", "canInternal", "mainNet"), True)
    return [
        {"ccy": name, "name": name, "chain": f"{name}-{name}", **flags, "wdTickSz": "8"}
        for name in names
    ]


def _cancel_after(call: ApiCall) -> list[Row]:
    """``timeOut``: 10 to 120 seconds; 0 ends the countdown."""
    call = call.having(items_of(call.body)[0])
    seconds = call.integer("timeOut", 0)
    if seconds and not COUNTDOWN_S_MIN <= seconds <= COUNTDOWN_S_MAX:
        raise invalid("timeOut")
    call.engine.cancel_after(call.account, seconds)
    trigger = str(call.now_ms + seconds * 1_000) if seconds else "0"
    return [{"triggerTime": trigger, "tag": call.text("tag"), "ts": str(call.now_ms)}]
