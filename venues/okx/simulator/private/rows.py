"""Orders, fills, balances and positions in OKX's words.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade and #trading-account. A stop
is an algo order until it triggers; then it is an order like any other.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.matching.contract import (
    STOPS,
    BalanceView,
    FillView,
    Lifetime,
    MatchingRules,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
    SelfTrade,
    Status,
)
from kit.simulator.texts import plain
from venues.okx.simulator.listings import TYPES

ORDER_ID_FIRST = 2_000_000_000_000_000_000
"""OKX's ids have 19 digits, more than a float can hold."""
ALGO_ID_FIRST = 3_000_000_000_000_000_000
STATES: Mapping[Status, str] = {
    Status.UNTRIGGERED: "live",
    Status.OPEN: "live",
    Status.PARTLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "canceled",
    Status.REJECTED: "canceled",
}
ORDER_TYPES: Mapping[Lifetime, str] = {
    Lifetime.GOOD_TILL_CANCEL: "limit",
    Lifetime.GOOD_TILL_TIME: "limit",
    Lifetime.IMMEDIATE_OR_CANCEL: "ioc",
    Lifetime.FILL_OR_KILL: "fok",
}
FORMS: Mapping[str, tuple[str, str]] = {
    "trigger": ("triggerPx", "ordPx"),
    "sl": ("slTriggerPx", "slOrdPx"),
    "tp": ("tpTriggerPx", "tpOrdPx"),
}
"""How the stop price and the price of an algo order are called, by the form in which it came."""
CANCEL_SOURCES: Mapping[RejectCode, str] = {
    RejectCode.WOULD_NOT_FILL: "13",
    RejectCode.WOULD_TAKE: "31",
    RejectCode.SELF_TRADE: "32",
}
"""Why the exchange has cancelled an order by itself. "1": its owner has, "14": the rest of an
order that was to be filled at once."""
SELF_TRADES: Mapping[SelfTrade, str] = {
    SelfTrade.ALLOW: "",
    SelfTrade.CANCEL_OLDEST: "cancel_maker",
    SelfTrade.CANCEL_NEWEST: "cancel_taker",
    SelfTrade.CANCEL_BOTH: "cancel_both",
}
SELF_TRADE_USUAL = SelfTrade.CANCEL_OLDEST
REFUSALS: Mapping[RejectCode, tuple[str, str]] = {
    RejectCode.UNKNOWN_SYMBOL: (
        "51001",
        "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    ),
    RejectCode.HALTED: ("51022", "Contract suspended"),
    RejectCode.TICK: ("51000", "Parameter px error"),
    RejectCode.LOT: ("51121", "Order quantity must be a multiple of the lot size."),
    RejectCode.SIZE_MIN: ("51020", "Your order should meet or exceed the minimum order amount."),
    RejectCode.NOTIONAL_MIN: (
        "51020",
        "Your order should meet or exceed the minimum order amount.",
    ),
    RejectCode.PRICE_BAND: ("51006", "Order price is not within the price limit"),
    RejectCode.FUNDS: ("51008", "Order failed. Insufficient balance in account"),
    RejectCode.WOULD_TAKE: ("51019", "Post-only order would take liquidity"),
    RejectCode.WOULD_NOT_FILL: ("51109", "There is no available order that can be matched"),
    RejectCode.REDUCE_ONLY: (
        "51169",
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
    RejectCode.STOP_WOULD_TRIGGER: (
        "51280",
        "SL trigger price cannot be higher than the last price",
    ),
    RejectCode.DUPLICATE_ID: ("51016", "Client order ID already exists."),
    RejectCode.UNKNOWN_ORDER: (
        "51400",
        "Order cancellation failed as the order has been filled, canceled or does not exist.",
    ),
    RejectCode.FINISHED: (
        "51400",
        "Order cancellation failed as the order has been filled, canceled or does not exist.",
    ),
    RejectCode.TOO_MANY: ("51174", "The number of pending orders reached the upper limit."),
    RejectCode.SELF_TRADE: ("51000", "Parameter stpMode error"),
    RejectCode.MALFORMED: ("51000", "Parameter sz error"),
}


def milliseconds(time_ns: int) -> str:
    """As OKX writes times."""
    return str(time_ns // NANOSECONDS_PER_MILLISECOND)


def order_id(order: OrderView) -> str:
    """``ordId``"""
    return str(ORDER_ID_FIRST + order.order_id)


def algo_id(order: OrderView) -> str:
    """``algoId``"""
    return str(ALGO_ID_FIRST + order.order_id)


def is_conditional(order: OrderView) -> bool:
    """Whether it is an algo order, or was one before it triggered."""
    return order.ticket.kind in STOPS


def is_order(order: OrderView) -> bool:
    """Whether it has come to the book."""
    return not is_conditional(order) or order.triggered


def order_row(
    order: OrderView, listing: Listing, fills: Sequence[FillView]
) -> dict[str, str | list[str]]:
    """An order; ``fills``: all of its own until now, oldest first."""
    ticket, last = order.ticket, fills[-1] if fills else None
    spot = listing.kind is InstrumentKind.SPOT
    triggered = is_conditional(order)
    by_value = ticket.value is not None
    market = ticket.price is None
    return {
        "instType": TYPES[listing.kind],
        "instId": ticket.symbol,
        "tgtCcy": ("quote_ccy" if by_value else "base_ccy") if spot and market else "",
        "ccy": "",
        "ordId": order_id(order),
        "clOrdId": "" if triggered else ticket.client_id,
        "algoId": algo_id(order) if triggered else "",
        "algoClOrdId": ticket.client_id if triggered else "",
        "tag": "",
        "px": "" if ticket.price is None else plain(ticket.price),
        "sz": plain(ticket.value if ticket.value is not None else ticket.size),
        "notionalUsd": "",
        "ordType": _type_in_book(ticket),
        "side": side(ticket),
        "posSide": "" if spot else "net",
        "tdMode": "cash" if spot else "cross",
        "accFillSz": plain(order.filled),
        "avgPx": average(order, listing),
        "fillPx": plain(last.price) if last else "",
        "fillSz": plain(last.size) if last else "0",
        "fillTime": milliseconds(last.time_ns) if last else "",
        "tradeId": str(last.trade_id) if last else "",
        "state": STATES[order.status],
        "stpMode": SELF_TRADES[ticket.self_trade or SELF_TRADE_USUAL],
        "lever": "" if spot else "10",
        "fee": plain(-sum((one.fee for one in fills), Decimal(0))),
        "feeCcy": last.fee_asset if last else (_fee_asset(ticket, listing)),
        "rebate": "0",
        "rebateCcy": "",
        "pnl": "0",
        "category": "normal",
        "source": "",
        "cancelSource": cancel_source(order),
        "cancelSourceReason": "",
        "reduceOnly": str(ticket.reduce_only).lower(),
        "attachAlgoOrds": [],
        "cTime": milliseconds(order.created_ns),
        "uTime": milliseconds(order.updated_ns),
    }


def algo_row(order: OrderView, listing: Listing, form: str) -> dict[str, str | list[str]]:
    """An algo order; ``form``: see ``algo_type``."""
    ticket = order.ticket
    prices = {"triggerPx": "", "ordPx": "", "slTriggerPx": "", "slOrdPx": ""}
    prices |= {"tpTriggerPx": "", "tpOrdPx": ""}
    if ticket.stop_price is not None:
        trigger_name, price_name = FORMS[form]
        prices[trigger_name] = plain(ticket.stop_price)
        prices[price_name] = "-1" if ticket.price is None else plain(ticket.price)
    spot = listing.kind is InstrumentKind.SPOT
    triggered = is_order(order)
    return {
        "instType": TYPES[listing.kind],
        "instId": ticket.symbol,
        "algoId": algo_id(order),
        "algoClOrdId": ticket.client_id,
        "clOrdId": "",
        "ordId": order_id(order) if triggered else "",
        "ordIdList": [order_id(order)] if triggered else [],
        "ordType": algo_type(form),
        "side": side(ticket),
        "posSide": "" if spot else "net",
        "tdMode": "cash" if spot else "cross",
        "tgtCcy": "base_ccy" if spot and ticket.buys and ticket.price is None else "",
        "sz": plain(ticket.size),
        **prices,
        "triggerPxType": "last",
        "callbackSpread": "" if ticket.trail is None else plain(ticket.trail),
        "callbackRatio": "",
        "state": algo_state(order),
        "actualSz": plain(order.filled),
        "actualPx": average(order, listing),
        "actualSide": "",
        "failCode": "",
        "lever": "" if spot else "10",
        "reduceOnly": str(ticket.reduce_only).lower(),
        "tag": "",
        "triggerTime": milliseconds(order.updated_ns) if triggered else "",
        "cTime": milliseconds(order.created_ns),
        "uTime": milliseconds(order.updated_ns),
    }


def algo_type(form: str) -> str:
    """OKX's ordType of a form: a stop loss and a take profit are both ``conditional``."""
    return "conditional" if form in ("sl", "tp") else form


def algo_state(order: OrderView) -> str:
    """It is effective once it has triggered."""
    if is_order(order):
        return "effective"
    return "live" if order.status is Status.UNTRIGGERED else "canceled"


def side(ticket: OrderTicket) -> str:
    """``buy`` or ``sell``"""
    return "buy" if ticket.buys else "sell"


def average(order: OrderView, listing: Listing) -> str:
    """Mean price of what is filled."""
    if not order.filled:
        return ""
    size = order.filled * Decimal(listing.contract_size or 1)
    return plain((order.filled_value / size).quantize(Decimal("1e-10")))


def cancel_source(order: OrderView) -> str:
    """Empty: it was not cancelled."""
    if order.why is not None and order.why in CANCEL_SOURCES and order.is_final:
        return CANCEL_SOURCES[order.why]
    if order.status is Status.EXPIRED:
        return "14"
    return "1" if order.status is Status.CANCELLED else ""


def fill_row(fill: FillView, listing: Listing) -> dict[str, str]:
    """As trade/fills gives it. A fee that is paid is negative."""
    return {
        "instType": TYPES[listing.kind],
        "instId": fill.order.ticket.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": order_id(fill.order),
        "clOrdId": fill.order.ticket.client_id,
        "billId": str(ORDER_ID_FIRST + fill.trade_id),
        "tag": "",
        "fillPx": plain(fill.price),
        "fillSz": plain(fill.size),
        "fillPnl": "0",
        "side": side(fill.order.ticket),
        "posSide": "net",
        "execType": "M" if fill.is_maker else "T",
        "fee": plain(-fill.fee),
        "feeCcy": fill.fee_asset,
        "fillTime": milliseconds(fill.time_ns),
        "ts": milliseconds(fill.time_ns),
    }


def balance_row(balance: BalanceView, gain: Decimal, now_ms: int) -> dict[str, str]:
    """One of ``details``; ``gain``: of the positions that are settled in it, not realized yet."""
    available = plain(max(balance.free + min(gain, Decimal(0)), Decimal(0)))
    return {
        "ccy": balance.asset,
        "eq": plain(balance.total + gain),
        "cashBal": plain(balance.total),
        "availBal": available,
        "availEq": available,
        "frozenBal": plain(balance.locked),
        "ordFrozen": plain(balance.locked),
        "upl": plain(gain),
        "liab": "0",
        "interest": "0",
        "uTime": str(now_ms),
    }


def account_row(
    balances: Sequence[BalanceView], gains: Mapping[str, Decimal], now_ms: int
) -> dict[str, object]:
    """As account/balance gives it; what all is worth in dollars is not worked out."""
    zero = Decimal(0)
    details = [balance_row(one, gains.get(one.asset, zero), now_ms) for one in balances]
    figures = dict.fromkeys(("totalEq", "adjEq", "imr", "mmr", "mgnRatio", "notionalUsd"), "")
    return {"uTime": str(now_ms), **figures, "isoEq": "0", "ordFroz": "", "details": details}


def position_row(
    position: PositionView, listing: Listing, rules: MatchingRules, now_ms: int
) -> dict[str, str]:
    """As account/positions gives it."""
    worth = abs(position.size) * position.mark_price * Decimal(listing.contract_size or 1)
    until = position.liquidation_price
    return {
        "instType": TYPES[listing.kind],
        "instId": position.symbol,
        "mgnMode": "cross",
        "posId": str(ORDER_ID_FIRST),
        "posSide": "net",
        "pos": plain(position.size),
        "availPos": plain(position.size),
        "ccy": listing.settle,
        "avgPx": plain(position.entry_price.quantize(Decimal("1e-10"))) if position.size else "",
        "markPx": plain(position.mark_price),
        "last": plain(position.mark_price),
        "upl": plain(position.unrealized),
        "uplRatio": plain((position.unrealized / position.margin).quantize(Decimal("1e-10")))
        if position.margin
        else "",
        "realizedPnl": plain(position.realized),
        "lever": plain((1 / rules.initial_margin).quantize(Decimal("0.01"))),
        "liqPx": "" if until is None else plain(until.quantize(Decimal("1e-10"))),
        "imr": plain(position.margin),
        "mmr": plain(worth * rules.maintenance_margin),
        "margin": "",
        "mgnRatio": "",
        "notionalUsd": plain(worth),
        "adl": "1",
        "cTime": str(now_ms),
        "uTime": str(now_ms),
    }


def _type_in_book(ticket: OrderTicket) -> str:
    if ticket.price is None:
        return "market"
    return "post_only" if ticket.post_only else ORDER_TYPES[ticket.lifetime]


def _fee_asset(ticket: OrderTicket, listing: Listing) -> str:
    if listing.settle:
        return listing.settle
    return listing.base if ticket.buys else listing.quote
