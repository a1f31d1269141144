"""Orders, fills and accounts as Advanced Trade writes them; and ids as both APIs do.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/get-order
All ids are UUIDs: the engine's own number, so stirred that it can be told again from them.
"""

import uuid
from collections.abc import Sequence
from decimal import Decimal

from kit.simulator.dialect import MarketView
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    Lifetime,
    OrderKind,
    OrderView,
    RejectCode,
    Status,
)
from kit.simulator.texts import plain
from venues.coinbase.simulator.answers import FIAT, NAMES
from venues.coinbase.simulator.times import micro_text

SPACE = 2**128
FACTOR = 0x9E3779B97F4A7C15F39CC0605CEDC835
UNDO = pow(FACTOR, -1, SPACE)
NUMBERS_MAX = 2**48
AVERAGE_PLACES = 16
ZERO = Decimal(0)

Row = dict[str, object]
STATUSES = {
    Status.UNTRIGGERED: "OPEN",
    Status.OPEN: "OPEN",
    Status.PARTLY_FILLED: "OPEN",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
    Status.REJECTED: "FAILED",
}
LIFETIMES = {
    Lifetime.GOOD_TILL_CANCEL: "GOOD_UNTIL_CANCELLED",
    Lifetime.GOOD_TILL_TIME: "GOOD_UNTIL_DATE_TIME",
    Lifetime.IMMEDIATE_OR_CANCEL: "IMMEDIATE_OR_CANCEL",
    Lifetime.FILL_OR_KILL: "FILL_OR_KILL",
}
SHORT_LIFETIMES = {
    Lifetime.GOOD_TILL_CANCEL: "GTC",
    Lifetime.GOOD_TILL_TIME: "GTD",
    Lifetime.IMMEDIATE_OR_CANCEL: "IOC",
    Lifetime.FILL_OR_KILL: "FOK",
}
REASONS = {
    RejectCode.SELF_TRADE: "Self trade prevention",
    RejectCode.WOULD_NOT_FILL: "Fill or kill",
}
ORDERS, FILLS, ACCOUNTS, USERS = range(4)
"""Kinds of things that have ids."""


def made_id(kind: int, number: int) -> str:
    """A UUID for the thing of this number."""
    return str(uuid.UUID(int=(number * 4 + kind) * FACTOR % SPACE))


def number_of(kind: int, text: str) -> int:
    """The number in an id; 0, which nothing has, when it is none of ours."""
    try:
        value = uuid.UUID(text).int * UNDO % SPACE
    except ValueError:
        return 0
    number, found = divmod(value, 4)
    return number if found == kind and number < NUMBERS_MAX else 0


def order_id(order: OrderView) -> str:
    """Of an order."""
    return made_id(ORDERS, order.order_id)


def fill_id(fill: FillView) -> str:
    """Of one side of a trade."""
    return made_id(FILLS, fill.trade_id * 2 + fill.is_maker)


def status(order: OrderView) -> str:
    """What an immediate order leaves is cancelled; what has waited too long is expired."""
    expired = order.status is Status.EXPIRED
    waited = order.ticket.lifetime is Lifetime.GOOD_TILL_TIME
    return "EXPIRED" if expired and waited else STATUSES[order.status]


def order_type(order: OrderView) -> str:
    """``LIMIT``"""
    if order.ticket.stop_price is not None:
        return "STOP_LIMIT"
    return "MARKET" if order.ticket.kind is OrderKind.MARKET else "LIMIT"


def configuration(order: OrderView) -> Row:
    """What was ordered, in the form in which it is ordered."""
    ticket = order.ticket
    if ticket.kind is OrderKind.MARKET:
        if ticket.value is not None:
            return {"market_market_ioc": {"quote_size": plain(ticket.value)}}
        return {"market_market_ioc": {"base_size": plain(ticket.size)}}
    ends = {"end_time": micro_text(ticket.expires_ns)} if ticket.expires_ns else {}
    name = "gtd" if ends else "gtc"
    limit = {"base_size": plain(ticket.size), "limit_price": plain(ticket.price or ZERO)}
    if ticket.stop_price is not None:
        up = (ticket.kind is OrderKind.STOP_LIMIT) is ticket.buys
        stop: Row = {
            "stop_price": plain(ticket.stop_price),
            "stop_direction": f"STOP_DIRECTION_STOP_{'UP' if up else 'DOWN'}",
        }
        return {f"stop_limit_stop_limit_{name}": {**limit, **stop, **ends}}
    if ticket.lifetime is Lifetime.IMMEDIATE_OR_CANCEL:
        return {"sor_limit_ioc": limit}
    if ticket.lifetime is Lifetime.FILL_OR_KILL:
        return {"limit_limit_fok": limit}
    return {f"limit_limit_{name}": {**limit, "post_only": ticket.post_only, **ends}}


