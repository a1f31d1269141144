"""Approved orders that may open a position: how much of them may still be filled."""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.venue_processes import order_id
from kit.base.database import Connection
from kit.events.subjects import event_group_id
from kit.risk.order_checks import number

AMEND = signed_pb2.OPERATION_AMEND
EXIT = orders_pb2.GROUP_ROLE_EXIT
FILLED = orders_pb2.ORDER_STATE_FILLED

_ADD = (
    "INSERT INTO inspector_entries (venue, account, client_order_id, symbol, strategy, is_buy,"
    " size, price) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
    # What an amendment makes smaller may have been filled before.
    " ON CONFLICT (venue, account, client_order_id) DO UPDATE SET (size, price)"
    " = (greatest(inspector_entries.size, excluded.size),"
    " greatest(inspector_entries.price, excluded.price))"
)
# An answer may be older than an event that came before it.
_CHANGE = (
    "UPDATE inspector_entries SET (is_final, filled_size)"
    " = (is_final OR %s, greatest(filled_size, %s))"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s)"
)
# A fill that the ledger cannot book is in no position: it stays what may be open. One of a negative
# size takes an earlier one back: of an order that is over, nothing is open again.
_FILL = (
    "UPDATE inspector_entries SET (fills_size, filled_size)"
    " = (fills_size + %s, filled_size + least(%s, 0))"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s)"
    " AND EXISTS (SELECT FROM ledger_groups WHERE group_id = %s)"
)
_STRATEGY = (
    "SELECT strategy FROM inspector_entries WHERE (venue, account, client_order_id) = (%s, %s, %s)"
)


async def strategy_of(
    connection: Connection, venue: str, account: str, client_order_id: str
) -> str:
    """Whose order it is; "" if that of a person, or if it is not known."""
    key = [venue, account, client_order_id]
    row = await (await connection.execute(_STRATEGY, key)).fetchone()
    return "" if row is None else str(row[0])


async def add(
    connection: Connection,
    approved: Sequence[signed_pb2.ApprovedOrder],
    strategy: str,
) -> None:
    """Add what was approved, in the transaction of its verdict. ``strategy``: "" of a person."""
    for one in approved:
        content = one.content
        # A group with exits has an entry, and they are sent after it.
        if content.reduce_only or content.group.role == EXIT:
            continue
        price = content.price or content.stop_price
        await connection.execute(
            _ADD,
            [
                *key_of(one),
                content.symbol,
                strategy,
                content.side == types_pb2.SIDE_BUY,
                Decimal(content.size),
                Decimal(price) if price else None,
            ],
        )


async def change(connection: Connection, order: orders_pb2.Order) -> None:
    """Take the state of an order."""
    content, filled = order.content, Decimal(order.filled_size or 0)
    key = [content.venue, content.account, order.client_order_id]
    await connection.execute(_CHANGE, [order.state >= FILLED, filled, *key])


async def add_fill(connection: Connection, fill: orders_pb2.Fill, event_id: bytes) -> None:
    """Take a fill: the ledger has booked it in the transaction that stored its event."""
    size = number(fill.size)
    if size is not None:
        key = [fill.venue, fill.account, fill.client_order_id]
        await connection.execute(_FILL, [size, size, *key, event_group_id(event_id)])


async def not_taken(connection: Connection, approved: Sequence[signed_pb2.ApprovedOrder]) -> None:
    """Approved orders were certainly not taken. An amendment leaves its order as it was."""
    for one in approved:
        if one.operation != AMEND:
            await connection.execute(_CHANGE, [True, Decimal(0), *key_of(one)])


def key_of(approved: signed_pb2.ApprovedOrder) -> list[str]:
    """Venue, account and client order id of what is placed or amended."""
    content = approved.content
    return [content.venue, content.account, approved.target_client_order_id or order_id(approved)]
