"""Orders, executions and wallets as Bybit writes them, over REST and websocket alike.

Documentation: https://bybit-exchange.github.io/docs/v5/order/open-order
Bybit writes numbers as texts, and has texts that are empty where a number is not known.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.order_types import WITH_PRICE
from kit.simulator.dialect import MarketView
from kit.simulator.exchange.listings_and_prices import in_dollars
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    OrderStatus,
    OrderView,
    RejectCode,
    SelfTradeMode,
)
from kit.simulator.text_conversion import plain, whole

ORDER_IDS_BEGIN = 1_900_000_000_000_000_000
"""Before the engine's own number, so that ids are as long as Bybit's."""
ID_DIGITS_MAX = 24
ZERO = Decimal(0)
RATE_STEP = Decimal("0.00000001")

Row = dict[str, object]
OPEN_STATUSES = {
    OrderStatus.UNTRIGGERED: "Untriggered",
    OrderStatus.OPEN: "New",
    OrderStatus.PARTLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
}
REASONS = {
    RejectCode.WOULD_TAKE: "EC_PostOnlyWillTakeLiquidity",
    RejectCode.WOULD_NOT_FILL: "EC_CancelForNoFullFill",
    RejectCode.SELF_TRADE: "EC_BySelfMatch",
}
SELF_TRADES = {
    SelfTradeMode.ALLOW: "None",
    SelfTradeMode.CANCEL_OLDEST: "CancelMaker",
    SelfTradeMode.CANCEL_NEWEST: "CancelTaker",
    SelfTradeMode.CANCEL_BOTH: "CancelBoth",
}
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}


def order_id(order: OrderView) -> str:
    """``1900000000000000007``"""
    return str(ORDER_IDS_BEGIN + order.order_id)


def order_number(text: str) -> int:
    """The engine's number in an order id; 0, which no order has, when it is none of ours."""
    return max((whole(text, ID_DIGITS_MAX) or 0) - ORDER_IDS_BEGIN, 0)


def order_status(order: OrderView) -> str:
    """``PartiallyFilledCanceled`` is of spot orders alone."""
    if order.status in OPEN_STATUSES:
        return OPEN_STATUSES[order.status]
    if order.filled:
        return "PartiallyFilledCanceled"
    if order.ticket.stop_price is not None:
        return "Deactivated" if order.why is None else "Rejected"
    return "Rejected" if order.status is OrderStatus.REJECTED else "Cancelled"


def order_row(order: OrderView, fills: Sequence[FillView], stop_type: str) -> Row:
    """An order. ``fills`` are its own; ``stop_type`` is ``Stop`` or ``tpslOrder``, empty of an
    ordinary one."""
    ticket, filled = order.ticket, order.filled
    quantity = ticket.size if ticket.value is None else ticket.value
    left = order.left if not order.is_final else ZERO
    by_value = "quoteCoin" if ticket.value is not None else "baseCoin"
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        fees[fill.fee_asset] += fill.fee
    paid = {asset: plain(fee) for asset, fee in fees.items()}
    return {
        "orderId": order_id(order),
        "orderLinkId": ticket.client_order_id,
        "blockTradeId": "",
        "symbol": ticket.symbol,
        "price": plain(ticket.price or ZERO),
        "qty": plain(quantity),
        "side": "Buy" if ticket.buys else "Sell",
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": order_status(order),
        "cancelType": _cancel_type(order),
        "rejectReason": _reason(order),
        "avgPrice": plain(_average(order)) if filled else "",
        "leavesQty": plain(left),
        "leavesValue": plain(left * ticket.price if ticket.price else ZERO),
        "cumExecQty": plain(filled),
        "cumExecValue": plain(order.filled_value),
        "cumExecFee": next(iter(paid.values()), "0"),
        "timeInForce": "PostOnly" if ticket.post_only else TIMES_IN_FORCE[ticket.time_in_force],
        "orderType": "Limit" if ticket.type in WITH_PRICE else "Market",
        "stopOrderType": stop_type,
        "orderIv": "",
        "marketUnit": "" if ticket.type in WITH_PRICE else by_value,
        "triggerPrice": plain(ticket.stop_price or ZERO),
        "takeProfit": "0",
        "stopLoss": "0",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "basePrice": "",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": SELF_TRADES[ticket.self_trade or SelfTradeMode.ALLOW],
        "smpGroup": 0,
        "smpOrderId": "",
        "createdTime": milliseconds(order.created_ns),
        "updatedTime": milliseconds(order.updated_ns),
        "cumFeeDetail": paid,
    }


