"""Local books against plain dictionaries that are changed level by level."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.numbers import NumberError, to_decimal
from kit.marketdata.book.levels import BookSide
from kit.marketdata.book.local_book import LocalBook, LocalBooks, LocalBookUpdate, updates_by_book
from kit.marketdata.model.book_updates import BookUpdates, InstrumentScale
from kit.marketdata.model.columns import Scale

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SCALES = (Scale(2, 0), Scale(2, 3), Scale(4, 1))
INSTRUMENTS = [InstrumentScale(symbol, scale) for symbol in SYMBOLS for scale in SCALES]
LEVELS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=4)
ROWS = st.lists(
    st.tuples(st.integers(0, len(INSTRUMENTS) - 1), st.sampled_from([0, 0, 0, 1]), LEVELS, LEVELS),
    max_size=40,
)


def updates_of(rows, epochs=()):
    """Rows of (instrument, snapshot, bids, asks) as columns; an update's sequence is its place."""
    levels = [level for _, _, bids, asks in rows for level in (*bids, *asks)]
    sequence = range(1, len(rows) + 1)
    columns = [
        [row[0] for row in rows],
        sequence,
        sequence,
        [row[1] for row in rows],
        epochs or [1] * len(rows),
        sequence,
        sequence,
        [len(row[2]) for row in rows],
        [len(row[3]) for row in rows],
        [price for price, _ in levels],
        [size for _, size in levels],
    ]
    return BookUpdates(*(np.array(column, dtype=np.int64) for column in columns))


def levels_by_hand(rows, symbol):
    """Bids and asks as {price: size}, or None before the first snapshot."""
    sides = None
    for instrument, snapshot, *changes in rows:
        name, scale = INSTRUMENTS[instrument]
        if name != symbol:
            continue
        if snapshot:
            sides = {}, {}
        if sides is not None:
            for side, levels in zip(sides, changes, strict=True):
                for price, size in levels:
                    side[to_decimal(price, scale.price)] = to_decimal(size, scale.size)
    return sides and [{price: size for price, size in side.items() if size} for side in sides]


def levels_of(book):
    return [
        {
            to_decimal(price, book.scale.price): to_decimal(size, book.scale.size)
            for price, size in side
        }
        for side in (book.bids(), book.asks())
    ]


@given(ROWS)
def test_books_equal_those_changed_level_by_level(rows):
    books = LocalBooks()
    books.apply(INSTRUMENTS, updates_of(rows))
    for symbol in SYMBOLS:
        by_hand, book = levels_by_hand(rows, symbol), books.get(symbol)
        assert (None if book is None else levels_of(book)) == by_hand


@given(ROWS, st.sets(st.sampled_from(SYMBOLS)))
def test_updates_are_split_by_symbol_in_order(rows, symbols):
    found = list(updates_by_book(INSTRUMENTS, updates_of(rows), symbols))
    for symbol in SYMBOLS:
        own = [row for row in rows if INSTRUMENTS[row[0]].symbol == symbol and symbol in symbols]
        updates = [update for name, update in found if name == symbol]
        assert sum(update.snapshot for update in updates) == sum(row[1] for row in own)
        prices = [price for update in updates for price in update.bids.price.tolist()]
        assert prices == [price for row in own for price, _ in row[2]]
        sequences = [update.last_sequence for update in updates]
        assert sequences == sorted(sequences)


def test_consecutive_updates_are_combined_and_a_snapshot_stays_alone():
    rows = [(0, 1, [(1, 1)], []), (0, 0, [(2, 1)], []), (0, 0, [(3, 1)], [(4, 2)])]
    (_, first), (_, second) = updates_by_book(INSTRUMENTS, updates_of(rows))
    assert (first.snapshot, first.last_sequence) == (True, 1)
    assert (second.snapshot, second.last_sequence) == (False, 3)
    assert second.bids.price.tolist() == [2, 3]


def test_updates_of_epoch_0_are_left_out():
    rows = [(0, 1, [(1, 1)], []), (0, 0, [(2, 1)], []), (0, 0, [(3, 1)], [])]
    books = LocalBooks()
    books.apply(INSTRUMENTS, updates_of(rows, epochs=[1, 0, 1]))
    assert levels_of(books.get("BTCUSDT")) == levels_by_hand([rows[0], rows[2]], "BTCUSDT")
    assert list(updates_by_book(INSTRUMENTS, updates_of(rows, epochs=[0, 0, 0]))) == []


def update_of(scale, price, *, snapshot=False, venue_time_ns=0):
    side = BookSide.of([(price, 1)])
    return LocalBookUpdate(scale, snapshot, 1, 1, venue_time_ns, 0, side, BookSide.of([]))


def test_a_number_without_a_common_scale_leaves_the_levels():
    book = LocalBook()
    book.apply(update_of(Scale(0, 0), 10**17, snapshot=True))
    with pytest.raises(NumberError):
        book.apply(update_of(Scale(12, 0), 5))
    assert levels_of(book) == [{Decimal(10**17): Decimal(1)}, {}]


def test_the_venue_time_stays_when_an_update_has_none():
    book = LocalBook()
    book.apply(update_of(Scale(0, 0), 1, snapshot=True, venue_time_ns=7))
    book.apply(update_of(Scale(0, 0), 2))
    assert book.venue_time_ns == 7
