"""A live book, built from a snapshot and the stream, equals the book of the venue."""

import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.bridge.live_book import HELD_MAX, LiveBook, LiveBookState
from kit.base.cursor import Cursor
from kit.base.numbers import format_scaled
from kit.marketdata.book.book import Book
from kit.marketdata.book.levels import BookSide, Levels
from kit.marketdata.book.local_book import LocalBookUpdate
from kit.marketdata.model.columns import Scale

DEPTH = 3
PRICE_SCALE, SIZE_SCALE = 2, 3


class Step(NamedTuple):
    """What the stream has at one cursor."""

    update: LocalBookUpdate | None
    """None is a gap."""
    bids: Levels
    asks: Levels
    epoch: int
    proven: bool


class Venue:
    """Publishes a book with gaps, and snapshots that heal it, at varying scales."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._book = Book()
        self._epoch = 0
        self._proven = False
        self.steps: list[Step] = []

    def run(self, count: int) -> None:
        for number in range(1, count + 1):
            if self._proven and self._random.random() < 0.1:
                self._proven = False
                self._note(None)
            elif self._proven:
                self._note(self._update(number, snapshot=False))
            else:
                self._proven = True
                self._epoch += 1
                self._note(self._update(number, snapshot=True))

    def _update(self, number: int, snapshot: bool) -> LocalBookUpdate:
        bids = {self._random.randint(1, 8): self._size() for _ in range(2)}
        asks = {self._random.randint(9, 16): self._size() for _ in range(2)}
        change = self._book.replace if snapshot else self._book.apply
        change(BookSide.of(list(bids.items())), BookSide.of(list(asks.items())))
        finer = self._random.choice([0, 0, 1, 3])
        return LocalBookUpdate(
            scale=Scale(PRICE_SCALE + finer, SIZE_SCALE + finer),
            snapshot=snapshot,
            epoch=self._epoch,
            last_sequence=number,
            venue_time_ns=number,
            received_time_ns=number,
            bids=scaled(bids, 10**finer),
            asks=scaled(asks, 10**finer),
        )

    def _size(self) -> int:
        return self._random.choice([0, 0, 1, 2, 10, 100])

    def _note(self, update: LocalBookUpdate | None) -> None:
        bids, asks = self._book.bids(), self._book.asks()
        self.steps.append(Step(update, bids, asks, self._epoch, self._proven))

    def answer(self, sequence: int) -> market_data_pb2.GetOrderBookResponse:
        """What GetOrderBook says when so many batches have been published."""
        step = self.steps[sequence - 1]
        proven, doubt = market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_IN_DOUBT
        return market_data_pb2.GetOrderBookResponse(
            state=proven if step.proven else doubt,
            book_epoch=step.epoch,
            last_sequence=sequence,
            cursor=types_pb2.Cursor(epoch=1, sequence=sequence),
            bids=list(map(level, step.bids)),
            asks=list(map(level, step.asks)),
        )


def scaled(levels: dict[int, int], factor: int) -> BookSide:
    return BookSide.of([(price * factor, size * factor) for price, size in levels.items()])


def level(pair: tuple[int, int]) -> market_data_pb2.Level:
    price, size = pair
    return market_data_pb2.Level(
        price=format_scaled(price, PRICE_SCALE), size=format_scaled(size, SIZE_SCALE)
    )


def texts(levels: Levels, scale: Scale) -> list[tuple[str, str]]:
    return [
        (format_scaled(price, scale.price), format_scaled(size, scale.size))
        for price, size in levels
    ]


def feed(book: LiveBook, venue: Venue, sequence: int) -> None:
    update = venue.steps[sequence - 1].update
    cursor = Cursor(1, sequence)
    if update is None:
        book.on_gap(cursor)
    else:
        book.on_update(cursor, update)


def assert_true(book: LiveBook, step: Step) -> None:
    """The book equals the venue's book, and knows whether it can be relied on."""
    top = book.top(DEPTH)
    if not step.proven:
        assert top is None
        return
    assert top is not None
    scale = Scale(PRICE_SCALE, SIZE_SCALE)
    assert texts(top.bids, top.scale) == texts(step.bids[:DEPTH], scale)
    assert texts(top.asks, top.scale) == texts(step.asks[:DEPTH], scale)


