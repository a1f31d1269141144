"""From frames to rows: gathers frames of the sockets, parses them together, passes the rows on.

Frames of one feed protocol are gathered and parsed together when the event loop has read what the
sockets had: at once after a quiet moment, otherwise FLUSH_INTERVAL_S after the last time. A single
tick is therefore not delayed, and a burst becomes a few large batches.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np

from kit.base.numbers import NumberError
from kit.connector.books.book_manager import BookManager
from kit.connector.contract.venue import ControlMessage, FeedProtocol, FrameKind, Parse, Venue
from kit.connector.publishing.connection_sequence import ConnectionSequenceCheck
from kit.connector.publishing.row_publisher import RowPublisher
from kit.marketdata.frames import FrameError, FramePatterns, Frames

NO_KIND = ""
FLUSH_INTERVAL_S = 0.002
GATHERED_FRAMES_MAX = 2_000
"""So many frames are parsed at once: a larger batch gains nothing and delays readers."""
FRAME_BYTES_MAX = 8 * 1024 * 1024


class FrameSource(Protocol):
    """The opened connection that frames come from."""

    def on_control_message(self, message: ControlMessage) -> None:
        """The venue sent a control message over the connection."""

    def on_missing_frame(self, detail: str) -> None:
        """A frame that the venue sent over the connection did not arrive."""


class ReceivedFrames(NamedTuple):
    """Frames that were read from one connection together."""

    payloads: list[bytes]
    received_time_ns: int
    source: FrameSource


class FrameBuffer:
    """Gathers the frames of one feed protocol until they are parsed together."""

    def __init__(self, protocol: FeedProtocol, on_frames: Callable[[int], None]) -> None:
        """``on_frames`` is called with the number of frames that were added."""
        self.protocol = protocol
        self.patterns = FramePatterns(
            [kind.pattern for kind in protocol.kinds], protocol.window_bytes
        )
        self._on_frames = on_frames
        self._payloads: list[bytes] = []
        self._times_ns: list[int] = []
        self._counts: list[int] = []
        self._sources: list[FrameSource] = []

    def add(self, payloads: list[bytes], received_time_ns: int, source: FrameSource) -> None:
        """Add messages that were read from a connection together."""
        self._payloads += payloads
        self._times_ns.append(received_time_ns)
        self._counts.append(len(payloads))
        self._sources.append(source)
        self._on_frames(len(payloads))

    def take(self) -> tuple[Frames, list[FrameSource]] | None:
        """Take all frames, and the list that Frames.source refers to; None without frames."""
        if not self._payloads:
            return None
        counts = self._counts
        times, source = np.repeat(np.array((self._times_ns, range(len(counts)))), counts, axis=1)
        taken = Frames(self._payloads, times, source), self._sources
        self._payloads, self._times_ns, self._counts, self._sources = [], [], [], []
        return taken


class FramePipeline:
    """Parses the frames of all connections of a venue."""

    def __init__(self, venue: Venue, row_publisher: RowPublisher) -> None:
        """``row_publisher`` gets the rows."""
        self.frame_counts: Counter[str] = Counter()
        """Number of frames by the name of their kind, or NO_KIND."""
        self._row_publisher = row_publisher
        self._skips = row_publisher.skips
        self._buffers = {
            protocol: FrameBuffer(protocol, self._on_frames) for protocol in venue.feed_protocols
        }
        read = venue.connection_sequence
        self._sequence = None if read is None else ConnectionSequenceCheck(read)
        self._waiting = 0
        self._flush_handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._flushed_at_s = 0.0

    def buffer(self, protocol: FeedProtocol) -> FrameBuffer:
        """Where connections of this feed protocol add their frames."""
        return self._buffers[protocol]

    def flush(self) -> None:
        """Parse all gathered frames now."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        self._flushed_at_s = asyncio.get_running_loop().time()
        self._waiting = 0
        for buffer in self._buffers.values():
            gathered = buffer.take()
            if gathered is not None:
                self._parse_all(buffer, *gathered)

    def take_over(
        self, protocol: FeedProtocol, held: Iterable[ReceivedFrames], books: BookManager | None
    ) -> None:
        """Continue with the frames of a new connection; the old one brings nothing any more.

        ``held`` are the newest frames of the new connection, many of which the old one has brought
        as well. ``books`` are the books of the new connection where the feed sends whole books.
        """
        self.flush()
        if books is not None:
            self._row_publisher.take_over_books(books)
        with self._row_publisher.repeated_rows():
            for frames in held:
                self._buffers[protocol].add(*frames)
            self.flush()

    def _on_frames(self, count: int) -> None:
        self._waiting += count
        if self._waiting >= GATHERED_FRAMES_MAX:
            self.flush()
        elif self._flush_handle is None:
            loop = asyncio.get_running_loop()
            wait_s = self._flushed_at_s + FLUSH_INTERVAL_S - loop.time()
            if wait_s > 0:
                self._flush_handle = loop.call_later(wait_s, self.flush)
            else:
                self._flush_handle = loop.call_soon(self.flush)

    def _parse_all(self, buffer: FrameBuffer, frames: Frames, sources: list[FrameSource]) -> None:
        protocol = buffer.protocol
        frames = self._without_oversized(frames)
        if self._sequence is not None:
            frames = self._sequence.unbroken(frames, sources)
        kinds = buffer.patterns.classify(frames)
        for number in np.flatnonzero(np.bincount(kinds)).tolist():
            chosen = np.flatnonzero(kinds == number)
            some = frames if len(chosen) == len(frames) else frames.take(chosen)
            is_known = number < len(protocol.kinds)
            self.frame_counts[protocol.kinds[number].name if is_known else NO_KIND] += len(chosen)
            if is_known:
                self._parse_kind(protocol.kinds[number], some)
            else:
                self._read_control_messages(protocol, some, sources)

    def _parse_kind(self, kind: FrameKind, frames: Frames) -> None:
        for parse in kind.parsers:
            try:
                self._row_publisher.take(parse(frames))
            except (FrameError, NumberError):
                self._parse_one_by_one(kind, parse, frames)

    def _parse_one_by_one(self, kind: FrameKind, parse: Parse, frames: Frames) -> None:
        """One of the frames is malformed: skip it and keep the others."""
        for frame in frames.one_by_one():
            try:
                self._row_publisher.take(parse(frame))
            except (FrameError, NumberError) as error:
                text = repr(frame.payloads[0][:200])
                self._skips.add(f"malformed {kind.name}", text, detail=str(error))

    def _read_control_messages(
        self, protocol: FeedProtocol, frames: Frames, sources: list[FrameSource]
    ) -> None:
        for payload, source in zip(frames.payloads, frames.source.tolist(), strict=True):
            try:
                message = protocol.read_control_message(payload)
            except FrameError as error:
                self._skips.add("unknown event", repr(payload[:200]), detail=str(error))
                continue
            if message.rejection:
                self._row_publisher.reject_subscriptions(
                    message.rejected_symbols, protocol.channels, message.rejection
                )
            sources[source].on_control_message(message)

    def _without_oversized(self, frames: Frames) -> Frames:
        """Skip frames that are larger than any message of a venue."""
        oversized = frames.ends - frames.starts > FRAME_BYTES_MAX
        if not oversized.any():
            return frames
        for frame in frames.take(np.flatnonzero(oversized)).one_by_one():
            size_bytes = int(frame.ends[0] - frame.starts[0])
            text = repr(frame.payloads[0][:200])
            self._skips.add("oversized frame", text, size_bytes=size_bytes)
        return frames.take(np.flatnonzero(~oversized))
