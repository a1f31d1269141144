"""Orders, fills and balances in the words of Binance's spot market.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints,
.../account-endpoints and .../user-data-stream
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.matching.contract import (
    BalanceView,
    Cause,
    FillView,
    Lifetime,
    OrderChanged,
    OrderKind,
    OrderTicket,
    OrderView,
    RejectCode,
    SelfTrade,
    Status,
)

STATUSES: Mapping[Status, str] = {
    Status.UNTRIGGERED: "NEW",
    Status.OPEN: "NEW",
    Status.PARTLY_FILLED: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
    Status.REJECTED: "REJECTED",
}
TYPES: Mapping[OrderKind, str] = {
    OrderKind.MARKET: "MARKET",
    OrderKind.LIMIT: "LIMIT",
    OrderKind.STOP: "STOP_LOSS",
    OrderKind.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderKind.TAKE_PROFIT: "TAKE_PROFIT",
    OrderKind.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
    OrderKind.TRAILING_STOP: "STOP_LOSS",
}
LIFETIMES: Mapping[Lifetime, str] = {
    Lifetime.GOOD_TILL_CANCEL: "GTC",
    Lifetime.IMMEDIATE_OR_CANCEL: "IOC",
    Lifetime.FILL_OR_KILL: "FOK",
    Lifetime.GOOD_TILL_TIME: "GTC",
}
EXECUTIONS: Mapping[Cause, str] = {
    Cause.NEW: "NEW",
    Cause.TRIGGERED: "NEW",
    Cause.AMENDED: "REPLACED",
    Cause.FILLED: "TRADE",
    Cause.CANCELLED: "CANCELED",
    Cause.EXPIRED: "EXPIRED",
    Cause.REJECTED: "REJECTED",
}
REFUSALS: Mapping[RejectCode, tuple[int, str]] = {
    RejectCode.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RejectCode.HALTED: (-1013, "Market is closed."),
    RejectCode.TICK: (-1013, "Filter failure: PRICE_FILTER"),
    RejectCode.LOT: (-1013, "Filter failure: LOT_SIZE"),
    RejectCode.SIZE_MIN: (-1013, "Filter failure: LOT_SIZE"),
    RejectCode.NOTIONAL_MIN: (-1013, "Filter failure: NOTIONAL"),
    RejectCode.PRICE_BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    RejectCode.FUNDS: (-2010, "Account has insufficient balance for requested action."),
    RejectCode.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    RejectCode.WOULD_NOT_FILL: (-2010, "Order would not be filled."),
    RejectCode.REDUCE_ONLY: (-2010, "This action is disabled on this account."),
    RejectCode.STOP_WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    RejectCode.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    RejectCode.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    RejectCode.FINISHED: (-2011, "Unknown order sent."),
    RejectCode.TOO_MANY: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RejectCode.SELF_TRADE: (-2010, "Order would trade with an order of the same account."),
    RejectCode.MALFORMED: (-1013, "Invalid quantity."),
}
NO_LIST = -1
NO_TRADE = -1
IN_MATCH = "EXPIRED_IN_MATCH"
SELF_TRADES: Mapping[SelfTrade, str] = {
    SelfTrade.ALLOW: "NONE",
    SelfTrade.CANCEL_OLDEST: "EXPIRE_MAKER",
    SelfTrade.CANCEL_NEWEST: "EXPIRE_TAKER",
    SelfTrade.CANCEL_BOTH: "EXPIRE_BOTH",
}
SELF_TRADE_USUAL = SelfTrade.CANCEL_OLDEST


def number(amount: Decimal) -> str:
    """With eight places."""
    return f"{amount:.8f}"


def milliseconds(time_ns: int) -> int:
    """Of nanoseconds."""
    return time_ns // NANOSECONDS_PER_MILLISECOND


def order_type(ticket: OrderTicket) -> str:
    """``LIMIT_MAKER`` is what others call post-only."""
    if ticket.post_only and ticket.kind is OrderKind.LIMIT:
        return "LIMIT_MAKER"
    return TYPES[ticket.kind]


def status(order: OrderView) -> str:
    """An order that would have traded with its own account's has a word of its own."""
    ended = order.status in (Status.CANCELLED, Status.EXPIRED)
    return IN_MATCH if ended and order.why is RejectCode.SELF_TRADE else STATUSES[order.status]


def self_trade(ticket: OrderTicket) -> str:
    """What becomes of it then."""
    return SELF_TRADES[ticket.self_trade or SELF_TRADE_USUAL]


def known_order(order: OrderView) -> dict[str, object]:
    """As the calls that ask for orders give it."""
    created_ms = milliseconds(order.created_ns)
    ticket = order.ticket
    row: dict[str, object] = {
        "symbol": ticket.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": ticket.client_id,
        "stopPrice": number(ticket.stop_price or Decimal(0)),
        "icebergQty": number(Decimal(0)),
        "time": created_ms,
        "updateTime": milliseconds(order.updated_ns),
        "isWorking": order.status is not Status.UNTRIGGERED,
        "workingTime": -1 if order.status is Status.UNTRIGGERED else created_ms,
    }
    return row | _state(order)


