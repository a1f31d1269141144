"""From frames to batches: gather, parse together, check, publish.

Frames are gathered by wire and handled together when the loop has read what the socket had: at
once after a quiet moment, otherwise FLUSH_INTERVAL_S after the last time. So a single tick is not
delayed, and a burst becomes a few large batches.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.base.numbers import NumberError
from kit.base.telemetry import Meter
from kit.connector.books.book_manager import BookManager
from kit.connector.contract.venue import (
    ControlMessage,
    FeedProtocol,
    FrameKind,
    Parse,
    SnapshotSource,
    Venue,
)
from kit.connector.host.connection_sequence import ConnectionSequence
from kit.connector.replica.merging import SourceMerger
from kit.connector.subscriptions import Subscriptions
from kit.connector.trades.continuity import quote_continuity, without_overtaken
from kit.connector.trades.trade_sequencer import TradeSequencer
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from kit.marketdata.model.columns import (
    BookRows,
    CandleRows,
    MarkRows,
    QuoteRows,
    Rows,
    TickerRows,
    TradeRows,
)

FLUSH_INTERVAL_S = 0.002
GATHERED_FRAMES_MAX = 2_000
"""More are not waited for: a batch this large gains nothing more, and would make readers wait."""
FRAME_BYTES_MAX = 8 * 1024 * 1024


class Source(Protocol):
    """The connection that frames come from."""

    def answered(self, answer: ControlMessage) -> None:
        """The venue has said something of the connection itself."""

    def broken(self, detail: str) -> None:
        """Something that the venue sent over it did not arrive."""


class Publisher(Protocol):
    """Where batches go; the hub."""

    def publish(self, channel: Channel, draft: BatchDraft) -> object:
        """Number a batch and hand it to the readers."""


class Heard(NamedTuple):
    """Frames that were read together."""

    payloads: list[bytes]
    received_time_ns: int
    source: Source


class FramePipeline:
    """Everything between the sockets and the hub of one venue."""

    def __init__(
        self, venue: Venue, hub: Publisher, subscriptions: Subscriptions, meter: Meter, clock: Clock
    ) -> None:
        self._hub = hub
        self.subscriptions = subscriptions
        self._clock = clock
        self.books_are_provable = bool(venue.book_proofs)
        self._books_come = venue.book.snapshots is SnapshotSource.FEED
        self._quotes = quote_continuity()
        self.trade_sequencer = TradeSequencer(
            lambda draft: self._publish(types_pb2.CHANNEL_TRADES, draft), subscriptions, clock
        )
        self.book_manager = BookManager(
            venue.book, lambda draft: self._publish(types_pb2.CHANNEL_BOOK, draft)
        )
        self.merging = SourceMerger(venue.book.same_everywhere, self._lost, self._covered, meter)
        self._takers: dict[type[Any], Callable[[Any], None]] = {
            TradeRows: lambda rows: self.trade_sequencer.on_rows(rows, self._comes_twice),
            QuoteRows: self._on_quotes,
            BookRows: self._on_books,
            TickerRows: lambda rows: self._publish(CHANNEL_TICKERS, encode.rows(rows)),
            MarkRows: lambda rows: self._publish(CHANNEL_MARKS, encode.rows(rows)),
            CandleRows: lambda rows: self._publish(CHANNEL_CANDLES, encode.rows(rows)),
        }
        self._meter = meter
        self._skipped = telemetry.OncePerKind(telemetry.logger("venue.pipeline"))
        self._skipped_counter = meter.counter("skipped_frames", "Frames left out", "kind")
        self._gathered = {wire: _Gathered(wire) for wire in venue.feed_protocols}
        self._sequence = ConnectionSequence(venue.connection_sequence)
        self._waiting = 0
        self._flush_at: asyncio.TimerHandle | asyncio.Handle | None = None
        self._flushed_at = 0.0
        self._overlapping = False

    def frames(
        self, payloads: list[bytes], received_time_ns: int, wire: FeedProtocol, source: Source
    ) -> None:
        """Messages that were read from a socket together."""
        self._gathered[wire].add(payloads, received_time_ns, source)
        self._waiting += len(payloads)
        if self._waiting >= GATHERED_FRAMES_MAX:
            self.flush()
        elif self._flush_at is None:
            self._schedule()

    def rows(self, rows: Rows) -> bool:
        """Rows that a client of its own has read. Returns False, and leaves them out, when they
        have a number that cannot be written."""
        try:
            self._take(rows)
        except NumberError as error:
            self._skip("malformed rows", type(rows).__name__, detail=str(error))
            return False
        return True

    def from_twin(self, rows: Rows) -> None:
        """Rows that another process of the venue has published; see peer_replica.py."""
        with self.merging.taking_from_twin():
            self.rows(rows)

    def missed(
        self, symbol: str, channel: Channel, reason: "types_pb2.GapReason.ValueType", detail: str
    ) -> None:
        """Something of this instrument did not arrive, while the connection stands."""
        now_ns = self._clock.time_ns()
        gap = types_pb2.Gap(symbol=symbol, reason=reason, detected_time_ns=now_ns, detail=detail)
        self._publish(channel, BatchDraft(gaps=[gap]))

    def refused(self, symbol: str, channel: Channel, words: str) -> None:
        """The venue will not serve this."""
        self._skip("refused by the venue", words)
        self.subscriptions.refuse([symbol], [channel])

    def flush(self) -> None:
        """Handle what was gathered."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        self._flushed_at = asyncio.get_running_loop().time()
        self._waiting = 0
        for gathered in self._gathered.values():
            if gathered.payloads:
                self._handle_all(gathered.wire, *gathered.take())

    def reconnected(
        self, symbols: Iterable[str], channels: Collection[Channel], reason: str
    ) -> None:
        """The connection of these instruments was lost; what was under way is gone."""
        self.flush()
        names = list(symbols)
        covered = self.merging.covered(channels)
        self.merging.cover.lean(names, covered)
        if types_pb2.CHANNEL_TRADES in covered:
            self.trade_sequencer.reconnected(names, is_covered=True)
        if types_pb2.CHANNEL_BOOK in covered:
            self.book_manager.expect_snapshots(names)
        self._lost(names, frozenset(channels) - covered, reason)
        self.merging.cover.when_lost()

    def renewed(
        self, symbol: str, stale: Channel, channels: Collection[Channel], detail: str
    ) -> None:
        """These channels of an instrument were subscribed to again, because one was silent."""
        self.flush()
        now_ns = self._clock.time_ns()
        if types_pb2.CHANNEL_BOOK in channels:
            self.book_manager.mark_in_doubt([symbol], types_pb2.GAP_REASON_STALE, now_ns, detail)
            self.book_manager.snapshot_wanted.set()
        self.reconnected([symbol], set(channels) - {stale, types_pb2.CHANNEL_BOOK}, detail)
        if stale != types_pb2.CHANNEL_BOOK:
            reason = types_pb2.GAP_REASON_STALE
            gap = types_pb2.Gap(
                symbol=symbol, reason=reason, detected_time_ns=now_ns, detail=detail
            )
            self._publish(stale, BatchDraft(gaps=[gap]))

    def take_over(
        self, wire: FeedProtocol, held: Iterable[Heard], books: BookManager | None
    ) -> None:
        """Take over from a connection that has ended. ``held``: the newest frames of the new one;
        many came over the old one too. ``books``: its books, where snapshots come over the feed."""
        self.flush()
        if books is not None:
            self.book_manager.take_over(books, self._clock.time_ns())
        self._overlapping = True
        try:
            for heard in held:
                self._gathered[wire].add(*heard)
            self.flush()
        finally:
            self._overlapping = False

    def restarted(self, channels: Iterable[Channel], detail: str) -> None:
        """Tell these channels that the process was started anew."""
        for channel in channels:
            gap = types_pb2.Gap(
                reason=types_pb2.GAP_REASON_RESTART,
                detected_time_ns=self._clock.time_ns(),
                detail=detail,
            )
            self._publish(channel, BatchDraft(gaps=[gap]))

    def dropped_total(self) -> int:
        """Duplicates, and quotes that newer ones had overtaken."""
        ignored = sum(book.ignored_total for book in self.book_manager.books.values())
        trades, quotes = self.trade_sequencer.dropped_total, self._quotes.dropped_total
        return ignored + trades + quotes + self.merging.dropped_total

    @property
    def _comes_twice(self) -> bool:
        """Whether another connection has brought many of the rows."""
        return self._overlapping or self.merging.is_active

    def _covered(self, stands: bool) -> None:
        self.book_manager.wait_for_peer(stands and self.merging.same_books)

    def _lost(self, names: list[str], channels: Collection[Channel], reason: str) -> None:
        """Some of this may be missing now."""
        if types_pb2.CHANNEL_TRADES in channels:
            self.trade_sequencer.reconnected(names)
        if types_pb2.CHANNEL_QUOTES in channels:
            self._quotes.reconnected(names)
        if types_pb2.CHANNEL_BOOK in channels:
            now_ns = self._clock.time_ns()
            self.book_manager.mark_in_doubt(names, types_pb2.GAP_REASON_RECONNECT, now_ns, reason)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._flushed_at + FLUSH_INTERVAL_S - loop.time()
        if wait_s > 0:
            self._flush_at = loop.call_later(wait_s, self.flush)
        else:
            self._flush_at = loop.call_soon(self.flush)

    def _handle_all(self, wire: FeedProtocol, frames: Frames, sources: "list[Source]") -> None:
        frames = self._sequence.unbroken(self._sensible(frames), sources)
        kinds = self._gathered[wire].patterns.classify(frames)
        for number in np.flatnonzero(np.bincount(kinds)).tolist():
            chosen = np.flatnonzero(kinds == number)
            some = frames if len(chosen) == len(frames) else frames.take(chosen)
            if number < len(wire.kinds):
                self._handle_kind(wire.kinds[number], some)
            else:
                self._on_answers(wire, some, sources)

    def _handle_kind(self, kind: FrameKind, frames: Frames) -> None:
        for parse in kind.parsers:
            try:
                self._take(parse(frames))
            except (FrameError, NumberError):
                self._handle_one_by_one(kind, parse, frames)

    def _handle_one_by_one(self, kind: FrameKind, parse: Parse, frames: Frames) -> None:
        """One of them is bad. Handled one by one, it is found and the others are kept."""
        for frame in frames.one_by_one():
            try:
                self._take(parse(frame))
            except (FrameError, NumberError) as error:
                text = repr(frame.payloads[0][:200])
                self._skip(f"malformed {kind.name}", text, detail=str(error))

    def _take(self, rows: Rows) -> None:
        rows = self._listed(rows)
        if self._overlapping and len(rows):
            rows = self._unheard(rows)
        if self.merging.is_active and len(rows):
            rows = self.merging.first_of_each(rows, CHANNEL_OF[type(rows)], self._quotes)
        if len(rows):
            self._takers[type(rows)](rows)

    def _on_quotes(self, rows: QuoteRows) -> None:
        # Written before the check: rows that cannot be written must not count as seen.
        whole = encode.rows(rows)
        for segment in self._quotes.check(rows):
            if self._comes_twice:
                segment = without_overtaken(segment)
            if segment.rows is rows:
                self._publish(types_pb2.CHANNEL_QUOTES, whole)
            elif len(segment.rows) or segment.gaps:
                draft = encode.rows(segment.rows) if len(segment.rows) else BatchDraft()
                self._publish(types_pb2.CHANNEL_QUOTES, draft.after(segment.gaps))

    def _on_books(self, rows: BookRows) -> None:
        if not self.merging.is_from_twin:
            self.book_manager.on_rows(rows)
            return
        self.book_manager.on_peer_snapshots(rows.take(np.flatnonzero(rows.snapshot)))
        rows = rows.take(np.flatnonzero(rows.snapshot == 0))
        if len(rows):
            leans = self.merging.cover.leans
            names = rows.symbols.names
            ahead = {name for name in names if not leans(name, types_pb2.CHANNEL_BOOK)}
            self.book_manager.on_rows(rows, ahead)

    def _listed(self, rows: Rows) -> Rows:
        """Without the symbols that nobody asked for."""
        unlisted = set(self.subscriptions.unlisted(rows.symbols.names))
        if not unlisted:
            return rows
        for name in unlisted:
            self._skip("symbol not subscribed", name)
        listed = [number for number, name in enumerate(rows.symbols.names) if name not in unlisted]
        return rows.take(np.flatnonzero(np.isin(rows.symbols.row, listed)))

    def _unheard(self, rows: Rows) -> Rows:
        """Without what has come over the connection of before. Trades and quotes are known by their
        numbers, books by theirs or, where they come over the feed, whole; the rest by its time."""
        if isinstance(rows, BookRows):
            none = rows.take(np.array([], dtype=np.int64))
            return none if self._books_come else self.book_manager.not_contained(rows)
        if isinstance(rows, TradeRows | QuoteRows):
            return rows
        channel = CHANNEL_OF[type(rows)]
        newest = [self.subscriptions.received_time_ns(one, channel) for one in rows.symbols.names]
        heard_ns = np.array(newest, dtype=np.int64)[rows.symbols.row]
        return rows.take(np.flatnonzero(rows.received_time_ns > heard_ns))

    def _on_answers(self, wire: FeedProtocol, frames: Frames, sources: "list[Source]") -> None:
        for payload, source in zip(frames.payloads, frames.source.tolist(), strict=True):
            try:
                answer = wire.read_control_message(payload)
            except FrameError as error:
                self._skip("unknown event", repr(payload[:200]), detail=str(error))
                continue
            if answer.rejection:
                self._skip("refused by the venue", answer.rejection)
                self.subscriptions.refuse(answer.rejected_symbols, wire.channels)
            sources[source].answered(answer)

    def _sensible(self, frames: Frames) -> Frames:
        """Without those that are larger than anything a venue means to send."""
        oversized = frames.ends - frames.starts > FRAME_BYTES_MAX
        if not oversized.any():
            return frames
        for frame in frames.take(np.flatnonzero(oversized)).one_by_one():
            size_bytes = int(frame.ends[0] - frame.starts[0])
            text = repr(frame.payloads[0][:200])
            self._skip("oversized frame", text, size_bytes=size_bytes)
        return frames.take(np.flatnonzero(~oversized))

    def _skip(self, kind: str, text: str, **extra: object) -> None:
        """Leave something out: counted, and logged with its text once per kind."""
        self._skipped.warning(kind, text, **extra)
        self._skipped_counter.labels(kind).inc()
        self._meter.count("skipped_frames_total")

    def _publish(self, channel: Channel, draft: BatchDraft) -> None:
        self.subscriptions.note(channel, draft)
        self.merging.count(channel, draft.events)
        self._hub.publish(channel, draft)


