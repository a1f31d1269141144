"""Reports approved orders whose outcome is not known yet."""

from typing import NamedTuple

from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import batches_pb2

from kit.base.database import Connection

_PENDING = (
    "SELECT number, submission_id, lifecycle_id, strategy, venue, account, approved, is_entry,"
    " approved_time_ns, expires_time_ns FROM inspector_submissions WHERE outcome = 0"
    " ORDER BY number"
)


class NumberedSubmission(NamedTuple):
    """A submission, and its place among all."""

    number: int
    message: risk_reports_pb2.PendingSubmission


async def load(connection: Connection) -> list[NumberedSubmission]:
    """All of them, oldest first."""
    found = []
    async for row in await connection.execute(_PENDING):
        number, verdict_id, lifecycle_id, strategy, venue, account, body, is_entry, *times = row
        approved = batches_pb2.PlaceOrderGroupRequest.FromString(bytes(body)).approved
        message = risk_reports_pb2.PendingSubmission(
            verdict_id=bytes(verdict_id),
            lifecycle_id=bytes(lifecycle_id),
            strategy=strategy,
            venue=venue,
            account=account,
            symbol=approved[0].content.symbol,
            operation=approved[0].operation,
            is_entry=is_entry,
            orders=len(approved),
            approved_time_ns=times[0],
            expires_time_ns=times[1],
        )
        found.append(NumberedSubmission(number, message))
    return found