def order_row(order: OrderView, fills: Sequence[FillView], user: str) -> Row:
    """An order over REST. ``fills`` are its own."""
    ticket, fees = order.ticket, sum((fill.fee for fill in fills), ZERO)
    share = order.filled * 100 / ticket.size if ticket.size else ZERO
    sign = 1 if ticket.buys else -1
    return {
        "order_id": order_id(order),
        "product_id": ticket.symbol,
        "user_id": user,
        "order_configuration": configuration(order),
        "side": "BUY" if ticket.buys else "SELL",
        "client_order_id": ticket.client_id,
        "status": status(order),
        "time_in_force": LIFETIMES[ticket.lifetime],
        "created_time": micro_text(order.created_ns),
        "completion_percentage": plain(round(share, 2)),
        "filled_size": plain(order.filled),
        "average_filled_price": plain(average(order)),
        "fee": "",
        "number_of_fills": str(len(fills)),
        "filled_value": plain(order.filled_value),
        "pending_cancel": False,
        "size_in_quote": ticket.value is not None,
        "total_fees": plain(fees),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": plain(order.filled_value + sign * fees),
        "trigger_status": trigger_status(order),
        "order_type": order_type(order),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.status is Status.FILLED,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": cancel_message(order),
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": plain(_held(order)),
        "is_liquidation": False,
        "last_fill_time": micro_text(fills[-1].time_ns) if fills else None,
        "edit_history": [],
    }


def feed_row(order: OrderView, fills: Sequence[FillView], user: str) -> Row:
    """An order on the channel ``user``."""
    ticket, row = order.ticket, order_row(order, fills, user)
    same = (
        "order_id",
        "client_order_id",
        "product_id",
        "product_type",
        "status",
        "completion_percentage",
        "filled_value",
        "number_of_fills",
        "total_fees",
        "total_value_after_fees",
        "trigger_status",
        "outstanding_hold_amount",
    )
    kinds = {"LIMIT": "Limit", "MARKET": "Market", "STOP_LIMIT": "Stop Limit"}
    return {
        **{name: row[name] for name in same},
        "avg_price": row["average_filled_price"],
        "cancel_reason": row["cancel_message"],
        "creation_time": row["created_time"],
        "cumulative_quantity": row["filled_size"],
        "leaves_quantity": plain(ZERO if order.is_final else order.left),
        "limit_price": plain(ticket.price or ZERO),
        "stop_price": plain(ticket.stop_price) if ticket.stop_price is not None else "",
        "order_side": row["side"],
        "order_type": kinds[order_type(order)],
        "post_only": "true" if ticket.post_only else "false",
        "time_in_force": SHORT_LIFETIMES[ticket.lifetime],
        "end_time": micro_text(ticket.expires_ns),
        "start_time": micro_text(0),
        "reject_Reason": "",
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "retail_portfolio_id": user,
    }


def fill_row(fill: FillView, user: str) -> Row:
    """One side of a trade."""
    at = micro_text(fill.time_ns)
    return {
        "entry_id": fill_id(fill).replace("-", ""),
        "trade_id": fill_id(fill),
        "order_id": order_id(fill.order),
        "trade_time": at,
        "trade_type": "FILL",
        "price": plain(fill.price),
        "size": plain(fill.size),
        "commission": plain(fill.fee),
        "product_id": fill.order.ticket.symbol,
        "sequence_timestamp": at,
        "liquidity_indicator": "MAKER" if fill.is_maker else "TAKER",
        "size_in_quote": False,
        "user_id": user,
        "side": "BUY" if fill.order.ticket.buys else "SELL",
        "retail_portfolio_id": user,
    }


def account_row(balance: BalanceView, market_view: MarketView, user: str) -> Row:
    """What is held of one asset."""
    asset, at = balance.asset, micro_text(0)
    return {
        "uuid": made_id(ACCOUNTS, int.from_bytes(asset.encode()[:5], "big")),
        "name": f"{NAMES.get(asset, asset)} Wallet",
        "currency": asset,
        "available_balance": {"value": plain(balance.free), "currency": asset},
        "default": True,
        "active": True,
        "created_at": at,
        "updated_at": micro_text(market_view.time_ns()),
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if asset in FIAT else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": plain(balance.locked), "currency": asset},
        "retail_portfolio_id": user,
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


def old_account_row(balance: BalanceView) -> Row:
    """The same in the words of the older API."""
    asset = balance.asset
    kind = "fiat" if asset in FIAT else "crypto"
    return {
        "id": asset,
        "name": f"{NAMES.get(asset, asset)} Wallet",
        "primary": False,
        "type": "fiat" if asset in FIAT else "wallet",
        "currency": {"code": asset, "name": NAMES.get(asset, asset), "type": kind},
        "balance": {"amount": plain(balance.total), "currency": asset},
        "created_at": micro_text(0),
        "updated_at": micro_text(0),
        "resource": "account",
        "resource_path": f"/v2/accounts/{asset}",
        "allow_deposits": True,
        "allow_withdrawals": True,
    }


def user_id(account: str) -> str:
    """Of an account, always the same."""
    return made_id(USERS, int.from_bytes(account.encode()[:5], "big"))


def average(order: OrderView) -> Decimal:
    """Price of what is filled."""
    return round(order.filled_value / order.filled, AVERAGE_PLACES) if order.filled else ZERO


def trigger_status(order: OrderView) -> str:
    """Of a stop order."""
    if order.ticket.stop_price is None:
        return "INVALID_ORDER_TYPE"
    return "STOP_PENDING" if order.status is Status.UNTRIGGERED else "STOP_TRIGGERED"


def cancel_message(order: OrderView) -> str:
    """Why an order is not open any more."""
    if not order.is_final or order.status is Status.FILLED:
        return ""
    if order.why is not None:
        return REASONS.get(order.why, order.why.value)
    return "" if order.status is Status.EXPIRED else "User requested cancel"


def _held(order: OrderView) -> Decimal:
    if order.is_final or order.ticket.price is None:
        return ZERO
    return order.left * order.ticket.price if order.ticket.buys else order.left