def placed_order(order: OrderView, fills: Iterable[FillView] | None) -> dict[str, object]:
    """As the calls that place one give it: RESULT, or with fills FULL."""
    row = acknowledged_order(order) | _state(order)
    ticket = order.ticket
    if ticket.stop_price is not None:
        row["stopPrice"] = number(ticket.stop_price)
    row["workingTime"] = -1 if order.status is Status.UNTRIGGERED else row["transactTime"]
    if fills is not None:
        row["fills"] = [
            {
                "price": number(fill.price),
                "qty": number(fill.size),
                "commission": number(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    return row


def acknowledged_order(order: OrderView) -> dict[str, object]:
    """ACK: that it has come."""
    return {
        "symbol": order.ticket.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.ticket.client_id,
        "transactTime": milliseconds(order.updated_ns),
    }


def cancelled_order(order: OrderView, cancel_id: str) -> dict[str, object]:
    """As the calls that take one back give it: ``clientOrderId`` is the cancel's own."""
    return {
        "symbol": order.ticket.symbol,
        "origClientOrderId": order.ticket.client_id,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_id,
        "transactTime": milliseconds(order.updated_ns),
    } | _state(order)


def fill_row(fill: FillView) -> dict[str, object]:
    """As myTrades gives it."""
    return {
        "symbol": fill.order.ticket.symbol,
        "id": fill.trade_id,
        "orderId": fill.order.order_id,
        "orderListId": NO_LIST,
        "price": number(fill.price),
        "qty": number(fill.size),
        "quoteQty": number(fill.price * fill.size),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.time_ns),
        "isBuyer": fill.order.ticket.buys,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def execution_report(event: OrderChanged, cancel_id: str, now_ms: int) -> dict[str, object]:
    """``{"e":"executionReport",…}``. Of a cancel, "c" is its own id, and "C" the order's."""
    order, fill, ticket = event.order, event.fill, event.order.ticket
    cancelled = event.cause is Cause.CANCELLED and bool(cancel_id)
    works = order.status in (Status.OPEN, Status.PARTLY_FILLED)
    zero = Decimal(0)
    price, size = (fill.price, fill.size) if fill is not None else (zero, zero)
    report: dict[str, object] = {
        "e": "executionReport",
        "E": now_ms,
        "s": ticket.symbol,
        "c": cancel_id if cancelled else ticket.client_id,
        "S": "BUY" if ticket.buys else "SELL",
        "o": order_type(ticket),
        "f": LIFETIMES[ticket.lifetime],
        "q": number(order.ticket.size),
        "p": number(ticket.price or zero),
        "P": number(ticket.stop_price or zero),
        "F": number(zero),
        "g": NO_LIST,
        "C": ticket.client_id if cancelled else "",
        "x": "TRADE_PREVENTION" if status(order) == IN_MATCH else EXECUTIONS[event.cause],
        "X": status(order),
        "r": "NONE" if order.status is not Status.REJECTED else _reject_reason(order),
        "i": order.order_id,
        "l": number(size),
        "z": number(order.filled),
        "L": number(price),
        "n": number(fill.fee) if fill is not None else "0",
        "N": fill.fee_asset if fill is not None else None,
        "T": milliseconds(order.updated_ns if fill is None else fill.time_ns),
        "t": NO_TRADE if fill is None else fill.trade_id,
        "v": NO_TRADE,
        "I": order.order_id,
        "w": works,
        "m": fill is not None and fill.is_maker,
        "M": fill is not None,
        "O": milliseconds(order.created_ns),
        "Z": number(order.filled_value),
        "Y": number(price * size),
        "Q": number(ticket.value or zero),
        "V": self_trade(ticket),
    }
    if order.status is not Status.UNTRIGGERED:
        report["W"] = milliseconds(order.created_ns)
    return report


def account_position(balance: BalanceView, now_ms: int) -> dict[str, object]:
    """``{"e":"outboundAccountPosition","E","u","B":[{"a":asset,"f":free,"l":locked}]}``"""
    row = {"a": balance.asset, "f": number(balance.free), "l": number(balance.locked)}
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": [row]}


def _state(order: OrderView) -> dict[str, object]:
    ticket = order.ticket
    return {
        "price": number(ticket.price or Decimal(0)),
        "origQty": number(order.ticket.size),
        "executedQty": number(order.filled),
        "origQuoteOrderQty": number(ticket.value or Decimal(0)),
        "cummulativeQuoteQty": number(order.filled_value),
        "status": status(order),
        "timeInForce": LIFETIMES[ticket.lifetime] if ticket.kind is not OrderKind.MARKET else "GTC",
        "type": order_type(ticket),
        "side": "BUY" if ticket.buys else "SELL",
        "selfTradePreventionMode": self_trade(ticket),
    }


def _reject_reason(order: OrderView) -> str:
    return "INSUFFICIENT_BALANCES" if order.why is RejectCode.FUNDS else "UNKNOWN_ERROR"
