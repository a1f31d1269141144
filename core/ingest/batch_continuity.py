"""Checks whether a batch follows the newest entry of its stream."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from kit.base.cursor import START, Cursor, StreamKey, channel_name
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.delivery.stream_continuity import continues, has_channel_gap


class VenueCursorTooLow(Exception):
    """The venue's cursors are below what the stream holds, so Redis would reject its batches.

    A venue's epoch grows with each start. If it has shrunk, the venue has lost its data folder and
    its clock is behind, or two venues share one name. An operator has to decide.
    """

    def __init__(self, key: StreamKey, offered: Cursor | str, newest: Cursor) -> None:
        super().__init__(
            f"{key} ends at {newest}, and the venue offers {offered}, which is before it: "
            f"restart the venue with a correct clock, or delete the stream"
        )


def entries_for(
    key: StreamKey, newest: Cursor, header: wire_pb2.BatchHeader, batch: bytes, now_ns: int
) -> list[StreamEntry]:
    """Return the entries to append for one batch: none if it is there already, and a gap before it
    if batches between it and the newest entry are, or may be, missing.

    Raises VenueCursorTooLow.
    """
    cursor = Cursor.of(header.cursor)
    if cursor.epoch < newest.epoch:
        raise VenueCursorTooLow(key, cursor, newest)
    if cursor <= newest:
        return []
    entry = StreamEntry(key, cursor, batch)
    if newest == START or _joins(newest, cursor, header):
        # An empty stream starts with any batch. A recorder that has read more of it, before Redis
        # was emptied, detects that itself.
        return [entry]
    return [_gap(key, newest, cursor, now_ns), entry]


def _joins(newest: Cursor, cursor: Cursor, header: wire_pb2.BatchHeader) -> bool:
    if cursor.epoch == newest.epoch:
        return cursor.follows(newest)
    if continues(newest, header):
        return True
    # The end of the previous epoch may have been lost with the venue's process. A venue states so
    # in the first batch of its new epoch; if it does not, a gap is added here.
    return cursor.follows(newest) and has_channel_gap(header)


def _gap(key: StreamKey, newest: Cursor, cursor: Cursor, now_ns: int) -> StreamEntry:
    """Return an entry with the gap.

    Its id is just before the batch: it belongs to one of the missing batches, so it is never used
    otherwise. Readers find a hole in the numbers only in front of an entry that explains it.
    """
    before = Cursor(cursor.epoch, cursor.sequence - 1)
    gap = types_pb2.Gap(
        reason=types_pb2.GAP_REASON_CURSOR_EXPIRED,
        detected_time_ns=now_ns,
        detail=f"the venue did not hold the {channel_name(key.channel)} between "
        f"{newest} and {cursor}",
    )
    batch = batch_pb2.MarketDataBatch(
        venue=key.venue,
        channel=key.channel,
        cursor=before.message(),
        gaps=[gap],
        published_time_ns=now_ns,
    )
    return StreamEntry(key, before, batch.SerializeToString())
