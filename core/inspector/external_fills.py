"""Applies fills of other orders that close a strategy's position.

A person who flattens an account closes the positions of strategies. The ledger allocates such a
fill to the strategies; each share is a fill of that strategy's position.
"""

from decimal import Decimal

from venuemesh.events.v1 import event_pb2, executions_pb2

from core.inspector import positions
from core.inspector.position_updates import WHOLE
from kit.accounting.amounts import ZERO, add
from kit.base.database import Connection


async def apply(connection: Connection, event: event_pb2.Event) -> set[bytes]:
    """Apply the shares of a fill. Returns the ids of the changed positions."""
    changed = set()
    for share in event.order_filled.shares:
        changed.add(await _take(connection, event, share))
    return changed


async def _take(
    connection: Connection, event: event_pb2.Event, share: executions_pb2.FillShare
) -> bytes:
    filled = event.order_filled
    fill = filled.fill
    found = await positions.send_find_open(
        connection, share.strategy, fill.venue, fill.account, fill.symbol
    )
    position = await found()
    if position is None:
        # The position has ended; the share closes its residual size.
        return b""
    held = positions.held(await positions.orders_of(connection, position))
    size = Decimal(share.size)
    if not held or (held > ZERO) == (size > ZERO):
        return b""
    # A share may include the residual size of an earlier position.
    size = max(size, -held) if held > ZERO else min(size, -held)
    await positions.add_external_fill(connection, position, fill, size)
    is_flat = not position.tradable(abs(add(held, size)))
    if position.close_flips or (is_flat and not position.is_closing):
        # Cancels the exits, which have nothing to close, and replaces a flip.
        await positions.request_close(
            connection, position, WHOLE, position.position_id, event.event_id
        )
    return position.position_id
