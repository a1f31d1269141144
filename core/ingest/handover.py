"""From one process of a venue to the other, without a hole in the streams.

The elder says in each batch up to where it includes the younger one. So when the elder is lost, the
younger one is read from there on, and the first entry of it says which entry of the elder it
continues. Books and what is listed are told whole instead, as they are then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from core.ingest.overlap import LAST_ENTRIES, OVERLAPPING, Overlap
from kit.base.cursor import START, Cursor, StreamKey
from kit.marketdata.delivery.streams import RedisStreams, StreamEntry

WHOLE = (types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_STATUS)


@dataclass(frozen=True, slots=True)
class Handover:
    """How the streams of a venue go on. Usually with the process that wrote them so far."""

    after: Mapping[StreamKey, Cursor]
    """What to ask for, by stream; of those that are not here nothing is known, or they come
    whole."""
    continued: dict[StreamKey, Cursor] = field(default_factory=dict)
    """The newest entries of the other process, of the streams that go on without a hole."""
    overlaps: dict[StreamKey, Overlap] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether batches may still be changed or preceded by an entry."""
        return bool(self.continued or self.overlaps)

    @property
    def is_one(self) -> bool:
        """Whether the streams go over to another process."""
        return bool(self.continued)

    def entries(self, key: StreamKey, cursor: Cursor, now_ns: int) -> list[StreamEntry]:
        """What stands before the first batch of a stream: an entry that says what it continues. Its
        id is the one just before, of a batch that the streams have from the other process."""
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

    def without_known(self, key: StreamKey, header: wire_pb2.BatchHeader, batch: bytes) -> bytes:
        """A batch without what the other process has brought."""
        overlap = self.overlaps.get(key)
        if overlap is None:
            return batch
        if overlap.is_over(Cursor.of(header.twin_cursor), header.published_time_ns):
            del self.overlaps[key]
            return batch
        return overlap.without(batch)


async def plan(
    streams: RedisStreams,
    newest: Mapping[StreamKey, Cursor],
    epoch: int,
    expired: Iterable[StreamKey],
) -> Handover:
    """How to go on with the process of this epoch; 0: one that does not say."""
    known = {key: cursor for key, cursor in newest.items() if cursor != START}
    older = {key: cursor for key, cursor in known.items() if cursor.epoch < epoch}
    ends = {key: await streams.newest(key, 1) for key in older}
    claims = {key: claim for key, found in ends.items() if (claim := _claim(found, epoch))}
    after = {key: claims.get(key, cursor) for key, cursor in known.items()}
    for key in expired:
        after.pop(key, None)
    if not claims:
        return Handover(after)
    whole = {key: cursor for key, cursor in older.items() if key.channel in WHOLE}
    for key in older.keys() - claims.keys():
        after.pop(key, None)
    overlaps = {
        key: Overlap(key.channel, older[key], await _last_batches(streams, key))
        for key in claims
        if key.channel in OVERLAPPING
    }
    continued = {key: older[key] for key in claims.keys() & after.keys()}
    return Handover(after, continued | whole, overlaps)


def _claim(found: list[StreamEntry], epoch: int) -> Cursor | None:
    """Up to where the newest entry of a stream includes the process of this epoch."""
    for entry in found:
        claim = Cursor.of(wire_pb2.BatchHeader.FromString(entry.batch).twin_cursor)
        if claim.epoch == epoch:
            return claim
    return None


async def _last_batches(streams: RedisStreams, key: StreamKey) -> list[bytes]:
    return [entry.batch for entry in reversed(await streams.newest(key, LAST_ENTRIES))]
