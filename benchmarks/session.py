"""A captured session as the batches that a venue process publishes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from venuemesh.common.v1 import types_pb2

from benchmarks.decode import SYMBOL, Silent, snapshot_of
from benchmarks.options import Options
from benchmarks.path import SNAPSHOT_MARK, write_repeated
from kit.base.clock import SystemClock
from kit.base.cursor import CHANNELS, Channel, Cursor, StreamKey
from kit.base.numbers import to_decimal
from kit.base.telemetry import Meter
from kit.connector.contract.discovery import require
from kit.connector.contract.venue import Environment
from kit.connector.publishing.frame_pipeline import FramePipeline
from kit.connector.publishing.row_publisher import RowPublisher
from kit.connector.subscriptions import VenueSubscriptions
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.delivery.redis_streams import StreamEntry
from kit.marketdata.model.batches import Batch, row_count

VENUE = "binance"
EPOCH = 1_723_100_000_000
FRAMES_PER_READ = 2_000
GATHER_NS = 2_000_000
"""Frames per batch, as in the frame pipeline."""


@dataclass(slots=True)
class Published:
    """The batches of a session, and their content."""

    entries: list[StreamEntry] = field(default_factory=list)
    ends: dict[StreamKey, Cursor] = field(default_factory=dict)
    trade_count: int = 0
    quote_count: int = 0
    update_count: int = 0
    level_count: int = 0

    @property
    def row_count(self) -> int:
        """Trades, quotes and book updates."""
        return self.trade_count + self.quote_count + self.update_count

    def publish(self, channel: Channel, draft: BatchDraft) -> None:
        """Number a draft as the hub does."""
        key = StreamKey(VENUE, channel)
        before = self.ends.get(key, Cursor(EPOCH, 0))
        cursor = self.ends[key] = Cursor(EPOCH, before.sequence + 1)
        head = Batch(
            venue=VENUE,
            channel=channel,
            cursor=cursor.message(),
            instruments=draft.instruments,
            gaps=draft.gaps,
            published_time_ns=draft.received_time_ns,
        )
        batch = head.SerializeToString() + draft.columns
        self.entries.append(StreamEntry(key, cursor, batch))
        self._count(Batch.FromString(batch))

    def plain_levels(self) -> Iterator[tuple[object, ...]]:
        """One row for each level of the book, as in a plain table."""
        for entry in self.entries:
            batch = Batch.FromString(entry.batch)
            rows, at = batch.book, 0
            for row in range(len(rows.instrument)):
                scale = batch.instruments[rows.instrument[row]]
                times = rows.received_time_ns[row], rows.venue_time_ns[row]
                for side, count in ((1, rows.bid_count[row]), (2, rows.ask_count[row])):
                    for level in range(at, at + count):
                        price = to_decimal(rows.price[level], scale.price_scale)
                        size = to_decimal(rows.size[level], scale.size_scale)
                        yield 1, *times, rows.last_sequence[row], side, price, size
                    at += count

    def _count(self, batch: Batch) -> None:
        rows = row_count(batch)
        match batch.channel:
            case types_pb2.CHANNEL_TRADES:
                self.trade_count += rows
            case types_pb2.CHANNEL_QUOTES:
                self.quote_count += rows
            case types_pb2.CHANNEL_BOOK:
                self.update_count += rows
                self.level_count += len(batch.book.price)


def published(options: Options, events_wanted: int) -> Published:
    """The session, repeated as needed, without pauses. Call it within a running loop."""
    lines = options.lines()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "frames.jsonl"
        write_repeated(lines, max(1, events_wanted // len(lines)), file)
        frames = file.read_bytes().splitlines()
    clock = SystemClock()
    starts = range(0, len(frames), FRAMES_PER_READ)
    reads = [(frames[start : start + FRAMES_PER_READ], clock.time_ns()) for start in starts]
    return _published(reads)


def published_slowly(options: Options) -> Published:
    """The session once, at its original pace. Call it within a running loop."""
    reads: list[tuple[list[bytes], int]] = []
    for frame, received_ns in zip(options.lines(), options.received_times_ns(), strict=True):
        if not reads or received_ns - reads[-1][1] > GATHER_NS:
            reads.append(([], received_ns))
        reads[-1][0].append(frame)
    return _published(reads)


def _published(reads: list[tuple[list[bytes], int]]) -> Published:
    found = Published()
    clock, meter = SystemClock(), Meter(VENUE)
    venue = require(VENUE)(Environment("replay", "http://127.0.0.1:1"))
    (protocol,) = venue.feed_protocols
    rows = RowPublisher(venue, found, VenueSubscriptions(CHANNELS), meter, clock)
    pipeline = FramePipeline(venue, rows)
    rows.subscriptions.add([SYMBOL])
    rows.book_manager.add([SYMBOL])
    lines = [line for read, _ in reads for line in read]
    rows.book_manager.on_snapshot(SYMBOL, snapshot_of(lines, reads[0][1]))
    source = Silent()
    for frames, received_ns in reads:
        wanted = [frame for frame in frames if SNAPSHOT_MARK not in frame[:20]]
        if wanted:
            pipeline.buffer(protocol).add(wanted, received_ns, source)
            pipeline.flush()
    return found
