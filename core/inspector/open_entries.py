"""Approved orders that may open a position, and their unfilled sizes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.positions import OrderRole
from core.inspector.venue_processes import order_id
from kit.accounting.amounts import plain
from kit.base.database import Connection, PendingRead, send
from kit.events.subjects import event_group_id
from kit.risk.facts import OpenOrder
from kit.risk.order_checks import number

AMEND = signed_pb2.OPERATION_AMEND
EXIT = orders_pb2.GROUP_ROLE_EXIT
FILLED = orders_pb2.ORDER_STATE_FILLED

OrderKey = tuple[str, str, str, str]
"""Venue, account, symbol and client order id."""
NO_ORDER = ("", "", "", "")

_ADD = (
    "INSERT INTO inspector_entries (venue, account, client_order_id, symbol, strategy, is_buy,"
    " size, price, approved_time_ns) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
    # An order may have filled before an amendment made it smaller.
    " ON CONFLICT (venue, account, client_order_id) DO UPDATE SET (size, price, approved_time_ns)"
    " = (greatest(inspector_entries.size, excluded.size),"
    " greatest(inspector_entries.price, excluded.price), excluded.approved_time_ns)"
)
# An answer may be older than an event that came before it.
_CHANGE = (
    "UPDATE inspector_entries SET (is_final, filled_size)"
    " = (is_final OR %s, greatest(filled_size, %s))"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s)"
)
# A fill that the ledger cannot book is in no position, so its size still counts as open. A negative
# fill cancels an earlier one, and reopens nothing of an order that has ended.
_FILL = (
    "UPDATE inspector_entries SET (fills_size, filled_size)"
    " = (fills_size + %s, filled_size + least(%s, 0))"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s)"
    " AND EXISTS (SELECT FROM ledger_groups WHERE group_id = %s)"
)
IS_OPEN = "(NOT is_final OR fills_size < filled_size) AND fills_size < size"
# Entries, and take-profits of strategies: these rest in the book too.
_IN_INSTRUMENT = (
    "SELECT account, strategy, is_buy, size, price, approved_time_ns > %(since_ns)s,"
    f" {IS_OPEN} FROM inspector_entries WHERE (venue, symbol) = (%(venue)s, %(symbol)s)"
    " AND (account, client_order_id) <> (%(account)s, %(order)s)"
    f" AND (approved_time_ns > %(since_ns)s OR {IS_OPEN})"
    " UNION ALL SELECT one.account, held.strategy, one.is_buy, 0,"
    " nullif(held.target_price, '')::numeric, false, true FROM inspector_orders AS one"
    " JOIN inspector_positions AS held USING (position_id)"
    " WHERE held.ended_time_ns = 0 AND (held.venue, held.symbol) = (%(venue)s, %(symbol)s)"
    " AND one.role = %(role)s AND one.state < %(final)s"
    " ORDER BY 1, 2, 3, 4, 5"
)
_STRATEGY = (
    "SELECT strategy FROM inspector_entries WHERE (venue, account, client_order_id) = (%s, %s, %s)"
)


async def strategy_of(
    connection: Connection, venue: str, account: str, client_order_id: str
) -> str:
    """The strategy of an order; "" for an order of a person or an unknown order."""
    key = [venue, account, client_order_id]
    row = await (await connection.execute(_STRATEGY, key)).fetchone()
    return "" if row is None else str(row[0])


async def send_in_instrument(
    connection: Connection, venue: str, symbol: str, since_ns: int, without: OrderKey
) -> PendingRead[tuple[OpenOrder, ...]]:
    """Read the own orders that may still be filled, and the entries that were approved since a
    time, in all accounts of a venue."""
    arguments = {
        "venue": venue,
        "symbol": symbol,
        "since_ns": since_ns,
        "account": without[1],
        "order": without[3],
        "role": OrderRole.TAKE_PROFIT,
        "final": FILLED,
    }
    return await send(connection, _IN_INSTRUMENT, arguments, _orders)


def _orders(rows: Sequence[Any]) -> tuple[OpenOrder, ...]:
    return tuple(
        OpenOrder(
            account=account,
            strategy=strategy,
            is_buy=is_buy,
            size=Decimal(plain(size)),
            price=None if price is None else Decimal(plain(price)),
            is_recent=is_recent,
            may_fill=may_fill,
        )
        for account, strategy, is_buy, size, price, is_recent, may_fill in rows
    )


async def add(
    connection: Connection,
    approved: Sequence[signed_pb2.ApprovedOrder],
    strategy: str,
    now_ns: int,
) -> None:
    """Add approved orders in the transaction of their verdict. ``strategy``: "" for orders of a
    person."""
    for one in approved:
        content = one.content
        # The exits of a group follow its entry.
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
                now_ns,
            ],
        )


async def change(connection: Connection, order: orders_pb2.Order) -> None:
    """Take the state of an order."""
    content, filled = order.content, Decimal(order.filled_size or 0)
    key = [content.venue, content.account, order.client_order_id]
    await connection.execute(_CHANGE, [order.state >= FILLED, filled, *key])


async def add_fill(connection: Connection, fill: orders_pb2.Fill, event_id: bytes) -> None:
    """Apply a fill. The ledger has booked it in the transaction that stored its event."""
    size = number(fill.size)
    if size is not None:
        key = [fill.venue, fill.account, fill.client_order_id]
        await connection.execute(_FILL, [size, size, *key, event_group_id(event_id)])


async def not_taken(connection: Connection, approved: Sequence[signed_pb2.ApprovedOrder]) -> None:
    """Close orders that the venue's process certainly did not accept. A refused amendment leaves
    its order unchanged."""
    for one in approved:
        if one.operation != AMEND:
            await connection.execute(_CHANGE, [True, Decimal(0), *key_of(one)])


def key_of(approved: signed_pb2.ApprovedOrder) -> list[str]:
    """Venue, account and client order id of the placed or amended order."""
    content = approved.content
    return [content.venue, content.account, approved.target_client_order_id or order_id(approved)]
