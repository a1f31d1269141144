"""Reads recorded raw frames."""

from collections.abc import AsyncGenerator

from venuemesh.marketdata.v1 import batch_pb2

from kit.base.database import Database
from kit.marketdata.model.batches import Batch
from kit.storage.archive import codec

BLOCKS = """
SELECT codec, batch FROM frame_rows
WHERE venue = %s AND last_received_time_ns >= %s AND first_received_time_ns < %s
ORDER BY epoch, sequence
"""
BLOCKS_AT_ONCE = 8
END_NS = 2**63 - 1


async def frames(
    database: Database, venue: str, start_ns: int = 0, end_ns: int = 0
) -> AsyncGenerator[batch_pb2.FrameColumns, None]:
    """Blocks of frames in the order of receipt. The first and the last block may hold frames from
    outside the span. Raises StoreUnavailable."""
    async with database.transaction() as connection, connection.cursor("frames") as cursor:
        cursor.itersize = BLOCKS_AT_ONCE
        await cursor.execute(BLOCKS, [venue, start_ns, end_ns or END_NS])
        async for number, data in cursor:
            yield Batch.FromString(codec.unpack(number, data)).frames