class _Gathered:
    """Frames of one wire that wait to be handled together."""

    def __init__(self, wire: FeedProtocol) -> None:
        self.wire = wire
        self.patterns = FramePatterns([kind.pattern for kind in wire.kinds], wire.window_bytes)
        self.payloads: list[bytes] = []
        self._times: list[int] = []
        self._counts: list[int] = []
        self._sources: list[Source] = []

    def add(self, payloads: list[bytes], received_time_ns: int, source: Source) -> None:
        """What one read brought."""
        self.payloads += payloads
        self._times.append(received_time_ns)
        self._counts.append(len(payloads))
        self._sources.append(source)

    def take(self) -> "tuple[Frames, list[Source]]":
        """All of it, with the sources that Frames.source counts in; nothing is left."""
        counts = self._counts
        times, source = np.repeat(np.array((self._times, range(len(counts)))), counts, axis=1)
        taken = Frames(self.payloads, times, source), self._sources
        self.payloads, self._times, self._counts, self._sources = [], [], [], []
        return taken


CHANNEL_TICKERS = types_pb2.CHANNEL_TICKERS
CHANNEL_MARKS = types_pb2.CHANNEL_MARKS
CHANNEL_CANDLES = types_pb2.CHANNEL_CANDLES
CHANNEL_OF: Mapping[type[Any], Channel] = {
    TradeRows: types_pb2.CHANNEL_TRADES,
    QuoteRows: types_pb2.CHANNEL_QUOTES,
    BookRows: types_pb2.CHANNEL_BOOK,
    TickerRows: CHANNEL_TICKERS,
    MarkRows: CHANNEL_MARKS,
    CandleRows: CHANNEL_CANDLES,
}
