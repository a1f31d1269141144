"""Orders, fills, positions and balances in the words of USD-M futures.

Documentation: https://developers.binance.com/docs/derivatives/usds-margined-futures, there
trade/rest-api, account/rest-api and user-data-streams. A stop is a conditional order of the algo
service until it triggers; then it is an order like any other, under the same client id.
"""

from collections.abc import Mapping
from decimal import Decimal

from kit.simulator.matching.contract import (
    PRICED,
    STOPS,
    BalanceChanged,
    Cause,
    FillView,
    Lifetime,
    OrderChanged,
    OrderKind,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
    Status,
)
from venues.binance.simulator.private.spot_rows import (
    EXECUTIONS,
    IN_MATCH,
    milliseconds,
    self_trade,
    status,
)

TYPES: Mapping[OrderKind, str] = {
    OrderKind.MARKET: "MARKET",
    OrderKind.LIMIT: "LIMIT",
    OrderKind.STOP: "STOP_MARKET",
    OrderKind.STOP_LIMIT: "STOP",
    OrderKind.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrderKind.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
    OrderKind.TRAILING_STOP: "TRAILING_STOP_MARKET",
}
LIFETIMES: Mapping[Lifetime, str] = {
    Lifetime.GOOD_TILL_CANCEL: "GTC",
    Lifetime.IMMEDIATE_OR_CANCEL: "IOC",
    Lifetime.FILL_OR_KILL: "FOK",
    Lifetime.GOOD_TILL_TIME: "GTD",
}
ALGO_ID_FIRST = 1_000_000_000
"""Ids of conditional orders are the engine's and this, so that none is an order's as well."""
ALGO_STATUSES: Mapping[Status, str] = {
    Status.UNTRIGGERED: "NEW",
    Status.OPEN: "TRIGGERED",
    Status.PARTLY_FILLED: "TRIGGERED",
    Status.FILLED: "FINISHED",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "FINISHED",
    Status.REJECTED: "REJECTED",
}
REASONS: Mapping[str, str] = {"funding": "FUNDING_FEE", "deposit": "DEPOSIT"}
"""Of account updates; all others are ORDER."""
NOT_KEPT = "rejected. The order will not be recorded in the order history"
REFUSALS: Mapping[RejectCode, tuple[int, str]] = {
    RejectCode.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RejectCode.HALTED: (-4140, "Invalid symbol status for opening position."),
    RejectCode.TICK: (-4014, "Price not increased by tick size."),
    RejectCode.LOT: (-1111, "Precision is over the maximum defined for this asset."),
    RejectCode.SIZE_MIN: (-4004, "Quantity less than min quantity."),
    RejectCode.NOTIONAL_MIN: (
        -4164,
        "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    ),
    RejectCode.PRICE_BAND: (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    ),
    RejectCode.FUNDS: (-2019, "Margin is insufficient."),
    RejectCode.WOULD_TAKE: (
        -5022,
        f"Due to the order could not be executed as maker, the Post Only order will be {NOT_KEPT}",
    ),
    RejectCode.WOULD_NOT_FILL: (
        -5021,
        f"Due to the order could not be filled immediately, the FOK order has been {NOT_KEPT}",
    ),
    RejectCode.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RejectCode.STOP_WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    RejectCode.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    RejectCode.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    RejectCode.FINISHED: (-2011, "Unknown order sent."),
    RejectCode.TOO_MANY: (-2025, "Reach max open order limit."),
    RejectCode.SELF_TRADE: (-2010, "NEW_ORDER_REJECTED"),
    RejectCode.MALFORMED: (-4003, "Quantity less than or equal to zero."),
}


def number(amount: Decimal) -> str:
    """With the digits that it has."""
    return f"{amount:f}"


def is_conditional(order: OrderView) -> bool:
    """Whether the algo service has it, or had it before it triggered."""
    return order.ticket.kind in STOPS


def is_order(order: OrderView) -> bool:
    """Whether it has come to the book."""
    return (
        not is_conditional(order)
        or bool(order.filled)
        or order.status
        not in (
            Status.UNTRIGGERED,
            Status.CANCELLED,
            Status.REJECTED,
        )
    )


def order_row(order: OrderView) -> dict[str, object]:
    """As all calls about orders give it."""
    ticket = order.ticket
    return {
        "orderId": order.order_id,
        "symbol": ticket.symbol,
        "status": status(order),
        "clientOrderId": ticket.client_id,
        "price": number(ticket.price or Decimal(0)),
        "avgPrice": _average(order),
        "origQty": number(ticket.size),
        "executedQty": number(order.filled),
        "cumQty": number(order.filled),
        "cumQuote": number(order.filled_value),
        "timeInForce": lifetime(ticket),
        "type": _type_in_book(ticket),
        "reduceOnly": ticket.reduce_only,
        "closePosition": False,
        "side": _side(ticket),
        "positionSide": "BOTH",
        "stopPrice": number(ticket.stop_price or Decimal(0)),
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "selfTradePreventionMode": self_trade(ticket),
        "goodTillDate": milliseconds(ticket.expires_ns),
        "priceProtect": False,
        "origType": TYPES[ticket.kind],
        "time": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
    }


def acknowledged(order: OrderView) -> dict[str, object]:
    """The answer ACK: as it was when it came."""
    zeros = dict.fromkeys(("executedQty", "cumQty", "cumQuote"), "0")
    return order_row(order) | zeros | {"status": "NEW", "avgPrice": "0.00"}


def algo_row(order: OrderView) -> dict[str, object]:
    """A conditional order."""
    ticket = order.ticket
    triggered = is_order(order)
    return {
        "algoId": algo_id(order),
        "clientAlgoId": ticket.client_id,
        "algoType": "CONDITIONAL",
        "orderType": TYPES[ticket.kind],
        "symbol": ticket.symbol,
        "side": _side(ticket),
        "positionSide": "BOTH",
        "timeInForce": lifetime(ticket),
        "quantity": number(ticket.size),
        "algoStatus": algo_status(order),
        "actualOrderId": str(order.order_id) if triggered else "",
        "actualPrice": _average(order),
        "triggerPrice": number(ticket.stop_price or Decimal(0)),
        "price": number(ticket.price or Decimal(0)),
        "icebergQuantity": None,
        "selfTradePreventionMode": self_trade(ticket),
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": ticket.reduce_only,
        "createTime": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
        "triggerTime": milliseconds(order.updated_ns) if triggered else 0,
        "goodTillDate": milliseconds(ticket.expires_ns),
    }


def algo_id(order: OrderView) -> int:
    """Of a conditional order."""
    return ALGO_ID_FIRST + order.order_id


def algo_status(order: OrderView) -> str:
    """What was cancelled after some of it was filled had triggered."""
    return "FINISHED" if order.is_final and order.filled else ALGO_STATUSES[order.status]


def lifetime(ticket: OrderTicket) -> str:
    """``GTX`` is what others call post-only."""
    return "GTX" if ticket.post_only else LIFETIMES[ticket.lifetime]


def fill_row(fill: FillView) -> dict[str, object]:
    """As userTrades gives it. What it has realized is not known here."""
    return {
        "symbol": fill.order.ticket.symbol,
        "id": fill.trade_id,
        "orderId": fill.order.order_id,
        "side": _side(fill.order.ticket),
        "price": number(fill.price),
        "qty": number(fill.size),
        "realizedPnl": "0",
        "quoteQty": number(fill.price * fill.size),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.time_ns),
        "positionSide": "BOTH",
        "buyer": fill.order.ticket.buys,
        "maker": fill.is_maker,
    }


