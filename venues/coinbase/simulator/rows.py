"""Orders, fills, accounts and ids as Coinbase's two APIs write them.

Documentation:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/get-order
https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/orders/get-single-order
All ids are UUIDs. An id is the number of the engine times a constant, so it can be reversed.
"""

import uuid
from collections.abc import Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.dialect import MarketView
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    OrderStatus,
    OrderView,
    RejectCode,
)
from kit.simulator.text_conversion import plain
from venues.coinbase.simulator.candles import micro_text
from venues.coinbase.simulator.instruments import FIAT, asset_name
from venues.coinbase.simulator.rest import Row

SPACE = 2**128
FACTOR = 0x9E3779B97F4A7C15F39CC0605CEDC835
UNDO = pow(FACTOR, -1, SPACE)
NUMBERS_MAX = 2**48
AVERAGE_PLACES = 16
ZERO = Decimal(0)

STATUSES = {
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELLED",
    OrderStatus.EXPIRED: "CANCELLED",
    OrderStatus.REJECTED: "FAILED",
}
"""Of orders that are final; all others are open."""
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: ("GOOD_UNTIL_CANCELLED", "GTC"),
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: ("GOOD_UNTIL_DATE_TIME", "GTD"),
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: ("IMMEDIATE_OR_CANCEL", "IOC"),
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: ("FILL_OR_KILL", "FOK"),
}
"""The time in force over REST and on the feed."""
IDS = ("order_id", "client_order_id", "product_id", "product_type")
SHARED_FIELDS = (*IDS, "status", "filled_value", "total_fees", "trigger_status")
"""What an order of Advanced Trade has over REST and on the feed."""
REASONS = {
    RejectCode.SELF_TRADE: "Self trade prevention",
    RejectCode.WOULD_NOT_FILL: "Fill or kill",
}
ORDERS, FILLS, ACCOUNTS, USERS = range(4)
"""Kinds of ids."""


def made_id(kind: int, number: int) -> str:
    """The UUID of a number."""
    return str(uuid.UUID(int=(number * 4 + kind) * FACTOR % SPACE))


def number_of(kind: int, text: str) -> int:
    """The number in a UUID; 0, which is no number of the engine, for any other text."""
    try:
        value = uuid.UUID(text).int * UNDO % SPACE
    except ValueError:
        return 0
    number, found = divmod(value, 4)
    return number if found == kind and number < NUMBERS_MAX else 0


def order_id(order: OrderView) -> str:
    """The id of an order."""
    return made_id(ORDERS, order.order_id)


def fill_id(fill: FillView) -> str:
    """The id of one side of a trade."""
    return made_id(FILLS, fill.trade_id * 2 + fill.is_maker)


def advanced_status(order: OrderView) -> str:
    """``OPEN``; of expired orders only those with an end time are ``EXPIRED``."""
    expired = order.status is OrderStatus.EXPIRED
    waited = order.ticket.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
    return "EXPIRED" if expired and waited else STATUSES.get(order.status, "OPEN")


def order_type(order: OrderView) -> str:
    """``LIMIT``"""
    if order.ticket.stop_price is not None:
        return "STOP_LIMIT"
    return "MARKET" if order.ticket.type == orders_pb2.ORDER_TYPE_MARKET else "LIMIT"


def configuration(order: OrderView) -> Row:
    """``{"limit_limit_gtc":{"base_size":"1","limit_price":"5","post_only":false}}``"""
    ticket = order.ticket
    if ticket.type == orders_pb2.ORDER_TYPE_MARKET:
        if ticket.value is not None:
            return {"market_market_ioc": {"quote_size": plain(ticket.value)}}
        return {"market_market_ioc": {"base_size": plain(ticket.size)}}
    ends = {"end_time": micro_text(ticket.expire_time_ns)} if ticket.expire_time_ns else {}
    name = "gtd" if ends else "gtc"
    limit = {"base_size": plain(ticket.size), "limit_price": plain(ticket.price or ZERO)}
    if ticket.stop_price is not None:
        up = (ticket.type == orders_pb2.ORDER_TYPE_STOP_LIMIT) is ticket.buys
        stop: Row = {
            "stop_price": plain(ticket.stop_price),
            "stop_direction": f"STOP_DIRECTION_STOP_{'UP' if up else 'DOWN'}",
        }
        return {f"stop_limit_stop_limit_{name}": {**limit, **stop, **ends}}
    if ticket.time_in_force == orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL:
        return {"sor_limit_ioc": limit}
    if ticket.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
        return {"limit_limit_fok": limit}
    return {f"limit_limit_{name}": {**limit, "post_only": ticket.post_only, **ends}}


