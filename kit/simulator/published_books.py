"""The books that a feed has published so far.

An exchange that opens a subscription with a snapshot sends the book as published so far, so that
the next change follows it; the market itself may already be ahead by part of an interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.market import MarketStep
from kit.simulator.market_events import Instrument, LevelChange

Levels = Sequence[tuple[int, int]]
"""(ticks, lots); 0 lots: the level is gone."""


@dataclass(frozen=True, slots=True)
class PublishedBookChanges:
    """What happened to a book in one interval: each level that changed, as it is at the end."""

    first: int
    """Sequence of the first change of a level in it."""
    last: int
    previous: int
    """``last`` of the interval before; 0: there was none."""
    bids: Levels
    asks: Levels


@dataclass(slots=True)
class _Side:
    published: dict[int, int] = field(default_factory=dict)
    pending: dict[int, int] = field(default_factory=dict)

    def end_interval(self) -> Levels:
        """Return the changed levels. A level that came and went within the interval has 0 lots."""
        changed, self.pending = self.pending, {}
        for ticks, lots in changed.items():
            if lots:
                self.published[ticks] = lots
            else:
                self.published.pop(ticks, None)
        return list(changed.items())


@dataclass(slots=True)
class _Book:
    first: int = 0
    """Of the interval now; 0: nothing has changed in it."""
    last: int = 0
    published: int = 0
    """``last`` at the end of the interval before."""
    bids: _Side = field(default_factory=_Side)
    asks: _Side = field(default_factory=_Side)


class PublishedBooks:
    """The books of one feed, which publishes at intervals."""

    def __init__(self) -> None:
        self._books: dict[Instrument, _Book] = {}

    def note(self, step: MarketStep) -> None:
        """Collect the changes of levels."""
        for event in step.events:
            if type(event) is not LevelChange:
                continue
            book = self._books.get(event.instrument)
            if book is None:
                book = self._books[event.instrument] = _Book()
            book.first = book.first or event.sequence
            book.last = event.sequence
            side = book.bids if event.is_bid else book.asks
            side.pending[event.price_ticks] = event.size_lots

    def changes(self, instrument: Instrument) -> PublishedBookChanges | None:
        """End an interval of this book. None: nothing has changed in it."""
        book = self._books.get(instrument)
        if book is None or not book.first:
            return None
        first, previous, book.first, book.published = book.first, book.published, 0, book.last
        bids, asks = book.bids.end_interval(), book.asks.end_interval()
        return PublishedBookChanges(first, book.last, previous, bids, asks)

    def snapshot(self, instrument: Instrument, depth: int) -> ExchangeBookSnapshot:
        """The best levels of the book at the end of the last interval; its sequence is the ``last``
        of that interval. Empty, with sequence 0, before the first."""
        book = self._books.get(instrument, _Book())
        bids = sorted(book.bids.published.items(), reverse=True)[:depth]
        asks = sorted(book.asks.published.items())[:depth]
        return ExchangeBookSnapshot(
            book.published, _texts(instrument, bids), _texts(instrument, asks)
        )


def _texts(instrument: Instrument, levels: Levels) -> list[tuple[str, str]]:
    return [(instrument.price_text(ticks), instrument.size_text(lots)) for ticks, lots in levels]
