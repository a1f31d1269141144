"""A book that says it is proven is right, whatever the feed does."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from kit.connector.books.book_events import (
    UNPROVEN_EPOCH,
    BookEvent,
    GapEvent,
    UpdateEvent,
    VenueBookUpdate,
)
from kit.connector.books.sequence_rules import (
    ConsecutiveIdRule,
    PreviousIdRule,
    RangeOverlapRule,
    TimestampRule,
    UnnumberedRule,
)
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, SequenceNumbers, SnapshotSource
from kit.marketdata.book.book import Book
from kit.marketdata.book.checksum import Checksum, asks_then_bids_checksum
from kit.marketdata.book.levels import BookSide

RULES = BookRules(sequence=RangeOverlapRule(), snapshots=SnapshotSource.REST)
CHAINED = BookRules(sequence=PreviousIdRule(), snapshots=SnapshotSource.FEED)
COUNTED = BookRules(sequence=ConsecutiveIdRule(), snapshots=SnapshotSource.FEED)
CHECKED = BookRules(UnnumberedRule(), SnapshotSource.FEED, Checksum.ASKS_THEN_BIDS, depth=10)


@dataclass
class Truth:
    """What the venue's book was after each update id."""

    updates: list[VenueBookUpdate] = field(default_factory=list)
    states: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = field(
        default_factory=dict
    )


def make_truth(seed: int, count: int) -> Truth:
    source = random.Random(seed)
    truth, book, last = Truth(), Book(), 0
    truth.states[0] = ([], [])
    for _ in range(count):
        first, last = last + 1, last + source.randint(1, 3)
        bids = [(source.randint(90, 99), source.randint(0, 3)) for _ in range(2)]
        asks = [(source.randint(100, 110), source.randint(0, 3)) for _ in range(2)]
        update = VenueBookUpdate(
            SequenceNumbers(first, last, 0),
            last,
            last,
            BookSide.of(bids),
            BookSide.of(asks),
        )
        book.apply(update.bids, update.asks)
        truth.updates.append(update)
        truth.states[last] = (book.bids(), book.asks())
    return truth


def snapshot_at(truth: Truth, number: int) -> VenueBookUpdate:
    bids, asks = truth.states[number]
    return VenueBookUpdate(
        SequenceNumbers(number, number, 0), number, number, BookSide.of(bids), BookSide.of(asks)
    )


class Follower:
    """A reader that knows nothing but what is published."""

    def __init__(self) -> None:
        self.book = Book()
        self.good = False
        self.last = 0
        self.epoch = 0
        self.unproven: list[int] = []

    def take(self, events: Iterable[BookEvent]) -> None:
        for event in events:
            if isinstance(event, GapEvent):
                self.good = False
                continue
            update = event.update
            if event.epoch == UNPROVEN_EPOCH:
                assert not self.good
                assert not event.snapshot
                self.unproven.append(update.numbers.last)
                continue
            if event.snapshot:
                self.book.replace(update.bids, update.asks)
                assert event.epoch == self.epoch + 1
                self.good, self.epoch = True, event.epoch
            else:
                assert self.good
                assert event.epoch == self.epoch
                self.book.apply(update.bids, update.asks)
            self.last = update.numbers.last


def proven_book(truth: Truth) -> tuple[SynchronizedBook, Follower]:
    book, follower = SynchronizedBook("BTCUSDT", RULES), Follower()
    follower.take(book.on_snapshot(snapshot_at(truth, 0)))
    assert book.state is BookState.SYNCHRONIZED
    return book, follower


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(
        st.sampled_from(["keep", "keep", "keep", "drop", "double", "swap", "snapshot"]),
        min_size=40,
        max_size=40,
    ),
)
def test_a_synchronized_book_equals_the_venues(seed: int, fates: list[str]) -> None:
    truth = make_truth(seed, len(fates))
    book, follower = SynchronizedBook("BTCUSDT", RULES), Follower()
    arrivals: list[VenueBookUpdate | int] = []
    for update, fate in zip(truth.updates, fates, strict=True):
        if fate == "drop":
            continue
        if fate == "swap" and arrivals:
            arrivals.insert(-1, update)
        else:
            arrivals.append(update)
        if fate == "double":
            arrivals.append(update)
        if fate == "snapshot":
            arrivals.append(update.numbers.last)
    for arrival in arrivals:
        if isinstance(arrival, int):
            follower.take(book.on_snapshot(snapshot_at(truth, arrival)))
        else:
            follower.take(book.on_update(arrival))
        assert follower.good == (book.state is BookState.SYNCHRONIZED)
        if book.state is BookState.SYNCHRONIZED:
            wanted = truth.states[book.last_sequence]
            assert (book.book.bids(), book.book.asks()) == wanted
            assert (follower.book.bids(), follower.book.asks()) == wanted


