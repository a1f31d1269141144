"""Orders, fills, balances and positions as OKX writes them, over REST and websocket alike.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-trade and #trading-account. A stop
is an algo order until it triggers; then it is also an order.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import CONDITIONAL
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    OrderStatus,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import plain
from venues.okx.simulator.authentication import MATCHING_RULES, SELF_TRADE_DEFAULT
from venues.okx.simulator.candles import milliseconds
from venues.okx.simulator.instruments import TYPES

ORDER_IDS_BEGIN = 2_000_000_000_000_000_000
"""OKX's ids have 19 digits, more than a float can hold."""
ALGO_IDS_BEGIN = 3_000_000_000_000_000_000
PRICE_STEP = Decimal("1e-10")
LEVERAGE_STEP = Decimal("0.01")
ZERO = Decimal(0)

Row = dict[str, object]
STATES = {
    OrderStatus.UNTRIGGERED: "live",
    OrderStatus.OPEN: "live",
    OrderStatus.PARTLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "canceled",
    OrderStatus.REJECTED: "canceled",
}
ORDER_TYPES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "limit",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "limit",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "ioc",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fok",
}
FORMS = {
    "trigger": ("triggerPx", "ordPx"),
    "sl": ("slTriggerPx", "slOrdPx"),
    "tp": ("tpTriggerPx", "tpOrdPx"),
}
"""The fields of the stop price and the price of an algo order, by the form in which it came."""
CANCEL_SOURCES = {
    RejectCode.WOULD_NOT_FILL: "13",
    RejectCode.WOULD_TAKE: "31",
    RejectCode.SELF_TRADE: "32",
}
"""Why the exchange has cancelled an order. "1": the client has cancelled it, "14": the rest of an
immediate order."""
SELF_TRADES = {
    SelfTradeMode.ALLOW: "",
    SelfTradeMode.CANCEL_OLDEST: "cancel_maker",
    SelfTradeMode.CANCEL_NEWEST: "cancel_taker",
    SelfTradeMode.CANCEL_BOTH: "cancel_both",
}


def order_id(order: OrderView) -> str:
    """``ordId``"""
    return str(ORDER_IDS_BEGIN + order.order_id)


def algo_id(order: OrderView) -> str:
    """``algoId``"""
    return str(ALGO_IDS_BEGIN + order.order_id)


def is_conditional(order: OrderView) -> bool:
    """Whether it is an algo order, or was one before it triggered."""
    return order.ticket.type in CONDITIONAL


def is_order(order: OrderView) -> bool:
    """Whether it has entered the book."""
    return not is_conditional(order) or order.triggered


def order_row(order: OrderView, listing: Listing, fills: Sequence[FillView]) -> Row:
    """An order. ``fills`` are its own, oldest first."""
    ticket, last = order.ticket, fills[-1] if fills else None
    spot = listing.kind is InstrumentKind.SPOT
    was_algo = is_conditional(order)
    by_value = ticket.value is not None
    market = ticket.price is None
    return {
        "instType": TYPES[listing.kind],
        "instId": ticket.symbol,
        "tgtCcy": ("quote_ccy" if by_value else "base_ccy") if spot and market else "",
        "ccy": "",
        "ordId": order_id(order),
        "clOrdId": "" if was_algo else ticket.client_order_id,
        "algoId": algo_id(order) if was_algo else "",
        "algoClOrdId": ticket.client_order_id if was_algo else "",
        "tag": "",
        "px": "" if ticket.price is None else plain(ticket.price),
        "sz": plain(ticket.value if ticket.value is not None else ticket.size),
        "notionalUsd": "",
        "ordType": _type_in_book(ticket),
        "side": _side(ticket),
        "posSide": "" if spot else "net",
        "tdMode": "cash" if spot else "cross",
        "accFillSz": plain(order.filled),
        "avgPx": _average(order, listing),
        "fillPx": plain(last.price) if last else "",
        "fillSz": plain(last.size) if last else "0",
        "fillTime": milliseconds(last.time_ns) if last else "",
        "tradeId": str(last.trade_id) if last else "",
        "state": STATES[order.status],
        "stpMode": SELF_TRADES[ticket.self_trade or SELF_TRADE_DEFAULT],
        "lever": "" if spot else "10",
        "fee": plain(-sum((one.fee for one in fills), ZERO)),
        "feeCcy": last.fee_asset if last else _fee_asset(ticket, listing),
        "rebate": "0",
        "rebateCcy": "",
        "pnl": "0",
        "category": "normal",
        "source": "",
        "cancelSource": _cancel_source(order),
        "cancelSourceReason": "",
        "reduceOnly": str(ticket.reduce_only).lower(),
        "attachAlgoOrds": [],
        "cTime": milliseconds(order.created_ns),
        "uTime": milliseconds(order.updated_ns),
    }


