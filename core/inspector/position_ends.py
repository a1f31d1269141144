"""Finds out when nothing is left of a position."""

from core.inspector import positions, submissions
from core.inspector.positions import OrderRole
from core.inspector.submissions import TAKEN, Outcome, Submission
from kit.base.database import Connection

WHOLE = "1"
"""The part of a position that is closed."""


async def end_if_flat(connection: Connection, position_id: bytes, now_ns: int) -> None:
    """End a position whose orders have all ended and leave nothing, in the caller's transaction.

    One that is being closed is ended by its closer, and one whose exits have ended without closing
    all of it stays.
    """
    if not position_id:
        return
    position = await positions.lock(connection, position_id)
    if position is None or position.ended_time_ns or position.is_closing:
        return
    if await submissions.has_pending(connection, position_id):
        return
    orders = await positions.orders_of(connection, position)
    if not all(order.is_complete for order in orders):
        return
    if not position.floored(abs(positions.held(orders))):
        await positions.end(connection, position_id, now_ns)


async def after(
    connection: Connection, submission: Submission, outcome: Outcome, now_ns: int
) -> None:
    """Take what came of a submission: a position is closed if its new exits were not taken."""
    position = await positions.lock(connection, submission.position_id)
    if position is None or position.ended_time_ns:
        return
    await end_if_flat(connection, position.position_id, now_ns)
    if outcome.outcome == TAKEN or position.is_closing or submission.is_entry:
        return
    names = {one.request_id for one in submission.approved}
    orders = await positions.orders_of(connection, position)
    if any(one.role == OrderRole.EXIT for one in orders if one.request_id in names):
        await positions.want_close(
            connection, position, WHOLE, submission.lifecycle_id, submission.submission_id
        )
