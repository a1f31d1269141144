"""Books whose updates are ordered by the venue's time, with snapshots over REST."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from kit.connector.books.book_events import VenueBookUpdate
from kit.connector.books.sequence_rules import TimestampRule
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, SequenceNumbers, SnapshotSource
from kit.connector.tests.test_books import Follower, make_truth, snapshot_at
from kit.marketdata.book.levels import BookSide
from kit.marketdata.model.columns import Scale

TIMED = BookRules(TimestampRule(), SnapshotSource.REST)


def timed(time: int, price: int) -> VenueBookUpdate:
    """An update with one bid."""
    numbers, bid = SequenceNumbers(time, time, 0), BookSide.of([(price, 1)])
    return VenueBookUpdate(numbers, time, time, bid, BookSide.of([]))


def timed_snapshot(time: int, *prices: int) -> VenueBookUpdate:
    return timed(time, 0)._replace(bids=BookSide.of([(price, 1) for price in prices]))


def test_a_book_ordered_by_time_is_not_repaired_without_a_snapshot() -> None:
    book, follower = SynchronizedBook("BTCUSD", TIMED), Follower()
    follower.take(book.on_update(timed(10, 100)))
    follower.take(book.on_snapshot(timed_snapshot(10, 100)))
    assert follower.good
    follower.take(book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, 11, "closed"))
    for time in (20, 21, 22):
        follower.take(book.on_update(timed(time, 100 + time)))
    assert (book.state, follower.good) == (BookState.IN_DOUBT, False)
    follower.take(book.on_snapshot(timed_snapshot(21, 121, 120, 101)))
    assert (book.state, follower.book.bids()) == (
        BookState.SYNCHRONIZED,
        [(122, 1), (121, 1), (120, 1), (101, 1)],
    )


@pytest.mark.parametrize("snapshot_time", [12, 19], ids=["before the loss", "before the feed"])
def test_a_snapshot_older_than_the_new_connection_is_ignored(snapshot_time: int) -> None:
    """Updates between the snapshot and the first one of the connection may be missing."""
    book = SynchronizedBook("BTCUSD", TIMED)
    list(book.on_update(timed(10, 100)))
    list(book.on_snapshot(timed_snapshot(10, 100)))
    list(book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, 11, "closed"))
    assert list(book.on_snapshot(timed_snapshot(snapshot_time, 100))) == []
    list(book.on_update(timed(20, 120)))
    assert list(book.on_snapshot(timed_snapshot(snapshot_time, 100))) == []
    assert book.state is BookState.IN_DOUBT


def test_a_second_lost_connection_drops_updates_held_from_the_first() -> None:
    book = SynchronizedBook("BTCUSD", TIMED)
    list(book.on_update(timed(10, 100)))
    list(book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, 11, "closed"))
    list(book.on_update(timed(20, 120)))
    assert list(book.on_snapshot(timed_snapshot(15, 100))) == []
    assert book.state is BookState.EMPTY
    assert len(list(book.on_snapshot(timed_snapshot(20, 100)))) == 1


def test_time_that_goes_back_is_a_gap_until_a_later_snapshot() -> None:
    book, follower = SynchronizedBook("BTCUSD", TIMED), Follower()
    list(book.on_update(timed(10, 100)))
    follower.take(book.on_snapshot(timed_snapshot(10, 100)))
    follower.take(book.on_update(timed(15, 101)))
    follower.take(book.on_update(timed(14, 101)))
    assert (book.state, follower.good, len(book.held)) == (BookState.IN_DOUBT, False, 0)
    follower.take(book.on_update(timed(16, 102)))
    assert list(book.on_snapshot(timed_snapshot(15, 100))) == []
    follower.take(book.on_snapshot(timed_snapshot(16, 102, 101, 100)))
    assert follower.good


@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(0, 40), st.integers(0, 40))
def test_a_snapshot_whose_time_is_later_than_its_content_makes_the_right_book(
    seed: int, connected: int, delay: int, lateness: int
) -> None:
    """The content is of a time after the first update; the snapshot states a later time, and comes
    still later."""
    truth = make_truth(seed, 80)
    book, follower = SynchronizedBook("BTCUSD", TIMED), Follower()
    source = random.Random(seed)
    content = connected + source.randint(0, 5)
    stated = min(content + lateness, 79)
    arrives = min(stated + delay, 79)
    for number, update in enumerate(truth.updates):
        if number < connected:
            continue
        follower.take(book.on_update(update))
        if number == arrives:
            snapshot = snapshot_at(truth, truth.updates[content].numbers.last)
            time = truth.updates[stated].numbers.last
            numbers = SequenceNumbers(time, time, 0)
            follower.take(book.on_snapshot(snapshot._replace(numbers=numbers)))
        if follower.good:
            assert (follower.book.bids(), follower.book.asks()) == truth.states[follower.last]
    assert follower.good


def test_a_snapshot_waits_for_an_update_of_its_time() -> None:
    book, follower = SynchronizedBook("BTCUSD", TIMED), Follower()
    follower.take(book.on_update(timed(10, 100)))
    assert not book.needs_update_first
    follower.take(book.on_snapshot(timed_snapshot(20, 99)))
    assert (book.state, book.needs_update_first) == (BookState.EMPTY, True)
    book.rescale(Scale(1, 0))
    follower.take(book.on_update(timed(19, 1010)))
    assert book.state is BookState.EMPTY
    follower.take(book.on_update(timed(20, 1020)))
    assert follower.book.bids() == [(price, 1) for price in (1020, 1010, 1000, 990)]
    assert (book.last_sequence, book.needs_update_first) == (20, True)


def test_a_snapshot_that_waits_is_dropped_with_the_connection() -> None:
    book = SynchronizedBook("BTCUSD", TIMED)
    list(book.on_update(timed(10, 100)))
    list(book.on_snapshot(timed_snapshot(20, 99)))
    list(book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, 11, "closed"))
    list(book.on_update(timed(30, 101)))
    assert book.state is BookState.EMPTY
