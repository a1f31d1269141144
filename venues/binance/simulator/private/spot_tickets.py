"""What a client of Binance's spot market asks for, read into a Ticket."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.simulator.dialect import MarketView
from kit.simulator.exchange.market import last_price, whole_ticks
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import Lifetime, OrderKind, OrderTicket, SelfTrade
from venues.binance.simulator.private import spot_rows
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.rest import BinanceApiError

LIFETIMES: Mapping[str, Lifetime] = {
    "GTC": Lifetime.GOOD_TILL_CANCEL,
    "IOC": Lifetime.IMMEDIATE_OR_CANCEL,
    "FOK": Lifetime.FILL_OR_KILL,
}
SHAPE = ("timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "trailingDelta")
"""Parameters that some types need and others may not have."""
PLACING = frozenset(SHAPE) | {
    "symbol",
    "side",
    "type",
    "newClientOrderId",
    "newOrderRespType",
    "strategyId",
    "strategyType",
    "selfTradePreventionMode",
}
SELF_TRADES: Mapping[str, SelfTrade] = {name: mode for mode, name in spot_rows.SELF_TRADES.items()}
BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class OrderType:
    """What an order of a type has."""

    kind: OrderKind
    needs: frozenset[str]
    may: frozenset[str] = frozenset()
    post_only: bool = False


TYPES: Mapping[str, OrderType] = {
    "LIMIT": OrderType(OrderKind.LIMIT, frozenset({"timeInForce", "quantity", "price"})),
    "LIMIT_MAKER": OrderType(OrderKind.LIMIT, frozenset({"quantity", "price"}), post_only=True),
    "MARKET": OrderType(OrderKind.MARKET, frozenset(), frozenset({"quantity", "quoteOrderQty"})),
    "STOP_LOSS": OrderType(
        OrderKind.STOP, frozenset({"quantity"}), frozenset({"stopPrice", "trailingDelta"})
    ),
    "STOP_LOSS_LIMIT": OrderType(
        OrderKind.STOP_LIMIT, frozenset({"timeInForce", "quantity", "price", "stopPrice"})
    ),
    "TAKE_PROFIT": OrderType(OrderKind.TAKE_PROFIT, frozenset({"quantity", "stopPrice"})),
    "TAKE_PROFIT_LIMIT": OrderType(
        OrderKind.TAKE_PROFIT_LIMIT, frozenset({"timeInForce", "quantity", "price", "stopPrice"})
    ),
}


def read_ticket(call: Call, client_id: str) -> OrderTicket:
    """The order that a call wants. Raises Refusal."""
    listing = call.listing()
    side, name = call.text("side"), call.text("type")
    if side not in ("BUY", "SELL"):
        raise BinanceApiError(-1117, "Invalid side.")
    form = TYPES.get(name)
    if form is None:
        raise BinanceApiError(-1116, "Invalid orderType.")
    given = _check_shape(call, form)
    lifetime = Lifetime.GOOD_TILL_CANCEL
    if "timeInForce" in given:
        found = LIFETIMES.get(call.text("timeInForce"))
        if found is None:
            raise BinanceApiError(-1115, "Invalid timeInForce.")
        lifetime = found
    amounts = {one: call.amount(one) for one in given - {"timeInForce", "trailingDelta"}}
    if not all(amounts.values()):
        zero = next(one for one, amount in amounts.items() if not amount)
        raise BinanceApiError(-1013, f"Invalid {'price' if 'rice' in zero else 'quantity'}.")
    kind, trail = form.kind, None
    if "trailingDelta" in given:
        kind, trail = OrderKind.TRAILING_STOP, _trail(call, listing)
    return OrderTicket(
        listing.symbol,
        side == "BUY",
        kind,
        amounts.get("quantity", Decimal(0)),
        amounts.get("price"),
        amounts.get("stopPrice"),
        trail,
        lifetime,
        post_only=form.post_only,
        client_id=client_id,
        value=amounts.get("quoteOrderQty"),
        self_trade=read_self_trade(call),
    )


def read_self_trade(call: Call) -> SelfTrade | None:
    """What is to become of orders of one account that meet. Raises Refusal."""
    name = call.params.get("selfTradePreventionMode")
    if name is not None and name not in SELF_TRADES:
        raise BinanceApiError(
            -1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."
        )
    return None if name is None else SELF_TRADES[name]


def check_filters(listing: Listing, ticket: OrderTicket) -> None:
    """What can be said of an order before anything is done. Raises Refusal."""
    if listing.halted:
        raise BinanceApiError(-1013, "Market is closed.")
    prices = [price for price in (ticket.price, ticket.stop_price) if price is not None]
    if any(price % Decimal(listing.tick_size) for price in prices):
        raise BinanceApiError(-1013, "Filter failure: PRICE_FILTER")
    if ticket.size % Decimal(listing.lot_size):
        raise BinanceApiError(-1013, "Filter failure: LOT_SIZE")
    if ticket.price is not None and ticket.price * ticket.size < Decimal(listing.minimum_notional):
        raise BinanceApiError(-1013, "Filter failure: NOTIONAL")


def traded_price(market_view: MarketView, listing: Listing) -> Decimal:
    """Of the newest trade. Raises Refusal before the first."""
    last = last_price(market_view, listing.symbol)
    if last is None:
        raise BinanceApiError(-1013, "Market is closed.")
    return last


def _check_shape(call: Call, form: OrderType) -> set[str]:
    """The parameters of SHAPE that are there."""
    given = {one for one in SHAPE if call.params.get(one)}
    for one in SHAPE:
        if one in form.needs:
            call.text(one)
        elif one in given and one not in form.may:
            raise BinanceApiError(-1106, f"Parameter '{one}' sent when not required.")
    if form.may and len(given & form.may) != 1:
        first, second = sorted(form.may)
        if given & form.may:
            raise BinanceApiError(-1128, "Combination of optional parameters invalid.")
        words = f"Param '{first}' or '{second}' must be sent, but both were empty/null!"
        raise BinanceApiError(-1102, words)
    return given


def _trail(call: Call, listing: Listing) -> Decimal:
    """The engine's trail is a distance; Binance's a share of the price, in basis points."""
    share = Decimal(call.number("trailingDelta", 0)) / BASIS_POINTS
    if not share:
        raise BinanceApiError(-1013, "Filter failure: TRAILING_DELTA")
    return whole_ticks(traded_price(call.market_view, listing) * share, listing)