def order_update(event: OrderChanged, now_ms: int) -> dict[str, object]:
    """``{"e":"ORDER_TRADE_UPDATE","E","T","o":{…}}``"""
    order, fill, ticket = event.order, event.fill, event.order.ticket
    zero = Decimal(0)
    time_ms = milliseconds(order.updated_ns if fill is None else fill.time_ns)
    said = status(order)
    row: dict[str, object] = {
        "s": ticket.symbol,
        "c": ticket.client_id,
        "S": _side(ticket),
        "o": _type_in_book(ticket),
        "f": lifetime(ticket),
        "q": number(ticket.size),
        "p": number(ticket.price or zero),
        "ap": _average(order),
        "sp": number(ticket.stop_price or zero),
        "x": "AMENDMENT" if event.cause is Cause.AMENDED else EXECUTIONS[event.cause],
        "X": said,
        "i": order.order_id,
        "l": number(fill.size if fill is not None else zero),
        "z": number(order.filled),
        "L": number(fill.price if fill is not None else zero),
        "T": time_ms,
        "t": fill.trade_id if fill is not None else 0,
        "b": "0",
        "a": "0",
        "m": fill is not None and fill.is_maker,
        "R": ticket.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": TYPES[ticket.kind],
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": self_trade(ticket),
        "pm": "NONE",
        "gtd": milliseconds(ticket.expires_ns),
    }
    if said == IN_MATCH:
        row["x"] = "EXPIRED"
    if fill is not None:
        row |= {"n": number(fill.fee), "N": fill.fee_asset}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": time_ms, "o": row}