def advanced_order_row(order: OrderView, fills: Sequence[FillView]) -> Row:
    """An order of Advanced Trade over REST, with its fills."""
    ticket, fees = order.ticket, sum((fill.fee for fill in fills), ZERO)
    average = order.filled_value / order.filled if order.filled else ZERO
    return {
        "order_id": order_id(order),
        "product_id": ticket.symbol,
        "user_id": user_id(order.account),
        "order_configuration": configuration(order),
        "side": "BUY" if ticket.buys else "SELL",
        "client_order_id": ticket.client_order_id,
        "status": advanced_status(order),
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force][0],
        "created_time": micro_text(order.created_ns),
        "filled_size": plain(order.filled),
        "average_filled_price": plain(round(average, AVERAGE_PLACES)),
        "fee": "",
        "filled_value": plain(order.filled_value),
        "size_in_quote": ticket.value is not None,
        "total_fees": plain(fees),
        "trigger_status": trigger_status(order),
        "order_type": order_type(order),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": cancel_message(order),
        "last_fill_time": micro_text(fills[-1].time_ns) if fills else None,
    }


def advanced_feed_row(order: OrderView, fills: Sequence[FillView]) -> Row:
    """An order of Advanced Trade on the channel ``user``, with its fills."""
    ticket, row = order.ticket, advanced_order_row(order, fills)
    kinds = {"LIMIT": "Limit", "MARKET": "Market", "STOP_LIMIT": "Stop Limit"}
    return {
        **{name: row[name] for name in SHARED_FIELDS},
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
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force][1],
        "end_time": micro_text(ticket.expire_time_ns),
    }


def advanced_fill_row(fill: FillView) -> Row:
    """A fill of Advanced Trade."""
    return {
        "entry_id": fill_id(fill).replace("-", ""),
        "trade_id": fill_id(fill),
        "order_id": order_id(fill.order),
        "trade_time": micro_text(fill.time_ns),
        "price": plain(fill.price),
        "size": plain(fill.size),
        "commission": plain(fill.fee),
        "product_id": fill.order.ticket.symbol,
        "liquidity_indicator": "MAKER" if fill.is_maker else "TAKER",
        "size_in_quote": False,
        "user_id": user_id(fill.order.account),
        "side": "BUY" if fill.order.ticket.buys else "SELL",
    }


def advanced_account_row(balance: BalanceView, market_view: MarketView) -> Row:
    """The account of one asset at Advanced Trade."""
    asset = balance.asset
    return {
        "uuid": account_id(asset),
        "name": f"{asset_name(asset)} Wallet",
        "currency": asset,
        "available_balance": {"value": plain(balance.free), "currency": asset},
        "default": True,
        "active": True,
        "created_at": micro_text(0),
        "updated_at": micro_text(market_view.time_ns()),
        "type": "ACCOUNT_TYPE_FIAT" if asset in FIAT else "ACCOUNT_TYPE_CRYPTO",
        "hold": {"value": plain(balance.locked), "currency": asset},
    }


def wallet_row(balance: BalanceView) -> Row:
    """The account of one asset in the older API: the total alone."""
    asset = balance.asset
    kind = "fiat" if asset in FIAT else "crypto"
    return {
        "id": asset,
        "name": f"{asset_name(asset)} Wallet",
        "type": "fiat" if asset in FIAT else "wallet",
        "currency": {"code": asset, "name": asset_name(asset), "type": kind},
        "balance": {"amount": plain(balance.total), "currency": asset},
        "created_at": micro_text(0),
        "updated_at": micro_text(0),
        "resource": "account",
        "resource_path": f"/v2/accounts/{asset}",
    }


