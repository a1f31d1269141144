"""A chunk: the rows and positions of one transaction."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from venuemesh.common.v1 import types_pb2

from core.recorder.batch_checks import expired, malformed, read_batch
from core.recorder.column_buffer import InstrumentIds, MalformedBatch
from core.recorder.gaps import GapBeforeBatch, gap_rows
from core.recorder.pending_rows import PendingRows
from core.recorder.table_writes import TableWrite
from kit.base.cursor import START, Channel, Cursor, StreamKey
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.delivery.stream_continuity import joins
from kit.marketdata.model.batches import Batch, columns_of


class Chunk:
    """Rows of some streams, in the order in which they were read, and the positions after them."""

    def __init__(
        self,
        before: Mapping[StreamKey, Cursor],
        last_times_ns: Mapping[StreamKey, int] = MappingProxyType({}),
    ) -> None:
        self.before = dict(before)
        """The positions that this chunk follows."""
        self.last_times_ns = dict(last_times_ns)
        """Venue time of the last event read from each stream."""
        self.positions: dict[StreamKey, Cursor] = {}
        """Positions after the entries read, by stream."""
        self.gaps: list[GapBeforeBatch] = []
        self.events: list[tuple[Channel, int]] = []
        """Channel and number of events of each batch."""
        self.row_count = 0
        self.byte_count = 0
        self.published_time_ns = 0
        """When the newest batch was published."""
        self._rows = PendingRows()

    def next(self) -> "Chunk":
        """The empty chunk that follows this one."""
        return Chunk(self.before | self.positions, self.last_times_ns)

    def position(self, key: StreamKey) -> Cursor:
        """The last entry of a stream that was read."""
        return self.positions.get(key) or self.before.get(key, START)

    def add(self, entry: StreamEntry, now_ns: int) -> MalformedBatch | None:
        """Add an entry, its gaps, and a gap for entries missing before it.

        Returns the error of a batch that cannot be read; the entry then counts as a gap.
        """
        before = self.position(entry.key)
        if entry.cursor <= before:
            return None
        last_time_ns = self.last_times_ns.get(entry.key, 0)
        self.positions[entry.key] = entry.cursor
        self.byte_count += len(entry.batch)
        gaps: list[types_pb2.Gap] = []
        first_time_ns = 0
        batch = unreadable = None
        try:
            batch = read_batch(entry)
            if batch.gaps or not entry.cursor.follows(before):
                self._rows.gap(entry.key)
            events = self._rows.add(entry, batch)
        except MalformedBatch as error:
            unreadable = error
            gaps.append(malformed(error))
            self._rows.gap(entry.key)
        else:
            gaps.extend(batch.gaps)
            first_time_ns = self._pass_times(entry.key, batch)
            self.row_count += events
            self.events.append((entry.key.channel, events))
            self.published_time_ns = batch.published_time_ns
        if not joins(before, entry.cursor, None if unreadable else batch):
            gaps.insert(0, expired(before, entry.cursor, last_time_ns, first_time_ns))
        self._add_gaps(entry, gaps, now_ns)
        return unreadable

    def symbols(self) -> set[tuple[str, str]]:
        """Venue and symbol of every instrument in the chunk."""
        named = {(found.key.venue, found.gap.symbol) for found in self.gaps if found.gap.symbol}
        return self._rows.symbols() | named

    def rows(self, ids: InstrumentIds) -> list[TableWrite]:
        """The writes of the chunk. Gaps come first, as a repair may close one of them."""
        tables = self._rows.rows(ids)
        return [gap_rows(self.gaps), *tables] if self.gaps else tables

    def _pass_times(self, key: StreamKey, batch: Batch) -> int:
        """Note the venue time of the last event. Returns the venue time of the first, or 0."""
        times_ns = getattr(columns_of(batch), "venue_time_ns", ())
        if not times_ns:
            return 0
        self.last_times_ns[key] = times_ns[-1]
        first_time_ns: int = times_ns[0]
        return first_time_ns

    def _add_gaps(self, entry: StreamEntry, gaps: Sequence[types_pb2.Gap], now_ns: int) -> None:
        for ordinal, gap in enumerate(gaps):
            gap.detected_time_ns = gap.detected_time_ns or now_ns
            self.gaps.append(GapBeforeBatch(entry.key, entry.cursor, ordinal, gap))