def test_a_missing_update_is_a_gap_with_its_ids() -> None:
    truth = make_truth(1, 10)
    book, follower = proven_book(truth)
    follower.take(book.on_update(truth.updates[0]))
    gap, unproven = book.on_update(truth.updates[2])
    assert isinstance(gap, GapEvent)
    assert gap.gap.reason == types_pb2.GAP_REASON_SEQUENCE
    assert gap.gap.last_id_before == truth.updates[0].numbers.last
    assert gap.gap.first_id_after == truth.updates[2].numbers.first
    assert unproven == UpdateEvent(truth.updates[2], snapshot=False, epoch=UNPROVEN_EPOCH)
    assert book.state is BookState.IN_DOUBT
    assert book.wanted_since_ns


def test_a_late_missing_update_repairs_the_book() -> None:
    truth = make_truth(2, 10)
    book, follower = proven_book(truth)
    for index in (0, 2, 3, 1):
        follower.take(book.on_update(truth.updates[index]))
    assert book.state is BookState.SYNCHRONIZED
    assert book.epoch == 2
    assert (book.book.bids(), book.book.asks()) == truth.states[truth.updates[3].numbers.last]


def test_a_requested_snapshot_rules_out_repair_by_late_updates() -> None:
    truth = make_truth(2, 10)
    book, follower = proven_book(truth)
    for index in (0, 2, 3):
        follower.take(book.on_update(truth.updates[index]))
    book.snapshot_requested()
    follower.take(book.on_update(truth.updates[1]))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(snapshot_at(truth, truth.updates[2].numbers.last)))
    assert book.state is BookState.SYNCHRONIZED
    assert (book.book.bids(), book.book.asks()) == truth.states[truth.updates[3].numbers.last]


def test_a_snapshot_older_than_the_hole_is_ignored() -> None:
    truth = make_truth(3, 10)
    book, follower = proven_book(truth)
    for index in (0, 1, 4):
        follower.take(book.on_update(truth.updates[index]))
    assert list(book.on_snapshot(snapshot_at(truth, truth.updates[1].numbers.last))) == []
    assert book.state is BookState.IN_DOUBT


def test_a_snapshot_newer_than_the_hole_synchronizes_the_book() -> None:
    truth = make_truth(4, 10)
    book, follower = proven_book(truth)
    for index in (0, 1, 4, 5):
        follower.take(book.on_update(truth.updates[index]))
    events = list(book.on_snapshot(snapshot_at(truth, truth.updates[4].numbers.last)))
    follower.take(events)
    assert [isinstance(event, UpdateEvent) for event in events] == [True, True]
    assert book.last_sequence == truth.updates[5].numbers.last
    assert follower.good


def test_a_lost_connection_puts_the_book_in_doubt_once() -> None:
    truth = make_truth(5, 3)
    book, _ = proven_book(truth)
    reason = types_pb2.GAP_REASON_RECONNECT
    assert len(list(book.mark_in_doubt(reason, 5, "closed"))) == 1
    assert list(book.mark_in_doubt(reason, 6, "closed")) == []
    assert book.state is BookState.IN_DOUBT


def linked(first: int, previous: int, price: int) -> VenueBookUpdate:
    numbers, level = SequenceNumbers(first, first, previous), BookSide.of([(price, 1)])
    return VenueBookUpdate(numbers, first, first, level, BookSide.of([]))


def test_a_feed_snapshot_replaces_the_book() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.on_update(linked(15, 10, 101)))
    assert book.book.bids() == [(101, 1), (100, 1)]
    follower.take(book.on_feed_snapshot(linked(3, -1, 90)))
    assert (book.state, book.epoch, book.book.bids()) == (BookState.SYNCHRONIZED, 2, [(90, 1)])
    follower.take(book.on_update(linked(7, 3, 91)))
    assert follower.book.bids() == [(91, 1), (90, 1)]


def test_a_broken_chain_waits_for_a_snapshot_or_the_missing_link() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.on_update(linked(20, 15, 102)))
    assert (book.state, follower.good) == (BookState.IN_DOUBT, False)
    follower.take(book.on_update(linked(15, 10, 101)))
    assert (book.state, book.book.bids()[0]) == (BookState.SYNCHRONIZED, (102, 1))


def test_after_a_lost_connection_only_a_feed_snapshot_synchronizes() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.mark_in_doubt(types_pb2.GAP_REASON_RECONNECT, 5, "closed"))
    follower.take(book.on_update(linked(15, 10, 101)))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(linked(20, -1, 103)))
    assert (book.state, follower.book.bids()) == (BookState.SYNCHRONIZED, [(103, 1)])


