"""Two processes of a venue that merge their rows: what either has received is in both."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2
from venuemesh.wire.v1 import wire_pb2

from kit.base.cursor import CHANNELS, Channel, Cursor
from kit.connector.books.sequence_rules import ConsecutiveIdRule
from kit.connector.contract.venue import CHANNEL_STATUS, BookRules, SnapshotSource, TradeNumbering
from kit.connector.process.peer_replica import COVER_DELAY_S, SILENCE_S, PeerReplica
from kit.connector.process.state_republisher import StateRepublisher
from kit.connector.tests.fakes import BOOK, QUOTES, TICKERS, TRADES, Stage
from kit.marketdata.codec import decode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import (
    BookRows,
    NumberColumn,
    PriceLevels,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
    zeros,
)

SYMBOL = "A"
EVENTS = 12
SECOND_NS = 1_000_000_000


class Half:
    """One process, its connection to the exchange in the test's hands."""

    def __init__(self, name: str, epoch: int, snapshots: SnapshotSource) -> None:
        self.stage = stage = Stage(BookRules(ConsecutiveIdRule(), snapshots, same_everywhere=True))
        stage.hub.start_epoch(epoch)
        stage.venue = replace(
            stage.venue,
            profile=replace(stage.venue.profile, trade_numbering=TradeNumbering.CONSECUTIVE),
        )
        stage.feed_handler.row_publisher.merger.same_books = True
        stage.feed_handler.trade_sequencer.patience_s = 3
        stage.subscriptions.add([SYMBOL])
        stage.feed_handler.book_manager.add([SYMBOL])
        self.connected = True
        nothing: Any = None
        feed_handler = replace(stage.feed_handler, venue=stage.venue)
        self.replica = PeerReplica(feed_handler, name, nothing, lambda: self.connected)
        self.reader = stage.hub.reader({}, CHANNELS, (), frozenset())
        self.waiting: list[bytes] = []
        """What it has published and the other has not heard yet."""
        self.published: list[batch_pb2.MarketDataBatch] = []

    def hear(self, *rows: Any) -> None:
        """Over its own connection."""
        for one in rows:
            self.stage.feed_handler.row_publisher.publish(one)

    def cut(self) -> None:
        """Its own connection is lost."""
        self.connected = False
        self.stage.feed_handler.row_publisher.on_connection_lost(
            [SYMBOL], [TRADES, QUOTES, BOOK, TICKERS], "cut"
        )

    def collect(self) -> None:
        """What it has published since the last time."""
        payloads = wire_pb2.BatchFrames.FromString(self.reader.take()).batches
        self.waiting += payloads
        self.published += map(batch_pb2.MarketDataBatch.FromString, payloads)

    def numbers(self, channel: Channel) -> list[int]:
        """Of the rows that it has published."""
        return numbers_of(self.published, channel)

    def gaps(self) -> list[types_pb2.Gap]:
        """That it has reported."""
        return [gap for batch in self.published for gap in batch.gaps]


class Pair:
    """Both of them."""

    def __init__(self, snapshots: SnapshotSource = SnapshotSource.REST) -> None:
        self.elder = Half("venue", 1_000, snapshots)
        self.younger = Half("venue-b", 2_000, snapshots)
        self.halves = (self.elder, self.younger)

    def link(self, half: Half, count: int = 1_000_000) -> None:
        """One gets what the other one has published, or the first few batches of it."""
        other = self.other(half)
        other.collect()
        some, other.waiting = other.waiting[:count], other.waiting[count:]
        for payload in some:
            half.replica.take(payload)
        half.collect()

    def other(self, half: Half) -> Half:
        return self.younger if half is self.elder else self.elder

    def settle(self) -> None:
        """Until nobody has anything to say to the other."""
        for half in self.halves:
            half.collect()
        while any(half.waiting for half in self.halves):
            for half in self.halves:
                self.link(half)

    def pass_time(self, seconds: float) -> None:
        """For both, in which each sees that the other one lives."""
        for half in self.halves:
            half.stage.clock.now_ns += int(seconds * SECOND_NS)
            half.stage.hub.publish(CHANNEL_STATUS, BatchDraft())
        self.settle()
        for half in self.halves:
            half.replica.look()

    def begin(self) -> None:
        """Both cover each other, and have heard the event 0."""
        for half in self.halves:
            half.hear(*event(0, whole=True))
        self.settle()
        for _ in range(3):
            self.pass_time(COVER_DELAY_S)
        for half in self.halves:
            assert half.stage.feed_handler.row_publisher.merger.cover.is_active


