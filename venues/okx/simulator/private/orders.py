"""What can be done with orders at OKX: each of a batch for itself, by REST or websocket alike.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order and
#order-book-trading-algo-trading-post-place-algo-order
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from kit.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import InstrumentKind, Listing
from kit.simulator.matching.contract import (
    Lifetime,
    OrderKind,
    OrderView,
    Refused,
    SelfTrade,
    Ticket,
)
from kit.simulator.matching.contract import Refusal as Reason
from kit.simulator.private.market import last_price, whole_ticks
from kit.simulator.private.memory import Memory
from kit.simulator.private.orders import stop_kind
from kit.simulator.texts import amount, whole
from venues.okx.simulator.private import rows as words
from venues.okx.simulator.private.keys import Asker

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
BATCH_MAX = 20
LIMITED_NS, LIMITED_MAX = 2 * NANOSECONDS_PER_SECOND, 60
"""So many orders of one account in one instrument, in each two seconds."""
COUNTED_MAX = 10_000
FORMS_MAX = 10_000
ID_DIGITS_MAX = 20
LIFETIMES: Mapping[str, Lifetime] = {
    "limit": Lifetime.GOOD_TILL_CANCEL,
    "post_only": Lifetime.GOOD_TILL_CANCEL,
    "ioc": Lifetime.IMMEDIATE_OR_CANCEL,
    "fok": Lifetime.FILL_OR_KILL,
}
SELF_TRADES: Mapping[str, SelfTrade] = {name: mode for mode, name in words.SELF_TRADES.items()}
GONE = "Your order has already been filled or canceled."
Item = Mapping[str, str]
Row = dict[str, str]


class Refusal(Exception):
    """One item is not done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


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
        self._forms: Memory[int, str] = Memory(FORMS_MAX)
        self._newest_form = "trigger"
        self._operations: Mapping[str, Callable[[Asker, Item], Row]] = {
            "order": self._place,
            "batch-orders": self._place,
            "cancel-order": _cancel,
            "batch-cancel-orders": _cancel,
            "amend-order": self._amend,
            "batch-amend-orders": self._amend,
            "order-algo": self._place_algo,
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
        except Refused as refused:
            code, message = words.REFUSALS[refused.refusal]
            row = _refused(item, code, message)
        except Refusal as refusal:
            row = _refused(item, refusal.code, refusal.message)
        return row | {"ts": str(asker.now_ms)}

    def _place(self, asker: Asker, item: Item) -> Row:
        listing = listing_of(asker, item)
        ticket = read_ticket(listing, item)
        self._count(asker, listing.symbol)
        order = asker.house.place(asker.account, ticket)
        return _ids(order, item) | {"sMsg": "Order placed"}

    def _place_algo(self, asker: Asker, item: Item) -> Row:
        listing = listing_of(asker, item)
        ticket, form = read_algo_ticket(asker, listing, item)
        self._count(asker, listing.symbol)
        # The engine tells its listeners of an order before its number is known here.
        self._newest_form = form
        try:
            order = asker.house.place(asker.account, ticket)
        finally:
            self._newest_form = "trigger"
        self._forms.keep(order.order_id, form)
        ids = {"algoId": words.algo_id(order), "algoClOrdId": order.ticket.client_id}
        return ids | {"clOrdId": "", "tag": item.get("tag", "")}

    def _amend(self, asker: Asker, item: Item) -> Row:
        order = named_order(asker, item)
        if order is None or order.is_final:
            raise Refusal("51503", GONE)
        if not item.get("newSz") and not item.get("newPx"):
            raise Refusal("51500", "You must enter a price, quantity, or TP/SL")
        size = _amount(item, "newSz") if item.get("newSz") else None
        price = _amount(item, "newPx") if item.get("newPx") else None
        self.request_id = item.get("reqId", "")
        try:
            changed = asker.house.amend(asker.account, order.order_id, size, price)
        finally:
            self.request_id = ""
        return _ids(changed, item) | {"reqId": item.get("reqId", "")}

    def _count(self, asker: Asker, symbol: str) -> None:
        """Raises Refusal when an account places too many orders in one instrument."""
        window = asker.floor.time_ns() // LIMITED_NS
        if len(self._counts) >= COUNTED_MAX:
            self._counts.clear()
        then, count = self._counts.get((asker.account, symbol), (0, 0))
        count = count + 1 if then == window else 1
        if count > LIMITED_MAX:
            raise Refusal("50011", "Rate limit reached. Please refer to API documentation")
        self._counts[asker.account, symbol] = (window, count)


def listing_of(asker: Asker, item: Item) -> Listing:
    """Of the instrument that an item is about. Raises Refusal."""
    name = item.get("instId", "")
    if not name:
        raise Refusal("50014", "Parameter instId can not be empty.")
    listing = asker.listing(name)
    if listing is None:
        raise Refusal(*words.REFUSALS[Reason.UNKNOWN_SYMBOL])
    return listing


def read_ticket(listing: Listing, item: Item) -> Ticket:
    """The order that an item wants. Raises Refusal."""
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(listing, item, ("cash",) if spot else ("cross",))
    name = _text(item, "ordType")
    is_market = name == "market" or (name == "optimal_limit_ioc" and not spot)
    if not is_market and name not in LIFETIMES:
        raise Refusal("51000", "Parameter ordType error")
    buys = _buys(item)
    size = _amount(item, "sz")
    target = item.get("tgtCcy") or ("quote_ccy" if buys else "base_ccy")
    if target not in ("base_ccy", "quote_ccy"):
        raise Refusal("51000", "Parameter tgtCcy error")
    by_value = is_market and spot and target == "quote_ccy"
    price = None
    if not is_market:
        if not item.get("px"):
            raise Refusal("51204", "The price for the limit order cannot be empty")
        price = _amount(item, "px")
    reduces = item.get("reduceOnly", "false") == "true"
    return Ticket(
        listing.symbol,
        buys,
        OrderKind.MARKET if is_market else OrderKind.LIMIT,
        Decimal(0) if by_value else size,
        price,
        lifetime=LIFETIMES.get(name, Lifetime.GOOD_TILL_CANCEL),
        post_only=name == "post_only",
        reduce_only=reduces and not spot,
        client_id=_client_id(item, "clOrdId"),
        value=size if by_value else None,
        self_trade=_self_trade(item),
    )


def read_algo_ticket(asker: Asker, listing: Listing, item: Item) -> tuple[Ticket, str]:
    """The same for ``trigger``, ``conditional`` and ``move_order_stop``, and in which of FORMS it
    came. Raises Refusal."""
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(listing, item, ("cash", "cross") if spot else ("cross",))
    buys, name = _buys(item), _text(item, "ordType")
    last, form = _last_price(asker, listing), name
    kind, stop, price, trail = OrderKind.TRAILING_STOP, None, None, None
    if name == "trigger":
        stop, price = _amount(item, "triggerPx"), _limit_price(item, "orderPx")
        kind = stop_kind((stop >= last) is not buys, price is None)
    elif name == "conditional":
        loses = bool(item.get("slTriggerPx"))
        if loses is bool(item.get("tpTriggerPx")):
            raise Refusal("51000", "Parameter ordType error")
        form = "sl" if loses else "tp"
        stop, price = _amount(item, f"{form}TriggerPx"), _limit_price(item, f"{form}OrdPx")
        kind = stop_kind(not loses, price is None)
    elif name == "move_order_stop":
        trail = _trail(item, listing, last)
    else:
        raise Refusal("51000", "Parameter ordType error")
    if spot and buys and price is None and item.get("tgtCcy") != "base_ccy":
        # It would be for an amount of the quote currency, which the engine does not keep waiting.
        raise Refusal("51000", "Parameter tgtCcy error")
    ticket = Ticket(
        listing.symbol,
        buys,
        kind,
        _amount(item, "sz"),
        price,
        stop,
        trail,
        reduce_only=item.get("reduceOnly", "false") == "true" and not spot,
        client_id=_client_id(item, "algoClOrdId") or _client_id(item, "clOrdId"),
    )
    return ticket, form


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
            raise Refusal("51000", f"Parameter {id_name} error")
        try:
            order = asker.house.order(asker.account, number - first)
        except Refused:
            order = None
    elif client_id:
        order = asker.house.by_client_id(asker.account, client_id)
    else:
        raise Refusal("51003", f"Either {client_id_name} or {id_name} is required.")
    symbol = item.get("instId", "")
    if order is None or not fits(order) or symbol not in ("", order.ticket.symbol):
        return None
    return order


def _cancel(asker: Asker, item: Item) -> Row:
    listing_of(asker, item)
    order = named_order(asker, item)
    if order is None:
        raise Refused(Reason.UNKNOWN_ORDER)
    return _ids(asker.house.cancel(asker.account, order.order_id), item)


def _cancel_algo(asker: Asker, item: Item) -> Row:
    listing_of(asker, item)
    order = named_algo(asker, item)
    if order is None or words.is_order(order):
        raise Refused(Reason.UNKNOWN_ORDER)
    asker.house.cancel(asker.account, order.order_id)
    return {"algoId": words.algo_id(order), "algoClOrdId": order.ticket.client_id, "tag": ""}


def _ids(order: OrderView, item: Item) -> Row:
    ids = {"ordId": words.order_id(order), "clOrdId": order.ticket.client_id}
    return ids | {"tag": item.get("tag", "")}


def _refused(item: Item, code: str, message: str) -> Row:
    ids = {name: item.get(name, "") for name in ("ordId", "clOrdId", "tag")}
    return ids | {"sCode": code, "sMsg": message}


def _text(item: Item, name: str) -> str:
    text = item.get(name, "")
    if not text:
        raise Refusal("50014", f"Parameter {name} can not be empty.")
    return text


def _amount(item: Item, name: str) -> Decimal:
    number = amount(_text(item, name))
    if not number:
        raise Refusal("51000", f"Parameter {name} error")
    return number


def _limit_price(item: Item, name: str) -> Decimal | None:
    return None if item.get(name, "-1") == "-1" else _amount(item, name)


def _client_id(item: Item, name: str) -> str:
    text = item.get(name, "")
    if text and not CLIENT_ID.fullmatch(text):
        raise Refusal("51000", f"Parameter {name} error")
    return text


def _buys(item: Item) -> bool:
    side = _text(item, "side")
    if side not in ("buy", "sell"):
        raise Refusal("51000", "Parameter side error")
    return side == "buy"


def _check_mode(listing: Listing, item: Item, allowed: tuple[str, ...]) -> None:
    """There is no margin trading on spot, and one net position in each swap."""
    mode = _text(item, "tdMode")
    if mode not in ("cash", "cross", "isolated"):
        raise Refusal("51000", "Parameter tdMode error")
    if mode not in allowed:
        raise Refusal("51010", "Request unsupported under current account mode")
    if item.get("posSide", "") not in ("", "net"):
        raise Refusal("51000", "Parameter posSide error")
    if item.get("attachAlgoOrds", "[]") != "[]":
        raise Refusal("51000", "Parameter attachAlgoOrds error")


def _self_trade(item: Item) -> SelfTrade | None:
    name = item.get("stpMode", "")
    if name not in SELF_TRADES:
        raise Refusal("51000", "Parameter stpMode error")
    return SELF_TRADES[name] if name else None


def _last_price(asker: Asker, listing: Listing) -> Decimal:
    last = last_price(asker.floor, listing.symbol)
    if last is None:
        raise Refusal(*words.REFUSALS[Reason.HALTED])
    return last


def _trail(item: Item, listing: Listing, last: Decimal) -> Decimal:
    """A distance, or a share of the price."""
    if item.get("callbackSpread"):
        return whole_ticks(_amount(item, "callbackSpread"), listing)
    return whole_ticks(last * _amount(item, "callbackRatio"), listing)
