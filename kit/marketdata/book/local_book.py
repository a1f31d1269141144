"""A local order book: the levels of one instrument, kept from the updates of BOOK batches.

Each batch states its numbers at a scale of its own. A local book has the largest scale that came
since its last snapshot, so that every level is an integer.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kit.base.number_columns import rescale
from kit.base.numbers import DIGITS_MAX, NumberError
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import BookSide, Levels
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale
from kit.marketdata.model.columns import Scale, SymbolColumn

NUMBER_BOUND = 10**DIGITS_MAX


class LocalBookUpdate(NamedTuple):
    """A snapshot of one book, or the changes of one or more consecutive updates of it."""

    scale: Scale
    snapshot: bool
    """Whether the levels replace the book."""
    epoch: int
    """An epoch begins with a snapshot; updates of another epoch do not apply to the book."""
    last_sequence: int
    venue_time_ns: int
    """0 where the venue does not say."""
    received_time_ns: int
    """0 where it is not known."""
    bids: BookSide
    asks: BookSide


class LocalBook:
    """The levels of one instrument, and which update they include last."""

    def __init__(self) -> None:
        self.scale = Scale()
        self.epoch = 0
        self.last_sequence = 0
        self.venue_time_ns = 0
        """Of the last update that had one; 0 before it."""
        self.received_time_ns = 0
        self._levels = Book()

    def apply(self, update: LocalBookUpdate) -> None:
        """Replace the levels by a snapshot, or change them. Whether an update's epoch is that of
        the book is for the caller to check.

        Raises NumberError, and leaves the levels as they were, when numbers do not fit a common
        scale.
        """
        if update.snapshot:
            self._levels.replace(update.bids, update.asks)
            self.scale = update.scale
        else:
            self._grow(update.scale)
            bids, asks = (
                BookSide(
                    rescale(side.price, update.scale.price, self.scale.price),
                    rescale(side.size, update.scale.size, self.scale.size),
                )
                for side in (update.bids, update.asks)
            )
            self._levels.apply(bids, asks)
        self.epoch = update.epoch
        self.last_sequence = update.last_sequence
        self.venue_time_ns = update.venue_time_ns or self.venue_time_ns
        self.received_time_ns = update.received_time_ns or self.received_time_ns

    def bids(self, depth: int | None = None) -> Levels:
        """Price and size at the book's scale, highest price first; the best ``depth``, or all."""
        return self._levels.bids(depth)

    def asks(self, depth: int | None = None) -> Levels:
        """Price and size at the book's scale, lowest price first; the best ``depth``, or all."""
        return self._levels.asks(depth)

    def _grow(self, scale: Scale) -> None:
        grown = Scale(max(scale.price, self.scale.price), max(scale.size, self.scale.size))
        if grown.price == self.scale.price and grown.size == self.scale.size:
            return
        price_factor = 10 ** (grown.price - self.scale.price)
        size_factor = 10 ** (grown.size - self.scale.size)
        if not self._levels.fits(price_factor, size_factor, NUMBER_BOUND):
            raise NumberError(f"the book does not fit {grown}")
        self._levels.rescale(price_factor, size_factor)
        self.scale = grown


class LocalBooks:
    """Local books by symbol. Each begins with its first snapshot; updates before it are skipped."""

    def __init__(self) -> None:
        self._books: dict[str, LocalBook] = {}

    def apply(self, instruments: Sequence[InstrumentScale], updates: BookUpdates) -> None:
        """Apply the next updates. Raises NumberError as LocalBook.apply does."""
        for symbol, update in updates_by_book(instruments, updates):
            if update.snapshot:
                self._books[symbol] = LocalBook()
            if symbol in self._books:
                self._books[symbol].apply(update)

    def get(self, symbol: str) -> LocalBook | None:
        """One of the books, or None before its first snapshot."""
        return self._books.get(symbol)

    def items(self) -> list[tuple[str, LocalBook]]:
        """All books, ordered by symbol."""
        return sorted(self._books.items())


def updates_by_book(
    instruments: Sequence[InstrumentScale],
    updates: BookUpdates,
    symbols: Collection[str] | None = None,
) -> Iterator[tuple[str, LocalBookUpdate]]:
    """Split updates of many books by symbol, for those in ``symbols``, or for all.

    Updates of one symbol keep their order. Consecutive ones of the same epoch and scale become one
    LocalBookUpdate; a snapshot stays alone. Updates of epoch 0, which the venue could not apply to
    a book, are left out.
    """
    names = SymbolColumn.of([symbol for symbol, _ in instruments])
    owner = names.row[updates.instrument]
    if symbols is not None:
        wanted = np.array([name in symbols for name in names.names], dtype=bool)[owner]
        if not wanted.all():
            rows = np.flatnonzero(wanted)
            owner, updates = owner[rows], updates.take(rows)
    if not len(updates):
        return
    if (np.diff(owner) < 0).any():
        # One sort for all books: a few updates can concern hundreds of them.
        order = np.argsort(owner, kind="stable")
        owner, updates = owner[order], updates.take(order)
    snapshot = updates.snapshot != 0
    begins = snapshot.copy()
    begins[0] = True
    begins[1:] |= snapshot[:-1] | (np.diff(owner) != 0)
    begins[1:] |= (np.diff(updates.instrument) != 0) | (np.diff(updates.book_epoch) != 0)
    counts = np.stack((updates.bid_count, updates.ask_count), axis=1).ravel()
    is_bid = np.repeat(np.arange(len(counts)) % 2 == 0, counts)
    ends = updates.level_ends()
    for start, stop in pairwise([*np.flatnonzero(begins).tolist(), len(updates)]):
        if not updates.book_epoch[start]:
            continue
        symbol, scale = instruments[updates.instrument[start]]
        levels = slice(int(ends[start]), int(ends[stop]))
        price, size, bids = updates.price[levels], updates.size[levels], is_bid[levels]
        yield (
            symbol,
            LocalBookUpdate(
                scale,
                bool(snapshot[start]),
                int(updates.book_epoch[start]),
                int(updates.last_sequence[stop - 1]),
                int(updates.venue_time_ns[stop - 1]),
                int(updates.received_time_ns[stop - 1]),
                BookSide(price[bids], size[bids]),
                BookSide(price[~bids], size[~bids]),
            ),
        )