def numbers_of(batches: list[batch_pb2.MarketDataBatch], channel: Channel) -> list[int]:
    field = {TRADES: "trade_id", QUOTES: "sequence", BOOK: "last_sequence"}[channel]
    columns = [
        getattr(batch, batch.WhichOneof("columns"))
        for batch in batches
        if batch.channel == channel and batch.WhichOneof("columns")
    ]
    return [number for column in columns for number in getattr(column, field)]


def event(number: int, whole: bool = False) -> Iterator[Any]:
    """A trade, a quote and a change of the book, all of this number."""
    return iter([trade(number), quote(number), update(number, whole)])


def column(number: int) -> Any:
    return np.array([number], dtype=np.int64)


def trade(number: int) -> TradeRows:
    price, one = NumberColumn(column(number + 1), 0), column(1)
    symbols = SymbolColumn.of([SYMBOL])
    # Ids begin with 1: 0 is none.
    return TradeRows(symbols, price, price, one, one, one, column(number + 1), column(number))


def quote(number: int) -> QuoteRows:
    price, one = NumberColumn(column(number + 1), 0), column(1)
    return QuoteRows(
        SymbolColumn.of([SYMBOL]), price, price, price, price, zeros(1), one, column(number + 1)
    )


def ticker(time_ns: int, price: int) -> TickerRows:
    last, none = NumberColumn(column(price), 0), NumberColumn(zeros(1), 0)
    symbols = SymbolColumn.of([SYMBOL])
    return TickerRows(symbols, column(time_ns), column(1), last, none, none, none, none)


def update(number: int, whole: bool = False) -> BookRows:
    level = NumberColumn(column(number + 1), 0)
    none = NumberColumn(zeros(0), 0)
    return BookRows(
        SymbolColumn.of([SYMBOL]),
        column(number),
        column(number),
        zeros(1),
        column(int(whole)),
        None,
        zeros(1),
        column(1),
        bids=PriceLevels(column(1), level, level),
        asks=PriceLevels(column(0), none, none),
    )


Story = list[tuple[str, int, int]]


def story_of(seed: int) -> Story:
    """What happens, in which order: each event is received by one half at least, each half gets its
    own in order, sometimes twice, and those of the other one now and then."""
    chance = random.Random(seed)
    queues: list[list[int]] = [[], []]
    for number in range(1, EVENTS + 1):
        for half in chance.choice([(0,), (1,), (0, 1)]):
            queues[half] += [number] * chance.choice([1, 1, 1, 2])
    story: Story = []
    while any(queues):
        half = chance.randrange(2)
        if chance.random() < 0.5 and queues[half]:
            story.append(("hear", half, queues[half].pop(0)))
        else:
            story.append(("link", half, chance.randint(1, 4)))
    return story


def played(story: Story) -> Pair:
    """Both halves after it, with nothing under way any more."""
    pair = Pair(SnapshotSource.FEED)
    pair.begin()
    for what, half, number in story:
        if what == "hear":
            pair.halves[half].hear(*event(number))
            pair.halves[half].collect()
        else:
            pair.link(pair.halves[half], number)
    pair.settle()
    return pair


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32).map(story_of))
def test_each_has_the_first_of_each_event(story):
    async def check() -> None:
        pair = played(story)
        for half in pair.halves:
            assert half.numbers(TRADES) == list(range(1, EVENTS + 2))
            assert half.gaps() == []
            quotes = half.numbers(QUOTES)
            assert quotes == sorted(set(quotes))
            assert quotes[-1] == EVENTS + 1
            assert half.numbers(BOOK) == list(range(EVENTS + 1))

    asyncio.run(check())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32).map(story_of), st.data())
def test_a_reader_who_goes_over_misses_nothing(story, data):
    async def check() -> None:
        pair = played(story)
        elder = [one for one in pair.elder.published if one.channel == TRADES]
        said = [place for place, one in enumerate(elder) if one.HasField("peer_cursor")]
        if not said:
            return
        last = data.draw(st.sampled_from(said))
        after = Cursor.of(elder[last].peer_cursor)
        younger = [
            one
            for one in pair.younger.published
            if one.channel == TRADES and Cursor.of(one.cursor) > after
        ]
        assert after.epoch == pair.younger.stage.hub.epoch
        found = numbers_of(elder[: last + 1] + younger, TRADES)
        assert set(found) == set(range(1, EVENTS + 2))

    asyncio.run(check())


@pytest.fixture
async def pair():
    """Both cover each other."""
    made = Pair()
    for half in made.halves:
        made_book = update(0, whole=True)
        half.stage.feed_handler.book_manager.on_rows(made_book)
    made.begin()
    return made


