"""The queue of reductions that wait for the previous reduction of a position, in PostgreSQL."""

from typing import NamedTuple

from kit.base.database import Connection

_WAIT = (
    "INSERT INTO inspector_reductions (position_id, fraction, lifecycle_id, cause_id)"
    " VALUES (%s, %s, %s, %s)"
)
_NEXT = (
    "UPDATE inspector_reductions SET is_over = true WHERE number = (SELECT min(number)"
    " FROM inspector_reductions WHERE position_id = %s AND NOT is_over)"
    " RETURNING fraction, lifecycle_id, cause_id"
)
_DROP = "UPDATE inspector_reductions SET is_over = true WHERE position_id = %s AND NOT is_over"
_COUNT = "SELECT count(*) FROM inspector_reductions WHERE position_id = %s AND NOT is_over"


class ReductionRequest(NamedTuple):
    """A request to close a part of a position."""

    fraction: str
    lifecycle_id: bytes
    cause_id: bytes


async def add(connection: Connection, position_id: bytes, wanted: ReductionRequest) -> None:
    """Add a reduction at the end of the queue."""
    await connection.execute(_WAIT, [position_id, *wanted])


async def take(connection: Connection, position_id: bytes) -> ReductionRequest | None:
    """Remove and return the oldest reduction; None if the queue is empty."""
    row = await (await connection.execute(_NEXT, [position_id])).fetchone()
    return None if row is None else ReductionRequest(row[0], bytes(row[1]), bytes(row[2]))


async def clear(connection: Connection, position_id: bytes) -> None:
    """Remove all reductions of a position."""
    await connection.execute(_DROP, [position_id])


async def count(connection: Connection, position_id: bytes) -> int:
    """The number of reductions in the queue of a position."""
    row = await (await connection.execute(_COUNT, [position_id])).fetchone()
    assert row is not None
    return int(row[0])
