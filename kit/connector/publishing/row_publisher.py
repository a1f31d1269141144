"""From rows to batches: each event once, and a Gap wherever one may be missing."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.cursor import Channel, channel_name
from kit.base.numbers import NumberError
from kit.base.telemetry import Meter
from kit.connector.books.book_manager import BookManager
from kit.connector.contract.venue import SnapshotSource, Venue
from kit.connector.replica.replica_merger import ReplicaMerger
from kit.connector.subscriptions import VenueSubscriptions
from kit.connector.trades.continuity_checker import quote_continuity, without_overtaken
from kit.connector.trades.trade_sequencer import TradeSequencer
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import (
    BookRows,
    CandleRows,
    MarkRows,
    QuoteRows,
    Rows,
    TickerRows,
    TradeRows,
)

CHANNEL_OF: Mapping[type[Any], Channel] = {
    TradeRows: types_pb2.CHANNEL_TRADES,
    QuoteRows: types_pb2.CHANNEL_QUOTES,
    BookRows: types_pb2.CHANNEL_BOOK,
    TickerRows: types_pb2.CHANNEL_TICKERS,
    MarkRows: types_pb2.CHANNEL_MARKS,
    CandleRows: types_pb2.CHANNEL_CANDLES,
}
NO_ROWS = np.array([], dtype=np.int64)


class BatchSink(Protocol):
    """Where batches go: the hub."""

    def publish(self, channel: Channel, draft: BatchDraft) -> object:
        """Number a batch and hand it to the readers."""


class SkippedDataCounter:
    """Counts what is left out, and logs its text once per kind."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._logged = telemetry.LogDeduplicator(telemetry.logger("venue.pipeline"))
        self._by_kind = meter.counter("skipped_frames", "Frames left out", "kind")

    def add(self, kind: str, text: str, **extra: object) -> None:
        """Count one; ``text`` and ``extra`` are logged for the first of its kind."""
        self._logged.warning(kind, text, **extra)
        self._by_kind.labels(kind).inc()
        self._meter.count("skipped_frames_total")