async def test_a_cut_connection_is_no_gap_while_the_other_one_stands(pair):
    pair.elder.cut()
    for number in range(1, 6):
        pair.younger.hear(*event(number))
    pair.settle()
    assert pair.elder.gaps() == []
    assert pair.elder.numbers(TRADES) == list(range(1, 7))
    assert pair.elder.numbers(BOOK)[-1] == 5
    pair.elder.connected = True
    pair.elder.hear(*event(6))
    pair.settle()
    assert pair.elder.gaps() == []


async def test_when_both_are_cut_each_says_so(pair):
    pair.elder.cut()
    pair.settle()
    assert not pair.younger.stage.feed_handler.row_publisher.merger.cover.is_active
    pair.younger.cut()
    pair.settle()
    for half in pair.halves:
        assert {gap.reason for gap in half.gaps()} == {types_pb2.GAP_REASON_RECONNECT}


async def test_a_silent_peer_ends_the_cover_and_reports_the_loss(pair):
    pair.elder.cut()
    pair.settle()
    assert pair.elder.gaps() == []
    pair.elder.stage.clock.now_ns += int((SILENCE_S + 1) * SECOND_NS)
    pair.elder.replica.look()
    pair.elder.collect()
    (gap,) = pair.elder.gaps()
    assert (gap.symbol, gap.reason) == (SYMBOL, types_pb2.GAP_REASON_RECONNECT)
    assert "silent" in gap.detail


async def test_a_hole_that_the_peer_does_not_fill_becomes_a_gap(pair):
    pair.elder.hear(update(3))
    pair.elder.replica.look()
    pair.elder.collect()
    assert pair.elder.gaps() == []
    pair.elder.stage.clock.now_ns += SECOND_NS
    pair.elder.replica.look()
    pair.elder.collect()
    assert [gap.reason for gap in pair.elder.gaps()] == [types_pb2.GAP_REASON_SEQUENCE]


async def test_nothing_is_claimed_while_trades_wait(pair):
    before = dict(pair.elder.stage.hub.replica_cursors)
    pair.younger.hear(trade(5))
    sequencer = pair.younger.stage.feed_handler.trade_sequencer
    sequencer.release(sequencer.held[SYMBOL])
    pair.settle()
    assert pair.elder.stage.feed_handler.trade_sequencer.held
    assert pair.elder.stage.hub.replica_cursors[TRADES] == before[TRADES]


async def test_states_come_once_by_their_time(pair):
    for half in pair.halves:
        half.hear(ticker(10, 1), ticker(10, 2), ticker(20, 3))
    pair.settle()
    for half in pair.halves:
        prices = [
            price
            for batch in half.published
            if batch.channel == TICKERS
            for price in batch.tickers.last_price
        ]
        assert prices == [1, 2, 3]


async def test_batches_of_a_single_process_have_no_replica_cursor():
    half = Half("venue", 1_000, SnapshotSource.FEED)
    half.hear(*event(0, whole=True))
    half.collect()
    for batch in half.published:
        assert not batch.HasField("peer_cursor")
        assert not batch.unconnected
        assert not batch.HasField("continues")


async def test_a_reader_who_goes_over_gets_whole_books_and_doubts(pair):
    half = pair.younger
    half.hear(update(1))
    half.stage.subscriptions.add(["B"])
    half.stage.feed_handler.book_manager.add(["B"])
    half.collect()
    reported = len(half.published)

    class Listing:
        """Tells nothing here."""

        def publish_all(self) -> None:
            """Nothing."""

    feed_handler = half.stage.feed_handler
    StateRepublisher(feed_handler, Listing()).publish([TRADES, BOOK])  # type: ignore[arg-type]
    half.collect()
    books = [batch for batch in half.published[reported:] if batch.channel == BOOK]
    assert [gap.symbol for batch in books for gap in batch.gaps] == ["B"]
    (columns,) = [batch.book for batch in books if batch.WhichOneof("columns")]
    assert (list(columns.snapshot), list(columns.last_sequence)) == ([True], [1])


@pytest.mark.parametrize("rows", [trade(3), quote(3), update(3), ticker(5, 3)])
async def test_rows_come_back_from_a_batch_as_they_were(rows):
    half = Half("venue", 1_000, SnapshotSource.FEED)
    half.hear(update(2, whole=True), rows)
    half.collect()
    (found,) = [
        decode.rows_of(batch)
        for batch in half.published
        if isinstance(decode.rows_of(batch), type(rows)) and not any(batch.book.snapshot)
    ]
    assert type(found) is type(rows)
    for name in ("venue_time_ns", "received_time_ns"):
        assert getattr(found, name).tolist() == getattr(rows, name).tolist()
    if isinstance(rows, BookRows):
        assert found.bids.price.unscaled.tolist() == rows.bids.price.unscaled.tolist()
        assert found.bids.count.tolist() == [1]
        assert found.asks.count.tolist() == [0]
