"""A book that says it is proven is right, whatever the feed does."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from kit.connector.books.outcomes import Changed, Doubted, Outcome, Update
from kit.connector.books.sequence_rules import ChainRule, CountingRule, OverlapRule, UnnumberedRule
from kit.connector.books.synchronized_book import BookState, SynchronizedBook
from kit.connector.contract.venue import BookRules, SnapshotSource, UpdateNumbers
from kit.marketdata.book import Book, Side
from kit.marketdata.book.checksum import Checksum, kraken_checksum

RULES = BookRules(sequence=OverlapRule(), snapshots=SnapshotSource.REST)
CHAINED = BookRules(sequence=ChainRule(), snapshots=SnapshotSource.FEED)
COUNTED = BookRules(sequence=CountingRule(), snapshots=SnapshotSource.FEED)
CHECKED = BookRules(UnnumberedRule(), SnapshotSource.FEED, Checksum.KRAKEN, depth=10)


@dataclass
class Truth:
    """What the venue's book was after each update id."""

    updates: list[Update] = field(default_factory=list)
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
        update = Update(
            UpdateNumbers(first, last, 0),
            last,
            last,
            Side.of(bids),
            Side.of(asks),
        )
        book.apply(update.bids, update.asks)
        truth.updates.append(update)
        truth.states[last] = (book.bids(), book.asks())
    return truth


def snapshot_at(truth: Truth, number: int) -> Update:
    bids, asks = truth.states[number]
    return Update(UpdateNumbers(number, number, 0), number, number, Side.of(bids), Side.of(asks))


class Follower:
    """A reader that knows nothing but what is published."""

    def __init__(self) -> None:
        self.book = Book()
        self.good = False
        self.last = 0
        self.epoch = 0

    def take(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Doubted):
                self.good = False
                continue
            update = outcome.update
            if outcome.snapshot:
                self.book.replace(update.bids, update.asks)
                assert outcome.epoch == self.epoch + 1
                self.good, self.epoch = True, outcome.epoch
            else:
                assert self.good
                assert outcome.epoch == self.epoch
                self.book.apply(update.bids, update.asks)
            self.last = update.numbers.last


def proven_book(truth: Truth) -> tuple[SynchronizedBook, Follower]:
    book, follower = SynchronizedBook("BTCUSDT", RULES), Follower()
    follower.take(book.on_snapshot(snapshot_at(truth, 0)))
    assert book.state is BookState.PROVEN
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
def test_proven_means_right(seed: int, fates: list[str]) -> None:
    truth = make_truth(seed, len(fates))
    book, follower = SynchronizedBook("BTCUSDT", RULES), Follower()
    arrivals: list[Update | int] = []
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
        assert follower.good == (book.state is BookState.PROVEN)
        if book.state is BookState.PROVEN:
            wanted = truth.states[book.last_sequence]
            assert (book.book.bids(), book.book.asks()) == wanted
            assert (follower.book.bids(), follower.book.asks()) == wanted


def test_a_missing_update_is_a_gap_with_its_ids() -> None:
    truth = make_truth(1, 10)
    book, follower = proven_book(truth)
    follower.take(book.on_update(truth.updates[0]))
    (outcome,) = book.on_update(truth.updates[2])
    assert isinstance(outcome, Doubted)
    assert outcome.gap.reason == types_pb2.GAP_REASON_SEQUENCE
    assert outcome.gap.last_id_before == truth.updates[0].numbers.last
    assert outcome.gap.first_id_after == truth.updates[2].numbers.first
    assert book.state is BookState.IN_DOUBT
    assert book.wanted_since_ns


def test_a_late_update_heals_the_book() -> None:
    truth = make_truth(2, 10)
    book, follower = proven_book(truth)
    for index in (0, 2, 3, 1):
        follower.take(book.on_update(truth.updates[index]))
    assert book.state is BookState.PROVEN
    assert book.epoch == 2
    assert (book.book.bids(), book.book.asks()) == truth.states[truth.updates[3].numbers.last]


def test_a_book_that_was_asked_for_anew_waits_for_it() -> None:
    truth = make_truth(2, 10)
    book, follower = proven_book(truth)
    for index in (0, 2, 3):
        follower.take(book.on_update(truth.updates[index]))
    book.renewing()
    follower.take(book.on_update(truth.updates[1]))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(snapshot_at(truth, truth.updates[2].numbers.last)))
    assert book.state is BookState.PROVEN
    assert (book.book.bids(), book.book.asks()) == truth.states[truth.updates[3].numbers.last]


def test_an_old_snapshot_does_not_bridge() -> None:
    truth = make_truth(3, 10)
    book, follower = proven_book(truth)
    for index in (0, 1, 4):
        follower.take(book.on_update(truth.updates[index]))
    assert list(book.on_snapshot(snapshot_at(truth, truth.updates[1].numbers.last))) == []
    assert book.state is BookState.IN_DOUBT


