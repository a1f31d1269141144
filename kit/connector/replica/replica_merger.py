"""Merges rows of our own connections and of a peer replica into one stream."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel, channel_name
from kit.base.telemetry import Meter
from kit.connector.replica.peer_coverage import PeerCoverage, ReportLoss
from kit.connector.replica.timestamp_deduplicator import TimestampDeduplicator
from kit.connector.trades.continuity_checker import ContinuityChecker
from kit.marketdata.model.columns import BookRows, QuoteRows, Rows, TradeRows


class ReplicaMerger:
    """Keeps the first of each row of two sources; of a single source, all rows."""

    def __init__(
        self,
        same_books: bool,
        report_loss: ReportLoss,
        covered: Callable[[bool], None],
        meter: Meter,
    ) -> None:
        """``same_books``: whether book update numbers are the same on all connections."""
        self.same_books = same_books
        self.cover = PeerCoverage(report_loss, covered)
        self.is_active = False
        """Whether rows of a peer ever came."""
        self.is_from_peer = False
        """Whether the current rows are the peer's."""
        self._newest = TimestampDeduplicator()
        self._same_quotes = False
        self._counter = meter.counter(
            "merged_events", "Events by who brought them first", "channel", "origin"
        )

    @property
    def dropped_total(self) -> int:
        """Number of dropped rows without a number that both sources brought."""
        return self._newest.dropped_total

    @contextmanager
    def taking_from_peer(self) -> Iterator[None]:
        """Meanwhile, rows are the peer's."""
        self.is_active = self.is_from_peer = True
        try:
            yield
        finally:
            self.is_from_peer = False

    def covered(self, channels: Collection[Channel]) -> frozenset[Channel]:
        """Those of these channels that the peer covers."""
        if not self.cover.is_active:
            return frozenset()
        books = [types_pb2.CHANNEL_BOOK] if self.same_books else []
        quotes = [types_pb2.CHANNEL_QUOTES] if self._same_quotes else []
        return frozenset(channels).intersection([types_pb2.CHANNEL_TRADES, *books, *quotes])

    def first_of_each(
        self, rows: Rows, channel: Channel, quotes: ContinuityChecker[QuoteRows]
    ) -> Rows:
        """Drop repeated rows. Trades and book updates are compared later, by their numbers; books
        without common numbers come only from our own connections."""
        if not self.is_from_peer:
            self.cover.on_own_rows(rows.symbols.names, channel)
        if isinstance(rows, TradeRows):
            return rows
        if isinstance(rows, BookRows):
            is_peers = self.is_from_peer and not self.same_books
            return rows.take(np.array([], dtype=np.int64)) if is_peers else rows
        if isinstance(rows, QuoteRows):
            is_numbered = bool(rows.sequence[0] > 0)
            self._same_quotes = is_numbered or bool(rows.venue_time_ns[0] > 0)
            if is_numbered:
                return quotes.without_known(rows)
        return rows.take(self._newest.first_of_each(rows, self.is_from_peer))

    def count(self, channel: Channel, events: int) -> None:
        """Count events that were published by who brought them first."""
        origin = "peer" if self.is_from_peer else "own"
        self._counter.labels(channel_name(channel), origin).inc(events)