def user_id(account: str) -> str:
    """The id of an account's owner."""
    return made_id(USERS, int.from_bytes(account.encode()[:5], "big"))


def account_id(asset: str) -> str:
    """The id of the account of an asset."""
    return made_id(ACCOUNTS, int.from_bytes(asset.encode()[:5], "big"))


def trigger_status(order: OrderView) -> str:
    """``STOP_PENDING``; ``INVALID_ORDER_TYPE`` for an order that is no stop."""
    if order.ticket.stop_price is None:
        return "INVALID_ORDER_TYPE"
    return "STOP_PENDING" if order.status is OrderStatus.UNTRIGGERED else "STOP_TRIGGERED"


def cancel_message(order: OrderView) -> str:
    """Why Advanced Trade has closed an order; "" for one that is open or filled."""
    if not order.is_final or order.status is OrderStatus.FILLED:
        return ""
    if order.why is not None:
        return REASONS.get(order.why, order.why.value)
    return "" if order.status is OrderStatus.EXPIRED else "User requested cancel"


def exchange_order_row(order: OrderView, fills: Sequence[FillView]) -> Row:
    """An order of Exchange, with its fills."""
    ticket, fees = order.ticket, sum((fill.fee for fill in fills), ZERO)
    row: Row = {
        "id": order_id(order),
        "product_id": ticket.symbol,
        "profile_id": user_id(order.account),
        "side": "buy" if ticket.buys else "sell",
        "type": "market" if ticket.price is None else "limit",
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force][1].replace("GTD", "GTT"),
        "post_only": ticket.post_only,
        "created_at": micro_text(order.created_ns),
        "fill_fees": f"{fees:.16f}",
        "filled_size": f"{order.filled:.8f}",
        "executed_value": f"{order.filled_value:.16f}",
        "status": exchange_status(order),
    }
    if ticket.price is not None:
        row["price"] = f"{ticket.price:.8f}"
    if ticket.value is not None:
        row["funds"] = row["specified_funds"] = f"{ticket.value:.8f}"
    else:
        row["size"] = f"{ticket.size:.8f}"
    if ticket.client_order_id:
        row["client_oid"] = ticket.client_order_id
    if ticket.stop_price is not None:
        row["stop"], row["stop_price"] = stop_type(order), f"{ticket.stop_price:.8f}"
    if ticket.expire_time_ns:
        row["expire_time"] = micro_text(ticket.expire_time_ns)
    if order.is_final:
        row["done_at"] = micro_text(order.updated_ns)
        row["done_reason"] = done_reason(order)
    return row


def exchange_status(order: OrderView) -> str:
    """``open``; ``active`` for a stop that waits."""
    if order.is_final:
        return "done"
    return "active" if order.status is OrderStatus.UNTRIGGERED else "open"


def done_reason(order: OrderView) -> str:
    """Why Exchange has closed an order."""
    return "filled" if order.status is OrderStatus.FILLED else "canceled"


def stop_type(order: OrderView) -> str:
    """``entry`` is reached when the price rises, ``loss`` when it falls."""
    stops = order.ticket.type in (orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_STOP_LIMIT)
    return "entry" if stops is order.ticket.buys else "loss"


def exchange_fill_row(fill: FillView) -> Row:
    user = user_id(fill.order.account)
    return {
        "trade_id": fill.trade_id,
        "product_id": fill.order.ticket.symbol,
        "order_id": order_id(fill.order),
        "user_id": user,
        "profile_id": user,
        "liquidity": "M" if fill.is_maker else "T",
        "price": f"{fill.price:.8f}",
        "size": f"{fill.size:.8f}",
        "fee": f"{fill.fee:.16f}",
        "created_at": micro_text(fill.time_ns),
        "side": "buy" if fill.order.ticket.buys else "sell",
    }


def exchange_account_row(balance: BalanceView) -> Row:
    """The account of one asset at Exchange."""
    return {
        "id": account_id(balance.asset),
        "currency": balance.asset,
        "balance": f"{balance.total:.16f}",
        "hold": f"{balance.locked:.16f}",
        "available": f"{balance.free:.16f}",
        "profile_id": user_id(balance.account),
    }
