"""Reads the newest entries of every stream and publishes them to subscribers."""

from collections.abc import Callable, Iterable

from venuemesh.wire.v1 import wire_pb2

from core.bridge.entry_decoder import DecodedStreamEntry, decode_entry, trimmed_gap
from kit.base import backoff, telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import START, Cursor, StreamKey, channel_name, gap_reason_name
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from kit.marketdata.delivery.stream_continuity import joins
from kit.marketdata.delivery.subscription import PublishedBatch

GROUP = "bridge"
LOOK_SECONDS = 1.0
"""How often new streams are looked for, and the position is committed."""
READ_ENTRIES_MAX = 100
"""Per stream and read."""
RETRY_SECONDS_MAX = 2.0

_log = telemetry.logger("tail")


class StreamTailer:
    """Reads all streams, each from its end at the time of the start. One reader serves all
    subscribers. Streams that appear later are read from their beginning.
    """

    def __init__(
        self,
        streams: RedisStreams,
        publish: Callable[[PublishedBatch], None],
        entries_lost: Callable[[StreamKey], None],
        meter: Meter,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._streams = streams
        self._publish = publish
        self._entries_lost = entries_lost
        self._meter = meter
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._positions: dict[StreamKey, Cursor] = {}
        self._committed: dict[StreamKey, Cursor] = {}
        self.started = False
        """Whether the list of streams has been read."""

    def position(self, key: StreamKey) -> Cursor:
        """Return the cursor of the last published entry, START before the first."""
        return self._positions.get(key, START)

    def knows(self, venue: str) -> bool:
        """Return whether there is a stream of this venue."""
        return any(key.venue == venue for key in self._positions)

    async def run(self) -> None:
        """Run forever. While Redis is away, subscribers stay connected and wait."""
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            try:
                await self._look()
                self._degraded_reasons.clear("redis")
                waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                await self._read_for(LOOK_SECONDS)
            except StoreUnavailable as error:
                self._degraded_reasons.report("redis", error.message)
                await self._clock.sleep(next(waits))

    async def _look(self) -> None:
        """Find new streams, and commit how far all have been read."""
        for key in await self._streams.keys():
            if key not in self._positions:
                newest = START if self.started else await self._streams.last(key)
                self._positions[key] = newest or START
        self.started = True
        moved = dict(self._positions.items() - self._committed.items())
        await self._streams.commit(GROUP, moved)
        self._committed.update(moved)

    async def _read_for(self, seconds: float) -> None:
        if not self._positions:
            await self._clock.sleep(seconds)
            return
        until_ns = self._clock.monotonic_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        while (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
            block_ms = left_ns // NANOSECONDS_PER_MILLISECOND + 1
            entries = await self._streams.read(self._positions, READ_ENTRIES_MAX, block_ms)
            self._publish_all(entries)

    def _publish_all(self, entries: Iterable[StreamEntry]) -> None:
        now_ns = self._clock.time_ns()
        waiting = 0
        for entry in entries:
            decoded = decode_entry(entry, now_ns)
            position = self._positions[entry.key]
            if position != START and not joins(position, entry.cursor, decoded.header):
                self._publish_gap(entry.key, position, entry.cursor, now_ns)
            self._publish_one(decoded, now_ns)
            waiting += 1
        self._meter.waiting(waiting if waiting >= READ_ENTRIES_MAX else 0)

    def _publish_gap(self, key: StreamKey, position: Cursor, cursor: Cursor, now_ns: int) -> None:
        """Publish a gap in place of entries that Redis trimmed before they were read."""
        _log.error(
            "entries were trimmed before they were read",
            extra={"stream": str(key), "after": str(position), "before": str(cursor)},
        )
        decoded = trimmed_gap(key, position, cursor, now_ns)
        self._positions[key] = decoded.publication.cursor
        self._entries_lost(key)
        self._publish_one(decoded, now_ns)

    def _publish_one(self, decoded: DecodedStreamEntry, now_ns: int) -> None:
        publication = decoded.publication
        self._positions[publication.key] = publication.cursor
        self._publish(publication)
        self._count(decoded.header, now_ns)

    def _count(self, header: wire_pb2.BatchHeader, now_ns: int) -> None:
        columns = header.WhichOneof("columns")
        rows = len(getattr(header, columns).instrument) if columns else 0
        self._meter.batch(channel_name(header.channel), rows)
        for gap in header.gaps:
            self._meter.gap(gap_reason_name(gap.reason))
        self._meter.lag(now_ns - header.published_time_ns)