def test_after_a_wrong_checksum_only_a_snapshot_synchronizes() -> None:
    book, follower = SynchronizedBook("BTC/USD", CHECKED), Follower()
    right = asks_then_bids_checksum([(100, 1)], [])
    follower.take(book.on_feed_snapshot(linked(0, 0, 100)._replace(checksum=right)))
    assert book.state is BookState.SYNCHRONIZED
    gap, unproven = book.on_update(linked(0, 0, 101)._replace(checksum=right))
    assert isinstance(gap, GapEvent)
    assert gap.gap.reason == types_pb2.GAP_REASON_CHECKSUM
    assert isinstance(unproven, UpdateEvent)
    assert unproven.epoch == UNPROVEN_EPOCH
    after = asks_then_bids_checksum([(102, 1), (101, 1), (100, 1)], [])
    events = list(book.on_update(linked(0, 0, 102)._replace(checksum=after)))
    assert [event.epoch for event in events] == [UNPROVEN_EPOCH]
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(linked(0, 0, 100)._replace(checksum=right)))
    assert (book.state, book.epoch) == (BookState.SYNCHRONIZED, 2)


def counted(number: int, price: int) -> VenueBookUpdate:
    return linked(number, 0, price)


def test_an_unrequested_snapshot_is_preceded_by_a_gap() -> None:
    book = SynchronizedBook("BTCUSDT", COUNTED)
    list(book.on_feed_snapshot(counted(500, 100)))
    gap, begun = book.on_feed_snapshot(counted(1, 90))
    assert isinstance(gap, GapEvent)
    assert gap.gap.reason == types_pb2.GAP_REASON_VENUE_RESET
    assert (gap.gap.last_id_before, gap.gap.first_id_after) == (500, 1)
    assert isinstance(begun, UpdateEvent)
    assert (begun.snapshot, begun.epoch, book.state) == (True, 2, BookState.SYNCHRONIZED)


def test_updates_held_before_a_venue_reset_are_dropped() -> None:
    book, follower = SynchronizedBook("BTCUSDT", COUNTED), Follower()
    follower.take(book.on_feed_snapshot(counted(500, 100)))
    follower.take(book.on_update(counted(502, 102)))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(counted(1, 90)))
    assert (book.state, len(book.held)) == (BookState.SYNCHRONIZED, 0)
    follower.take(book.on_update(counted(2, 91)))
    assert follower.book.bids() == [(91, 1), (90, 1)]


def test_held_updates_after_a_snapshot_are_applied_up_to_the_next_hole() -> None:
    book, follower = SynchronizedBook("BTCUSDT", COUNTED), Follower()
    for number in (11, 12, 12, 14):
        follower.take(book.on_update(counted(number, 100 + number)))
    follower.take(book.on_feed_snapshot(counted(10, 100)))
    assert (book.state, book.last_sequence) == (BookState.SYNCHRONIZED, 12)
    follower.take(book.on_update(counted(15, 115)))
    assert (book.state, follower.good) == (BookState.IN_DOUBT, False)


def test_updates_without_a_snapshot_are_published_as_unproven_after_a_gap() -> None:
    truth = make_truth(6, 4)
    book, follower = SynchronizedBook("BTCUSDT", RULES), Follower()
    gap, *others = [event for update in truth.updates[:3] for event in book.on_update(update)]
    assert isinstance(gap, GapEvent)
    assert gap.gap.reason == types_pb2.GAP_REASON_UNPROVEN
    assert (gap.gap.last_id_before, gap.gap.first_id_after) == (0, 1)
    wanted = [UpdateEvent(update, False, UNPROVEN_EPOCH) for update in truth.updates[:3]]
    assert others == wanted
    follower.take(book.on_snapshot(snapshot_at(truth, truth.updates[1].numbers.last)))
    assert (book.state, follower.good) == (BookState.SYNCHRONIZED, True)
    assert follower.last == truth.updates[2].numbers.last
    assert follower.unproven == []


def test_updates_after_a_hole_are_published_once_while_the_snapshot_is_refused() -> None:
    truth = make_truth(7, 20)
    book, follower = proven_book(truth)
    for update in [truth.updates[0], *truth.updates[5:]]:
        follower.take(book.on_update(update))
    # The snapshot is older than the hole, then there is none, and then updates are lost again.
    follower.take(book.on_snapshot(snapshot_at(truth, truth.updates[2].numbers.last)))
    assert follower.unproven == [update.numbers.last for update in truth.updates[5:]]
    follower.take(book.on_snapshot(snapshot_at(truth, truth.updates[9].numbers.last)))
    assert follower.good
    assert len(follower.unproven) == len(truth.updates) - 5


def test_rules_that_contradict_each_other_are_rejected() -> None:
    with pytest.raises(ValueError, match="which updates a snapshot contains"):
        BookRules(UnnumberedRule(), SnapshotSource.REST)
    with pytest.raises(ValueError, match="same_everywhere"):
        BookRules(TimestampRule(), SnapshotSource.REST, same_everywhere=True)
