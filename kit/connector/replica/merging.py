"""One stream of two sources: our own connections, and what the twin publishes."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel, channel_name
from kit.base.telemetry import Meter
from kit.connector.replica.cover import PeerCoverage, Tell
from kit.connector.replica.newest import LatestRows
from kit.connector.trades.continuity import Continuity
from kit.marketdata.model.columns import BookRows, QuoteRows, Rows, TradeRows


class SourceMerger:
    """What of two sources is kept. Of one source everything is."""

    def __init__(
        self, same_books: bool, tell: Tell, covered: Callable[[bool], None], meter: Meter
    ) -> None:
        """``same_books``: the numbers of book updates are the same on all connections."""
        self.same_books = same_books
        self.cover = PeerCoverage(tell, covered)
        self.is_active = False
        """Whether there was ever a twin."""
        self.is_from_peer = False
        """Whether what is taken now is the twin's."""
        self._newest = LatestRows()
        self._same_quotes = False
        self._counter = meter.counter(
            "merged_events", "Events by who brought them first", "channel", "origin"
        )

    @property
    def dropped_total(self) -> int:
        """Rows that both have brought and that have no number."""
        return self._newest.dropped_total

    @contextmanager
    def taking_from_peer(self) -> Iterator[None]:
        """What is taken meanwhile is the twin's."""
        self.is_active = self.is_from_peer = True
        try:
            yield
        finally:
            self.is_from_peer = False

    def covered(self, channels: Collection[Channel]) -> frozenset[Channel]:
        """Those of which nothing is missed without a connection of our own."""
        if not self.cover.stands:
            return frozenset()
        books = [types_pb2.CHANNEL_BOOK] if self.same_books else []
        quotes = [types_pb2.CHANNEL_QUOTES] if self._same_quotes else []
        return frozenset(channels).intersection([types_pb2.CHANNEL_TRADES, *books, *quotes])

    def first_of_each(self, rows: Rows, channel: Channel, quotes: Continuity[QuoteRows]) -> Rows:
        """Without what has come already. Trades and books are told apart by those who keep them;
        books that cannot be told apart are left to our own connections."""
        if not self.is_from_peer:
            self.cover.heard(rows.symbols.names, channel)
        if isinstance(rows, TradeRows):
            return rows
        if isinstance(rows, BookRows):
            is_foreign = self.is_from_peer and not self.same_books
            return rows.take(np.array([], dtype=np.int64)) if is_foreign else rows
        if isinstance(rows, QuoteRows):
            is_numbered = bool(rows.sequence[0] > 0)
            self._same_quotes = is_numbered or bool(rows.venue_time_ns[0] > 0)
            if is_numbered:
                return quotes.without_known(rows)
        return rows.take(self._newest.first_of_each(rows, self.is_from_peer))

    def count(self, channel: Channel, events: int) -> None:
        """Count events that were published by who brought them first."""
        origin = "twin" if self.is_from_peer else "own"
        self._counter.labels(channel_name(channel), origin).inc(events)