@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(0, 20), st.integers(-20, 20))
def test_a_spliced_book_is_the_venues_book(seed, start, waited, ahead):
    """The splice begins after ``start`` entries, and its answer comes ``waited`` entries later,
    true at a cursor that may be ahead of what the stream had then, or before it."""
    venue = Venue(seed)
    venue.run(70)
    book = LiveBook(Cursor(1, start))
    fetched_at = start + waited
    true_at = max(start, fetched_at + ahead, 1)
    for sequence in range(start + 1, 71):
        if sequence == fetched_at + 1:
            assert book.on_snapshot(venue.answer(true_at))
        feed(book, venue, sequence)
        if sequence > fetched_at and sequence >= true_at:
            assert_true(book, venue.steps[sequence - 1])


def updates_of(count: int) -> Venue:
    """A venue that was never in doubt."""
    for seed in range(1000):
        venue = Venue(seed)
        venue.run(count)
        if all(step.proven for step in venue.steps):
            return venue
    raise AssertionError("no seed without a gap")


def test_a_book_that_its_venue_cannot_prove_is_shown_as_well():
    venue = updates_of(10)
    answer = venue.answer(8)
    answer.state = market_data_pb2.BOOK_STATE_UNPROVEN
    book = LiveBook(Cursor(1, 5))
    assert book.on_snapshot(answer)
    assert_true(book, venue.steps[7])


def test_an_answer_older_than_what_was_seen_is_of_no_use():
    venue = updates_of(10)
    book = LiveBook(Cursor(1, 5))
    feed(book, venue, 6)
    assert not book.on_snapshot(venue.answer(4))
    assert book.top(DEPTH) is None
    assert book.on_snapshot(venue.answer(8))
    assert_true(book, venue.steps[7])


def test_a_book_whose_entries_were_lost_is_not_shown_until_it_was_fetched():
    venue = updates_of(10)
    book = LiveBook(Cursor(1, 0))
    feed(book, venue, 1)
    assert_true(book, venue.steps[0])
    book.require_snapshot(Cursor(1, 5))
    feed(book, venue, 6)
    assert book.top(DEPTH) is None
    assert not book.on_snapshot(venue.answer(3))
    assert book.on_snapshot(venue.answer(6))
    assert_true(book, venue.steps[5])


def test_an_update_of_another_epoch_than_the_book_is_not_applied():
    venue = updates_of(5)
    book = LiveBook(Cursor(1, 0))
    feed(book, venue, 1)
    other = venue.steps[1].update._replace(epoch=7)
    book.on_update(Cursor(1, 2), other)
    assert book.state is LiveBookState.NEEDS_SNAPSHOT
    assert book.top(DEPTH) is None


def test_numbers_that_have_no_common_scale_are_not_guessed():
    venue = updates_of(5)
    book = LiveBook(Cursor(1, 0))
    feed(book, venue, 1)
    odd = venue.steps[1].update._replace(scale=Scale(40, 40))
    book.on_update(Cursor(1, 2), odd)
    assert book.state is LiveBookState.NEEDS_SNAPSHOT


def test_what_is_held_is_bounded():
    venue = updates_of(2)
    book = LiveBook(Cursor(1, 0))
    update = venue.steps[1].update
    for sequence in range(2, HELD_MAX + 10):
        book.on_update(Cursor(1, sequence), update)
    assert not book.on_snapshot(venue.answer(1))
    answer = venue.answer(2)
    answer.cursor.sequence = HELD_MAX + 9
    assert book.on_snapshot(answer)
    assert_true(book, venue.steps[1])


@pytest.mark.parametrize("depth", [1, 2])
def test_the_top_is_made_again_only_when_the_book_changes(depth):
    venue = updates_of(5)
    book = LiveBook(Cursor(1, 0))
    feed(book, venue, 1)
    first = book.top(depth)
    assert book.top(depth) is first
    feed(book, venue, 2)
    assert book.top(depth) is not first
