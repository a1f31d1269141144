"""Orders, fills and accounts as Exchange writes them.

https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/orders/get-single-order
"""

from collections.abc import Sequence
from decimal import Decimal

from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    OrderKind,
    OrderView,
    Status,
)
from venues.coinbase.simulator.private.rows import (
    ACCOUNTS,
    SHORT_LIFETIMES,
    Row,
    made_id,
    order_id,
    user_id,
)
from venues.coinbase.simulator.times import micro_text


def order_row(order: OrderView, fills: Sequence[FillView]) -> Row:
    """An order. ``fills`` are its own."""
    ticket, fees = order.ticket, sum((fill.fee for fill in fills), Decimal(0))
    row: Row = {
        "id": order_id(order),
        "product_id": ticket.symbol,
        "profile_id": user_id(order.account),
        "side": "buy" if ticket.buys else "sell",
        "type": "market" if ticket.price is None else "limit",
        "time_in_force": SHORT_LIFETIMES[ticket.lifetime].replace("GTD", "GTT"),
        "post_only": ticket.post_only,
        "created_at": micro_text(order.created_ns),
        "fill_fees": f"{fees:.16f}",
        "filled_size": f"{order.filled:.8f}",
        "executed_value": f"{order.filled_value:.16f}",
        "market_type": "spot",
        "status": state(order),
        "settled": order.status is Status.FILLED,
    }
    if ticket.price is not None:
        row["price"] = f"{ticket.price:.8f}"
    if ticket.value is not None:
        row["funds"] = row["specified_funds"] = f"{ticket.value:.8f}"
    else:
        row["size"] = f"{ticket.size:.8f}"
    if ticket.client_id:
        row["client_oid"] = ticket.client_id
    if ticket.stop_price is not None:
        row["stop"], row["stop_price"] = stop_type(order), f"{ticket.stop_price:.8f}"
    if ticket.expires_ns:
        row["expire_time"] = micro_text(ticket.expires_ns)
    if order.is_final:
        row["done_at"] = micro_text(order.updated_ns)
        row["done_reason"] = done_reason(order)
    return row


def state(order: OrderView) -> str:
    """``active`` is a stop that waits."""
    if order.is_final:
        return "done"
    return "active" if order.status is Status.UNTRIGGERED else "open"


def done_reason(order: OrderView) -> str:
    """Why an order is not open any more."""
    return "filled" if order.status is Status.FILLED else "canceled"


def stop_type(order: OrderView) -> str:
    """``entry`` is reached when the price rises, ``loss`` when it falls."""
    stops = order.ticket.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
    return "entry" if stops is order.ticket.buys else "loss"


def fill_row(fill: FillView) -> Row:
    """One side of a trade."""
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
        "settled": True,
        "usd_volume": f"{fill.price * fill.size:.16f}",
        "market_type": "spot",
    }


def account_row(balance: BalanceView) -> Row:
    """What is held of one asset."""
    return {
        "id": made_id(ACCOUNTS, int.from_bytes(balance.asset.encode()[:5], "big")),
        "currency": balance.asset,
        "balance": f"{balance.total:.16f}",
        "hold": f"{balance.locked:.16f}",
        "available": f"{balance.free:.16f}",
        "profile_id": user_id(balance.account),
        "trading_enabled": True,
    }