def algo_update(order: OrderView, now_ms: int) -> dict[str, object]:
    """``{"e":"ALGO_UPDATE","E","T","o":{…}}``"""
    ticket = order.ticket
    triggered = is_order(order)
    row = {
        "caid": ticket.client_id,
        "aid": algo_id(order),
        "at": "CONDITIONAL",
        "o": TYPES[ticket.kind],
        "s": ticket.symbol,
        "S": _side(ticket),
        "ps": "BOTH",
        "f": lifetime(ticket),
        "q": number(ticket.size),
        "X": algo_status(order),
        "ai": str(order.order_id) if triggered else "",
        "ap": _average(order),
        "aq": number(order.filled),
        "act": _type_in_book(ticket) if triggered else "0",
        "tp": number(ticket.stop_price or Decimal(0)),
        "p": number(ticket.price or Decimal(0)),
        "V": self_trade(ticket),
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": False,
        "pP": False,
        "R": ticket.reduce_only,
        "tt": milliseconds(order.updated_ns) if triggered else 0,
        "gtd": milliseconds(ticket.expires_ns),
        "rm": "",
    }
    time_ms = milliseconds(order.updated_ns)
    return {"e": "ALGO_UPDATE", "T": time_ms, "E": now_ms, "o": row}


def balance_update(event: BalanceChanged, now_ms: int) -> dict[str, object]:
    """``{"e":"ACCOUNT_UPDATE",…}`` of one asset."""
    total = number(event.balance.total)
    asset = event.balance.asset
    row: dict[str, object] = {"a": asset, "wb": total, "cw": total, "bc": "0"}
    return account_update(event.why, now_ms, [row], [])


def position_update(position: PositionView, why: str, now_ms: int) -> dict[str, object]:
    """``{"e":"ACCOUNT_UPDATE",…}`` of one position."""
    row: dict[str, object] = {
        "s": position.symbol,
        "pa": number(position.size),
        "ep": number(position.entry_price),
        "bep": number(position.entry_price),
        "cr": number(position.realized),
        "up": number(position.unrealized),
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
        "ma": "USDT",
    }
    return account_update(why, now_ms, [], [row])


def account_update(
    why: str, now_ms: int, balances: list[dict[str, object]], positions: list[dict[str, object]]
) -> dict[str, object]:
    """Of what has changed."""
    changes = {"m": REASONS.get(why, "ORDER"), "B": balances, "P": positions}
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": changes}


def _type_in_book(ticket: OrderTicket) -> str:
    return "LIMIT" if ticket.kind in PRICED else "MARKET"


def _side(ticket: OrderTicket) -> str:
    return "BUY" if ticket.buys else "SELL"


def _average(order: OrderView) -> str:
    return f"{order.filled_value / order.filled:.8f}" if order.filled else "0.00"
