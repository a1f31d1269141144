"""The order that a client of OKX wants, read from its words.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order and
#order-book-trading-algo-trading-post-place-algo-order
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from kit.simulator.exchange.market import last_price, whole_ticks
from kit.simulator.exchange.orders import stop_kind
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.matching.contract import (
    Lifetime,
    OrderKind,
    OrderTicket,
    SelfTrade,
)
from kit.simulator.matching.contract import RejectCode as Reason
from kit.simulator.texts import amount
from venues.okx.simulator.private import rows as words
from venues.okx.simulator.private.keys import Asker

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
LIFETIMES: Mapping[str, Lifetime] = {
    "limit": Lifetime.GOOD_TILL_CANCEL,
    "post_only": Lifetime.GOOD_TILL_CANCEL,
    "ioc": Lifetime.IMMEDIATE_OR_CANCEL,
    "fok": Lifetime.FILL_OR_KILL,
}
SELF_TRADES: Mapping[str, SelfTrade] = {name: mode for mode, name in words.SELF_TRADES.items()}
Item = Mapping[str, str]


class OkxApiError(Exception):
    """One item is not done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def listing_of(asker: Asker, item: Item) -> Listing:
    """Of the instrument that an item is about. Raises Refusal."""
    name = item.get("instId", "")
    if not name:
        raise OkxApiError("50014", "Parameter instId can not be empty.")
    listing = asker.listing(name)
    if listing is None:
        raise OkxApiError(*words.REFUSALS[Reason.UNKNOWN_SYMBOL])
    return listing


def read_ticket(listing: Listing, item: Item) -> OrderTicket:
    """The order that an item wants. Raises Refusal."""
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(listing, item, ("cash",) if spot else ("cross",))
    name = _text(item, "ordType")
    is_market = name == "market" or (name == "optimal_limit_ioc" and not spot)
    if not is_market and name not in LIFETIMES:
        raise OkxApiError("51000", "Parameter ordType error")
    buys = _buys(item)
    size = amount_of(item, "sz")
    target = item.get("tgtCcy") or ("quote_ccy" if buys else "base_ccy")
    if target not in ("base_ccy", "quote_ccy"):
        raise OkxApiError("51000", "Parameter tgtCcy error")
    by_value = is_market and spot and target == "quote_ccy"
    price = None
    if not is_market:
        if not item.get("px"):
            raise OkxApiError("51204", "The price for the limit order cannot be empty")
        price = amount_of(item, "px")
    reduces = item.get("reduceOnly", "false") == "true"
    return OrderTicket(
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


def read_algo_ticket(asker: Asker, listing: Listing, item: Item) -> tuple[OrderTicket, str]:
    """The same for ``trigger``, ``conditional`` and ``move_order_stop``, and in which of FORMS it
    came. Raises Refusal."""
    spot = listing.kind is InstrumentKind.SPOT
    _check_mode(listing, item, ("cash", "cross") if spot else ("cross",))
    buys, name = _buys(item), _text(item, "ordType")
    last, form = _last_price(asker, listing), name
    kind, stop, price, trail = OrderKind.TRAILING_STOP, None, None, None
    if name == "trigger":
        stop, price = amount_of(item, "triggerPx"), limit_price_of(item, "orderPx")
        kind = stop_kind((stop >= last) is not buys, price is None)
    elif name == "conditional":
        loses = bool(item.get("slTriggerPx"))
        if loses is bool(item.get("tpTriggerPx")):
            raise OkxApiError("51000", "Parameter ordType error")
        form = "sl" if loses else "tp"
        stop, price = amount_of(item, f"{form}TriggerPx"), limit_price_of(item, f"{form}OrdPx")
        kind = stop_kind(not loses, price is None)
    elif name == "move_order_stop":
        trail = _trail(item, listing, last)
    else:
        raise OkxApiError("51000", "Parameter ordType error")
    if spot and buys and price is None and item.get("tgtCcy") != "base_ccy":
        # It would be for an amount of the quote currency, which the engine does not keep waiting.
        raise OkxApiError("51000", "Parameter tgtCcy error")
    ticket = OrderTicket(
        listing.symbol,
        buys,
        kind,
        amount_of(item, "sz"),
        price,
        stop,
        trail,
        reduce_only=item.get("reduceOnly", "false") == "true" and not spot,
        client_id=_client_id(item, "algoClOrdId") or _client_id(item, "clOrdId"),
    )
    return ticket, form


def _text(item: Item, name: str) -> str:
    text = item.get(name, "")
    if not text:
        raise OkxApiError("50014", f"Parameter {name} can not be empty.")
    return text


def amount_of(item: Item, name: str) -> Decimal:
    """Above zero. Raises Refusal."""
    number = amount(_text(item, name))
    if not number:
        raise OkxApiError("51000", f"Parameter {name} error")
    return number


def limit_price_of(item: Item, name: str) -> Decimal | None:
    """None for "-1", which is at market. Raises Refusal."""
    return None if item.get(name, "-1") == "-1" else amount_of(item, name)


def _client_id(item: Item, name: str) -> str:
    text = item.get(name, "")
    if text and not CLIENT_ID.fullmatch(text):
        raise OkxApiError("51000", f"Parameter {name} error")
    return text


def _buys(item: Item) -> bool:
    side = _text(item, "side")
    if side not in ("buy", "sell"):
        raise OkxApiError("51000", "Parameter side error")
    return side == "buy"


def _check_mode(listing: Listing, item: Item, allowed: tuple[str, ...]) -> None:
    """There is no margin trading on spot, and one net position in each swap."""
    mode = _text(item, "tdMode")
    if mode not in ("cash", "cross", "isolated"):
        raise OkxApiError("51000", "Parameter tdMode error")
    if mode not in allowed:
        raise OkxApiError("51010", "Request unsupported under current account mode")
    if item.get("posSide", "") not in ("", "net"):
        raise OkxApiError("51000", "Parameter posSide error")
    if item.get("attachAlgoOrds", "[]") != "[]":
        raise OkxApiError("51000", "Parameter attachAlgoOrds error")


def _self_trade(item: Item) -> SelfTrade | None:
    name = item.get("stpMode", "")
    if name not in SELF_TRADES:
        raise OkxApiError("51000", "Parameter stpMode error")
    return SELF_TRADES[name] if name else None


def _last_price(asker: Asker, listing: Listing) -> Decimal:
    last = last_price(asker.market_view, listing.symbol)
    if last is None:
        raise OkxApiError(*words.REFUSALS[Reason.HALTED])
    return last


def _trail(item: Item, listing: Listing, last: Decimal) -> Decimal:
    """A distance, or a share of the price."""
    if item.get("callbackSpread"):
        return whole_ticks(amount_of(item, "callbackSpread"), listing)
    return whole_ticks(last * amount_of(item, "callbackRatio"), listing)
