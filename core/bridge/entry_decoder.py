"""Decodes stream entries into what subscribers get."""

from typing import NamedTuple

from google.protobuf.message import DecodeError
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from kit.base.cursor import Cursor, StreamKey
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.delivery.subscription import PublishedBatch


class DecodedStreamEntry(NamedTuple):
    """A batch, and its header, which is read without decoding the columns."""

    publication: PublishedBatch
    header: wire_pb2.BatchHeader


def decode_entry(entry: StreamEntry, now_ns: int) -> DecodedStreamEntry:
    """Return the batch of an entry, or a gap in place of one that cannot be read."""
    try:
        header = wire_pb2.BatchHeader.FromString(entry.batch)
    except DecodeError:
        header = wire_pb2.BatchHeader()
    if header.channel == entry.key.channel and header.venue == entry.key.venue:
        return DecodedStreamEntry(PublishedBatch(entry.key, entry.cursor, entry.batch), header)
    reason, detail = types_pb2.GAP_REASON_MALFORMED, "the batch could not be read"
    return _gap(entry.key, entry.cursor, reason, detail, now_ns)


def trimmed_gap(
    key: StreamKey, position: Cursor, cursor: Cursor, now_ns: int
) -> DecodedStreamEntry:
    """Return a gap in place of the trimmed entries between two cursors, just before the second."""
    before = Cursor(cursor.epoch, cursor.sequence - 1)
    detail = f"the stream no longer held what is between {position} and {cursor}"
    return _gap(key, before, types_pb2.GAP_REASON_CURSOR_EXPIRED, detail, now_ns)


def _gap(
    key: StreamKey,
    cursor: Cursor,
    reason: "types_pb2.GapReason.ValueType",
    detail: str,
    now_ns: int,
) -> DecodedStreamEntry:
    gap = types_pb2.Gap(reason=reason, detected_time_ns=now_ns, detail=detail)
    batch = batch_pb2.MarketDataBatch(
        venue=key.venue,
        channel=key.channel,
        cursor=cursor.message(),
        gaps=[gap],
        published_time_ns=now_ns,
    ).SerializeToString()
    header = wire_pb2.BatchHeader.FromString(batch)
    return DecodedStreamEntry(PublishedBatch(key, cursor, batch), header)