def algo_row(order: OrderView, listing: Listing, form: str) -> Row:
    """An algo order. ``form`` is one of FORMS, or ``move_order_stop``."""
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
        "algoClOrdId": ticket.client_order_id,
        "clOrdId": "",
        "ordId": order_id(order) if triggered else "",
        "ordIdList": [order_id(order)] if triggered else [],
        "ordType": algo_type(form),
        "side": _side(ticket),
        "posSide": "" if spot else "net",
        "tdMode": "cash" if spot else "cross",
        "tgtCcy": "base_ccy" if spot and ticket.buys and ticket.price is None else "",
        "sz": plain(ticket.size),
        **prices,
        "triggerPxType": "last",
        "callbackSpread": "" if ticket.trailing_offset is None else plain(ticket.trailing_offset),
        "callbackRatio": "",
        "state": algo_state(order),
        "actualSz": plain(order.filled),
        "actualPx": _average(order, listing),
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
    """The ordType of a form: a stop loss and a take profit are both ``conditional``."""
    return "conditional" if form in ("sl", "tp") else form


def algo_state(order: OrderView) -> str:
    """``live``, ``effective`` after the trigger, or ``canceled``."""
    if is_order(order):
        return "effective"
    return "live" if order.status is OrderStatus.UNTRIGGERED else "canceled"


def _side(ticket: OrderTicket) -> str:
    return "buy" if ticket.buys else "sell"


def _average(order: OrderView, listing: Listing) -> str:
    if not order.filled:
        return ""
    size = order.filled * Decimal(listing.contract_size or 1)
    return plain((order.filled_value / size).quantize(PRICE_STEP))


def _cancel_source(order: OrderView) -> str:
    if order.why is not None and order.why in CANCEL_SOURCES and order.is_final:
        return CANCEL_SOURCES[order.why]
    if order.status is OrderStatus.EXPIRED:
        return "14"
    return "1" if order.status is OrderStatus.CANCELLED else ""


def fill_row(fill: FillView, listing: Listing) -> Row:
    """A fill. A fee that is paid is negative."""
    return {
        "instType": TYPES[listing.kind],
        "instId": fill.order.ticket.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": order_id(fill.order),
        "clOrdId": fill.order.ticket.client_order_id,
        "billId": str(ORDER_IDS_BEGIN + fill.trade_id),
        "tag": "",
        "fillPx": plain(fill.price),
        "fillSz": plain(fill.size),
        "fillPnl": plain(fill.profit),
        "side": _side(fill.order.ticket),
        "posSide": "net",
        "execType": "M" if fill.is_maker else "T",
        "fee": plain(-fill.fee),
        "feeCcy": fill.fee_asset,
        "fillTime": milliseconds(fill.time_ns),
        "ts": milliseconds(fill.time_ns),
    }


def account_row(balances: Sequence[BalanceView], gains: Mapping[str, Decimal], now_ms: int) -> Row:
    """The trading account. ``gains`` are the unrealized profits of positions, by the asset that
    settles them. The value in dollars is not computed."""
    details = [_balance_row(one, gains.get(one.asset, ZERO), now_ms) for one in balances]
    unknown = dict.fromkeys(("totalEq", "adjEq", "imr", "mmr", "mgnRatio", "notionalUsd"), "")
    return {"uTime": str(now_ms), **unknown, "isoEq": "0", "ordFroz": "", "details": details}


def _balance_row(balance: BalanceView, gain: Decimal, now_ms: int) -> Row:
    available = plain(max(balance.free + min(gain, ZERO), ZERO))
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


def position_row(position: PositionView, listing: Listing, now_ms: int) -> Row:
    """A position with cross margin."""
    value = abs(position.size) * position.mark_price * Decimal(listing.contract_size or 1)
    liquidation, rules = position.liquidation_price, MATCHING_RULES[listing.kind]
    margin = position.margin
    return {
        "instType": TYPES[listing.kind],
        "instId": position.symbol,
        "mgnMode": "cross",
        "posId": str(ORDER_IDS_BEGIN),
        "posSide": "net",
        "pos": plain(position.size),
        "availPos": plain(position.size),
        "ccy": listing.settle,
        "avgPx": plain(position.entry_price.quantize(PRICE_STEP)) if position.size else "",
        "markPx": plain(position.mark_price),
        "last": plain(position.mark_price),
        "upl": plain(position.unrealized),
        "uplRatio": plain((position.unrealized / margin).quantize(PRICE_STEP)) if margin else "",
        "realizedPnl": plain(position.realized),
        "lever": plain((1 / rules.initial_margin).quantize(LEVERAGE_STEP)),
        "liqPx": "" if liquidation is None else plain(liquidation.quantize(PRICE_STEP)),
        "imr": plain(margin),
        "mmr": plain(value * rules.maintenance_margin),
        "margin": "",
        "mgnRatio": "",
        "notionalUsd": plain(value),
        "adl": "1",
        "cTime": str(now_ms),
        "uTime": str(now_ms),
    }


def _type_in_book(ticket: OrderTicket) -> str:
    if ticket.price is None:
        return "market"
    return "post_only" if ticket.post_only else ORDER_TYPES[ticket.time_in_force]


def _fee_asset(ticket: OrderTicket, listing: Listing) -> str:
    if listing.settle:
        return listing.settle
    return listing.base if ticket.buys else listing.quote
