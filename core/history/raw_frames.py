"""Recorded raw frames, in the order of receipt."""

from collections.abc import AsyncGenerator

import numpy as np
from venuemesh.common.v1 import types_pb2

from core.history.list_store import check_venue
from core.history.request_checks import INT64_MAX, INT64_MIN
from kit.base.database import Database
from kit.marketdata.model.batches import Batch
from kit.storage.archive import codec
from kit.storage.archive.archive import EPOCH

COLUMNS = ("frame", "connection", "received_time_ns")
ROWS_AT_ONCE = 4
"""Rows of a few MiB each that are in memory at a time."""

_ROWS = b"""
    SELECT last_received_time_ns, epoch, sequence, codec, batch FROM frame_rows
    WHERE venue = %(venue)s AND last_received_time_ns >= %(start_ns)s
        AND (last_received_time_ns, epoch, sequence) > (%(after_ns)s, %(epoch)s, %(sequence)s)
        AND first_received_time_ns < %(end_ns)s
    ORDER BY last_received_time_ns, epoch, sequence LIMIT %(limit)s
"""


async def frames(
    database: Database, venue: str, start_ns: int, end_ns: int
) -> AsyncGenerator[bytes, None]:
    """Serialised batches of the frames with start_ns <= t < end_ns by received time; 0 is open.

    Each few rows are read in a transaction of their own, so a slow reader holds none. Raises
    UnknownService for a venue never recorded, and StoreUnavailable.
    """
    start_ns, end_ns = start_ns or INT64_MIN, end_ns or INT64_MAX
    after: tuple[int, int, int] = (INT64_MIN, 0, 0)
    sequence = 0
    async with database.transaction() as connection:
        await check_venue(connection, venue)
    while True:
        values = {"venue": venue, "start_ns": start_ns, "end_ns": end_ns, "limit": ROWS_AT_ONCE}
        values |= dict(zip(("after_ns", "epoch", "sequence"), after, strict=True))
        async with database.transaction() as connection:
            rows = await (await connection.execute(_ROWS, values)).fetchall()
        for *_, kind, data in rows:
            batch = _within(codec.unpack(kind, data), start_ns, end_ns)
            if batch.frames.received_time_ns:
                sequence += 1
                batch.cursor.epoch, batch.cursor.sequence = EPOCH, sequence
                batch.published_time_ns = batch.frames.received_time_ns[-1]
                yield batch.SerializeToString()
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1][:3]


def _within(data: bytes, start_ns: int, end_ns: int) -> Batch:
    """The frames of a batch that were received in a span of time."""
    found = Batch.FromString(data)
    times_ns = np.array(found.frames.received_time_ns, dtype=np.int64)
    keep = np.flatnonzero((times_ns >= start_ns) & (times_ns < end_ns)).tolist()
    batch = Batch(venue=found.venue, channel=types_pb2.CHANNEL_FRAMES)
    batch.instruments.extend(found.instruments)
    batch.frames.instrument.extend([0] * len(keep))
    for name in COLUMNS:
        column = getattr(found.frames, name)
        getattr(batch.frames, name).extend([column[row] for row in keep])
    return batch
