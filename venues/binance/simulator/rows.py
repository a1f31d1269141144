"""Orders and fills as spot and USD-M futures write them.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
and https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
A stop of futures is a conditional order of the algo service until it triggers; then it is an order
like any other, under the same client id.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.contract import OrderType, TimeInForce
from kit.execution.order_types import CONDITIONAL, WITH_PRICE
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    MatchingRules,
    OrderStatus,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
    SelfTradeMode,
)

STATUSES: Mapping[OrderStatus, str] = {
    OrderStatus.UNTRIGGERED: "NEW",
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
SPOT_TYPES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_LOSS",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP_LOSS_LIMIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
    orders_pb2.ORDER_TYPE_TRAILING_STOP: "STOP_LOSS",
}
FUTURES_TYPES: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_MARKET: "MARKET",
    orders_pb2.ORDER_TYPE_LIMIT: "LIMIT",
    orders_pb2.ORDER_TYPE_STOP: "STOP_MARKET",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "STOP",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
    orders_pb2.ORDER_TYPE_TRAILING_STOP: "TRAILING_STOP_MARKET",
}
FUTURES_TIMES_IN_FORCE: Mapping[TimeInForce, str] = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTD",
}
SPOT_TIMES_IN_FORCE = {**FUTURES_TIMES_IN_FORCE, orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTC"}
ALGO_ID_FIRST = 1_000_000_000
"""The id of a conditional order is the engine's and this, so that none is an order's too."""
ALGO_STATUSES: Mapping[OrderStatus, str] = {
    OrderStatus.UNTRIGGERED: "NEW",
    OrderStatus.OPEN: "TRIGGERED",
    OrderStatus.PARTLY_FILLED: "TRIGGERED",
    OrderStatus.FILLED: "FINISHED",
    OrderStatus.CANCELLED: "CANCELED",
    OrderStatus.EXPIRED: "FINISHED",
    OrderStatus.REJECTED: "REJECTED",
}
NO_LIST = -1
IN_MATCH = "EXPIRED_IN_MATCH"
SELF_TRADES: Mapping[SelfTradeMode, str] = {
    SelfTradeMode.ALLOW: "NONE",
    SelfTradeMode.CANCEL_OLDEST: "EXPIRE_MAKER",
    SelfTradeMode.CANCEL_NEWEST: "EXPIRE_TAKER",
    SelfTradeMode.CANCEL_BOTH: "EXPIRE_BOTH",
}
SELF_TRADE_DEFAULT = SelfTradeMode.CANCEL_OLDEST
ZERO = Decimal(0)
NOTIONAL_CAP = 1_000_000_000
Row = dict[str, object]


def padded_number(number: Decimal) -> str:
    """With eight places, as spot writes numbers."""
    return f"{number:.8f}"


def plain_number(number: Decimal) -> str:
    """With the digits that it has, as futures write numbers."""
    return f"{number:f}"


def milliseconds(time_ns: int) -> int:
    return time_ns // NANOSECONDS_PER_MILLISECOND


def side_of(ticket: OrderTicket) -> str:
    """``BUY`` or ``SELL``"""
    return "BUY" if ticket.buys else "SELL"


def order_type(ticket: OrderTicket) -> str:
    """The type of an order of spot; a post-only order is a ``LIMIT_MAKER``."""
    if ticket.post_only and ticket.type == orders_pb2.ORDER_TYPE_LIMIT:
        return "LIMIT_MAKER"
    return SPOT_TYPES[ticket.type]


def order_status(order: OrderView) -> str:
    """``EXPIRED_IN_MATCH`` when it would have traded with an order of its own account."""
    ended = order.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    return IN_MATCH if ended and order.why is RejectCode.SELF_TRADE else STATUSES[order.status]


def self_trade_mode(ticket: OrderTicket) -> str:
    """``selfTradePreventionMode``"""
    return SELF_TRADES[ticket.self_trade or SELF_TRADE_DEFAULT]


def order_row(order: OrderView) -> Row:
    """An order of spot in the answer to a query."""
    created_ms = milliseconds(order.created_ns)
    ticket = order.ticket
    row: Row = {
        "symbol": ticket.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": ticket.client_order_id,
        "stopPrice": padded_number(ticket.stop_price or ZERO),
        "icebergQty": padded_number(ZERO),
        "time": created_ms,
        "updateTime": milliseconds(order.updated_ns),
        "isWorking": order.status is not OrderStatus.UNTRIGGERED,
        "workingTime": -1 if order.status is OrderStatus.UNTRIGGERED else created_ms,
    }
    return row | _state(order)


def placed_row(order: OrderView, fills: Iterable[FillView] | None) -> Row:
    """A placed order of spot: RESULT, or with fills FULL."""
    row = acknowledged_row(order) | _state(order)
    ticket = order.ticket
    if ticket.stop_price is not None:
        row["stopPrice"] = padded_number(ticket.stop_price)
    row["workingTime"] = -1 if order.status is OrderStatus.UNTRIGGERED else row["transactTime"]
    if fills is not None:
        row["fills"] = [
            {
                "price": padded_number(fill.price),
                "qty": padded_number(fill.size),
                "commission": padded_number(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    return row


def acknowledged_row(order: OrderView) -> Row:
    """A placed order of spot: ACK."""
    return {
        "symbol": order.ticket.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.ticket.client_order_id,
        "transactTime": milliseconds(order.updated_ns),
    }


def cancelled_row(order: OrderView, cancel_id: str) -> Row:
    """A cancelled order of spot; ``clientOrderId`` is the id of the cancel."""
    return {
        "symbol": order.ticket.symbol,
        "origClientOrderId": order.ticket.client_order_id,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_id,
        "transactTime": milliseconds(order.updated_ns),
    } | _state(order)


def fill_row(fill: FillView) -> Row:
    """A fill of ``myTrades``."""
    sides = {"isBuyer": fill.order.ticket.buys, "isMaker": fill.is_maker}
    return _fill_row(fill, padded_number) | sides | {"orderListId": NO_LIST, "isBestMatch": True}


def futures_fill_row(fill: FillView) -> Row:
    """A fill of ``userTrades``."""
    ticket = fill.order.ticket
    sides = {"side": side_of(ticket), "buyer": ticket.buys, "maker": fill.is_maker}
    profit = {"positionSide": "BOTH", "realizedPnl": plain_number(fill.profit)}
    return _fill_row(fill, plain_number) | sides | profit


def is_conditional(order: OrderView) -> bool:
    """Whether it is an order of the algo service, or was one before it triggered."""
    return order.ticket.type in CONDITIONAL


def is_order(order: OrderView) -> bool:
    """Whether it has reached the book."""
    waiting = (OrderStatus.UNTRIGGERED, OrderStatus.CANCELLED, OrderStatus.REJECTED)
    return not is_conditional(order) or bool(order.filled) or order.status not in waiting


def futures_order_row(order: OrderView) -> Row:
    """An order of futures in every answer."""
    ticket = order.ticket
    return {
        "orderId": order.order_id,
        "symbol": ticket.symbol,
        "status": order_status(order),
        "clientOrderId": ticket.client_order_id,
        "price": plain_number(ticket.price or ZERO),
        "avgPrice": average_price(order),
        "origQty": plain_number(ticket.size),
        "executedQty": plain_number(order.filled),
        "cumQty": plain_number(order.filled),
        "cumQuote": plain_number(order.filled_value),
        "timeInForce": time_in_force(ticket),
        "type": type_in_book(ticket),
        "reduceOnly": ticket.reduce_only,
        "closePosition": False,
        "side": side_of(ticket),
        "positionSide": "BOTH",
        "stopPrice": plain_number(ticket.stop_price or ZERO),
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "selfTradePreventionMode": self_trade_mode(ticket),
        "goodTillDate": milliseconds(ticket.expire_time_ns),
        "priceProtect": False,
        "origType": FUTURES_TYPES[ticket.type],
        "time": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
    }


def futures_acknowledged_row(order: OrderView) -> Row:
    """A placed order of futures: ACK, which shows no fills."""
    zeros = dict.fromkeys(("executedQty", "cumQty", "cumQuote"), "0")
    return futures_order_row(order) | zeros | {"status": "NEW", "avgPrice": "0.00"}


def algo_row(order: OrderView) -> Row:
    ticket = order.ticket
    triggered = is_order(order)
    return {
        "algoId": algo_id(order),
        "clientAlgoId": ticket.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": FUTURES_TYPES[ticket.type],
        "symbol": ticket.symbol,
        "side": side_of(ticket),
        "positionSide": "BOTH",
        "timeInForce": time_in_force(ticket),
        "quantity": plain_number(ticket.size),
        "algoStatus": algo_status(order),
        "actualOrderId": str(order.order_id) if triggered else "",
        "actualPrice": average_price(order),
        "triggerPrice": plain_number(ticket.stop_price or ZERO),
        "price": plain_number(ticket.price or ZERO),
        "icebergQuantity": None,
        "selfTradePreventionMode": self_trade_mode(ticket),
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": ticket.reduce_only,
        "createTime": milliseconds(order.created_ns),
        "updateTime": milliseconds(order.updated_ns),
        "triggerTime": milliseconds(order.updated_ns) if triggered else 0,
        "goodTillDate": milliseconds(ticket.expire_time_ns),
    }


def algo_id(order: OrderView) -> int:
    """The id of a conditional order."""
    return ALGO_ID_FIRST + order.order_id


def algo_status(order: OrderView) -> str:
    """A cancelled order with fills had triggered, so it is finished."""
    return "FINISHED" if order.is_final and order.filled else ALGO_STATUSES[order.status]


def time_in_force(ticket: OrderTicket) -> str:
    """``timeInForce`` of futures; a post-only order has ``GTX``."""
    return "GTX" if ticket.post_only else FUTURES_TIMES_IN_FORCE[ticket.time_in_force]


def type_in_book(ticket: OrderTicket) -> str:
    """The type of an order of futures in the book."""
    return "LIMIT" if ticket.type in WITH_PRICE else "MARKET"


def average_price(order: OrderView) -> str:
    """``avgPrice`` of futures"""
    return f"{order.filled_value / order.filled:.8f}" if order.filled else "0.00"


def leverage(rules: MatchingRules) -> int:
    """The leverage of all accounts."""
    return int(1 / rules.initial_margin)


def position_row(position: PositionView, rules: MatchingRules, now_ms: int) -> Row:
    """A position of futures. Account and positionRisk name the gain differently."""
    notional = position.size * position.mark_price
    margin, gain = plain_number(position.margin), plain_number(position.unrealized)
    return {
        "symbol": position.symbol,
        "positionSide": "BOTH",
        "positionAmt": plain_number(position.size),
        "entryPrice": plain_number(position.entry_price),
        "breakEvenPrice": plain_number(position.entry_price),
        "markPrice": plain_number(position.mark_price),
        "unRealizedProfit": gain,
        "unrealizedProfit": gain,
        "liquidationPrice": plain_number(position.liquidation_price or ZERO),
        **dict.fromkeys(("isolatedMargin", "isolatedWallet"), "0"),
        "isolated": False,
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "leverage": str(leverage(rules)),
        "maxNotionalValue": str(NOTIONAL_CAP),
        "notional": plain_number(notional),
        "marginAsset": "USDT",
        "initialMargin": margin,
        "maintMargin": plain_number(abs(notional) * rules.maintenance_margin),
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "adl": 0,
        **dict.fromkeys(("bidNotional", "askNotional"), "0"),
        "updateTime": now_ms,
    }


def asset_row(balance: BalanceView, gain: Decimal, now_ms: int) -> Row:
    """A balance of futures; gains are in USDT, which settles all contracts."""
    gain = gain if balance.asset == "USDT" else ZERO
    wallet, locked = plain_number(balance.total), plain_number(balance.locked)
    free = plain_number(max(balance.free + min(gain, ZERO), ZERO))
    return {
        "asset": balance.asset,
        "walletBalance": wallet,
        "unrealizedProfit": plain_number(gain),
        "marginBalance": plain_number(balance.total + gain),
        "maintMargin": "0",
        "initialMargin": locked,
        "positionInitialMargin": locked,
        "openOrderInitialMargin": "0",
        "crossWalletBalance": wallet,
        "crossUnPnl": plain_number(gain),
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "updateTime": now_ms,
    }


def _fill_row(fill: FillView, number: Callable[[Decimal], str]) -> Row:
    return {
        "symbol": fill.order.ticket.symbol,
        "id": fill.trade_id,
        "orderId": fill.order.order_id,
        "price": number(fill.price),
        "qty": number(fill.size),
        "quoteQty": number(fill.price * fill.size),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.time_ns),
    }


def _state(order: OrderView) -> Row:
    ticket = order.ticket
    return {
        "price": padded_number(ticket.price or ZERO),
        "origQty": padded_number(order.ticket.size),
        "executedQty": padded_number(order.filled),
        "origQuoteOrderQty": padded_number(ticket.value or ZERO),
        "cummulativeQuoteQty": padded_number(order.filled_value),
        "status": order_status(order),
        "timeInForce": SPOT_TIMES_IN_FORCE[ticket.time_in_force]
        if ticket.type != orders_pb2.ORDER_TYPE_MARKET
        else "GTC",
        "type": order_type(ticket),
        "side": side_of(ticket),
        "selfTradePreventionMode": self_trade_mode(ticket),
    }
