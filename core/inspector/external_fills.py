"""Takes fills that are not of a strategy's orders and close its position all the same.

A person who flattens an account closes what strategies hold. The ledger divides such a fill: each
part is a fill of the position of that strategy.
"""

from decimal import Decimal

from venuemesh.events.v1 import event_pb2, executions_pb2

from core.inspector import positions
from core.inspector.position_updates import WHOLE
from kit.accounting.amounts import ZERO, add
from kit.base.database import Connection


async def apply(connection: Connection, event: event_pb2.Event) -> set[bytes]:
    """Take the parts of a fill. Returns the positions that have changed."""
    changed = set()
    for share in event.order_filled.shares:
        changed.add(await _take(connection, event, share))
    return changed


async def _take(
    connection: Connection, event: event_pb2.Event, share: executions_pb2.FillShare
) -> bytes:
    filled = event.order_filled
    fill = filled.fill
    position = await positions.find_open(
        connection, share.strategy, fill.venue, fill.account, fill.symbol
    )
    if position is None:
        # It has ended, and the share is of what was left then.
        return b""
    held = positions.held(await positions.orders_of(connection, position))
    size = Decimal(share.size)
    if not held or (held > ZERO) == (size > ZERO):
        return b""
    # A share may have a rest of an earlier position, which is no part of this one.
    size = max(size, -held) if held > ZERO else min(size, -held)
    await positions.add_external_fill(connection, position, fill, size)
    is_flat = not position.tradable(abs(add(held, size)))
    if position.close_flips or (is_flat and not position.is_closing):
        # Exits that are still open have nothing to close, and nothing is opened after it.
        await positions.request_close(
            connection, position, WHOLE, position.position_id, event.event_id
        )
    return position.position_id
