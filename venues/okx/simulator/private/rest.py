"""OKX's private REST calls.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade, #trading-account and
#funding-account
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.orders import fills_by_order, fills_of
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import MatchingRules, OrderView
from kit.simulator.texts import plain, whole
from venues.okx.simulator.listings import TYPES
from venues.okx.simulator.private import rows as words
from venues.okx.simulator.private.keys import Asker, Denied, asker_of, items_of
from venues.okx.simulator.private.orders import ID_DIGITS_MAX, Orders, named_algo, named_order
from venues.okx.simulator.private.tickets import OkxApiError
from venues.okx.simulator.rest import ROOT

POSTED: Mapping[str, str] = {
    "trade/order": "order",
    "trade/batch-orders": "batch-orders",
    "trade/cancel-order": "cancel-order",
    "trade/cancel-batch-orders": "batch-cancel-orders",
    "trade/amend-order": "amend-order",
    "trade/amend-batch-orders": "batch-amend-orders",
    "trade/order-algo": "order-algo",
    "trade/amend-algos": "amend-algos",
    "trade/cancel-algos": "cancel-algos",
}
"""The operation that stands behind a path."""
ROWS_MAX = 100
COUNTDOWN_S_MIN, COUNTDOWN_S_MAX = 10, 120
WITHDRAW = "withdraw"
Query = Mapping[str, str]
Rows = Iterable[object]
T = TypeVar("T")


class PrivateRest:
    """Answers them."""

    def __init__(self, rules: MatchingRules, orders: Orders) -> None:
        self._rules = rules
        self._orders = orders
        self._gets: Mapping[str, Callable[[Asker, Query], Rows]] = {
            "trade/order": _order,
            "trade/orders-pending": _open_orders,
            "trade/orders-history": _past_orders,
            "trade/orders-history-archive": _past_orders,
            "trade/fills": _fills,
            "trade/fills-history": _fills,
            "trade/order-algo": self._algo_order,
            "trade/orders-algo-pending": self._open_algo_orders,
            "trade/orders-algo-history": self._past_algo_orders,
            "account/balance": balances,
            "account/positions": self.positions,
            "account/config": _config,
            "account/trade-fee": self._fees,
            "account/leverage-info": self._leverage,
            "asset/balances": _funding,
            "asset/currencies": _currencies,
        }
        self._posts: Mapping[str, Callable[[Asker, Query], Rows]] = {
            "trade/cancel-all-after": _cancel_after,
            "account/set-leverage": self._set_leverage,
            "account/set-position-mode": _set_position_mode,
        }

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse | None:
        """One call; None: it is no private one."""
        path = request.path.removeprefix(ROOT)
        if not request.path.startswith(ROOT):
            return None
        if request.method == "GET" and path in self._gets:
            return self._answer(request, market_view, lambda asker: self._got(path, asker, request))
        if request.method == "POST" and path in self._posts:
            return self._answer(
                request, market_view, lambda asker: self._posted(path, asker, request)
            )
        if request.method == "POST" and path in POSTED:
            return self._answer(
                request, market_view, lambda asker: self._done(path, asker, request)
            )
        return None

    def positions(self, asker: Asker, query: Query) -> Rows:
        """Those that are not zero."""
        wanted = [name for name in query.get("instId", "").split(",") if name]
        return [
            words.position_row(one, listing, self._rules, asker.now_ms)
            for one in asker.engine.positions(asker.account)
            if (listing := asker.listing(one.symbol)) is not None
            and _fits(listing, query, "instType")
            and (not wanted or one.symbol in wanted)
        ]

    def _answer(
        self,
        request: RestRequest,
        market_view: MarketView,
        act: Callable[[Asker], dict[str, object]],
    ) -> RestResponse:
        try:
            return RestResponse(msgspec.json.encode(act(asker_of(request, market_view))))
        except Denied as denied:
            return RestResponse(denied.body, denied.status)
        except OkxApiError as refusal:
            body = {"code": refusal.code, "data": [], "msg": refusal.message}
            return RestResponse(msgspec.json.encode(body))

    def _got(self, path: str, asker: Asker, request: RestRequest) -> dict[str, object]:
        return _success(self._gets[path](asker, request.query))

    def _posted(self, path: str, asker: Asker, request: RestRequest) -> dict[str, object]:
        return _success(self._posts[path](asker, items_of(request.body)[0]))

    def _done(self, path: str, asker: Asker, request: RestRequest) -> dict[str, object]:
        outcome = self._orders.run(asker, POSTED[path], items_of(request.body))
        times = {"inTime": f"{asker.now_ms}000", "outTime": f"{asker.now_ms}001"}
        return outcome.told() | times

    def _fees(self, asker: Asker, query: Query) -> Rows:
        tier = self._rules.tiers[0]
        rates = {"maker": plain(-tier.maker), "taker": plain(-tier.taker)}
        row = rates | {"makerU": rates["maker"], "takerU": rates["taker"], "level": "Lv1"}
        return [row | {"instType": query.get("instType", ""), "ts": str(asker.now_ms)}]

    def _leverage(self, asker: Asker, query: Query) -> Rows:
        return [
            {"instId": name, "mgnMode": "cross", "posSide": "net", "lever": self._lever()}
            for name in query.get("instId", "").split(",")
        ]

    def _set_leverage(self, asker: Asker, item: Query) -> Rows:
        """There is only one."""
        if item.get("lever") != self._lever():
            raise OkxApiError("59102", "Leverage exceeds the maximum limit.")
        names = ("instId", "mgnMode", "posSide", "lever")
        return [{name: item.get(name, "") for name in names}]

    def _lever(self) -> str:
        return plain((1 / self._rules.initial_margin).quantize(Decimal("0.01")))

    def _algo_order(self, asker: Asker, query: Query) -> Rows:
        order = named_algo(asker, query)
        listing = None if order is None else asker.listing(order.ticket.symbol)
        if order is None or listing is None:
            raise OkxApiError("51603", "Order does not exist")
        return [words.algo_row(order, listing, self._orders.form_of(order))]

    def _open_algo_orders(self, asker: Asker, query: Query) -> Rows:
        found = asker.engine.open_orders(asker.account)
        return self._algo_rows(asker, query, [one for one in found if not words.is_order(one)])

    def _past_algo_orders(self, asker: Asker, query: Query) -> Rows:
        if not query.get("state") and not query.get("algoId"):
            raise OkxApiError("50015", "Either parameter state or algoId is required.")
        orders = asker.engine.orders(asker.account)
        past = [one for one in orders if words.algo_state(one) != "live"]
        return self._algo_rows(asker, query, past)

    def _algo_rows(self, asker: Asker, query: Query, orders: Iterable[OrderView]) -> Rows:
        kinds = query.get("ordType", "").split(",")
        if not kinds[0]:
            raise OkxApiError("50014", "Parameter ordType can not be empty.")
        wanted = [
            (order, listing)
            for order in orders
            if words.is_conditional(order)
            and (listing := asker.listing(order.ticket.symbol)) is not None
            and _fits(listing, query, "instType", "instId")
            and words.algo_type(self._orders.form_of(order)) in kinds
            and query.get("state", "") in ("", words.algo_state(order))
            and query.get("algoId", "") in ("", words.algo_id(order))
        ]
        page = _page(query, wanted, lambda one: words.ALGO_ID_FIRST + one[0].order_id)
        return [
            words.algo_row(order, listing, self._orders.form_of(order)) for order, listing in page
        ]


def balances(asker: Asker, query: Query) -> Rows:
    """What an account has; the gains of its positions count for what settles them."""
    wanted = [name for name in query.get("ccy", "").split(",") if name]
    held = [
        one
        for one in asker.engine.balances(asker.account)
        if (one.total or one.locked) and (not wanted or one.asset in wanted)
    ]
    gains: dict[str, Decimal] = {}
    for position in asker.engine.positions(asker.account):
        listing = asker.listing(position.symbol)
        if listing is not None:
            before = gains.get(listing.settle, Decimal(0))
            gains[listing.settle] = before + position.unrealized
    return [words.account_row(held, gains, asker.now_ms)]


def _success(rows: Rows) -> dict[str, object]:
    return {"code": "0", "data": list(rows), "msg": ""}


def _fits(listing: Listing, query: Query, *names: str) -> bool:
    """Whether a listing is what a query asks for."""
    values = {"instType": TYPES[listing.kind], "instId": listing.symbol}
    return all(query.get(name, "") in ("", values[name]) for name in names)


def _rows_of(asker: Asker, query: Query, orders: Iterable[OrderView]) -> list[dict[str, object]]:
    """Newest first, as far as one answer goes."""
    wanted = [
        (order, listing)
        for order in orders
        if words.is_order(order)
        and (listing := asker.listing(order.ticket.symbol)) is not None
        and _fits(listing, query, "instType", "instId")
        and query.get("state", "") in ("", words.STATES[order.status])
    ]
    page = _page(query, wanted, lambda one: words.ORDER_ID_FIRST + one[0].order_id)
    fills = fills_by_order([order for order, _ in page], asker.engine)
    return [
        dict(words.order_row(order, listing, fills.get(order.order_id, ())))
        for order, listing in page
    ]


def _page(query: Query, rows: Sequence[T], number: Callable[[T], int]) -> list[T]:
    """``after`` an id are older ones, ``before`` it newer ones; both are left out."""
    newest = list(reversed(rows))
    if after := query.get("after"):
        newest = [row for row in newest if number(row) < _number(after, "after")]
    if before := query.get("before"):
        newest = [row for row in newest if number(row) > _number(before, "before")]
    return newest[: min(_number(query.get("limit", ""), "limit", ROWS_MAX), ROWS_MAX)]


def _number(text: str, name: str, usual: int = 0) -> int:
    if not text:
        return usual
    number = whole(text, ID_DIGITS_MAX)
    if number is None:
        raise OkxApiError("51000", f"Parameter {name} error")
    return number


def _between(query: Query, time_ns: int) -> bool:
    time_ms = time_ns // NANOSECONDS_PER_MILLISECOND
    begin, end = _number(query.get("begin", ""), "begin"), query.get("end", "")
    return begin <= time_ms and (not end or time_ms <= _number(end, "end"))


def _order(asker: Asker, query: Query) -> Rows:
    order = named_order(asker, query)
    listing = None if order is None else asker.listing(order.ticket.symbol)
    if order is None or listing is None:
        raise OkxApiError("51603", "Order does not exist")
    return [words.order_row(order, listing, fills_of(order, asker.engine))]


def _open_orders(asker: Asker, query: Query) -> Rows:
    return _rows_of(asker, query, asker.engine.open_orders(asker.account))


def _past_orders(asker: Asker, query: Query) -> Rows:
    if not query.get("instType"):
        raise OkxApiError("50014", "Parameter instType can not be empty.")
    orders = asker.engine.orders(asker.account)
    past = [one for one in orders if one.is_final and _between(query, one.created_ns)]
    return _rows_of(asker, query, past)


def _fills(asker: Asker, query: Query) -> Rows:
    found = [
        (fill, listing)
        for fill in asker.engine.fills(asker.account, query.get("instId", ""))
        if (listing := asker.listing(fill.order.ticket.symbol)) is not None
        and _fits(listing, query, "instType", "instId")
        and query.get("ordId", "") in ("", words.order_id(fill.order))
        and _between(query, fill.time_ns)
    ]
    page = _page(query, found, lambda one: words.ORDER_ID_FIRST + one[0].trade_id)
    return [words.fill_row(fill, listing) for fill, listing in page]


def _config(asker: Asker, query: Query) -> Rows:
    """``perm`` is what the key may do."""
    rights = ["read_only", "trade", *([WITHDRAW] if asker.key.may_withdraw else [])]
    uid = str(words.ORDER_ID_FIRST)
    return [
        {
            "uid": uid,
            "mainUid": uid,
            "acctLv": "2",
            "acctStpMode": "cancel_maker",
            "posMode": "net_mode",
            "autoLoan": False,
            "greeksType": "PA",
            "level": "Lv1",
            "label": asker.key.key,
            "perm": ",".join(rights),
            "ip": "",
            "type": "0",
            "roleType": "0",
            "spotOffsetType": "",
        }
    ]


def _funding(asker: Asker, query: Query) -> Rows:
    """All money is in the trading account."""
    return []


def _currencies(asker: Asker, query: Query) -> Rows:
    listings = asker.market_view.listings()
    names = dict.fromkeys(name for one in listings for name in (one.base, one.quote))
    flags = dict.fromkeys(("canDep", "canWd", "canInternal", "mainNet"), True)
    return [
        {"ccy": name, "name": name, "chain": f"{name}-{name}", **flags, "wdTickSz": "8"}
        for name in names
    ]


def _cancel_after(asker: Asker, item: Query) -> Rows:
    """``timeOut`` 0 ends it."""
    seconds = _number(item.get("timeOut", ""), "timeOut")
    if seconds and not COUNTDOWN_S_MIN <= seconds <= COUNTDOWN_S_MAX:
        raise OkxApiError("51000", "Parameter timeOut error")
    asker.engine.cancel_after(asker.account, seconds)
    trigger = str(asker.now_ms + seconds * 1_000) if seconds else "0"
    return [{"triggerTime": trigger, "tag": item.get("tag", ""), "ts": str(asker.now_ms)}]


def _set_position_mode(asker: Asker, item: Query) -> Rows:
    if item.get("posMode") != "net_mode":
        raise OkxApiError("59000", "Setting failed. Cancel any open orders, close positions first.")
    return [{"posMode": "net_mode"}]