def test_a_newer_snapshot_ends_the_doubt() -> None:
    truth = make_truth(4, 10)
    book, follower = proven_book(truth)
    for index in (0, 1, 4, 5):
        follower.take(book.on_update(truth.updates[index]))
    outcomes = list(book.on_snapshot(snapshot_at(truth, truth.updates[4].numbers.last)))
    follower.take(outcomes)
    assert [isinstance(outcome, Changed) for outcome in outcomes] == [True, True]
    assert book.last_sequence == truth.updates[5].numbers.last
    assert follower.good


def test_a_lost_connection_puts_the_book_in_doubt_once() -> None:
    truth = make_truth(5, 3)
    book, _ = proven_book(truth)
    reason = types_pb2.GAP_REASON_RECONNECT
    assert len(list(book.doubt(reason, 5, "closed"))) == 1
    assert list(book.doubt(reason, 6, "closed")) == []
    assert book.state is BookState.IN_DOUBT


def linked(first: int, previous: int, price: int) -> Update:
    level = Side.of([(price, 1)])
    return Update(UpdateNumbers(first, first, previous), first, first, level, Side.of([]))


def test_a_snapshot_of_the_feed_begins_the_book_anew() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.on_update(linked(15, 10, 101)))
    assert book.book.bids() == [(101, 1), (100, 1)]
    follower.take(book.on_feed_snapshot(linked(3, -1, 90)))
    assert (book.state, book.epoch, book.book.bids()) == (BookState.PROVEN, 2, [(90, 1)])
    follower.take(book.on_update(linked(7, 3, 91)))
    assert follower.book.bids() == [(91, 1), (90, 1)]


def test_a_broken_chain_waits_for_a_snapshot_or_the_missing_link() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.on_update(linked(20, 15, 102)))
    assert (book.state, follower.good) == (BookState.IN_DOUBT, False)
    follower.take(book.on_update(linked(15, 10, 101)))
    assert (book.state, book.book.bids()[0]) == (BookState.PROVEN, (102, 1))


def test_a_lost_connection_of_a_feed_heals_by_its_snapshot_alone() -> None:
    book, follower = SynchronizedBook("BTC-USDT", CHAINED), Follower()
    follower.take(book.on_feed_snapshot(linked(10, -1, 100)))
    follower.take(book.doubt(types_pb2.GAP_REASON_RECONNECT, 5, "closed"))
    follower.take(book.on_update(linked(15, 10, 101)))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(linked(20, -1, 103)))
    assert (book.state, follower.book.bids()) == (BookState.PROVEN, [(103, 1)])


def test_a_wrong_checksum_is_a_gap_and_only_a_snapshot_helps() -> None:
    book, follower = SynchronizedBook("BTC/USD", CHECKED), Follower()
    right = kraken_checksum([(100, 1)], [])
    follower.take(book.on_feed_snapshot(linked(0, 0, 100)._replace(checksum=right)))
    assert book.state is BookState.PROVEN
    outcomes = list(book.on_update(linked(0, 0, 101)._replace(checksum=right)))
    assert [outcome.gap.reason for outcome in outcomes] == [types_pb2.GAP_REASON_CHECKSUM]
    after = kraken_checksum([(102, 1), (101, 1), (100, 1)], [])
    assert list(book.on_update(linked(0, 0, 102)._replace(checksum=after))) == []
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(linked(0, 0, 100)._replace(checksum=right)))
    assert (book.state, book.epoch) == (BookState.PROVEN, 2)


def counted(number: int, price: int) -> Update:
    return linked(number, 0, price)


def test_a_snapshot_that_nobody_asked_for_is_a_gap_before_it() -> None:
    book = SynchronizedBook("BTCUSDT", COUNTED)
    list(book.on_feed_snapshot(counted(500, 100)))
    gap, begun = book.on_feed_snapshot(counted(1, 90))
    assert isinstance(gap, Doubted)
    assert gap.gap.reason == types_pb2.GAP_REASON_VENUE_RESET
    assert (gap.gap.last_id_before, gap.gap.first_id_after) == (500, 1)
    assert isinstance(begun, Changed)
    assert (begun.snapshot, begun.epoch, book.state) == (True, 2, BookState.PROVEN)


def test_what_was_held_before_the_venue_counts_anew_does_not_break_the_new_book() -> None:
    book, follower = SynchronizedBook("BTCUSDT", COUNTED), Follower()
    follower.take(book.on_feed_snapshot(counted(500, 100)))
    follower.take(book.on_update(counted(502, 102)))
    assert book.state is BookState.IN_DOUBT
    follower.take(book.on_feed_snapshot(counted(1, 90)))
    assert (book.state, book.held_count) == (BookState.PROVEN, 0)
    follower.take(book.on_update(counted(2, 91)))
    assert follower.book.bids() == [(91, 1), (90, 1)]


def test_what_follows_a_late_snapshot_is_applied_up_to_the_next_hole() -> None:
    book, follower = SynchronizedBook("BTCUSDT", COUNTED), Follower()
    for number in (11, 12, 12, 14):
        follower.take(book.on_update(counted(number, 100 + number)))
    follower.take(book.on_feed_snapshot(counted(10, 100)))
    assert (book.state, book.last_sequence) == (BookState.PROVEN, 12)
    follower.take(book.on_update(counted(15, 115)))
    assert (book.state, follower.good) == (BookState.IN_DOUBT, False)
