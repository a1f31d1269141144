"""Many books, brought to a moment of the past by their updates."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kit.base.numbers import DIGITS_MAX, IntColumn, NumberError, rescale
from kit.marketdata.book import Book, Side
from kit.marketdata.model.columns import Scale, Symbols
from kit.storage.archive.book_events import BookEvents, Entry, taken
from kit.storage.archive.book_updates import BookUpdates

NUMBER_BOUND = 10**DIGITS_MAX


@dataclass(slots=True)
class KnownBook:
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
        self._known: dict[str, KnownBook] = {}

    def apply(self, events: BookEvents) -> None:
        """The next updates. Raises NumberError when a number does not fit."""
        symbols = Symbols.of([entry.symbol for entry in events.entries])
        owner = symbols.row[events.updates.instrument]
        if len(symbols.names) > 1:
            # One sorting for all, as there may be hundreds of books in a few updates.
            order = np.argsort(owner, kind="stable")
            owner, updates = owner[order], taken(events.updates, order)
        else:
            updates = events.updates
        # The scale of a symbol may differ from one update to the next.
        changes = (np.diff(owner) != 0) | (np.diff(updates.instrument) != 0)
        bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(updates)]
        table = _Sorted(updates)
        for start, stop in pairwise(bounds):
            if start < stop:
                self._follow(events.entries[updates.instrument[start]], table, start, stop)

    def known(self, symbol: str) -> KnownBook | None:
        """One of them; None when there is none."""
        return self._known.get(symbol)

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

    def _follow(self, entry: Entry, table: "_Sorted", start: int, stop: int) -> None:
        updates = table.updates
        whole = np.flatnonzero(updates.snapshot[start:stop])
        if len(whole):
            start += int(whole[-1])
            self._known[entry.symbol] = KnownBook(scale=entry.scale)
        known = self._known.get(entry.symbol)
        if known is None:
            return
        known.grow(entry.scale)
        known.book.apply(*table.sides(start, stop, entry.scale, known.scale))
        known.last_sequence = int(updates.last_sequence[stop - 1])
        known.book_epoch = int(updates.book_epoch[stop - 1])
        known.venue_time_ns = int(updates.venue_time_ns[stop - 1])


class _Sorted:
    """Updates of which those of one book stand together."""

    def __init__(self, updates: BookUpdates) -> None:
        self.updates = updates
        # Of each update first the bids, then the asks.
        counts = np.stack((updates.bid_count, updates.ask_count), axis=1).ravel()
        self._ends = np.concatenate(([0], np.cumsum(counts)[1::2]))
        self._is_bid = np.repeat(np.arange(len(counts)) % 2 == 0, counts)

    def sides(self, start: int, stop: int, scale: Scale, wanted: Scale) -> tuple[Side, Side]:
        """The bids and the asks of some updates, in order."""
        levels = slice(int(self._ends[start]), int(self._ends[stop]))
        price = rescale(self.updates.price[levels], scale.price, wanted.price)
        size = rescale(self.updates.size[levels], scale.size, wanted.size)
        is_bid = self._is_bid[levels]
        return Side(price[is_bid], size[is_bid]), Side(price[~is_bid], size[~is_bid])


def _column(values: list[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