class RowPublisher:
    """Publishes the rows of all channels of a venue. It is the ``RowSink`` of a feed that reads
    frames with a client library."""

    def __init__(
        self,
        venue: Venue,
        hub: BatchSink,
        subscriptions: VenueSubscriptions,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self.subscriptions = subscriptions
        self.trade_sequencer = TradeSequencer(
            partial(self._publish, types_pb2.CHANNEL_TRADES), subscriptions, clock
        )
        self.book_manager = BookManager(venue.book, partial(self._publish, types_pb2.CHANNEL_BOOK))
        self.merger = ReplicaMerger(
            venue.book.same_everywhere, self._on_lost_rows, self._on_cover_changed, meter
        )
        self.skips = SkippedDataCounter(meter)
        self._hub = hub
        self._clock = clock
        self._feed_sends_books = venue.book.snapshots is SnapshotSource.FEED
        self._quotes = quote_continuity()
        self._is_repeating = False

    def take(self, rows: Rows) -> None:
        """Publish the rows that are subscribed to and new. Raises NumberError, and changes nothing,
        when a number cannot be written."""
        channel = CHANNEL_OF[type(rows)]
        if channel not in self.subscriptions.channels:
            self.skips.add("channel not declared", channel_name(channel))
            return
        rows = self._subscribed(rows)
        if self._is_repeating and len(rows):
            rows = self._without_repeated(rows)
        if self.merger.is_active and len(rows):
            rows = self.merger.first_of_each(rows, channel, self._quotes)
        if not len(rows):
            return
        match rows:
            case TradeRows():
                self.trade_sequencer.on_rows(rows, self._may_repeat)
            case QuoteRows():
                self._take_quotes(rows)
            case BookRows():
                self._take_book_updates(rows)
            case TickerRows() | MarkRows() | CandleRows():
                self._publish(channel, encode.rows(rows))

    def publish(self, rows: Rows) -> bool:
        """Publish rows that a client library has read. Returns False, and skips them, when a number
        cannot be written."""
        try:
            self.take(rows)
        except NumberError as error:
            self.skips.add("malformed rows", type(rows).__name__, detail=str(error))
            return False
        return True

    def publish_from_peer(self, rows: Rows) -> None:
        """Publish rows that another process of the venue has published; see peer_replica.py."""
        with self.merger.taking_from_peer():
            self.publish(rows)

    def report_gap(
        self, symbol: str, channel: Channel, reason: "types_pb2.GapReason.ValueType", detail: str
    ) -> None:
        """Publish a gap: events of an instrument, or with "" of the channel, did not arrive."""
        gap = types_pb2.Gap(
            symbol=symbol, reason=reason, detected_time_ns=self._clock.time_ns(), detail=detail
        )
        self._publish(channel, BatchDraft(gaps=[gap]))

    def reject_subscriptions(
        self, symbols: Iterable[str], channels: Iterable[Channel], message: str
    ) -> None:
        """The venue rejected a request with this message, and these subscriptions for good."""
        self.skips.add("rejected by the venue", message)
        self.subscriptions.reject(symbols, channels)

    def on_connection_lost(
        self, symbols: Iterable[str], channels: Collection[Channel], reason: str
    ) -> None:
        """The connection of these instruments was lost: report what may be missing, unless a peer
        covers it."""
        names = list(symbols)
        covered = self.merger.covered(channels)
        self.merger.cover.rely_on_peer(names, covered)
        if types_pb2.CHANNEL_TRADES in covered:
            self.trade_sequencer.reconnected(names, is_covered=True)
        if types_pb2.CHANNEL_BOOK in covered:
            self.book_manager.expect_snapshots(names)
        self._on_lost_rows(names, frozenset(channels) - covered, reason)
        self.merger.cover.on_own_loss()

    def on_resubscribed(
        self, symbol: str, stale: Channel, channels: Collection[Channel], detail: str
    ) -> None:
        """These channels of an instrument were subscribed to again because ``stale`` had been
        silent beyond its usual pace. Events of the others may have been missed meanwhile."""
        if types_pb2.CHANNEL_BOOK in channels:
            now_ns = self._clock.time_ns()
            self.book_manager.mark_in_doubt([symbol], types_pb2.GAP_REASON_STALE, now_ns, detail)
            self.book_manager.snapshot_wanted.set()
        others = set(channels) - {stale, types_pb2.CHANNEL_BOOK}
        self.on_connection_lost([symbol], others, detail)
        if stale != types_pb2.CHANNEL_BOOK:
            self.report_gap(symbol, stale, types_pb2.GAP_REASON_STALE, detail)

    def take_over_books(self, books: BookManager) -> None:
        """Continue with the books of another connection."""
        self.book_manager.take_over(books, self._clock.time_ns())

    @contextmanager
    def repeated_rows(self) -> Iterator[None]:
        """Drop rows that the previous connection has delivered. At the end the new connection may
        still be behind it."""
        self._is_repeating = True
        try:
            yield
        finally:
            self._is_repeating = False
            self._quotes.connection_replaced()
            self.trade_sequencer.connection_replaced()

    def dropped_total(self) -> int:
        """Duplicates, and quotes that newer ones had overtaken."""
        ignored = sum(book.ignored_total for book in self.book_manager.books.values())
        trades, quotes = self.trade_sequencer.dropped_total, self._quotes.dropped_total
        return ignored + trades + quotes + self.merger.dropped_total

    @property
    def _may_repeat(self) -> bool:
        """Whether many of the rows have come over another connection or from a peer."""
        return self._is_repeating or self.merger.is_active

    def _on_cover_changed(self, stands: bool) -> None:
        self.book_manager.wait_for_peer(stands and self.merger.same_books)

    def _on_lost_rows(
        self, names: Sequence[str], channels: Collection[Channel], reason: str
    ) -> None:
        if types_pb2.CHANNEL_TRADES in channels:
            self.trade_sequencer.reconnected(names)
        if types_pb2.CHANNEL_QUOTES in channels:
            self._quotes.reconnected(names)
        if types_pb2.CHANNEL_BOOK in channels:
            now_ns = self._clock.time_ns()
            self.book_manager.mark_in_doubt(names, types_pb2.GAP_REASON_RECONNECT, now_ns, reason)

    def _take_quotes(self, rows: QuoteRows) -> None:
        # Encoded before the check: rows that cannot be written must not count as seen.
        whole = encode.rows(rows)
        for segment in self._quotes.check(rows):
            if self._may_repeat:
                segment = without_overtaken(segment)
            if segment.rows is rows:
                self._publish(types_pb2.CHANNEL_QUOTES, whole)
            elif len(segment.rows) or segment.gaps:
                draft = encode.rows(segment.rows) if len(segment.rows) else BatchDraft()
                self._publish(types_pb2.CHANNEL_QUOTES, draft.after(segment.gaps))

    def _take_book_updates(self, rows: BookRows) -> None:
        if not self.merger.is_from_peer:
            self.book_manager.on_rows(rows)
            return
        self.book_manager.on_peer_snapshots(rows.take(np.flatnonzero(rows.snapshot)))
        rows = rows.take(np.flatnonzero(rows.snapshot == 0))
        if len(rows):
            leans = self.merger.cover.relies_on_peer
            names = rows.symbols.names
            ahead = {name for name in names if not leans(name, types_pb2.CHANNEL_BOOK)}
            self.book_manager.on_rows(rows, ahead)

    def _subscribed(self, rows: Rows) -> Rows:
        """Skip symbols that nobody has subscribed to."""
        unlisted = set(self.subscriptions.not_subscribed(rows.symbols.names))
        if not unlisted:
            return rows
        for name in unlisted:
            self.skips.add("symbol not subscribed", name)
        listed = [number for number, name in enumerate(rows.symbols.names) if name not in unlisted]
        return rows.take(np.flatnonzero(np.isin(rows.symbols.row, listed)))

    def _without_repeated(self, rows: Rows) -> Rows:
        """Drop what the connection before has brought. Trades and quotes are known by their
        numbers, books by theirs or, where the feed sends them, as a whole; other rows by receive
        time."""
        if isinstance(rows, BookRows):
            if self._feed_sends_books:
                return rows.take(NO_ROWS)
            return self.book_manager.not_contained(rows)
        if isinstance(rows, TradeRows | QuoteRows):
            return rows
        channel = CHANNEL_OF[type(rows)]
        newest = [self.subscriptions.received_time_ns(one, channel) for one in rows.symbols.names]
        newest_ns = np.array(newest, dtype=np.int64)[rows.symbols.row]
        return rows.take(np.flatnonzero(rows.received_time_ns > newest_ns))

    def _publish(self, channel: Channel, draft: BatchDraft) -> None:
        self.subscriptions.count_published(channel, draft)
        if self.merger.is_active:
            self.merger.count(channel, draft.events)
        self._hub.publish(channel, draft)
