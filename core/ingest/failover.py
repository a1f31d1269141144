"""Continues the streams of a venue with another replica, without a hole.

Each batch of the replica that is read states up to which cursor it includes the other replica. When
the first one is lost, the other is read from that cursor on, and its first entry states which entry
it continues. Books and listings are published whole instead, in their current state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from core.ingest.replica_deduplicator import LAST_ENTRIES, OVERLAPPING, ReplicaDeduplicator
from kit.base.cursor import START, Cursor, StreamKey
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry

WHOLE = (types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_STATUS)


@dataclass(frozen=True, slots=True)
class FailoverPlan:
    """How the streams of a venue continue; usually with the replica that wrote them so far."""

    after: Mapping[StreamKey, Cursor]
    """Cursors to resume after. Streams without one start with their earliest batch, or whole."""
    continued: dict[StreamKey, Cursor] = field(default_factory=dict)
    """The newest entries of the lost replica, for streams that continue without a hole."""
    overlaps: dict[StreamKey, ReplicaDeduplicator] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether batches may still be changed or preceded by an entry."""
        return bool(self.continued or self.overlaps)

    @property
    def is_to_other_replica(self) -> bool:
        """Whether the streams continue with another replica."""
        return bool(self.continued)

    def entries(self, key: StreamKey, cursor: Cursor, now_ns: int) -> list[StreamEntry]:
        """Return the entry before the first batch of a stream, which states what it continues. Its
        id is the cursor just before, of a batch that the stream has from the lost replica."""
        before = self.continued.pop(key, None)
        at = Cursor(cursor.epoch, cursor.sequence - 1)
        if before is None or self.after.get(key, at) != at:
            return []
        batch = batch_pb2.MarketDataBatch(
            venue=key.venue,
            channel=key.channel,
            cursor=at.message(),
            continues=before.message(),
            published_time_ns=now_ns,
        )
        return [StreamEntry(key, at, batch.SerializeToString())]

    def drop_known(self, key: StreamKey, header: wire_pb2.BatchHeader, batch: bytes) -> bytes:
        """Return a batch without the rows that the lost replica has published."""
        overlap = self.overlaps.get(key)
        if overlap is None:
            return batch
        if overlap.is_over(Cursor.of(header.peer_cursor), header.published_time_ns):
            del self.overlaps[key]
            return batch
        return overlap.without(batch)


async def plan(
    streams: RedisStreams,
    newest: Mapping[StreamKey, Cursor],
    epoch: int,
    expired: Iterable[StreamKey],
) -> FailoverPlan:
    """Return how to continue with the replica of this epoch; 0 if its epoch is unknown."""
    known = {key: cursor for key, cursor in newest.items() if cursor != START}
    older = {key: cursor for key, cursor in known.items() if cursor.epoch < epoch}
    ends = {key: await streams.newest(key, 1) for key in older}
    covered = {
        key: cursor_of_other
        for key, found in ends.items()
        if (cursor_of_other := _covered_cursor(found, epoch))
    }
    after = {key: covered.get(key, cursor) for key, cursor in known.items()}
    for key in expired:
        after.pop(key, None)
    if not covered:
        return FailoverPlan(after)
    whole = {key: cursor for key, cursor in older.items() if key.channel in WHOLE}
    for key in older.keys() - covered.keys():
        after.pop(key, None)
    overlaps = {
        key: ReplicaDeduplicator(key.channel, older[key], await _last_batches(streams, key))
        for key in covered
        if key.channel in OVERLAPPING
    }
    continued = {key: older[key] for key in covered.keys() & after.keys()}
    return FailoverPlan(after, continued | whole, overlaps)


def _covered_cursor(found: list[StreamEntry], epoch: int) -> Cursor | None:
    """Return up to which cursor the newest entry includes the replica of this epoch."""
    for entry in found:
        cursor_of_other = Cursor.of(wire_pb2.BatchHeader.FromString(entry.batch).peer_cursor)
        if cursor_of_other.epoch == epoch:
            return cursor_of_other
    return None


async def _last_batches(streams: RedisStreams, key: StreamKey) -> list[bytes]:
    return [entry.batch for entry in reversed(await streams.newest(key, LAST_ENTRIES))]
