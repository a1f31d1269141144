"""What can be done with orders at OKX: each of a batch for itself, by REST or websocket alike.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order and
#order-book-trading-algo-trading-post-place-algo-order
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.exchange.memory import BoundedCache
from kit.simulator.matching.contract import (
    OrderKind,
    OrderRejected,
    OrderView,
)
from kit.simulator.matching.contract import RejectCode as Reason
from kit.simulator.texts import whole
from venues.okx.simulator.private import rows as words
from venues.okx.simulator.private.keys import Asker
from venues.okx.simulator.private.tickets import (
    Item,
    OkxApiError,
    amount_of,
    limit_price_of,
    listing_of,
    read_algo_ticket,
    read_ticket,
)

BATCH_MAX = 20
LIMITED_NS, LIMITED_MAX = 2 * NANOSECONDS_PER_SECOND, 60
"""So many orders of one account in one instrument, in each two seconds."""
COUNTED_MAX = 10_000
FORMS_MAX = 10_000
ID_DIGITS_MAX = 20
GONE = "Your order has already been filled or canceled."
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all items of a call."""

    code: str
    """"0": all are done, "1": none, "2": some."""
    message: str
    rows: list[Row]

    def told(self) -> dict[str, object]:
        """As the answer begins."""
        return {"code": self.code, "msg": self.message, "data": self.rows}


class Orders:
    """Places, changes and cancels."""

    def __init__(self) -> None:
        self.request_id = ""
        """Of the change that the engine is doing just now."""
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._forms: BoundedCache[int, str] = BoundedCache(FORMS_MAX)
        self._newest_form = "trigger"
        self._operations: Mapping[str, Callable[[Asker, Item], Row]] = {
            "order": self._place,
            "batch-orders": self._place,
            "cancel-order": _cancel,
            "batch-cancel-orders": _cancel,
            "amend-order": self._amend,
            "batch-amend-orders": self._amend,
            "order-algo": self._place_algo,
            "amend-algos": self._amend_algo,
            "cancel-algos": _cancel_algo,
        }

    def form_of(self, order: OrderView) -> str:
        """In which form an algo order came."""
        if order.ticket.kind is OrderKind.TRAILING_STOP:
            return "move_order_stop"
        return self._forms.get(order.order_id) or self._newest_form

    def run(self, asker: Asker, operation: str, items: Sequence[Item]) -> Outcome:
        """Each item has its own code."""
        if not 0 < len(items) <= BATCH_MAX:
            return Outcome("51111", f"Maximum {BATCH_MAX} orders can be placed in bulk", [])
        handle = self._operations[operation]
        rows = [self._one(asker, handle, item) for item in items]
        done = sum(row["sCode"] == "0" for row in rows)
        if done == len(rows):
            return Outcome("0", "", rows)
        if done:
            return Outcome("2", "Bulk operation partially succeeded.", rows)
        return Outcome("1", "All operations failed" if len(rows) > 1 else "", rows)

    def _one(self, asker: Asker, handle: Callable[[Asker, Item], Row], item: Item) -> Row:
        try:
            row = {"sCode": "0", "sMsg": ""} | handle(asker, item)
        except OrderRejected as refused:
            code, message = words.REFUSALS[refused.refusal]
            row = _refused(item, code, message)
        except OkxApiError as refusal:
            row = _refused(item, refusal.code, refusal.message)
        return row | {"ts": str(asker.now_ms)}

    def _place(self, asker: Asker, item: Item) -> Row:
        listing = listing_of(asker, item)
        ticket = read_ticket(listing, item)
        self._count(asker, listing.symbol)
        order = asker.engine.place(asker.account, ticket)
        return _ids(order, item) | {"sMsg": "Order placed"}

    def _place_algo(self, asker: Asker, item: Item) -> Row:
        listing = listing_of(asker, item)
        ticket, form = read_algo_ticket(asker, listing, item)
        self._count(asker, listing.symbol)
        # The engine tells its listeners of an order before its number is known here.
        self._newest_form = form
        try:
            order = asker.engine.place(asker.account, ticket)
        finally:
            self._newest_form = "trigger"
        self._forms.keep(order.order_id, form)
        ids = {"algoId": words.algo_id(order), "algoClOrdId": order.ticket.client_id}
        return ids | {"clOrdId": "", "tag": item.get("tag", "")}

    def _amend(self, asker: Asker, item: Item) -> Row:
        order = named_order(asker, item)
        if order is None or order.is_final:
            raise OkxApiError("51503", GONE)
        if not item.get("newSz") and not item.get("newPx"):
            raise OkxApiError("51500", "You must enter a price, quantity, or TP/SL")
        size, price = _new(item, "newSz"), _new(item, "newPx")
        self.request_id = item.get("reqId", "")
        try:
            changed = asker.engine.amend(asker.account, order.order_id, size, price)
        finally:
            self.request_id = ""
        return _ids(changed, item) | {"reqId": item.get("reqId", "")}

    def _amend_algo(self, asker: Asker, item: Item) -> Row:
        """While it waits. A stop at market stays one, and so does one with a limit."""
        order = named_algo(asker, item)
        if order is None or order.is_final or words.is_order(order):
            raise OkxApiError("51503", GONE)
        form = self.form_of(order)
        part = "new" if form == "trigger" else f"new{form.capitalize()}"
        stop, limit = f"{part}TriggerPx", f"{part}OrdPx"
        if form == "move_order_stop" or not any(map(item.get, ("newSz", stop, limit))):
            raise OkxApiError("51500", "You must enter a price, quantity, or TP/SL")
        price = limit_price_of(item, limit)
        if item.get(limit) and (price is None) is not (order.ticket.price is None):
            raise OkxApiError("51000", f"Parameter {limit} error")
        number, size = order.order_id, _new(item, "newSz")
        asker.engine.amend(asker.account, number, size, price, _new(item, stop))
        ids = {"algoId": words.algo_id(order), "algoClOrdId": order.ticket.client_id}
        return ids | {"reqId": item.get("reqId", "")}

    def _count(self, asker: Asker, symbol: str) -> None:
        """Raises Refusal when an account places too many orders in one instrument."""
        window = asker.market_view.time_ns() // LIMITED_NS
        if len(self._counts) >= COUNTED_MAX:
            self._counts.clear()
        then, count = self._counts.get((asker.account, symbol), (0, 0))
        count = count + 1 if then == window else 1
        if count > LIMITED_MAX:
            raise OkxApiError("50011", "Rate limit reached. Please refer to API documentation")
        self._counts[asker.account, symbol] = (window, count)