def execution_row(fill: FillView, stop_type: str) -> Row:
    """A fill. Its id is that of the public trade."""
    ticket, value = fill.order.ticket, fill.price * fill.size
    paid_on = fill.size if ticket.symbol.startswith(fill.fee_asset) else value
    return {
        "symbol": ticket.symbol,
        "orderId": order_id(fill.order),
        "orderLinkId": ticket.client_order_id,
        "side": "Buy" if ticket.buys else "Sell",
        "orderPrice": plain(ticket.price or ZERO),
        "orderQty": plain(ticket.size if ticket.value is None else ticket.value),
        "leavesQty": plain(fill.order.left),
        "orderType": "Limit" if ticket.type in WITH_PRICE else "Market",
        "stopOrderType": stop_type,
        "execFee": plain(fill.fee),
        "execId": str(fill.trade_id),
        "execPrice": plain(fill.price),
        "execQty": plain(fill.size),
        "execType": "Trade",
        "execValue": plain(value),
        "execTime": milliseconds(fill.time_ns),
        "feeCurrency": fill.fee_asset,
        "isMaker": fill.is_maker,
        "feeRate": plain((fill.fee / paid_on).quantize(RATE_STEP)) if paid_on else "0",
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "extraFees": "",
        "seq": fill.trade_id,
    }


def wallet_row(balances: Sequence[BalanceView], market_view: MarketView) -> Row:
    """A unified account with these coins. Bybit leaves ``availableToWithdraw`` empty."""
    coins = [_coin(balance, market_view) for balance in balances]
    worth = plain(sum((_worth(one.asset, one.total, market_view) for one in balances), ZERO))
    free = plain(sum((_worth(one.asset, one.free, market_view) for one in balances), ZERO))
    none = dict.fromkeys(
        (
            "accountIMRate",
            "accountIMRateByMp",
            "accountMMRate",
            "accountMMRateByMp",
            "totalPerpUPL",
            "totalInitialMargin",
            "totalInitialMarginByMp",
            "totalMaintenanceMargin",
            "totalMaintenanceMarginByMp",
            "accountLTV",
        ),
        "0",
    )
    return {
        **none,
        "totalEquity": worth,
        "totalWalletBalance": worth,
        "totalMarginBalance": worth,
        "totalAvailableBalance": free,
        "accountType": "UNIFIED",
        "coin": coins,
    }


def _coin(balance: BalanceView, market_view: MarketView) -> Row:
    total = plain(balance.total)
    return {
        "coin": balance.asset,
        "equity": total,
        "usdValue": plain(_worth(balance.asset, balance.total, market_view)),
        "walletBalance": total,
        "locked": plain(balance.locked),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }


def _worth(asset: str, amount: Decimal, market_view: MarketView) -> Decimal:
    """In dollars, by the last trade; 0 of what does not trade against them."""
    return in_dollars(amount, asset, f"{asset}USDT", market_view).quantize(RATE_STEP)


def _average(order: OrderView) -> Decimal:
    return (order.filled_value / order.filled).quantize(RATE_STEP)


def _reason(order: OrderView) -> str:
    if order.why is not None:
        return REASONS.get(order.why, "EC_Others")
    return "EC_NoImmediateQtyToFill" if order.status is OrderStatus.EXPIRED else "EC_NoError"


def _cancel_type(order: OrderView) -> str:
    if order.why is RejectCode.SELF_TRADE:
        return "CancelBySmp"
    by_user = order.status is OrderStatus.CANCELLED and order.why is None
    return "CancelByUser" if by_user else "UNKNOWN"


def user_id(account: str) -> int:
    """An account's number, always the same."""
    return 10_000_000 + int.from_bytes(hashlib.sha256(account.encode()).digest()[:3], "big")


def milliseconds(time_ns: int) -> str:
    return str(time_ns // NANOSECONDS_PER_MILLISECOND)
