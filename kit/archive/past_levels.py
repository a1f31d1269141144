"""Many books, brought to a moment of the past by their updates."""

from dataclasses import dataclass, field

import numpy as np

from kit.archive.book_events import BookEvents, Entry
from kit.archive.book_updates import BookUpdates
from kit.book import Book, Side
from kit.columns import Scale, Symbols, elements_of
from kit.numbers import DIGITS_MAX, IntColumn, NumberError, rescale

NUMBER_BOUND = 10**DIGITS_MAX


@dataclass(slots=True)
class _Known:
    """One book, and the last update of it."""

    book: Book = field(default_factory=Book)
    scale: Scale = field(default_factory=Scale)
    last_sequence: int = 0
    book_epoch: int = 0
    venue_time_ns: int = 0

    def grow(self, scale: Scale) -> None:
        """To the largest scale that came. Raises NumberError when its numbers would not fit."""
        grown = Scale(*map(max, scale, self.scale))
        price_factor = 10 ** (grown.price - self.scale.price)
        size_factor = 10 ** (grown.size - self.scale.size)
        if price_factor * size_factor == 1:
            return
        if not self.book.fits(price_factor, size_factor, NUMBER_BOUND):
            raise NumberError(f"the book does not fit {grown}")
        self.book.rescale(price_factor, size_factor)
        self.scale = grown


class PastLevels:
    """The books of some instruments; updates before the first snapshot of one are passed over."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def apply(self, events: BookEvents) -> None:
        """The next updates. Raises NumberError when a number does not fit."""
        updates = events.updates
        symbols = Symbols.of([entry.symbol for entry in events.entries])
        for _, rows in Symbols(symbols.names, symbols.row[updates.instrument]).rows_of():
            # The scale of a symbol may differ from one update to the next.
            places = updates.instrument[rows]
            for run in np.split(rows, np.flatnonzero(np.diff(places)) + 1):
                if len(run):
                    self._follow(events.entries[updates.instrument[run[0]]], updates, run)

    def snapshots(self, time_ns: int) -> BookEvents | None:
        """Each book whole, by symbol; None when there is none."""
        if not self._known:
            return None
        symbols = sorted(self._known)
        known = [self._known[symbol] for symbol in symbols]
        sides = [(Side.of(one.book.bids()), Side.of(one.book.asks())) for one in known]
        levels = [side for both in sides for side in both]
        count = len(known)
        updates = BookUpdates(
            instrument=np.arange(count),
            first_sequence=_column([one.last_sequence for one in known]),
            last_sequence=_column([one.last_sequence for one in known]),
            snapshot=np.ones(count, dtype=np.int64),
            book_epoch=_column([one.book_epoch for one in known]),
            venue_time_ns=_column([one.venue_time_ns for one in known]),
            received_time_ns=np.full(count, time_ns),
            bid_count=_column([len(bids.price) for bids, _ in sides]),
            ask_count=_column([len(asks.price) for _, asks in sides]),
            price=np.concatenate([side.price for side in levels]),
            size=np.concatenate([side.size for side in levels]),
        )
        entries = [Entry(symbol, one.scale) for symbol, one in zip(symbols, known, strict=True)]
        return BookEvents(entries, updates, updates.received_time_ns)

    def _follow(self, entry: Entry, updates: BookUpdates, rows: IntColumn) -> None:
        whole = np.flatnonzero(updates.snapshot[rows])
        if len(whole):
            rows = rows[whole[-1] :]
            self._known[entry.symbol] = _Known(scale=entry.scale)
        known = self._known.get(entry.symbol)
        if known is None:
            return
        known.grow(entry.scale)
        # Of each update first the bids, then the asks.
        counts = np.stack((updates.bid_count, updates.ask_count), axis=1).ravel()
        bids, asks = (
            _at_scale(updates, elements_of(counts, 2 * rows + side), entry.scale, known.scale)
            for side in range(2)
        )
        known.book.apply(bids, asks)
        last = rows[-1]
        known.last_sequence = int(updates.last_sequence[last])
        known.book_epoch = int(updates.book_epoch[last])
        known.venue_time_ns = int(updates.venue_time_ns[last])


def _at_scale(updates: BookUpdates, levels: IntColumn, scale: Scale, wanted: Scale) -> Side:
    return Side(
        rescale(updates.price[levels], scale.price, wanted.price),
        rescale(updates.size[levels], scale.size, wanted.size),
    )


def _column(values: list[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