def named_order(asker: Asker, item: Item) -> OrderView | None:
    """The order of an ordId or a clOrdId, of the right instrument; what was an algo order has no
    clOrdId. Raises Refusal."""
    fits = words.is_order if item.get("ordId") else _never_waited
    return _found(asker, item, "ordId", "clOrdId", words.ORDER_ID_FIRST, fits)


def named_algo(asker: Asker, item: Item) -> OrderView | None:
    """The algo order of an algoId or an algoClOrdId. Raises Refusal."""
    first = words.ALGO_ID_FIRST
    return _found(asker, item, "algoId", "algoClOrdId", first, words.is_conditional)


def _never_waited(order: OrderView) -> bool:
    return not words.is_conditional(order)


def _found(
    asker: Asker,
    item: Item,
    id_name: str,
    client_id_name: str,
    first: int,
    fits: Callable[[OrderView], bool],
) -> OrderView | None:
    text, client_id = item.get(id_name, ""), item.get(client_id_name, "")
    order: OrderView | None = None
    if text:
        number = whole(text, ID_DIGITS_MAX)
        if number is None:
            raise OkxApiError("51000", f"Parameter {id_name} error")
        try:
            order = asker.engine.order(asker.account, number - first)
        except OrderRejected:
            order = None
    elif client_id:
        order = asker.engine.by_client_id(asker.account, client_id)
    else:
        raise OkxApiError("51003", f"Either {client_id_name} or {id_name} is required.")
    symbol = item.get("instId", "")
    if order is None or not fits(order) or symbol not in ("", order.ticket.symbol):
        return None
    return order


def _cancel(asker: Asker, item: Item) -> Row:
    listing_of(asker, item)
    order = named_order(asker, item)
    if order is None:
        raise OrderRejected(Reason.UNKNOWN_ORDER)
    return _ids(asker.engine.cancel(asker.account, order.order_id), item)


def _cancel_algo(asker: Asker, item: Item) -> Row:
    listing_of(asker, item)
    order = named_algo(asker, item)
    if order is None or words.is_order(order):
        raise OrderRejected(Reason.UNKNOWN_ORDER)
    asker.engine.cancel(asker.account, order.order_id)
    return {"algoId": words.algo_id(order), "algoClOrdId": order.ticket.client_id, "tag": ""}


def _ids(order: OrderView, item: Item) -> Row:
    ids = {"ordId": words.order_id(order), "clOrdId": order.ticket.client_id}
    return ids | {"tag": item.get("tag", "")}


def _refused(item: Item, code: str, message: str) -> Row:
    ids = {name: item.get(name, "") for name in ("ordId", "clOrdId", "tag")}
    return ids | {"sCode": code, "sMsg": message}


def _new(item: Item, name: str) -> Decimal | None:
    """None: it stays as it is."""
    return amount_of(item, name) if item.get(name) else None
