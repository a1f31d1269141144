"""Publishes changes of positions, and ends positions of which nothing tradable is left."""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.events.v1 import event_pb2, risk_pb2

from core.inspector import positions, reduction_queue, submissions
from core.inspector.first_events import SOURCE
from core.inspector.positions import Position, StrategyOrder
from core.inspector.submissions import RISK, TAKEN, Outcome, Submission
from kit.accounting.amounts import plain
from kit.base.database import Connection
from kit.events import event_log
from kit.events.event_ids import event_id

WHOLE = "1"
"""The part of a position to close: all of it."""
NOTHING = "0"
"""The part of a position to close in order to give it new exits: none of it."""


async def settle(connection: Connection, position_id: bytes, now_ns: int) -> None:
    """Publish a changed size of a position, and end the position if all its orders have ended and
    its size cannot be traded, in the caller's transaction.

    PositionCloser ends a position that it closes. A position stays open if its exits have ended
    without closing all of it.
    """
    if not position_id:
        return
    position = await positions.lock(connection, position_id)
    if position is None or position.ended_time_ns:
        return
    orders = await positions.orders_of(connection, position)
    held = positions.held(orders)
    if await _is_over(connection, position, orders, held):
        await end(connection, position, held, now_ns)
    elif plain(held) != (position.published_size or "0"):
        await _publish(connection, position, held, now_ns)


async def end(connection: Connection, position: Position, held: Decimal, now_ns: int) -> None:
    """End a position and publish its residual size."""
    await positions.end(connection, position.position_id, held, now_ns)
    await reduction_queue.clear(connection, position.position_id)
    if position.published_size or held:
        await _publish(connection, position, held, now_ns, is_flat=True)


async def after_submission(
    connection: Connection, submission: Submission, outcome: Outcome, now_ns: int
) -> None:
    """Apply the outcome of a submission. Closes a position whose new exits were refused."""
    await settle(connection, submission.position_id, now_ns)
    position = await positions.lock(connection, submission.position_id)
    if position is None or position.ended_time_ns:
        return
    if outcome.outcome == TAKEN or position.is_closing or submission.is_entry:
        return
    names = {one.request_id for one in submission.approved}
    orders = await positions.orders_of(connection, position)
    if any(one.is_exit for one in orders if one.request_id in names):
        await positions.request_close(
            connection, position, WHOLE, submission.lifecycle_id, submission.submission_id
        )


async def _is_over(
    connection: Connection, position: Position, orders: Sequence[StrategyOrder], held: Decimal
) -> bool:
    if position.is_closing or position.tradable(abs(held)):
        return False
    if not all(order.is_complete for order in orders):
        return False
    return not await submissions.has_pending(connection, position.position_id)


async def _publish(
    connection: Connection,
    position: Position,
    held: Decimal,
    now_ns: int,
    *,
    is_flat: bool = False,
) -> None:
    """Store the event of the current size."""
    event = event_pb2.Event(
        event_id=event_id(SOURCE, "position", [position.position_id], position.published_count),
        source=SOURCE,
        instance=position.strategy,
        time_ns=now_ns,
        lifecycle_id=position.position_id,
        cause_ids=[position.position_id],
        position_changed=risk_pb2.PositionChanged(
            strategy=position.strategy,
            venue=position.venue,
            account=position.account,
            symbol=position.symbol,
            size=plain(held),
            is_flat=is_flat,
            size_min=position.size_min,
        ),
    )
    await positions.mark_published(connection, position.position_id, plain(held))
    await event_log.append(connection, RISK, [event], now_ns)
